// PNG through libpng. libpng reports errors by longjmp, which must not pass over C++ objects that have destructors: every
// function here that sets a jump target holds plain data alone, and what owns memory lives in its caller.
#include <weft/io.h>

#include "io/file.h"
#include "io/image_formats.h"

#include <png.h>

#include <csetjmp>
#include <cstring>

namespace weft::io {
namespace {

constexpr std::string_view format = "png file";

/// What libpng's callbacks see.
struct Session {
  char message[160] = "";
  const std::byte* input = nullptr;
  std::size_t remaining = 0;
  std::vector<std::byte>* output = nullptr;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* s = static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(s->message, message, sizeof s->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, png_size_t count) {
  auto* s = static_cast<Session*>(png_get_io_ptr(png));
  if (count > s->remaining) png_error(png, "truncated");
  std::memcpy(to, s->input, count);
  s->input += count;
  s->remaining -= count;
}

void on_write(png_structp png, png_bytep from, png_size_t count) {
  auto* s = static_cast<Session*>(png_get_io_ptr(png));
  bool memory = true;
  try {
    const auto* bytes = reinterpret_cast<const std::byte*>(from);
    s->output->insert(s->output->end(), bytes, bytes + count);
  } catch (const std::bad_alloc&) { memory = false; }
  if (!memory) png_error(png, "no memory");
}

void on_flush(png_structp) {}

struct Reader {
  png_structp png;
  png_infop info = nullptr;
  explicit Reader(Session& s) : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw RunError("png: no memory");
    }
    png_set_read_fn(png, &s, on_read);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct Writer {
  png_structp png;
  png_infop info = nullptr;
  explicit Writer(Session& s) : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info) {
      png_destroy_write_struct(&png, nullptr);
      throw RunError("png: no memory");
    }
    png_set_write_fn(png, &s, on_write, on_flush);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

bool read_header(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_info(png, info);
  return true;
}

/// Asks for 8 bits in every channel, or 16 in this machine's order where the file has as many.
bool set_transforms(png_structp png, png_infop info, bool keep_16_bits) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_expand(png);
  if (keep_16_bits) png_set_swap(png);
  else png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool read_rows(png_structp png, png_infop info, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, info);
  return true;
}

int orientation_of([[maybe_unused]] png_structp png, [[maybe_unused]] png_infop info) {
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 count = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &count, &exif)) return exif_orientation(std::as_bytes(std::span(exif, count)));
#endif
  return 1;
}

bool write_image(png_structp png, png_infop info, png_uint_32 width, png_uint_32 height, int bits, int colour, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_IHDR(png, info, width, height, bits, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  if (bits == 16) png_set_swap(png);
  png_write_image(png, rows);
  png_write_end(png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(std::byte* data, std::int64_t height, std::int64_t row_bytes) {
  std::vector<png_bytep> rows(static_cast<std::size_t>(height));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = reinterpret_cast<png_bytep>(data) + static_cast<std::int64_t>(i) * row_bytes;
  return rows;
}

}  // namespace

std::vector<std::byte> encode_png(const NDArray& image, const std::filesystem::path& path) {
  const auto [height, width, channels] = checked_sizes(image, true, 0x7fffffff, format, path);
  if (channels < 1 || channels > 4) fail(format, path, "an array " + image.type().str() + " isn't an image: it must have 1 to 4 channels");
  constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};

  NDArray dense = image.to(Device::cpu()).dense();
  const int bits = static_cast<int>(size_of(image.dtype())) * 8;
  const auto rows = rows_of(dense.data(), height, width * channels * bits / 8);
  std::vector<std::byte> bytes;
  Session session;
  session.output = &bytes;
  Writer writer(session);
  if (!write_image(writer.png, writer.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits, colours[channels - 1],
                   const_cast<png_bytepp>(rows.data())))
    fail(format, path, session.message);
  return bytes;
}

Decoded decode_png(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name) {
  if (bytes.size() < 8 || png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, 8) != 0)
    fail(format, name, "isn't one, its signature is wrong");
  Session session;
  session.input = bytes.data();
  session.remaining = bytes.size();
  Reader reader(session);
  const auto broken = [&] { fail(format, name, std::string("is broken: ") + session.message); };
  if (!read_header(reader.png, reader.info)) broken();
  const std::int64_t width = png_get_image_width(reader.png, reader.info), height = png_get_image_height(reader.png, reader.info);
  // Deflate codes at most 258 bytes in 2 bits, so that a header that promises more than the file can hold is known here.
  const auto packed = static_cast<unsigned __int128>(height) * png_get_rowbytes(reader.png, reader.info);
  if (packed / 1032 > bytes.size()) fail(format, name, "is truncated, or its header lies: its size takes more bytes than it can hold");
  check_pixels(width, height, options, format, name);
  const bool deep = options.keep_16_bits && png_get_bit_depth(reader.png, reader.info) == 16;
  if (!set_transforms(reader.png, reader.info, deep)) broken();
  const std::int64_t channels = png_get_channels(reader.png, reader.info);

  NDArray image(deep ? u16 : u8, {height, width, channels});
  auto rows = rows_of(image.data(), height, width * channels * static_cast<std::int64_t>(size_of(image.dtype())));
  if (!read_rows(reader.png, reader.info, rows.data())) broken();
  return {image, orientation_of(reader.png, reader.info)};
}

NDArray decode_png(std::span<const std::byte> bytes, const std::string& name) { return decode_png(bytes, ImageReadOptions{}, name).image; }
std::vector<std::byte> encode_png(const NDArray& image) { return encode_png(image, "image"); }

NDArray load_png(const std::filesystem::path& path) {
  InputFile file(path, format);
  std::vector<std::byte> bytes(file.size());
  file.read(bytes, "image");
  return decode_png(bytes, path.string());
}

void save_png(const std::filesystem::path& path, const NDArray& image) {
  const std::vector<std::byte> bytes = encode_png(image, path);
  OutputFile file(path, format);
  file.write(bytes);
  file.commit();
}

}  // namespace weft::io
