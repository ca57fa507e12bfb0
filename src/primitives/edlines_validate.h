// How strong a line is, and whether it may be chance.
#pragma once

#include "primitives/edlines_fit.h"

#include <weft/ndarray.h>

#include <vector>

namespace weft::edlines {

/// The length times the mean gradient of the pixels that the line goes through, for a picture of 0..1.
double strength(const GradientMap& map, const Segment& s);

/// Of the pixels that a line goes through, those whose gradient, of the picture as it is, points to the line's right within 22.5 degrees.
struct Alignment {
  std::int64_t pixels = 0, aligned = 0;
};
/// Of the line that lies so many pixels to the right. `picture` is on the host, as EDLines takes it, with at least 3 pixels each way.
Alignment alignment(const NDArray& picture, const Segment& s, double beside);

/// Tells lines from chance.
class Validation {
 public:
  explicit Validation(const NDArray& picture);
  /// Smoothing moves edges that are not alone: the best of the line itself and of those a pixel to its left and right counts.
  bool accepts(const Segment& s) const;
  /// The common logarithm of the number of false alarms, 3 (W H)^2 B(n, k, 1/8).
  double false_alarms(Alignment a) const;

 private:
  NDArray picture_;
  double lines_;                          ///< the logarithm of how many there may be
  std::vector<double> factorials_ = {0};  ///< natural logarithms
};

}  // namespace weft::edlines
