// Values that a kernel computes once although several passes need them.
#pragma once

#include "stitch/kernel.h"

#include <string_view>

namespace weft::kernel {

/// Whether an operation takes about as long as a dozen additions.
bool is_dear(std::string_view op);

/// Marks expressions that are dear to compute again in a later pass, where a row of them fits into a thread's own memory.
/// The kernel must be normalised.
void keep_dear(Kernel& kernel);

}  // namespace weft::kernel
