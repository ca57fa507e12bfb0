// Arithmetic on LLVM values, written as arithmetic.
#pragma once

#include "backend/cpu/llvm.h"

#include <concepts>
#include <cstdint>
#include <span>

namespace weft::cpu {

/// A value being computed: an element or a vector of them, floating point or integer (bool as i1). Operators emit code.
/// A number beside one takes its type. Integers are signed.
class Lanes {
 public:
  using Builder = llvm::IRBuilder<>;
  Lanes(Builder& builder, llvm::Value* value) : b(&builder), v(value) {}

  Builder* b;
  llvm::Value* v;

  llvm::Type* type() const { return v->getType(); }
  bool is_floating() const { return type()->isFPOrFPVectorTy(); }
  unsigned bits() const { return type()->getScalarSizeInBits(); }
  unsigned count() const {
    const auto* t = llvm::dyn_cast<llvm::FixedVectorType>(type());
    return t ? t->getNumElements() : 1;
  }
  Lanes with(llvm::Value* other) const { return {*b, other}; }
  Lanes number(double n) const { return with(llvm::ConstantFP::get(type(), n)); }
  Lanes integer(std::int64_t n) const { return with(llvm::ConstantInt::get(type(), static_cast<std::uint64_t>(n), true)); }
  template <class N> Lanes constant(N n) const {
    if constexpr (std::floating_point<N>) return number(n);
    else return is_floating() ? number(static_cast<double>(n)) : integer(n);
  }
  llvm::Type* as(llvm::Type* element) const { return type()->isVectorTy() ? llvm::FixedVectorType::get(element, count()) : element; }

  /// The bits as integers, and integers as bits of floating-point numbers of their size.
  Lanes to_bits() const { return with(b->CreateBitCast(v, as(b->getIntNTy(bits())))); }
  Lanes from_bits() const { return with(b->CreateBitCast(v, as(bits() == 64 ? b->getDoubleTy() : b->getFloatTy()))); }
  Lanes to_integer() const { return with(b->CreateFPToSI(v, as(b->getIntNTy(bits())))); }
  Lanes to_floating() const { return with(b->CreateSIToFP(v, as(bits() == 64 ? b->getDoubleTy() : b->getFloatTy()))); }
  Lanes to_f64() const { return with(b->CreateFPExt(v, as(b->getDoubleTy()))); }
  Lanes to_f32() const { return with(b->CreateFPTrunc(v, as(b->getFloatTy()))); }

  Lanes apply(llvm::Intrinsic::ID id) const { return with(b->CreateUnaryIntrinsic(id, v)); }
};

#define WEFT_LANES(op, emit)                                                                      \
  inline Lanes operator op(Lanes x, Lanes y) { return emit; }                                     \
  template <class N>                                                                              \
  requires std::is_arithmetic_v<N> Lanes operator op(Lanes x, N y) { return x op x.constant(y); } \
  template <class N>                                                                              \
  requires std::is_arithmetic_v<N> Lanes operator op(N x, Lanes y) { return y.constant(x) op y; }
#define WEFT_LANES_BOTH(op, floating, integral) \
  WEFT_LANES(op, x.with(x.is_floating() ? x.b->Create##floating(x.v, y.v) : x.b->Create##integral(x.v, y.v)))
WEFT_LANES_BOTH(+, FAdd, Add)
WEFT_LANES_BOTH(-, FSub, Sub)
WEFT_LANES_BOTH(*, FMul, Mul)
WEFT_LANES_BOTH(<, FCmpOLT, ICmpSLT)
WEFT_LANES_BOTH(<=, FCmpOLE, ICmpSLE)
WEFT_LANES_BOTH(>, FCmpOGT, ICmpSGT)
WEFT_LANES_BOTH(>=, FCmpOGE, ICmpSGE)
WEFT_LANES_BOTH(==, FCmpOEQ, ICmpEQ)
WEFT_LANES_BOTH(!=, FCmpUNE, ICmpNE)
WEFT_LANES(/, x.with(x.b->CreateFDiv(x.v, y.v)))
WEFT_LANES(&, x.with(x.b->CreateAnd(x.v, y.v)))
WEFT_LANES(|, x.with(x.b->CreateOr(x.v, y.v)))
WEFT_LANES(^, x.with(x.b->CreateXor(x.v, y.v)))
WEFT_LANES(<<, x.with(x.b->CreateShl(x.v, y.v)))
WEFT_LANES(>>, x.with(x.b->CreateAShr(x.v, y.v)))
#undef WEFT_LANES_BOTH
#undef WEFT_LANES

inline Lanes operator-(Lanes x) { return x.with(x.is_floating() ? x.b->CreateFNeg(x.v) : x.b->CreateNeg(x.v)); }
inline Lanes abs(Lanes x) { return x.apply(llvm::Intrinsic::fabs); }
inline Lanes rint(Lanes x) { return x.apply(llvm::Intrinsic::rint); }
inline Lanes trunc(Lanes x) { return x.apply(llvm::Intrinsic::trunc); }
inline Lanes sqrt(Lanes x) { return x.apply(llvm::Intrinsic::sqrt); }
inline Lanes copysign(Lanes x, Lanes sign) { return x.with(x.b->CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x.v, sign.v)); }
inline Lanes is_nan(Lanes x) { return x.with(x.b->CreateFCmpUNO(x.v, x.v)); }
inline Lanes select(Lanes condition, Lanes x, Lanes y) { return x.with(x.b->CreateSelect(condition.v, x.v, y.v)); }
inline Lanes select(Lanes condition, double x, Lanes y) { return select(condition, y.number(x), y); }
inline Lanes select(Lanes condition, Lanes x, double y) { return select(condition, x, x.number(y)); }
/// The smaller or the larger; NaN if x is.
inline Lanes at_most(Lanes x, double y) { return select(x > y, y, x); }
inline Lanes at_least(Lanes x, double y) { return select(x < y, y, x); }

/// x * y + z, rounded once.
inline Lanes fma(Lanes x, Lanes y, Lanes z) { return x.with(x.b->CreateIntrinsic(llvm::Intrinsic::fma, {x.type()}, {x.v, y.v, z.v})); }
/// x * y + z, rounded once where the processor does that and twice elsewhere.
inline Lanes mad(Lanes x, Lanes y, Lanes z) { return x.with(x.b->CreateIntrinsic(llvm::Intrinsic::fmuladd, {x.type()}, {x.v, y.v, z.v})); }
inline Lanes mad(Lanes x, double y, Lanes z) { return mad(x, x.number(y), z); }
inline Lanes mad(Lanes x, Lanes y, double z) { return mad(x, y, x.number(z)); }

/// c[0] + c[1] x^step + c[2] x^(2 step) + ..., given y = x^step, by Horner's rule.
inline Lanes horner(Lanes y, std::span<const double> c, std::size_t step = 1) {
  std::size_t k = (c.size() - 1) / step * step;
  Lanes sum = y.number(c[k]);
  while (k >= step) k -= step, sum = mad(sum, y, c[k]);
  return sum;
}

/// c[0] + c[1] x + c[2] x^2 + ...; a long one as its even and odd powers, which don't wait for each other.
inline Lanes polynomial(Lanes x, std::span<const double> c) {
  if (c.size() <= 10) return horner(x, c);
  Lanes z = x * x;
  return mad(horner(z, c.subspan(1), 2), x, horner(z, c, 2));
}

}  // namespace weft::cpu
