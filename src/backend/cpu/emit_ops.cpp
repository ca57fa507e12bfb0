// Elementwise operations as LLVM IR.
#include "backend/cpu/emit.h"
#include "backend/cpu/emit_math.h"

#include <weft/error.h>

#include <array>
#include <cmath>
#include <cstring>

namespace weft::cpu {
namespace {

using V = llvm::Value*;

int lanes_in(V v) {
  const auto* t = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return t ? static_cast<int>(t->getNumElements()) : 1;
}

unsigned bits_in(V v) { return v->getType()->getScalarSizeInBits(); }

bool is_floating_value(V v) { return v->getType()->isFPOrFPVectorTy(); }

}  // namespace

llvm::Type* OpEmitter::type(DType dtype, int lanes) {
  llvm::Type* t = nullptr;
  switch (dtype) {
    case f32:
    case f16:
    case bf16:
    case c64: t = b.getFloatTy(); break;
    case f64: t = b.getDoubleTy(); break;
    case boolean: t = b.getInt1Ty(); break;
    default: t = b.getIntNTy(static_cast<unsigned>(size_of(dtype) * 8));
  }
  return lanes == 1 ? t : llvm::FixedVectorType::get(t, static_cast<unsigned>(lanes));
}

V OpEmitter::number(V like, double value) { return llvm::ConstantFP::get(like->getType(), value); }
V OpEmitter::integer(V like, std::int64_t value) { return llvm::ConstantInt::get(like->getType(), static_cast<std::uint64_t>(value), true); }

V OpEmitter::widen_bf16(V bits) {
  auto* wide = bits->getType()->getWithNewBitWidth(32);
  V shifted = b.CreateShl(b.CreateZExt(bits, wide), 16);
  return b.CreateBitCast(shifted, type(f32, lanes_in(bits)));
}

V OpEmitter::narrow_bf16(V v) {
  const int lanes = lanes_in(v);
  V bits = b.CreateBitCast(v, type(i32, lanes));
  V even = b.CreateAnd(b.CreateLShr(bits, 16), 1);
  V rounded = b.CreateAdd(b.CreateAdd(bits, even), integer(bits, 0x7fff));
  V quiet = b.CreateOr(bits, integer(bits, 0x400000));
  V chosen = b.CreateSelect(b.CreateFCmpUNO(v, v), quiet, rounded);
  return b.CreateTrunc(b.CreateLShr(chosen, 16), type(i16, lanes));
}

/// f64 to f32 such that rounding the result once more gives what rounding the operand once would.
V OpEmitter::round_to_odd(V v) {
  const int lanes = lanes_in(v);
  V narrow = b.CreateFPTrunc(v, type(f32, lanes));
  V back = b.CreateFPExt(narrow, v->getType());
  V bits = b.CreateBitCast(narrow, type(i32, lanes));
  V magnitude = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v), back_magnitude = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, back);
  V down = b.CreateSelect(b.CreateFCmpOGT(back_magnitude, magnitude), b.CreateSub(bits, integer(bits, 1)), bits);
  V odd = b.CreateOr(down, integer(bits, 1));
  // Infinity and NaN stay; so does what is exact.
  V keeps = b.CreateOr(b.CreateFCmpUEQ(back, v), b.CreateFCmpOEQ(back_magnitude, number(v, std::numeric_limits<double>::infinity())));
  return b.CreateBitCast(b.CreateSelect(keeps, bits, odd), type(f32, lanes));
}

Value OpEmitter::literal(const std::byte* bytes, DType dtype) {
  if (dtype == c64) {
    float parts[2];
    std::memcpy(parts, bytes, sizeof parts);
    return {llvm::ConstantFP::get(b.getFloatTy(), parts[0]), llvm::ConstantFP::get(b.getFloatTy(), parts[1])};
  }
  return visit_dtype(dtype, [&](auto e) -> Value {
    using T = decltype(e);
    std::memcpy(&e, bytes, sizeof e);
    if constexpr (std::is_same_v<T, double>) return {llvm::ConstantFP::get(b.getDoubleTy(), e)};
    else if constexpr (std::is_same_v<T, float>) return {llvm::ConstantFP::get(b.getContext(), llvm::APFloat(e))};
    else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>)
      return {llvm::ConstantFP::get(b.getContext(), llvm::APFloat(static_cast<float>(e)))};
    else if constexpr (std::is_integral_v<T>) return {llvm::ConstantInt::get(type(dtype, 1), static_cast<std::uint64_t>(e), true)};
    else return {};
  });
}

