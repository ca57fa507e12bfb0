#include "io/file.h"
#include "io/image_formats.h"

#include <weft/io.h>

#include <algorithm>
#include <cctype>

namespace weft::io {
namespace {

constexpr std::string_view format_name = "image file";

bool begins_with(std::span<const std::byte> bytes, std::string_view start) {
  return bytes.size() >= start.size() &&
         std::ranges::equal(bytes.first(start.size()), start, [](std::byte a, char b) { return a == static_cast<std::byte>(b); });
}

std::vector<std::byte> encode(const NDArray& image, ImageFormat format, const ImageWriteOptions& options, const std::filesystem::path& path) {
  switch (format) {
    case ImageFormat::png: return encode_png(image, path);
    case ImageFormat::jpeg: return encode_jpeg(image, options, path);
    case ImageFormat::pnm:
    case ImageFormat::pnm_plain: break;
  }
  return encode_pnm(image, format == ImageFormat::pnm_plain, path);
}

ImageFormat format_of(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".png") return ImageFormat::png;
  if (ending == ".jpg" || ending == ".jpeg") return ImageFormat::jpeg;
  if (ending == ".ppm" || ending == ".pgm" || ending == ".pnm") return ImageFormat::pnm;
  fail(format_name, path, "its ending must be .png, .jpg, .jpeg, .ppm, .pgm or .pnm to be written");
}

}  // namespace

void check_pixels(std::int64_t width, std::int64_t height, const ImageReadOptions& options, std::string_view format, const std::string& name) {
  if (static_cast<__int128>(width) * height > options.most_pixels)
    fail(format, name,
         "has " + std::to_string(width) + " x " + std::to_string(height) + " pixels, more than the " + std::to_string(options.most_pixels) +
             " that may be read");
}

ImageSizes checked_sizes(const NDArray& image, bool deep, std::int64_t largest, std::string_view format, const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& why) { fail(format, path, "an array " + image.type().str() + " isn't an image: " + why); };
  if (image.dtype() != u8 && !(deep && image.dtype() == u16)) refuse(deep ? "elements must be u8 or u16" : "elements must be u8");
  if (image.rank() != 2 && image.rank() != 3) refuse("it must be [height, width] or [height, width, channels]");
  const ImageSizes sizes{image.shape()[0], image.shape()[1], image.rank() == 3 ? image.shape()[2] : 1};
  if (sizes.height < 1 || sizes.width < 1 || sizes.height > largest || sizes.width > largest)
    refuse("sizes must be from 1 to " + (largest == 0x7fffffff ? "2^31 - 1" : std::to_string(largest)));
  return sizes;
}

NDArray decode_image(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name) {
  const auto oriented = [&](const Decoded& d) { return options.apply_orientation ? upright(d.image, d.orientation) : d.image; };
  if (begins_with(bytes, "\x89PNG")) return oriented(decode_png(bytes, options, name));
  if (begins_with(bytes, "\xff\xd8\xff")) return oriented(decode_jpeg(bytes, options, name));
  if (bytes.size() >= 2 && bytes[0] == std::byte{'P'} && std::isdigit(std::to_integer<int>(bytes[1]))) return decode_pnm(bytes, options, name);
  fail(format_name, name, "is neither PNG nor JPEG nor PPM nor PGM, going by how it begins");
}

NDArray load_image(const std::filesystem::path& path, const ImageReadOptions& options) {
  InputFile file(path, format_name);
  std::vector<std::byte> bytes(file.size());
  file.read(bytes, "image");
  return decode_image(bytes, options, path.string());
}

std::vector<std::byte> encode_image(const NDArray& image, ImageFormat format, const ImageWriteOptions& options) {
  return encode(image, format, options, "image");
}

void save_image(const std::filesystem::path& path, const NDArray& image, const ImageWriteOptions& options) {
  save_file(path, encode(image, format_of(path), options, path));
}

}  // namespace weft::io
