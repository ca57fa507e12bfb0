// Convolutions on a GPU, as matrix products.
#pragma once

#include "backend/cuda/library_call.h"

namespace weft::cuda {

/// conv, conv_data_gradient and conv_weights_gradient, with channels last. The windows of some images at a time are laid out as rows of a
/// matrix, which is multiplied by the weights; or a product gives such a matrix, and the rows' elements are added up where windows overlap.
LibraryChoice make_convolution_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node);

}  // namespace weft::cuda
