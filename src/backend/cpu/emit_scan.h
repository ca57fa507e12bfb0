// Scans: stores of running values.
#pragma once

#include "backend/cpu/emit_reduction.h"
#include "backend/cpu/emit_tiles.h"

namespace weft::cpu {

/// The scans of the rows from `first` to `last` of the vector loop, at most `scan_block`; where that is not a parallel loop, null:
/// of one row. The other parallel loops' indices are set.
void emit_scan(const TileHost& host, ReductionEmitter& reductions, llvm::Value* first, llvm::Value* last);

}  // namespace weft::cpu
