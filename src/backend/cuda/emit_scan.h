// Scans: stores of running values.
#pragma once

#include "backend/cuda/emit_kernel.h"

namespace weft::cuda {

/// The scan of one row: element by element by its thread, or by a team, each thread with as many neighbours as `scan_elements` at
/// a time.
void emit_scan(KernelCode& code);

}  // namespace weft::cuda