V OpEmitter::floating(std::string_view op, const std::vector<V>& v) {
  using llvm::Intrinsic::ID;
  V x = v[0];
  auto unary = [&](ID id) { return b.CreateUnaryIntrinsic(id, x); };
  if (op == "add") return b.CreateFAdd(x, v[1]);
  if (op == "sub") return b.CreateFSub(x, v[1]);
  if (op == "mul") return b.CreateFMul(x, v[1]);
  if (op == "div") return b.CreateFDiv(x, v[1]);
  if (op == "min") return b.CreateBinaryIntrinsic(llvm::Intrinsic::minimum, x, v[1]);
  if (op == "max") return b.CreateBinaryIntrinsic(llvm::Intrinsic::maximum, x, v[1]);
  if (op == "fmin") return b.CreateBinaryIntrinsic(llvm::Intrinsic::minnum, x, v[1]);
  if (op == "fmax") return b.CreateBinaryIntrinsic(llvm::Intrinsic::maxnum, x, v[1]);
  if (op == "neg") return b.CreateFNeg(x);
  if (op == "abs") return unary(llvm::Intrinsic::fabs);
  if (op == "floor") return unary(llvm::Intrinsic::floor);
  if (op == "ceil") return unary(llvm::Intrinsic::ceil);
  if (op == "trunc") return unary(llvm::Intrinsic::trunc);
  if (op == "rint") return unary(llvm::Intrinsic::rint);
  if (op == "sqrt") return unary(llvm::Intrinsic::sqrt);
  if (op == "rsqrt") return b.CreateFDiv(number(x, 1), unary(llvm::Intrinsic::sqrt));
  if (op == "relu") return b.CreateSelect(b.CreateFCmpOLE(x, number(x, 0)), number(x, 0), x);
  if (op == "sign") {
    V one = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, number(x, 1), x);
    return b.CreateSelect(b.CreateFCmpOEQ(x, number(x, 0)), number(x, 0), b.CreateSelect(b.CreateFCmpUNO(x, x), x, one));
  }
  if (op == "round") {
    V whole = unary(llvm::Intrinsic::trunc);
    V rest = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, b.CreateFSub(x, whole));
    V step = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, number(x, 1), x);
    return b.CreateSelect(b.CreateFCmpOGE(rest, number(x, 0.5)), b.CreateFAdd(whole, step), whole);
  }
  if (V result = emit_math(b, target_, op, v)) return result;
  throw InternalError("the CPU backend has no floating-point " + std::string(op));
}

