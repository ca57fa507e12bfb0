// Reductions of much to little, in two stages.
#pragma once

#include "stitch/kernel.h"

#include <functional>
#include <vector>

namespace weft::kernel {

/// Drops expressions and buffers that nothing uses.
void compact(Kernel& kernel);

/// The kernel, or two that compute the same: one reduces parts of the longest sequential loop in parallel, the other their
/// results. `temporary` makes a value to hold those. The kernel must be normalised.
std::vector<Kernel> split(Kernel whole, const std::function<ir::Value(TensorType)>& temporary);

}  // namespace weft::kernel
