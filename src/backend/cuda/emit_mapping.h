// Which threads compute what of a kernel.
#pragma once

#include "backend/cuda/emit.h"
#include "stitch/kernel.h"

#include <cstdint>
#include <vector>

namespace weft::cuda {

/// Neighbours of a scanned row that a thread of a team takes at a time.
inline constexpr int scan_elements = 4;

/// Much of it is part of the code, so there are few choices, far apart: kernels that differ in a batch size mostly share code.
struct Mapping {
  int team = 1;            ///< threads that share a place of the parallel loops, each with iterations of its own of the sequential ones
  int columns = 0;         ///< unless 0, so many neighbouring places alternate among the threads of a block
  int width = 1;           ///< neighbouring iterations of the vector loop that a thread takes at once
  bool has_rest = false;   ///< the vector loop's extent isn't a multiple of the width
  int vectors = 0;         ///< unless 0, how often a thread of a team does so: known, so that rows can stay in registers
  std::vector<bool> kept;  ///< by expression: stays in registers after the first pass that computes it
  /// Unless -1, a block takes 32 iterations of the vector loop and `tile_rows` of this one, along which something is read that lies
  /// side by side, so that what a block reads is used by it whole.
  int tile_loop = -1;
  int tile_rows = 1;
  /// Unless 0, the tile is a square of so many iterations, which shared memory turns: what lies side by side along `tile_loop` is read along it.
  int square = 0;
  std::vector<bool> turned;  ///< by expression: loads that go through shared memory
  std::int64_t slices = 0;   ///< unless 0, a scatter's blocks write to so many ranges of its first index: see emit_scatter.h
  unsigned threads = 256;    ///< of a block
  std::int64_t places = 1;   ///< of the parallel loops, `width` counted as one
};

Mapping map_threads(const kernel::Kernel& kernel, const DeviceProperties& device);

/// Expressions whose value can differ along a loop.
std::vector<bool> moving(const kernel::Kernel& kernel, int loop);

/// Whether the access is to neighbours along the loop, with nothing that depends on it.
bool is_contiguous(const kernel::Kernel& kernel, const kernel::Access& access, int loop);
bool moves_along(const kernel::Kernel& kernel, const kernel::Access& access, int loop);

/// Whether a sequential loop is as short as those over windows are, so that its number of iterations is worth being part of the code.
bool is_window(const kernel::Kernel& kernel, int loop);

/// Iterations of all loops from `first` to before `last`.
std::int64_t iterations(const kernel::Kernel& kernel, int first, int last);

}  // namespace weft::cuda
