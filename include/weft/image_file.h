// Files of images: PNG, JPEG, PPM and PGM.
//
// Readers go by what a file begins with. They check the sizes that a header declares against the file itself before they allocate anything; files
// and errors are otherwise as in io.h.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace weft::io {

enum class ImageFormat : std::uint8_t {
  png,        ///< 1 to 4 channels of u8 or u16
  jpeg,       ///< 1 or 3 channels of u8
  pnm,        ///< binary PGM or PPM: 1 or 3 channels of u8 or u16
  pnm_plain,  ///< the same in decimal digits
};

struct ImageReadOptions {
  /// Give u16 for images of more than 8 bits a channel; otherwise they become u8.
  bool keep_16_bits = false;
  /// Turn and mirror the image as its EXIF orientation asks (JPEG, and PNG with an eXIf chunk), so that it is upright.
  bool apply_orientation = true;
  /// Refuse images of more pixels before memory is taken for them: a small file can hold a large image, some 1000 bytes of pixels for each of its
  /// own.
  std::int64_t most_pixels = 0x7fffffff;
};

struct ImageWriteOptions {
  /// Of JPEG, 1 to 100. From 90 on colours have as many pixels as brightness, below that half as many each way.
  int quality = 92;
  /// JPEG that can be shown coarsely before all of it is there.
  bool progressive = false;
};

/// u8 or u16 [height, width, channels]: 1 channel for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA. PNG as load_png has it. JPEG in CMYK becomes
/// RGB. Samples of PPM and PGM of another maximum than 255 or 65535 are scaled to these, rounded to the nearest; of a file with several images the
/// first is read. Colour profiles are not applied.
NDArray load_image(const std::filesystem::path& path, const ImageReadOptions& options = {});
/// `name` stands for the file in errors.
NDArray decode_image(std::span<const std::byte> bytes, const ImageReadOptions& options = {}, const std::string& name = "image");

/// Writes [height, width] or [height, width, channels] in the format that the path's ending says: .png, .jpg or .jpeg, .ppm, .pgm or .pnm.
void save_image(const std::filesystem::path& path, const NDArray& image, const ImageWriteOptions& options = {});
std::vector<std::byte> encode_image(const NDArray& image, ImageFormat format, const ImageWriteOptions& options = {});

/// Whether this build of weft has libjpeg; without it JPEG throws RunError.
bool has_jpeg();

}  // namespace weft::io
