// Lines through chains of pixels, joined where they continue each other.
#pragma once

#include "primitives/edlines_route.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace weft::edlines {

struct Position {
  double x, y;
};

/// Sums over positions, of which the line through them comes by total least squares.
struct Moments {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;

  void add(Position p, double sign = 1) {
    n += sign;
    x += sign * p.x;
    y += sign * p.y;
    xx += sign * p.x * p.x;
    xy += sign * p.x * p.y;
    yy += sign * p.y * p.y;
  }
  friend Moments operator+(const Moments& a, const Moments& b) { return {a.n + b.n, a.x + b.x, a.y + b.y, a.xx + b.xx, a.xy + b.xy, a.yy + b.yy}; }
};

/// A straight line: a position on it and its direction, of length 1.
struct Line {
  Position at, along;
  double mean_square = 0;  ///< of the positions' distances, when it came of Moments

  explicit Line(const Moments& m) : at{m.x / m.n, m.y / m.n}, along{1, 0} {
    const double xx = m.xx / m.n - at.x * at.x, xy = m.xy / m.n - at.x * at.y, yy = m.yy / m.n - at.y * at.y;
    // The larger eigenvalue of the covariances is their mean plus `radius`; its eigenvector by whichever row doesn't cancel.
    const double half = (xx - yy) / 2, radius = std::sqrt(half * half + xy * xy);
    mean_square = std::max(0.0, (xx + yy) / 2 - radius);
    const Position v = half >= 0 ? Position{half + radius, xy} : Position{xy, radius - half};
    const double size = std::sqrt(v.x * v.x + v.y * v.y);
    if (size > 0) along = {v.x / size, v.y / size};
  }
  double distance(Position p) const { return std::abs((p.x - at.x) * along.y - (p.y - at.y) * along.x); }
  /// The nearest position on the line.
  Position foot(Position p) const {
    const double t = (p.x - at.x) * along.x + (p.y - at.y) * along.y;
    return {at.x + t * along.x, at.y + t * along.y};
  }
};

/// A line's part from one end to the other, with the brighter side to the right.
struct Segment {
  Position from, to;
  Moments moments;
};

double length(const Segment& s);
/// Cuts off what lies outside of the pixels' middles. Whether anything is left.
bool cut_at_border(Segment& s, std::int64_t width, std::int64_t height);

struct FitOptions {
  std::int64_t window;        ///< pixels that a line begins with
  std::int64_t least_pixels;  ///< of a line, and what one begins with where no window is straight
  double tolerance;           ///< pixels from the line, no less than the half one that rounding takes
  std::int64_t blurred_ends;  ///< pixels at each end where smoothing mixes in what lies beyond
  double most_apart;          ///< pixels between the ends of lines that are joined
};

/// Room for the positions of a chain's pixels, and of the gradient's peaks along a line.
struct FitRoom {
  std::vector<Position> pixels, peaks;
};

/// Appends the lines of one chain to `segments`.
void fit_chain(const GradientMap& map, std::span<const std::int32_t> chain, const FitOptions& options, FitRoom& room, std::vector<Segment>& segments);

/// Joins lines that continue each other, the longest first; kept from call to call for its memory.
class Joiner {
 public:
  void run(const GradientMap& map, const FitOptions& options, std::vector<Segment>& segments);

 private:
  struct Key {
    double square;
    std::size_t index;
  };
  void sort_by_length(std::vector<Segment>& segments);
  void find_ends(const GradientMap& map, double most_apart, const std::vector<Segment>& segments);
  std::int64_t cell_of(double v, std::int64_t count) const { return std::clamp<std::int64_t>(static_cast<std::int64_t>(v / cell_), 0, count - 1); }
  std::size_t cell_of(Position p) const { return static_cast<std::size_t>(cell_of(p.y, rows_) * columns_ + cell_of(p.x, columns_)); }
  template <class F> void for_each_end_near(Position p, F&& f) const;

  std::vector<Key> keys_;
  std::vector<Segment> sorted_;
  std::vector<std::uint8_t> is_joined_;  ///< to a longer one
  // Ends by the cell of a grid in which they lie: 2 i where segment i begins, 2 i + 1 where it ends.
  double cell_ = 1;
  std::int64_t columns_ = 0, rows_ = 0;
  std::vector<std::int32_t> starts_, ends_;
};

}  // namespace weft::edlines
