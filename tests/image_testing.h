// What the tests of image files share.
#pragma once

#include <weft/image_file.h>

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::testing {

inline std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}

inline std::string crc_of(std::string_view bytes) {
  return big_endian(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()))));
}

inline std::string png_chunk(const std::string& kind, const std::string& data) {
  return big_endian(static_cast<std::uint32_t>(data.size())) + kind + data + crc_of(kind + data);
}

/// EXIF data with an orientation, behind another tag.
inline std::string exif_with(int orientation, bool little = false) {
  using namespace std::string_literals;
  const auto o = static_cast<char>(orientation);
  return little ? "II\x2a\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\1\0\0\0\x12\1\3\0\1\0\0\0"s + o + "\0\0\0\0\0\0\0"s
                : "MM\0\x2a\0\0\0\x08\0\2\1\0\0\3\0\0\0\1\0\1\0\0\1\x12\0\3\0\0\0\1\0"s + o + "\0\0\0\0\0\0"s;
}

inline std::string text_of(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline NDArray decode(std::string_view content, const io::ImageReadOptions& options = {}) {
  return io::decode_image(std::as_bytes(std::span(content)), options, "x");
}

/// The PNG with an eXIf chunk before its pixels, the JPEG with an APP1 segment after its first marker.
inline std::string png_with_exif(const NDArray& image, const std::string& exif) {
  return text_of(io::encode_image(image, io::ImageFormat::png)).insert(33, png_chunk("eXIf", exif));
}
inline std::string jpeg_with_exif(const NDArray& image, const std::string& exif) {
  using namespace std::string_literals;
  const std::size_t length = exif.size() + 8;
  return text_of(io::encode_image(image, io::ImageFormat::jpeg, {.quality = 100}))
      .insert(2, "\xff\xe1"s + static_cast<char>(length >> 8) + static_cast<char>(length) + "Exif\0\0"s + exif);
}

}  // namespace weft::testing
