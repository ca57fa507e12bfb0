// Scatters whose indices are the same for all places of the parallel loops.
#pragma once

#include "backend/cuda/emit_kernel.h"

namespace weft::cuda {

/// A block takes all elements that go to its range of the first index, in their order, for 256 places: each element of the result
/// has one thread that combines what it gets.
void emit_sliced_scatter(KernelCode& code);

}  // namespace weft::cuda
