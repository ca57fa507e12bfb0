// Values that a kernel computes once although several passes need them.
#pragma once

#include "stitch/kernel.h"

namespace weft::kernel {

/// Marks expressions that are dear to compute again in a later pass, where a row of them fits into a thread's own memory.
/// The kernel must be normalised.
void keep_dear(Kernel& kernel);

}  // namespace weft::kernel
