// Convolutions over one, two or three spatial dimensions, and their derivatives.
//
// What is called convolution here slides the weights without mirroring them:
//   y[n, o, p] = sum over i, k of x[n, i, p * stride + k * dilation - low] * w[o, i, k]
// with zeros for x outside its bounds. Real numbers, both operands of the same type; floating types narrower than f32 are
// summed in f32, integers wrap.
#pragma once

#include <weft/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// How far a window may reach over the edges. With k' = (k - 1) * dilation + 1 the width of the dilated window:
enum class Padding : std::uint8_t {
  explicit_,   ///< by `pads`; result size (in + low + high - k') / stride + 1, rounded down
  valid,       ///< not at all
  same,        ///< as far as it takes for a result size of in / stride, rounded up; an odd one out goes after (TensorFlow's SAME)
  same_lower,  ///< the same, an odd one out goes before (ONNX's SAME_LOWER)
};

/// Elements added at both ends of a dimension.
struct Pads {
  std::int64_t low = 0, high = 0;
};

/// Lists have one entry for each spatial dimension; one entry stands for all dimensions alike.
struct ConvOptions {
  std::vector<std::int64_t> strides = {};    ///< 1 when empty
  std::vector<std::int64_t> dilations = {};  ///< 1 when empty
  /// Channels are divided into so many groups, each convolved on its own: weights have in / groups input channels.
  std::int64_t groups = 1;
  Padding padding = Padding::explicit_;
  std::vector<Pads> pads = {};  ///< for Padding::explicit_; none when empty
  /// Where batch, channels and space are: NHWC (when empty) or NCHW; NWC or NCW; NDHWC or NCDHW.
  std::string layout = {};
  /// Where window, input and output channels are: HWIO (when empty) or OIHW; WIO or OIW; DHWIO or OIDHW.
  std::string weights_layout = {};
};

/// Weights hold out * (in / groups) windows.
Tensor conv1d(Operand x, Operand weights, ConvOptions options = {});
Tensor conv2d(Operand images, Operand weights, ConvOptions options = {});
Tensor conv3d(Operand x, Operand weights, ConvOptions options = {});

/// Every channel is a group: weights have one input channel and m output channels for each channel of x, whose number must be
/// known. Output channel o belongs to channel o / m.
Tensor depthwise_conv2d(Operand images, Operand weights, ConvOptions options = {});
Tensor depthwise_conv3d(Operand x, Operand weights, ConvOptions options = {});

struct ConvTransposeOptions {
  std::vector<std::int64_t> strides = {};
  std::vector<std::int64_t> dilations = {};
  std::int64_t groups = 1;
  Padding padding = Padding::explicit_;
  std::vector<Pads> pads = {};
  std::string layout = {};
  std::string weights_layout = {};
  /// Spatial sizes of the result, from which the described convolution gives x's. When empty they are
  /// (in - 1) * stride + k' - low - high, and in * stride for `same` and `same_lower`.
  std::vector<std::int64_t> output_sizes = {};
};
/// The transposed convolution: the derivative with respect to its data of the convolution that the options describe. Weights
/// are laid out as for that convolution, so x has their output channels, the result their input channels.
Tensor conv_transpose1d(Operand x, Operand weights, ConvTransposeOptions options = {});
Tensor conv_transpose2d(Operand images, Operand weights, ConvTransposeOptions options = {});
Tensor conv_transpose3d(Operand x, Operand weights, ConvTransposeOptions options = {});

/// The derivative of sum(cotangent * conv(x, weights)) with respect to x, whose shape alone matters.
Tensor conv1d_data_gradient(Operand cotangent, Operand weights, Operand x, ConvOptions options = {});
Tensor conv2d_data_gradient(Operand cotangent, Operand weights, Operand images, ConvOptions options = {});
Tensor conv3d_data_gradient(Operand cotangent, Operand weights, Operand x, ConvOptions options = {});
/// The derivative of sum(cotangent * conv(x, weights)) with respect to the weights, whose shape alone matters.
Tensor conv1d_weights_gradient(Operand x, Operand cotangent, Operand weights, ConvOptions options = {});
Tensor conv2d_weights_gradient(Operand images, Operand cotangent, Operand weights, ConvOptions options = {});
Tensor conv3d_weights_gradient(Operand x, Operand cotangent, Operand weights, ConvOptions options = {});

}  // namespace weft
