#include "backend/cpu/emit_reduction.h"

#include <limits>
#include <string_view>

namespace weft::cpu {

using kernel::ReduceOp;
using kernel::Reduction;
using V = llvm::Value*;

DType ReductionEmitter::type_of(const Reduction& r) {
  const bool sums = r.op == ReduceOp::sum || r.op == ReduceOp::prod || r.op == ReduceOp::linear;
  return sums && is_floating(r.dtype) ? f64 : r.dtype;
}

V ReductionEmitter::identity(const Reduction& r, llvm::Type* type, bool imaginary) {
  const DType dtype = type_of(r);
  if (type->isFPOrFPVectorTy()) {
    const double infinity = std::numeric_limits<double>::infinity();
    double value = 0;
    switch (r.op) {
      case ReduceOp::prod: value = imaginary ? 0 : 1; break;
      case ReduceOp::max:
      case ReduceOp::fmax:
      case ReduceOp::arg_max: value = -infinity; break;
      case ReduceOp::min:
      case ReduceOp::fmin:
      case ReduceOp::arg_min: value = infinity; break;
      default: break;
    }
    return llvm::ConstantFP::get(type, value);
  }
  const unsigned bits = type->getScalarSizeInBits();
  const bool is_signed = is_signed_integer(dtype);
  const auto lowest = is_signed ? llvm::APInt::getSignedMinValue(bits) : llvm::APInt::getMinValue(bits);
  const auto highest = is_signed ? llvm::APInt::getSignedMaxValue(bits) : llvm::APInt::getMaxValue(bits);
  switch (r.op) {
    case ReduceOp::prod:
    case ReduceOp::all: return llvm::ConstantInt::get(type, 1);
    case ReduceOp::max:
    case ReduceOp::fmax:
    case ReduceOp::arg_max: return llvm::ConstantInt::get(type, lowest);
    case ReduceOp::min:
    case ReduceOp::fmin:
    case ReduceOp::arg_min: return llvm::ConstantInt::get(type, highest);
    default: return llvm::ConstantInt::get(type, 0);
  }
}

Value ReductionEmitter::combine(const Reduction& r, const Value& x, const Value& y) {
  const DType dtype = type_of(r);
  static constexpr std::string_view names[] = {"add", "mul", "max", "min", "fmax", "fmin", "bit_and", "bit_or"};
  return ops_.emit(names[static_cast<int>(r.op)], {x, y}, {dtype, dtype}, dtype);
}

Accumulator ReductionEmitter::begin(const Reduction& r, int lanes) {
  Accumulator a;
  a.reduction = &r;
  a.dtype = type_of(r);
  auto* type = ops_.type(a.dtype, lanes);
  a.re = variable_(type);
  b.CreateStore(identity(r, type, false), a.re);
  if (a.dtype == c64) {
    a.im = variable_(type);
    b.CreateStore(identity(r, type, true), a.im);
  }
  if ((r.op == ReduceOp::max || r.op == ReduceOp::min) && is_floating(a.dtype)) {
    a.nan = variable_(ops_.type(boolean, lanes));
    b.CreateStore(llvm::Constant::getNullValue(ops_.type(boolean, lanes)), a.nan);
  }
  if (r.op == ReduceOp::arg_max || r.op == ReduceOp::arg_min) {
    a.index = variable_(ops_.type(i64, lanes));
    b.CreateStore(llvm::ConstantInt::get(ops_.type(i64, lanes), std::numeric_limits<std::int64_t>::max()), a.index);
  }
  return a;
}

/// Whether x beats the best: by value, NaN first, then by the smaller index.
V ReductionEmitter::beats(const Reduction& r, const Partial& x, const Partial& best) {
  V value = x.value.re, best_value = best.value.re;
  V better = ops_.emit(r.op == ReduceOp::arg_max ? "greater" : "less", {{value}, {best_value}}, {r.dtype, r.dtype}, boolean).re;
  V ties = ops_.emit("equal", {{value}, {best_value}}, {r.dtype, r.dtype}, boolean).re;
  if (value->getType()->isFPOrFPVectorTy()) {
    V value_nan = b.CreateFCmpUNO(value, value), best_nan = b.CreateFCmpUNO(best_value, best_value);
    better = b.CreateOr(better, b.CreateAnd(value_nan, b.CreateNot(best_nan)));
    ties = b.CreateOr(ties, b.CreateAnd(value_nan, best_nan));
  }
  return b.CreateOr(better, b.CreateAnd(ties, b.CreateICmpSLT(x.index, best.index)));
}

void ReductionEmitter::accumulate(const Accumulator& a, Partial more, int lanes, V mask) {
  const Reduction& r = *a.reduction;
  Value value{ops_.splat(more.value.re, lanes), more.value.im ? ops_.splat(more.value.im, lanes) : nullptr};
  if (a.index) {
    const Partial x{value, ops_.splat(more.index, lanes)}, best{{stored(a.re)}, stored(a.index)};
    V wins = beats(r, x, best);
    if (mask) wins = b.CreateAnd(wins, mask);
    b.CreateStore(b.CreateSelect(wins, x.value.re, best.value.re), a.re);
    b.CreateStore(b.CreateSelect(wins, x.index, best.index), a.index);
    return;
  }
  value = ops_.cast(value, r.dtype, a.dtype);
  if (a.nan) {
    // One comparison each, where max itself would take several instructions that wait for each other.
    V best = stored(a.re), better = r.op == ReduceOp::max ? b.CreateFCmpOGT(value.re, best) : b.CreateFCmpOLT(value.re, best);
    V unordered = b.CreateFCmpUNO(value.re, value.re);
    if (mask) better = b.CreateAnd(better, mask), unordered = b.CreateAnd(unordered, mask);
    b.CreateStore(b.CreateSelect(better, value.re, best), a.re);
    b.CreateStore(b.CreateOr(stored(a.nan), unordered), a.nan);
    return;
  }
  const Value before{stored(a.re), a.im ? stored(a.im) : nullptr};
  Value after = combine(r, before, value);
  if (mask) after = {b.CreateSelect(mask, after.re, before.re), after.im ? b.CreateSelect(mask, after.im, before.im) : nullptr};
  b.CreateStore(after.re, a.re);
  if (a.im) b.CreateStore(after.im, a.im);
}

Partial ReductionEmitter::result(const Accumulator& a) {
  Partial all{{stored(a.re), a.im ? stored(a.im) : nullptr}, a.index ? stored(a.index) : nullptr};
  if (a.nan) all.value.re = b.CreateSelect(stored(a.nan), ops_.number(all.value.re, std::numeric_limits<double>::quiet_NaN()), all.value.re);
  return all;
}

Partial ReductionEmitter::together(const Reduction& r, const Partial& x, const Partial& y) {
  if (!x.index) return {combine(r, x.value, y.value), nullptr};
  V wins = beats(r, y, x);
  return {{b.CreateSelect(wins, y.value.re, x.value.re)}, b.CreateSelect(wins, y.index, x.index)};
}

Partial ReductionEmitter::across_lanes(const Reduction& r, int lanes, Partial all) {
  auto part = [&](V v, int from, int count) -> V {
    if (!v) return nullptr;
    if (count == 1) return b.CreateExtractElement(v, static_cast<std::uint64_t>(from));
    std::vector<int> mask;
    for (int i = 0; i < count; ++i) mask.push_back(from + i);
    return b.CreateShuffleVector(v, mask);
  };
  for (int n = lanes / 2; n >= 1; n /= 2) {
    auto half = [&](int from) { return Partial{{part(all.value.re, from, n), part(all.value.im, from, n)}, part(all.index, from, n)}; };
    const Partial low = half(0), high = half(n);
    all = together(r, low, high);
  }
  return all;
}

}  // namespace weft::cpu
