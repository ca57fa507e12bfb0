// Sums of products computed for several results at once.
#pragma once

#include "stitch/kernel.h"

#include <functional>
#include <vector>

namespace weft::kernel {

/// The kernel with a tiling that suits it, in two stages when its results are too few to share among threads; no kernels
/// when it isn't one sum of products that neighbouring results have operands of in common. The kernel must be normalised.
std::vector<Kernel> tile(const Kernel& kernel, const std::function<ir::Value(TensorType)>& temporary);

}  // namespace weft::kernel
