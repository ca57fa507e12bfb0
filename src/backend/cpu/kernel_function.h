// What generated code and its callers agree on.
#pragma once

#include "stitch/kernel.h"

#include <cstdint>
#include <vector>

namespace weft::cpu {

/// What a kernel reports when a checked index is out of range: which of its checked terms (in the order of
/// checked_terms), and the index. `term` is -1 until then.
struct IndexFault {
  std::int64_t term = -1;
  std::int64_t index = 0;
};

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

/// Those of the expressions, then those of the stores.
inline std::vector<const kernel::Term*> checked_terms(const kernel::Kernel& kernel) {
  std::vector<const kernel::Term*> list;
  auto visit = [&](const kernel::Access& access) {
    for (const auto& t : access.terms)
      if (t.checked) list.push_back(&t);
  };
  for (const auto& e : kernel.exprs) visit(e.access);
  for (const auto& s : kernel.stores) visit(s.access);
  return list;
}

}  // namespace weft::cpu
