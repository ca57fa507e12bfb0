// What generated code and its callers agree on.
#pragma once

#include "stitch/checks.h"
#include "stitch/kernel.h"

#include <cstdint>
#include <vector>

namespace weft::cpu {

using kernel::checked_terms;
using kernel::IndexFault;

/// Computes tiles [begin, end) of a kernel. When the vector loop is parallel a tile is `chunk` of its iterations for one
/// index of the other parallel loops, otherwise one index of all parallel loops. A tile of a kernel that has a tiling is as
/// many rows as that says and `chunk` columns.
using KernelFunction = void (*)(const std::int64_t* parameters, void* const* buffers, IndexFault* fault, std::int64_t begin, std::int64_t end,
                                std::int64_t chunk);

/// How many tiles a kernel that has a tiling is, and how many columns each.
struct TileCount {
  std::int64_t tiles, chunk;
};
TileCount count_tiles(const kernel::Kernel& kernel, int lanes);

/// The longest chunk of a scan: so many running values does a tile keep while it goes along the scanned loop.
inline constexpr int scan_block = 512;

}  // namespace weft::cpu
