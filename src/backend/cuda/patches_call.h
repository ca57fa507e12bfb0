// Convolutions by kernels of patches.
#pragma once

#include "backend/cuda/patches.h"

#include <string_view>

namespace weft::cuda {

/// Among the names of tiles.
inline constexpr std::string_view patches_name = "patches";

LibraryChoice make_patches_call(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, const Finish* after);

}  // namespace weft::cuda
