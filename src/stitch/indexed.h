// Accesses whose index is computed: what gather reads and scatter writes.
#pragma once

#include "stitch/builder.h"

#include <vector>

namespace weft::kernel {

/// Where in data an element of the gathered tensor lies.
struct IndexedAccess {
  Map map;
  std::vector<Term> terms;
};

/// That of the gather or scatter's element at `map`.
IndexedAccess indexed_access(Builder& builder, ir::NodeId id, const Map& map);

}  // namespace weft::kernel
