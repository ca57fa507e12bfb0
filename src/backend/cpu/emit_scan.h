// Scans: stores of running values.
#pragma once

#include "backend/cpu/emit_tiles.h"

#include <functional>

namespace weft::cpu {

/// What the code of scans is made with.
struct ScanHost {
  TileHost kernel;
  /// What changes nothing, in the type that a reduction accumulates.
  std::function<llvm::Value*(const kernel::Reduction&, llvm::Type*, bool imaginary)> identity;
  std::function<Value(const kernel::Reduction&, Value, Value)> combine;
};

/// The scans of the rows from `first` to `last` of the vector loop, at most `scan_block`; where that is not a parallel loop, null:
/// of one row. The other parallel loops' indices are set.
void emit_scan(const ScanHost& host, llvm::Value* first, llvm::Value* last);

}  // namespace weft::cpu
