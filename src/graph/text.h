// The text form of a graph.
#pragma once

#include "graph/ir.h"

#include <string>
#include <string_view>

namespace weft {

/// One line an operation.
std::string print(const ir::Graph& graph);
/// The inverse of print. Throws GraphError with line and column.
ir::Graph parse_text(std::string_view text);

}  // namespace weft
