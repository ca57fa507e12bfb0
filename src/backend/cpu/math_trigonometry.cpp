// Functions of angles, their inverses, and the remainder, which has the same trouble with large quotients.
#include "backend/cpu/math_coefficients.h"
#include "backend/cpu/math_emitters.h"

#include <numbers>
#include <string>

namespace weft::cpu::math {
namespace {

/// `fast`, but in the lanes of `huge` what the C library's function gives; a branch goes round that where there is none.
Lanes with_library(Lanes fast, std::string name, std::span<const Lanes> operands, Lanes huge) {
  auto& b = *fast.b;
  auto* function = b.GetInsertBlock()->getParent();
  auto* element = fast.type()->getScalarType();
  if (fast.bits() == 32) name += "f";
  auto callee = function->getParent()->getOrInsertFunction(
      name, llvm::FunctionType::get(element, llvm::SmallVector<llvm::Type*>(operands.size(), element), false));
  auto* called = llvm::cast<llvm::Function>(callee.getCallee());
  called->setDoesNotAccessMemory(), called->setDoesNotThrow(), called->setWillReturn();

  const bool is_vector = fast.type()->isVectorTy();
  auto block = [&](const char* label) { return llvm::BasicBlock::Create(b.getContext(), label, function); };
  auto *before = b.GetInsertBlock(), *lane = block("lane"), *after = block("after");
  b.CreateCondBr(is_vector ? b.CreateOrReduce(huge.v) : huge.v, lane, after);

  b.SetInsertPoint(lane);
  auto* i = b.CreatePHI(b.getInt32Ty(), 2);
  auto* so_far = b.CreatePHI(fast.type(), 2);
  llvm::SmallVector<llvm::Value*> arguments;
  for (const Lanes& x : operands) arguments.push_back(is_vector ? b.CreateExtractElement(x.v, i) : x.v);
  llvm::Value* one = b.CreateCall(callee, arguments);
  llvm::Value* all = one;
  if (is_vector) {
    one = b.CreateSelect(b.CreateExtractElement(huge.v, i), one, b.CreateExtractElement(so_far, i));
    all = b.CreateInsertElement(so_far, one, i);
  }
  auto* next = b.CreateAdd(i, b.getInt32(1));
  i->addIncoming(b.getInt32(0), before), i->addIncoming(next, lane);
  so_far->addIncoming(fast.v, before), so_far->addIncoming(all, lane);
  b.CreateCondBr(b.CreateICmpULT(next, b.getInt32(fast.count())), lane, after);

  b.SetInsertPoint(after);
  auto* result = b.CreatePHI(fast.type(), 2);
  result->addIncoming(fast.v, before), result->addIncoming(all, lane);
  return fast.with(result);
}

/// x = quarters * pi / 2 + rest with |rest| <= pi / 4, where x is not huge.
struct Angle {
  Lanes quarters, rest, huge;
};

Angle angle(Lanes x) {
  // In f64 by Cody and Waite: two parts of pi / 2 have 33 bits, so that products with up to 2^20 are exact.
  constexpr double pi_half[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2e037073p-69}, most = 0x1p20;
  Lanes wide = x.bits() == 32 ? x.to_f64() : x;
  const double to_whole = format_of(wide).to_whole;
  Lanes shifted = mad(wide, 2 * std::numbers::inv_pi, wide.number(to_whole));
  Lanes n = shifted - to_whole, rest = wide;
  for (double part : pi_half) rest = mad(n, -part, rest);
  Lanes quarters = shifted.to_bits();
  if (x.bits() == 32) {
    rest = rest.to_f32();
    quarters = quarters.with(x.b->CreateTrunc(quarters.v, x.to_bits().type()));
  }
  return {quarters, rest, abs(x) > most};
}

/// sin(x + turns * pi / 2)
Lanes sine(Lanes x, std::int64_t turns) {
  const Format& f = format_of(x);
  const Angle a = angle(x);
  Lanes r = a.rest, z = r * r;
  Lanes s = mad(r * z, polynomial(z, f.sin), r);
  Lanes c = mad(z * z, polynomial(z, f.cos), mad(z, -0.5, z.number(1)));
  Lanes q = a.quarters + turns;
  Lanes value = select((q & 1) == 0, s, c);
  value = (value.to_bits() ^ ((q & 2) << (x.bits() - 2))).from_bits();
  if (turns == 0) value = select(abs(x) < f.linear, x, value);
  return with_library(value, turns == 0 ? "sin" : "cos", {{x}}, a.huge);
}

/// asin(v) where v is x up to a half and sqrt((1 - |x|) / 2) from there.
struct Arc {
  Lanes is_large, angle;
};

Arc arc(Lanes x) {
  Lanes a = abs(x);
  Lanes is_large = a > 0.5;
  Lanes z = select(is_large, mad(a, -0.5, a.number(0.5)), x * x);
  Lanes v = select(is_large, sqrt(z), x);
  return {is_large, mad(v * z, polynomial(z, format_of(x).asin), v)};
}

/// turns * pi / 2 - x, with more of pi than one number holds.
Lanes turned(double turns, Lanes x) { return (turns / 2 * std::numbers::pi - x) + turns / 2 * format_of(x).pi_low; }

/// atan of numbers from 0 to 1.
Lanes atan_of_small(Lanes t) {
  Lanes z = t * t;
  return mad(t * z, polynomial(z, format_of(t).atan), t);
}

}  // namespace

Lanes sin(Lanes x, const Target&) { return sine(x, 0); }
Lanes cos(Lanes x, const Target&) { return sine(x, 1); }

Lanes tan(Lanes x, const Target&) {
  const Format& f = format_of(x);
  const Angle a = angle(x);
  Lanes r = a.rest, z = r * r;
  Lanes t = mad(r * z, polynomial(z, f.tan), r);
  Lanes value = select((a.quarters & 1) == 0, t, -1 / t);
  return with_library(select(abs(x) < f.linear, x, value), "tan", {{x}}, a.huge);
}

/// From a half on pi / 2 - 2 asin(sqrt((1 - x) / 2)).
Lanes asin(Lanes x, const Target&) {
  const Arc a = arc(x);
  Lanes value = select(a.is_large, copysign(turned(1, a.angle + a.angle), x), a.angle);
  return select(abs(x) < format_of(x).linear, x, value);
}

Lanes acos(Lanes x, const Target&) {
  const Arc a = arc(x);
  Lanes twice = a.angle + a.angle;
  return select(a.is_large, select(x > 0, twice, turned(2, twice)), turned(1, a.angle));
}

Lanes atan(Lanes x, const Target&) {
  Lanes a = abs(x);
  Lanes is_large = a > 1;
  Lanes r = atan_of_small(select(is_large, 1 / a, a));
  return copysign(select(is_large, turned(1, r), r), x);
}

Lanes atan2(Lanes y, Lanes x, const Target&) {
  Lanes a = abs(y), c = abs(x);
  Lanes is_steep = a > c;
  Lanes t = select(is_steep, c, a) / select(is_steep, a, c);
  // Neither zeros nor infinities have a quotient.
  t = select(a == c, select(a == 0, 0.0, t.number(1)), t);
  Lanes r = atan_of_small(t);
  r = select(is_steep, turned(1, r), r);
  Lanes is_left = x.to_bits() < 0;
  return copysign(select(is_left, turned(2, r), r), y);
}

/// x - y trunc(x / y), exactly: the quotient, rounded, is at most one too large, and the rest fits.
Lanes fmod(Lanes x, Lanes y, const Target&) {
  const bool is_double = x.bits() == 64;
  Lanes a = abs(is_double ? x : x.to_f64()), c = abs(is_double ? y : y.to_f64());
  Lanes quotient = a / c;
  Lanes rest = fma(-trunc(quotient), c, a);
  rest = select(rest < 0, rest + c, rest);
  rest = select(a < c, a, rest);
  return with_library(copysign(is_double ? rest : rest.to_f32(), x), "fmod", {{x, y}}, quotient >= 0x1p52);
}

}  // namespace weft::cpu::math
