// What a program has to do whatever way it is run: its arithmetic, and the bytes at its boundary.
#pragma once

#include "compile/program.h"

#include <weft/executable.h>

#include <cstdint>

namespace weft {

/// Contractions count a multiplication and an addition for each term (2 M N K for a matrix product), reductions and scatters
/// one for each element that they take in, pooling one for each element of each window, elementwise operations, division and
/// transcendental functions among them, one for each element of the result. What only moves or generates elements counts
/// nothing. All sizes must be known.
std::int64_t flops(const ir::Graph& graph, const ir::Node& node);

/// Fills in flops, least_read and least_written.
void count_work(const Program& program, CompileStatistics& statistics);

}  // namespace weft
