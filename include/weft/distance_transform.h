// The Euclidean distance transform of images.
//
// A *site* is a pixel that is not zero, as `x != 0` has it: NaN and infinities are sites, -0 is not. OpenCV, SciPy and CuPy measure the distance to
// the closest zero instead: give them `x == 0`. Each channel of each image is by itself. The squared distance is computed in integers, and the one
// root of it is float(sqrt(double(squared))), so results are exact and the same on every device.
//
// Images are real numbers or bool, of less than 2^31 rows and columns. There is no derivative: asking for one through these is an error.
#pragma once

#include <weft/tensor.h>

#include <limits>
#include <string>

namespace weft {

struct DistanceTransformOptions {
  /// How far sites are looked for, in pixels; more than 0. Where none lies within it, at it included, the distance is +infinity.
  double search_limit_radius = std::numeric_limits<double>::infinity();
  /// Where rows, columns and channels are: NHWC (when empty) or NCHW. N stands for any number of dimensions, none included; a matrix is one image
  /// of one channel.
  std::string layout = {};
  /// Of the indices that `nearest_sites` gives: i32 or i64.
  DType index_dtype = i32;
};
/// At each pixel the distance to the closest site, 0 at sites, +infinity where there is none: f32 of the images' shape.
Tensor distance_transform(Operand images, const DistanceTransformOptions& options = {});

struct NearestSites {
  Tensor distances;  ///< as distance_transform has them
  /// row * width + column of the closest site; -1 where there is none. Of several that are as close the one in the leftmost column, and of those the
  /// topmost.
  Tensor indices;
};
NearestSites nearest_sites(Operand images, const DistanceTransformOptions& options = {});

}  // namespace weft
