// Convolutions over one to three dimensions. Sums of n products below 4 are exact to n * 4 epsilon in any order.
#include "descriptions.h"

#include <weft/convolution.h>

namespace weft {
namespace {

using Build = std::function<Tensor(const Tensors&)>;

OpCase convolution(std::string name, std::vector<Shapes> shapes, Build build) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x)}; },
          .inputs = {{real(-2, 2)}, {real(-2, 2)}},
          .shapes = std::move(shapes),
          .dtypes = reals(),
          .tolerance = {.ulp = 1, .scale = 4 * 54},
          .differentiable = {0, 1}};
}

/// A derivative, which takes the shape of a third operand.
OpCase derivative(std::string name, Shapes shapes, Build build) {
  OpCase c = convolution(std::move(name), {std::move(shapes)}, std::move(build));
  c.inputs.push_back({real(-2, 2)});
  return c;
}

OpCase fixed_channels(OpCase c) {
  c.unknown_sizes = c.unknown_rank = false;
  return c;
}

}  // namespace

std::vector<OpCase> convolution_cases() {
  const ConvOptions same{.padding = Padding::same}, strided{.strides = {2, 1}, .pads = {{1, 0}, {2, 1}}};
  const ConvOptions channels_first{.dilations = {2}, .padding = Padding::valid, .layout = "NCHW", .weights_layout = "OIHW"};
  const ConvOptions grouped{.strides = {2}, .groups = 2, .padding = Padding::same_lower};
  return {
      convolution("conv1d", {{{2, 13, 3}, {3, 3, 2}}, {{0, 7, 3}, {3, 3, 2}}, {{1, 3, 1}, {3, 1, 1}}},
                  [](const Tensors& x) { return conv1d(x[0], x[1]); }),
      convolution("conv2d", {{{2, 5, 7, 3}, {3, 3, 3, 2}}, {{0, 5, 7, 3}, {3, 3, 3, 2}}, {{1, 1, 1, 1}, {1, 1, 1, 1}}},
                  [=](const Tensors& x) { return conv2d(x[0], x[1], same); }),
      convolution("conv2d_strided", {{{2, 7, 5, 2}, {3, 2, 2, 3}}}, [=](const Tensors& x) { return conv2d(x[0], x[1], strided); }),
      convolution("conv2d_channels_first", {{{2, 3, 7, 5}, {2, 3, 3, 2}}}, [=](const Tensors& x) { return conv2d(x[0], x[1], channels_first); }),
      convolution("conv2d_grouped", {{{1, 7, 5, 4}, {3, 3, 2, 6}}}, [=](const Tensors& x) { return conv2d(x[0], x[1], grouped); }),
      convolution("conv3d", {{{1, 3, 4, 5, 2}, {2, 2, 3, 2, 2}}},
                  [](const Tensors& x) {
                    return conv3d(x[0], x[1], {.strides = {1, 2, 1}});
                  }),
      fixed_channels(
          convolution("depthwise_conv2d", {{{2, 5, 4, 3}, {3, 2, 1, 6}}}, [=](const Tensors& x) { return depthwise_conv2d(x[0], x[1], same); })),
      fixed_channels(
          convolution("depthwise_conv3d", {{{1, 3, 4, 5, 2}, {2, 2, 3, 1, 2}}}, [](const Tensors& x) { return depthwise_conv3d(x[0], x[1]); })),
      convolution("conv_transpose1d", {{{2, 7, 3}, {3, 2, 3}}}, [](const Tensors& x) { return conv_transpose1d(x[0], x[1], {.strides = {2}}); }),
      convolution("conv_transpose2d", {{{2, 4, 3, 2}, {3, 3, 3, 2}}},
                  [](const Tensors& x) { return conv_transpose2d(x[0], x[1], {.strides = {2}, .padding = Padding::same}); }),
      convolution("conv_transpose3d", {{{1, 2, 3, 2, 2}, {2, 2, 2, 1, 2}}}, [](const Tensors& x) { return conv_transpose3d(x[0], x[1]); }),
      derivative("conv1d_data_gradient", {{2, 11, 2}, {3, 3, 2}, {2, 13, 3}},
                 [](const Tensors& x) { return conv1d_data_gradient(x[0], x[1], x[2]); }),
      derivative("conv2d_data_gradient", {{2, 5, 7, 2}, {3, 3, 3, 2}, {2, 5, 7, 3}},
                 [=](const Tensors& x) { return conv2d_data_gradient(x[0], x[1], x[2], same); }),
      derivative("conv3d_data_gradient", {{1, 2, 3, 3, 2}, {2, 2, 3, 2, 2}, {1, 3, 4, 5, 2}},
                 [](const Tensors& x) { return conv3d_data_gradient(x[0], x[1], x[2]); }),
      derivative("conv1d_weights_gradient", {{2, 13, 3}, {2, 11, 2}, {3, 3, 2}},
                 [](const Tensors& x) { return conv1d_weights_gradient(x[0], x[1], x[2]); }),
      derivative("conv2d_weights_gradient", {{2, 5, 7, 3}, {2, 5, 7, 2}, {3, 3, 3, 2}},
                 [=](const Tensors& x) { return conv2d_weights_gradient(x[0], x[1], x[2], same); }),
      derivative("conv3d_weights_gradient", {{1, 3, 4, 5, 2}, {1, 2, 3, 3, 2}, {2, 2, 3, 2, 2}},
                 [](const Tensors& x) { return conv3d_weights_gradient(x[0], x[1], x[2]); }),
  };
}

}  // namespace weft
