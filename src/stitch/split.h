// Reductions of much to little, in two stages.
#pragma once

#include "stitch/kernel.h"
#include "stitch/target.h"

#include <functional>
#include <utility>
#include <vector>

namespace weft::kernel {

/// Drops expressions and buffers that nothing uses.
void compact(Kernel& kernel);

/// The kernel, or two that compute the same: one reduces parts of the longest sequential loop in parallel, the other their
/// results. `temporary` makes a value to hold those. The kernel must be normalised.
std::vector<Kernel> split(Kernel whole, const Target& target, const std::function<ir::Value(TensorType)>& temporary);

/// The kernel cut into parts of `part` iterations of a sequential loop, and the one that reduces their results. The first has
/// one loop more, outermost, and every part all `part` iterations, the last too.
std::pair<Kernel, Kernel> split_loop(const Kernel& whole, int loop, std::int64_t part, const std::function<ir::Value(TensorType)>& temporary);

}  // namespace weft::kernel
