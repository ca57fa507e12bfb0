// Pooling: one number for each place of a window that slides over a tensor.
//
// The general forms take a window with an entry for every dimension of x (1 where nothing is pooled); those with 1d, 2d and 3d
// in their names one for each spatial dimension, or one for all. Padding is never counted as an element: the maximum and the sum
// pass over it. See convolution.h for Padding.
#pragma once

#include <weft/convolution.h>
#include <weft/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// Lists have one entry for each entry of the window; one entry stands for all alike.
struct PoolOptions {
  std::vector<std::int64_t> strides = {};    ///< the window's sizes when empty
  std::vector<std::int64_t> dilations = {};  ///< 1 when empty
  Padding padding = Padding::explicit_;
  std::vector<Pads> pads = {};  ///< for Padding::explicit_; none when empty
  /// Round the number of places up, as long as the last window begins within x or the padding before it (PyTorch's ceil_mode).
  bool ceil = false;
  /// For the forms with spatial dimensions: NHWC (when empty) or NCHW; NWC or NCW; NDHWC or NCDHW.
  std::string layout = {};
};

/// The largest element. NaN if there is one in the window; where the window lies in the padding altogether, the lowest
/// value of the type. The derivative goes to the first of the largest elements in row-major order. Real numbers.
Tensor max_pool(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor max_pool1d(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor max_pool2d(Operand images, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor max_pool3d(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});

/// As PoolOptions, and:
struct AveragePoolOptions {
  std::vector<std::int64_t> strides = {};
  std::vector<std::int64_t> dilations = {};
  Padding padding = Padding::explicit_;
  std::vector<Pads> pads = {};
  bool ceil = false;
  std::string layout = {};
  /// Divide by the number of the window's places within x and its padding rather than within x.
  bool count_padding = false;
};
/// The mean of the elements; 0 where the window lies in the padding altogether. Floating.
Tensor average_pool(Operand x, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});
Tensor average_pool1d(Operand x, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});
Tensor average_pool2d(Operand images, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});
Tensor average_pool3d(Operand x, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});

/// The root of the sum of the elements' squares, with derivative 0 where it is 0. Floating.
Tensor l2_pool(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor l2_pool1d(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor l2_pool2d(Operand images, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor l2_pool3d(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});

/// What the index of a largest element counts.
struct PoolIndexOptions {
  /// Places in x rather than places in the window.
  bool global = false;
  /// So many of the innermost dimensions are counted, in row-major order; 0 for all.
  int dimensions = 0;
};
struct PoolIndices {
  Tensor values;
  Tensor indices;  ///< i32; -1 where the window lies in the padding altogether
};
/// The largest elements and where they are.
PoolIndices max_pool_with_indices(Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {}, PoolIndexOptions index = {});
PoolIndices max_pool2d_with_indices(Operand images, const std::vector<std::int64_t>& window, const PoolOptions& options = {},
                                    PoolIndexOptions index = {});

/// The derivative of sum(cotangent * max_pool(x)) with respect to x.
Tensor max_pool_gradient(Operand cotangent, Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor max_pool2d_gradient(Operand cotangent, Operand images, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
/// The same from the indices of max_pool_with_indices; x's shape alone matters. Dimensions that the indices don't count
/// must have a window of 1.
Tensor max_pool_gradient(Operand cotangent, Operand indices, Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {},
                         PoolIndexOptions index = {});
Tensor max_pool2d_gradient(Operand cotangent, Operand indices, Operand images, const std::vector<std::int64_t>& window,
                           const PoolOptions& options = {}, PoolIndexOptions index = {});
/// The derivative of sum(cotangent * average_pool(x)) with respect to x, whose shape alone matters.
Tensor average_pool_gradient(Operand cotangent, Operand x, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});
Tensor average_pool2d_gradient(Operand cotangent, Operand images, const std::vector<std::int64_t>& window, const AveragePoolOptions& options = {});
/// The derivative of sum(cotangent * l2_pool(x)) with respect to x.
Tensor l2_pool_gradient(Operand cotangent, Operand x, const std::vector<std::int64_t>& window, const PoolOptions& options = {});
Tensor l2_pool2d_gradient(Operand cotangent, Operand images, const std::vector<std::int64_t>& window, const PoolOptions& options = {});

}  // namespace weft
