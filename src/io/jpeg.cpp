// JPEG through libjpeg-turbo. As in png.cpp, functions that set a jump target hold plain data alone.
#include "io/file.h"
#include "io/image_formats.h"

#ifdef WEFT_WITH_JPEG

#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>
#include <cstring>

namespace weft::io {
namespace {

constexpr std::string_view format = "jpeg file";

/// What libjpeg's callbacks see; the error manager comes first, since that is what they are given.
struct Session {
  jpeg_error_mgr errors;
  std::jmp_buf target;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void stop(j_common_ptr codec) {
  auto* s = reinterpret_cast<Session*>(codec->err);
  s->errors.format_message(codec, s->message);
  std::longjmp(s->target, 1);
}

/// libjpeg goes on after warnings with whatever it has. Bytes between markers and odd version numbers do no harm; the others mean lost pixels.
void on_message(j_common_ptr codec, int level) {
  const int code = codec->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR) stop(codec);
}

/// Scans of a progressive image each pass over all of it, however few bytes they have.
void on_progress(j_common_ptr codec) {
  constexpr int most_scans = 256;
  if (codec->is_decompressor && reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number > most_scans) {
    codec->err->msg_code = JERR_BAD_PROGRESSION;
    stop(codec);
  }
}

void prepare(Session& s) {
  jpeg_std_error(&s.errors);
  s.errors.error_exit = stop;
  s.errors.emit_message = on_message;
}

struct Reader {
  Session session;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct codec{};
  Reader() {
    prepare(session);
    codec.err = &session.errors;
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&codec); }

  bool read_header(std::span<const std::byte> bytes) {
    if (setjmp(session.target)) return false;
    jpeg_create_decompress(&codec);
    progress.progress_monitor = on_progress;
    codec.progress = &progress;
    jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_save_markers(&codec, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&codec, TRUE);
    if (codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK) codec.out_color_space = JCS_CMYK;
    else codec.out_color_space = codec.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    return true;
  }

  bool read_rows(unsigned char* to, std::size_t row_bytes) {
    if (setjmp(session.target)) return false;
    jpeg_start_decompress(&codec);
    while (codec.output_scanline < codec.output_height) {
      JSAMPROW row = to + codec.output_scanline * row_bytes;
      jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
    return true;
  }
};

struct Writer {
  Session session;
  jpeg_compress_struct codec{};
  unsigned char* output = nullptr;
  unsigned long size = 0;
  Writer() {
    prepare(session);
    codec.err = &session.errors;
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    jpeg_destroy_compress(&codec);
    std::free(output);
  }

  bool write(const unsigned char* from, const ImageSizes& sizes, int quality, bool progressive) {
    if (setjmp(session.target)) return false;
    jpeg_create_compress(&codec);
    jpeg_mem_dest(&codec, &output, &size);
    codec.image_width = static_cast<JDIMENSION>(sizes.width);
    codec.image_height = static_cast<JDIMENSION>(sizes.height);
    codec.input_components = static_cast<int>(sizes.channels);
    codec.in_color_space = sizes.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, quality, TRUE);
    if (sizes.channels == 3 && quality >= 90) codec.comp_info[0].h_samp_factor = codec.comp_info[0].v_samp_factor = 1;
    if (progressive) jpeg_simple_progression(&codec);
    jpeg_start_compress(&codec, TRUE);
    while (codec.next_scanline < codec.image_height) {
      JSAMPROW row = const_cast<unsigned char*>(from) + codec.next_scanline * static_cast<std::size_t>(sizes.width * sizes.channels);
      jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    return true;
  }
};

int orientation_of(const jpeg_decompress_struct& codec) {
  constexpr std::size_t prefix = 6;  // "Exif" and two zeros
  for (auto marker = codec.marker_list; marker; marker = marker->next)
    if (marker->data_length >= prefix && std::memcmp(marker->data, "Exif\0\0", prefix) == 0)
      return exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)).subspan(prefix));
  return 1;
}

/// Ink to light: what is left of it after one ink and black. Adobe's files, which are nearly all that there are, hold light, not ink.
NDArray rgb_of_cmyk(const NDArray& image, bool inverted) {
  NDArray rgb(u8, {image.shape()[0], image.shape()[1], 3});
  const auto from = image.elements<std::uint8_t>();
  const auto to = rgb.elements<std::uint8_t>();
  const auto light = [&](std::uint8_t v) { return inverted ? v : 255 - v; };
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::size_t pixel = i / 3;
    to[i] = static_cast<std::uint8_t>((light(from[4 * pixel + i % 3]) * light(from[4 * pixel + 3]) + 127) / 255);
  }
  return rgb;
}

}  // namespace

bool has_jpeg() { return true; }

Decoded decode_jpeg(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name) {
  Reader reader;
  const auto broken = [&] { fail(format, name, std::string("is broken: ") + reader.session.message); };
  if (!reader.read_header(bytes)) broken();
  const std::int64_t height = reader.codec.image_height, width = reader.codec.image_width;
  // An MCU has at least one bit, and at most 32 x 32 pixels where it has eight blocks.
  if (height * width / 1024 > static_cast<std::int64_t>(bytes.size()))
    fail(format, name, "is truncated, or its header lies: its size takes more bytes than it has");
  check_pixels(width, height, options, format, name);
  const bool cmyk = reader.codec.out_color_space == JCS_CMYK;
  const std::int64_t channels = cmyk ? 4 : reader.codec.out_color_space == JCS_GRAYSCALE ? 1 : 3;
  Decoded decoded{NDArray(u8, {height, width, channels}), orientation_of(reader.codec)};
  if (!reader.read_rows(reinterpret_cast<unsigned char*>(decoded.image.data()), static_cast<std::size_t>(width * channels))) broken();
  if (cmyk) decoded.image = rgb_of_cmyk(decoded.image, reader.codec.saw_Adobe_marker);
  return decoded;
}

std::vector<std::byte> encode_jpeg(const NDArray& image, const ImageWriteOptions& options, const std::filesystem::path& path) {
  const ImageSizes sizes = checked_sizes(image, false, JPEG_MAX_DIMENSION, format, path);
  if (sizes.channels != 1 && sizes.channels != 3)
    fail(format, path, "holds 1 or 3 channels and no alpha, the array " + image.type().str() + " has others");
  if (options.quality < 1 || options.quality > 100)
    fail(format, path, "its quality must be from 1 to 100, " + std::to_string(options.quality) + " is given");
  const NDArray dense = image.to(Device::cpu()).dense();
  Writer writer;
  if (!writer.write(reinterpret_cast<const unsigned char*>(dense.data()), sizes, options.quality, options.progressive))
    fail(format, path, writer.session.message);
  const auto written = std::as_bytes(std::span(writer.output, writer.size));
  return {written.begin(), written.end()};
}

}  // namespace weft::io

#else

namespace weft::io {

bool has_jpeg() { return false; }

Decoded decode_jpeg(std::span<const std::byte>, const ImageReadOptions&, const std::string& name) {
  fail("jpeg file", name, "can't be read, this weft was built without libjpeg");
}

std::vector<std::byte> encode_jpeg(const NDArray&, const ImageWriteOptions&, const std::filesystem::path& path) {
  fail("jpeg file", path, "can't be written, this weft was built without libjpeg");
}

}  // namespace weft::io

#endif
