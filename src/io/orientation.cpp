#include "io/image_formats.h"

namespace weft::io {

int exif_orientation(std::span<const std::byte> tiff) {
  if (tiff.size() < 8) return 1;
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(tiff[i]); };
  const bool little = byte(0) == 'I' && byte(1) == 'I';
  if (!little && (byte(0) != 'M' || byte(1) != 'M')) return 1;
  const auto u16_at = [&](std::size_t i) { return little ? byte(i) | byte(i + 1) << 8 : byte(i) << 8 | byte(i + 1); };
  const auto u32_at = [&](std::size_t i) { return little ? u16_at(i) | u16_at(i + 2) << 16 : u16_at(i) << 16 | u16_at(i + 2); };
  const std::size_t directory = u32_at(4);
  if (u16_at(2) != 42 || directory > tiff.size() - 2) return 1;
  constexpr std::size_t entry_bytes = 12;
  constexpr std::uint32_t orientation_tag = 0x112, short_type = 3;
  const std::size_t entries = std::min<std::size_t>(u16_at(directory), (tiff.size() - directory - 2) / entry_bytes);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * entry_bytes;
    if (u16_at(at) != orientation_tag) continue;
    const std::uint32_t value = u16_at(at + 8);
    return u16_at(at + 2) == short_type && u32_at(at + 4) == 1 && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

NDArray upright(const NDArray& image, int orientation) {
  // What is done to the stored image: mirrored left to right, upside down, and then rows and columns exchanged.
  struct Steps {
    bool mirror, upside_down, exchange;
  };
  constexpr Steps table[] = {{false, false, false}, {true, false, false}, {true, true, false}, {false, true, false},
                             {false, false, true},  {false, true, true},  {true, true, true},  {true, false, true}};
  const Steps steps = table[orientation - 1];
  NDArray result = image;
  if (steps.mirror) result = result.slice(1, result.shape()[1] - 1, -1, -1);
  if (steps.upside_down) result = result.slice(0, result.shape()[0] - 1, -1, -1);
  if (steps.exchange) result = result.transpose(0, 1);
  return result.dense();
}

}  // namespace weft::io