V OpEmitter::integral(std::string_view op, const std::vector<V>& v, bool is_signed) {
  V x = v[0];
  V y = v.size() > 1 ? v[1] : nullptr;
  const bool is_bool = bits_in(x) == 1;
  V zero = integer(x, 0);
  if (op == "add") return is_bool ? b.CreateOr(x, y) : b.CreateAdd(x, y);
  if (op == "sub") return b.CreateSub(x, y);
  if (op == "mul") return is_bool ? b.CreateAnd(x, y) : b.CreateMul(x, y);
  if (op == "div" || op == "rem") {
    // No lane may divide by zero or the lowest value by -1: both trap.
    V by_zero = b.CreateICmpEQ(y, zero);
    V minus_one = is_signed ? b.CreateICmpEQ(y, integer(y, -1)) : nullptr;
    V safe = b.CreateSelect(minus_one ? b.CreateOr(by_zero, minus_one) : by_zero, integer(y, 1), y);
    if (op == "div") {
      V q = is_signed ? b.CreateSDiv(x, safe) : b.CreateUDiv(x, safe);
      if (minus_one) q = b.CreateSelect(minus_one, b.CreateNeg(x), q);
      return b.CreateSelect(by_zero, zero, q);
    }
    V r = is_signed ? b.CreateSRem(x, safe) : b.CreateURem(x, safe);
    return b.CreateSelect(by_zero, x, r);
  }
  if (op == "min" || op == "fmin") return b.CreateBinaryIntrinsic(is_signed ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, x, y);
  if (op == "max" || op == "fmax") return b.CreateBinaryIntrinsic(is_signed ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, x, y);
  if (op == "neg") return b.CreateNeg(x);
  if (op == "abs") return is_signed ? b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x, b.getFalse()) : x;
  if (op == "sign") {
    V positive = b.CreateZExt(is_signed ? b.CreateICmpSGT(x, zero) : b.CreateICmpNE(x, zero), x->getType());
    return is_signed ? b.CreateSub(positive, b.CreateZExt(b.CreateICmpSLT(x, zero), x->getType())) : positive;
  }
  if (op == "floor" || op == "ceil" || op == "trunc" || op == "rint" || op == "round") return x;
  if (op == "relu") return is_signed ? b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, x, zero) : x;
  if (op == "bit_and") return b.CreateAnd(x, y);
  if (op == "bit_or") return b.CreateOr(x, y);
  if (op == "bit_xor") return b.CreateXor(x, y);
  if (op == "bit_not" || op == "logical_not") return b.CreateNot(x);
  if (op == "popcount") return b.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, x);
  if (op == "shift_left" || op == "shift_right") {
    const auto width = bits_in(x);
    V past = b.CreateICmpUGE(y, integer(y, width));
    V count = b.CreateSelect(past, zero, y);
    if (op == "shift_left") return b.CreateSelect(past, zero, b.CreateShl(x, count));
    if (!is_signed) return b.CreateSelect(past, zero, b.CreateLShr(x, count));
    return b.CreateAShr(x, b.CreateSelect(past, integer(y, width - 1), y));
  }
  if (op == "pow") {
    // Square and multiply over all bits of the exponent; wraps as multiplication does.
    V result = integer(x, 1), base = x;
    for (unsigned bit = 0; bit < bits_in(x); ++bit) {
      V is_set = b.CreateICmpNE(b.CreateAnd(y, integer(y, static_cast<std::int64_t>(std::uint64_t{1} << bit))), zero);
      result = b.CreateSelect(is_set, b.CreateMul(result, base), result);
      base = b.CreateMul(base, base);
    }
    if (!is_signed) return result;
    V odd = b.CreateICmpNE(b.CreateAnd(y, integer(y, 1)), zero);
    V of_minus_one = b.CreateSelect(odd, integer(x, -1), integer(x, 1));
    V negative =
        b.CreateSelect(b.CreateICmpEQ(x, integer(x, 1)), integer(x, 1), b.CreateSelect(b.CreateICmpEQ(x, integer(x, -1)), of_minus_one, zero));
    return b.CreateSelect(b.CreateICmpSLT(y, zero), negative, result);
  }
  throw InternalError("the CPU backend has no integer " + std::string(op));
}

