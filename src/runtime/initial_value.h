// The first value of a variable.
#pragma once

#include "graph/ir.h"

#include <weft/ndarray.h>

#include <cstdint>

namespace weft::runtime {

/// The value that a "variable" node starts from, as its initialiser says. Random ones depend on the initialiser's seed
/// alone or, when that is 0, on the graph's seed and the variable's position among the graph's variables. They are the
/// numbers of the random operations (src/ops/random.cpp) under the same key.
NDArray initial_value(const ir::Node& variable, std::uint64_t graph_seed, int position);

}  // namespace weft::runtime
