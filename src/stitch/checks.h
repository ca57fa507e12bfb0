// Indices that a kernel computes and must find in range.
#pragma once

#include "graph/ir.h"
#include "stitch/kernel.h"

#include <cstdint>
#include <vector>

namespace weft::kernel {

/// What a running kernel reports when a checked index is out of range: which of its checked_terms, and the index. `term` is -1
/// until then.
struct IndexFault {
  std::int64_t term = -1;
  std::int64_t index = 0;
};

/// Those of the expressions, then those of the stores.
std::vector<const Term*> checked_terms(const Kernel& kernel);

/// Throws the RunError for an index out of range of a term of the graph's kernels.
[[noreturn]] void fail(const ir::Graph& graph, const Term& term, std::int64_t index);

}  // namespace weft::kernel
