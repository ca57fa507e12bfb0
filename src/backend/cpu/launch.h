// Starting kernels: their iterations cut into tiles, and the tiles of one or several kernels shared among the threads.
#pragma once

#include "backend/cpu/jit.h"

#include <cstdint>
#include <span>
#include <vector>

namespace weft::cpu {

/// A kernel with its code, and how it is cut. No result depends on that: an element is always computed whole.
struct KernelCall {
  const kernel::Kernel* kernel = nullptr;
  KernelCode code;
  std::vector<const kernel::Term*> checks;
  std::int64_t tiles = 0, chunk = 1;
  std::int64_t tile_work = 1;  ///< expressions evaluated for a tile, about
  std::size_t buffers = 0;     ///< where the addresses of its buffers begin in a run's table
};

KernelCall make_kernel_call(const kernel::Kernel& kernel, KernelCode code);

/// Runs kernels that don't depend on each other. `faults` has one for each, written only where an index is out of range.
void launch(std::span<const KernelCall> calls, void* const* table, IndexFault* faults);

}  // namespace weft::cpu