Value OpEmitter::complex(std::string_view op, const std::vector<Value>& v) {
  const Value x = v[0];
  if (op == "neg") return {b.CreateFNeg(x.re), b.CreateFNeg(x.im)};
  if (op == "conj") return {x.re, b.CreateFNeg(x.im)};
  const Value y = v.size() > 1 ? v[1] : Value{};
  if (op == "add") return {b.CreateFAdd(x.re, y.re), b.CreateFAdd(x.im, y.im)};
  if (op == "sub") return {b.CreateFSub(x.re, y.re), b.CreateFSub(x.im, y.im)};
  auto product = [&](V a, V c, V d, V e, bool minus) {
    V l = b.CreateFMul(a, c), r = b.CreateFMul(d, e);
    return minus ? b.CreateFSub(l, r) : b.CreateFAdd(l, r);
  };
  if (op == "mul") return {product(x.re, y.re, x.im, y.im, true), product(x.re, y.im, x.im, y.re, false)};
  if (op == "div") {
    // In double: squares of f32 neither overflow nor vanish there.
    const int lanes = lanes_in(x.re);
    auto wide = [&](V p) { return b.CreateFPExt(p, type(f64, lanes)); };
    V a = wide(x.re), c = wide(x.im), d = wide(y.re), e = wide(y.im);
    V norm = product(d, d, e, e, false);
    V re = b.CreateFDiv(product(a, d, c, e, false), norm), im = b.CreateFDiv(product(c, d, a, e, true), norm);
    return {b.CreateFPTrunc(re, x.re->getType()), b.CreateFPTrunc(im, x.im->getType())};
  }
  throw InternalError("the CPU backend has no complex " + std::string(op));
}

V OpEmitter::compare(std::string_view op, V x, V y, DType dtype) {
  using P = llvm::CmpInst;
  struct Row {
    std::string_view name;
    P::Predicate floating, with_sign, without_sign;
  };
  static constexpr Row rows[] = {
      {"equal", P::FCMP_OEQ, P::ICMP_EQ, P::ICMP_EQ},     {"not_equal", P::FCMP_UNE, P::ICMP_NE, P::ICMP_NE},
      {"less", P::FCMP_OLT, P::ICMP_SLT, P::ICMP_ULT},    {"less_equal", P::FCMP_OLE, P::ICMP_SLE, P::ICMP_ULE},
      {"greater", P::FCMP_OGT, P::ICMP_SGT, P::ICMP_UGT}, {"greater_equal", P::FCMP_OGE, P::ICMP_SGE, P::ICMP_UGE},
  };
  for (const auto& row : rows)
    if (row.name == op) return b.CreateCmp(is_floating_value(x) ? row.floating : is_signed_integer(dtype) ? row.with_sign : row.without_sign, x, y);
  return nullptr;
}

V OpEmitter::philox(const std::vector<Value>& v, DType result) {
  // Operands: the position of the (first) word, and the state's low, high and key.
  const int lanes = lanes_in(v[0].re);
  auto wide = [&](V x) { return splat(x, lanes); };
  auto low_half = [&](V x) { return b.CreateTrunc(x, type(u32, lanes)); };
  auto high_half = [&](V x) { return b.CreateTrunc(b.CreateLShr(x, 32), type(u32, lanes)); };
  V position = wide(v[0].re), low = wide(v[1].re), high = wide(v[2].re), key = wide(v[3].re);
  V at = b.CreateAdd(low, b.CreateLShr(position, 2));
  std::array<V, 4> c = {low_half(at), high_half(at), low_half(high), high_half(high)};
  std::array<V, 2> k = {low_half(key), high_half(key)};
  auto product = [&](V x, std::uint32_t factor) {
    V w = b.CreateZExt(x, type(u64, lanes));
    return b.CreateMul(w, integer(w, factor));
  };
  for (int round = 0; round < 10; ++round) {
    V p = product(c[0], 0xD2511F53u), q = product(c[2], 0xCD9E8D57u);
    c = {b.CreateXor(b.CreateXor(high_half(q), c[1]), k[0]), low_half(q), b.CreateXor(b.CreateXor(high_half(p), c[3]), k[1]), low_half(p)};
    k = {b.CreateAdd(k[0], integer(k[0], 0x9E3779B9)), b.CreateAdd(k[1], integer(k[1], 0xBB67AE85))};
  }
  V word = b.CreateAnd(position, 3);
  auto is = [&](int n) { return b.CreateICmpEQ(word, integer(word, n)); };
  V first = b.CreateSelect(is(0), c[0], b.CreateSelect(is(1), c[1], b.CreateSelect(is(2), c[2], c[3])));
  if (result == u32) return first;
  V second = b.CreateSelect(is(0), c[1], b.CreateSelect(is(1), c[2], c[3]));
  auto* to = type(u64, lanes);
  return b.CreateOr(b.CreateZExt(first, to), b.CreateShl(b.CreateZExt(second, to), 32));
}

