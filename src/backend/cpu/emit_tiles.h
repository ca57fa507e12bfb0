// Sums of products for several neighbouring results at once: what they share is loaded once.
#pragma once

#include "backend/cpu/emit.h"

#include <functional>
#include <map>
#include <vector>

namespace weft::cpu {

/// What the code of tiles is made with: the emitter of the kernel that they are of.
struct TileHost {
  using Value = cpu::Value;
  using V = llvm::Value*;

  const kernel::Kernel& kernel;
  OpEmitter& ops;
  int lanes;
  const std::vector<V>& extents;
  V total;                ///< kernel::Tiling::total
  std::vector<V>& index;  ///< of each loop, at lane 0
  /// for (i = from; i < to; i += step) body(i)
  std::function<void(V from, V to, V step, const std::function<void(V)>& body)> loop;
  std::function<void(V condition, const std::function<void()>& body)> only_if;
  /// Memory of the function's frame.
  std::function<llvm::AllocaInst*(llvm::Type*)> variable;
  /// An expression at `index`; lanes where `mask` is not set need not exist. `computed` holds what is known there.
  std::function<Value(int expr, int lanes, V mask, std::map<int, Value>& computed)> value;
  /// Stores what the kernel makes of the reductions' results at `index`.
  std::function<void(std::vector<Value> results, int lanes, V mask)> finish;
};

/// Tiles [begin, end) of a kernel that has a tiling.
void emit_tiles(const TileHost& host, llvm::Value* begin, llvm::Value* end, llvm::Value* chunk);

}  // namespace weft::cpu
