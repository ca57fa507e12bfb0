// Convolutions on a GPU.
#pragma once

#include "backend/cuda/finish.h"
#include "backend/cuda/library_call.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft::cuda {

/// The fastest way to compute conv, conv_data_gradient or conv_weights_gradient with channels last. With `after`, a call
/// has what that reads besides as its last operands, and gives what it makes of the result.
LibraryChoice make_convolution_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node, const LibraryOptions& options,
                                    const Finish* after = nullptr);

enum class ConvolutionMember { forward, data_gradient, weights_gradient };

/// Three spatial dimensions, the first ones of size 1 where there are fewer.
struct ConvolutionGeometry {
  using Sizes = std::array<std::int64_t, 3>;
  std::int64_t images = 0, in_channels = 0, out_channels = 0, groups = 1;  ///< in_channels: of each group
  Sizes in{1, 1, 1}, out{1, 1, 1}, window{1, 1, 1}, strides{1, 1, 1}, dilations{1, 1, 1}, low{0, 0, 0};

  static std::int64_t product(const Sizes& s) { return s[0] * s[1] * s[2]; }
  std::int64_t places() const { return product(out); }
  std::int64_t columns() const { return product(window) * in_channels; }
  /// The matrix of windows is the data as they lie.
  bool is_plain() const { return product(window) == 1 && product(strides) == 1 && low == Sizes{0, 0, 0} && in == out; }
};

/// By cuDNN, with one of its engines, which `engine` names.
LibraryChoice make_cudnn_convolution(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, const Finish* after,
                                     const std::string& engine);
/// The engines that can, the likeliest to be fast first.
std::vector<std::string> cudnn_convolution_engines(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry,
                                                   const Finish* after, bool tf32);

/// By products: the windows of some images at a time are laid out as rows of a matrix, which is multiplied by the weights; or a product gives
/// such a matrix, and the rows' elements are added up where windows overlap.
LibraryChoice make_windows_call(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, const LibraryOptions& options);

}  // namespace weft::cuda