V OpEmitter::saturated(V x, DType to) {
  const int lanes = lanes_in(x), bits = static_cast<int>(8 * size_of(to));
  const bool is_signed = is_signed_integer(to);
  auto* target = type(to, lanes);
  if (lanes == 1) return b.CreateIntrinsic(is_signed ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat, {target, x->getType()}, {x});
  // LLVM takes the same intrinsics for vectors apart, lane by lane. What the conversion leaves undefined is not selected.
  const double bound = std::ldexp(1.0, bits - is_signed);
  const bool is_f64 = x->getType()->getScalarType()->isDoubleTy();
  const double most = bits - is_signed < (is_f64 ? 54 : 25) ? bound - 1
                      : is_f64                              ? std::nextafter(bound, 0.0)
                                                            : std::nextafter(static_cast<float>(bound), 0.0f);
  const double least = is_signed ? -bound : 0;
  auto* wide = bits < 32 ? type(i32, lanes) : target;
  V whole = is_signed || bits < 32 ? b.CreateFPToSI(x, wide) : b.CreateFPToUI(x, wide);
  if (bits < 32) whole = b.CreateTrunc(whole, target);
  const auto one_bits = llvm::APInt::getAllOnes(static_cast<unsigned>(bits));
  const auto limit = [&](const llvm::APInt& value) { return llvm::ConstantInt::get(target, value); };
  whole = b.CreateSelect(b.CreateFCmpOGT(x, number(x, most)), limit(is_signed ? one_bits.lshr(1) : one_bits), whole);
  whole = b.CreateSelect(b.CreateFCmpOLT(x, number(x, least)), limit(is_signed ? ~one_bits.lshr(1) : ~one_bits), whole);
  return b.CreateSelect(b.CreateFCmpUNO(x, x), limit(~one_bits), whole);
}

Value OpEmitter::cast(Value v, DType from, DType to) {
  const int lanes = lanes_in(v.re);
  if (from == to) return v;
  V x = v.re;
  if (to == boolean) {
    if (from == c64) return {b.CreateOr(b.CreateFCmpUNE(v.re, number(v.re, 0)), b.CreateFCmpUNE(v.im, number(v.im, 0)))};
    return {is_floating_value(x) ? b.CreateFCmpUNE(x, number(x, 0)) : b.CreateICmpNE(x, integer(x, 0))};
  }
  if (to == c64) return {cast({x}, from, f32).re, number(llvm::Constant::getNullValue(type(f32, lanes)), 0)};
  auto* target = type(to, lanes);
  if (is_floating_value(x)) {
    if (!is_floating(to)) return {saturated(x, to)};
    if (to == f64) return {from == f64 ? x : b.CreateFPExt(x, target)};
    if (to == f32) return {from == f64 ? b.CreateFPTrunc(x, target) : x};
    // To a 16-bit type: rounded now, although it is computed in f32 from here on.
    if (from == f64) x = round_to_odd(x);
    if (to == bf16) return {widen_bf16(narrow_bf16(x))};
    auto* half = lanes == 1 ? b.getHalfTy() : static_cast<llvm::Type*>(llvm::FixedVectorType::get(b.getHalfTy(), static_cast<unsigned>(lanes)));
    return {b.CreateFPExt(b.CreateFPTrunc(x, half), target)};
  }
  const bool is_signed = is_signed_integer(from);
  if (is_floating(to)) {
    // Through f64 where f32 would round a first time.
    if (to == f16 || to == bf16) {
      if (bits_in(x) <= 16) return cast({is_signed ? b.CreateSIToFP(x, target) : b.CreateUIToFP(x, target)}, f32, to);
      auto* wide = type(f64, lanes);
      return cast({is_signed ? b.CreateSIToFP(x, wide) : b.CreateUIToFP(x, wide)}, f64, to);
    }
    return {is_signed ? b.CreateSIToFP(x, target) : b.CreateUIToFP(x, target)};
  }
  return {is_signed ? b.CreateSExtOrTrunc(x, target) : b.CreateZExtOrTrunc(x, target)};
}

