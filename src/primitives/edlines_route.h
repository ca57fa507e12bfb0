// Edge Drawing: from a map of gradients to edges as chains of neighbouring pixels.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <span>
#include <vector>

namespace weft::edlines {

/// Gradients as integers: the Sobel operator of a picture of 0..1 times this, so that the largest, 4, fits into 16 bits, and squares into 31.
inline constexpr double gradient_scale = 8191;

/// Both parts of a gradient: gx below, gy above.
struct Gradient {
  std::int32_t bits;
  std::int32_t x() const { return static_cast<std::int16_t>(bits); }
  std::int32_t y() const { return bits >> 16; }
  std::int32_t squared() const { return x() * x() + y() * y(); }
  /// Whether an edge here runs up and down.
  bool is_upright() const { return (x() < 0 ? -x() : x()) >= (y() < 0 ? -y() : y()); }
};

struct GradientMap {
  const std::int32_t* bits;
  std::int64_t width, height;
  Gradient operator[](std::int64_t pixel) const { return {bits[pixel]}; }
};

struct RouteOptions {
  std::int64_t detail_ratio;
  std::int32_t least_squared;  ///< gradient of an edge
  std::int64_t least_pixels;   ///< of a chain
};

/// Where edges are found; kept from call to call for its memory.
class Router {
 public:
  /// Pixels number y * width + x. Chain i is pixels[offsets[i]] up to pixels[offsets[i + 1]].
  std::vector<std::int32_t> pixels;
  std::vector<std::int64_t> offsets;

  void run(const GradientMap& map, const RouteOptions& options);

 private:
  struct Anchor {
    std::int32_t squared, pixel;
  };
  /// Pixels walked in one direction, and the walks that go on where the edge turned.
  struct Walk {
    std::int64_t begin, end;  ///< in walked_
    std::int32_t next[2];     ///< none: -1
    std::int64_t longest;     ///< pixels from here to the end of the longest way
  };
  /// A walk to be begun at a pixel.
  struct Start {
    std::int32_t pixel;
    std::uint8_t direction, which;
    std::int32_t from;  ///< the walk whose next[which] it becomes
  };

  void prefetch_pixel(const GradientMap& map, std::int64_t pixel) const;
  void prefetch(const GradientMap& map, std::int64_t pixel) const;
  bool is_taken(std::int64_t pixel, std::int64_t across) const;
  void find_anchors(const GradientMap& map, const RouteOptions& options);
  void sort_anchors();
  void follow(const GradientMap& map, std::int32_t anchor, std::int32_t least_squared);
  void keep_longest(std::int64_t least_pixels);
  void append_way(std::int32_t walk, bool backwards, std::int64_t least_pixels);

  NDArray visited_{u8, {0}};  ///< in large pages, where there are any
  std::uint8_t* visited_at_ = nullptr;
  std::vector<Anchor> anchors_, sorted_;
  std::vector<std::int32_t> walked_;
  std::vector<Walk> walks_;
  std::vector<Start> starts_;
  std::vector<std::int32_t> left_;
};

}  // namespace weft::edlines
