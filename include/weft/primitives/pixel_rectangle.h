// A part of a picture.
#pragma once

#include <cstdint>

namespace weft {

/// In pixels; x goes to the right and y down from the upper left corner.
struct PixelRectangle {
  std::int64_t x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const PixelRectangle&, const PixelRectangle&) = default;
};

}  // namespace weft