Value OpEmitter::emit(std::string_view op, const std::vector<Value>& given, const std::vector<DType>& types, DType result) {
  if (op == "philox") return {philox(given, result)};
  // Scalars meet vectors where an operand is the same for all lanes.
  int lanes = 1;
  for (const auto& v : given) lanes = std::max(lanes, lanes_in(v.re));
  std::vector<Value> operands;
  std::vector<V> parts;
  for (const auto& v : given) {
    operands.push_back({splat(v.re, lanes), v.im ? splat(v.im, lanes) : nullptr});
    parts.push_back(operands.back().re);
  }
  const Value x = operands[0];
  const DType dtype = types[0];
  if (op == "cast") return cast(x, dtype, result);
  if (op == "select") {
    Value r{b.CreateSelect(x.re, operands[1].re, operands[2].re)};
    if (result == c64) r.im = b.CreateSelect(x.re, operands[1].im, operands[2].im);
    return r;
  }
  if (op == "real") return {x.re};
  if (op == "imag") return {x.im};
  if (op == "complex") return {x.re, operands[1].re};
  if (op == "bitcast") {
    V bits = x.re;
    if (dtype == bf16) bits = narrow_bf16(bits);
    else if (dtype == f16)
      bits = b.CreateFPTrunc(
          bits, lanes == 1 ? b.getHalfTy() : static_cast<llvm::Type*>(llvm::FixedVectorType::get(b.getHalfTy(), static_cast<unsigned>(lanes))));
    else if (dtype == c64) {
      auto* half = type(u32, lanes);
      auto* whole = type(u64, lanes);
      bits = b.CreateOr(b.CreateZExt(b.CreateBitCast(x.re, half), whole), b.CreateShl(b.CreateZExt(b.CreateBitCast(x.im, half), whole), 32));
    }
    if (dtype == boolean) bits = b.CreateZExt(bits, type(u8, lanes));
    if (result == c64) {
      auto* half = type(u32, lanes);
      if (bits->getType() != type(u64, lanes)) bits = b.CreateBitCast(bits, type(u64, lanes));
      return {b.CreateBitCast(b.CreateTrunc(bits, half), type(f32, lanes)),
              b.CreateBitCast(b.CreateTrunc(b.CreateLShr(bits, 32), half), type(f32, lanes))};
    }
    if (result == bf16) return {widen_bf16(b.CreateBitCast(bits, type(u16, lanes)))};
    if (result == f16) {
      auto* half = lanes == 1 ? b.getHalfTy() : static_cast<llvm::Type*>(llvm::FixedVectorType::get(b.getHalfTy(), static_cast<unsigned>(lanes)));
      return {b.CreateFPExt(b.CreateBitCast(bits, half), type(f32, lanes))};
    }
    return {b.CreateBitCast(bits, type(result, lanes))};
  }
  if (dtype == c64) {
    if (op == "abs") {
      auto wide = [&](V p) { return b.CreateFPExt(p, type(f64, lanes)); };
      V re = wide(x.re), im = wide(x.im);
      V norm = b.CreateFAdd(b.CreateFMul(re, re), b.CreateFMul(im, im));
      return {b.CreateFPTrunc(b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, norm), type(f32, lanes))};
    }
    if (op == "equal") return {b.CreateAnd(b.CreateFCmpOEQ(x.re, operands[1].re), b.CreateFCmpOEQ(x.im, operands[1].im))};
    if (op == "not_equal") return {b.CreateOr(b.CreateFCmpUNE(x.re, operands[1].re), b.CreateFCmpUNE(x.im, operands[1].im))};
    return complex(op, operands);
  }
  if (parts.size() == 2)
    if (V r = compare(op, parts[0], parts[1], dtype)) return {r};
  if (is_floating(dtype)) return {floating(op, parts)};
  return {integral(op, parts, is_signed_integer(dtype))};
}

}  // namespace weft::cpu
