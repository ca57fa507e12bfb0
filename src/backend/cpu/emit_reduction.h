// Reductions: what they start from, and how values and partial results come together.
#pragma once

#include "backend/cpu/emit.h"

#include <functional>

namespace weft::cpu {

/// Of the results in a reduction's accumulator, or one more value for it.
struct Partial {
  Value value;
  llvm::Value* index = nullptr;  ///< of arg_max and arg_min, as i64
};

/// The running value of a reduction, in memory of the function's frame.
struct Accumulator {
  const kernel::Reduction* reduction = nullptr;
  llvm::AllocaInst *re = nullptr, *im = nullptr, *index = nullptr;
  llvm::AllocaInst* nan = nullptr;  ///< of floating-point extremes: where a NaN was met; `re` is then not yet one
  DType dtype = f32;
};

class ReductionEmitter {
 public:
  /// `variable` gives memory of the function's frame.
  ReductionEmitter(OpEmitter& ops, std::function<llvm::AllocaInst*(llvm::Type*)> variable) : ops_(ops), b(ops.b), variable_(std::move(variable)) {}

  /// The type that a reduction runs in: f64 for sums and products of floats.
  static DType type_of(const kernel::Reduction& r);
  /// What changes nothing.
  llvm::Value* identity(const kernel::Reduction& r, llvm::Type* type, bool imaginary);
  Value combine(const kernel::Reduction& r, const Value& x, const Value& y);

  Accumulator begin(const kernel::Reduction& r, int lanes);
  /// Lanes that `mask` lacks stay as they are.
  void accumulate(const Accumulator& a, Partial more, int lanes, llvm::Value* mask);
  Partial result(const Accumulator& a);
  /// Two partial results as one.
  Partial together(const kernel::Reduction& r, const Partial& x, const Partial& y);
  /// Halves the vector until one element is left: a fixed order.
  Partial across_lanes(const kernel::Reduction& r, int lanes, Partial all);

 private:
  llvm::Value* beats(const kernel::Reduction& r, const Partial& x, const Partial& best);
  llvm::Value* stored(llvm::AllocaInst* a) { return b.CreateLoad(a->getAllocatedType(), a); }

  OpEmitter& ops_;
  llvm::IRBuilder<>& b;
  std::function<llvm::AllocaInst*(llvm::Type*)> variable_;
};

}  // namespace weft::cpu
