// The bitmap font of pictures that weft draws.
#pragma once

#include <array>
#include <cstdint>

namespace weft::apps {

inline constexpr int glyph_width = 5, glyph_height = 7;
/// How far the letters g j p q y and the signs , ; reach below the line.
inline constexpr int descent = 2;

/// Rows from the top, the leftmost pixel in bit 4. Characters outside of ASCII's printable ones are drawn as a box.
using Glyph = std::array<std::uint8_t, glyph_height>;
const Glyph& glyph_of(char c);
/// Whether the glyph is drawn `descent` rows lower.
bool descends(char c);

}  // namespace weft::apps
