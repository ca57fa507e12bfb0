// The decoders and encoders behind load_image and save_image, one file each.
#pragma once

#include <weft/image_file.h>

#include <optional>
#include <string_view>

namespace weft::io {

struct Decoded {
  NDArray image;
  int orientation = 1;  ///< as EXIF counts, 1 (upright) to 8
};

Decoded decode_png(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name);
Decoded decode_jpeg(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name);
NDArray decode_pnm(std::span<const std::byte> bytes, const ImageReadOptions& options, const std::string& name);

std::vector<std::byte> encode_png(const NDArray& image, const std::filesystem::path& path);
std::vector<std::byte> encode_jpeg(const NDArray& image, const ImageWriteOptions& options, const std::filesystem::path& path);
std::vector<std::byte> encode_pnm(const NDArray& image, bool plain, const std::filesystem::path& path);

/// Throws RunError, as `fail` does, for more pixels than the options allow.
void check_pixels(std::int64_t width, std::int64_t height, const ImageReadOptions& options, std::string_view format, const std::string& name);

struct ImageSizes {
  std::int64_t height = 0, width = 0, channels = 1;
};
/// Of an array of u8, or u16 where `deep`, [height, width] or [height, width, channels], at most `largest` pixels each way. Throws RunError, as
/// `fail` does, for others.
ImageSizes checked_sizes(const NDArray& image, bool deep, std::int64_t largest, std::string_view format, const std::filesystem::path& path);

/// The orientation that EXIF data (a TIFF header and a directory of tags) name; 1 when they are broken or name none.
/// CIPA DC-008-2019, "Exchangeable image file format for digital still cameras", 4.6.4.
int exif_orientation(std::span<const std::byte> tiff);
/// The image as it is to be seen.
NDArray upright(const NDArray& image, int orientation);

}  // namespace weft::io
