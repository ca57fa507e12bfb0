// Exponentials, logarithms, and what is made of them.
#include "backend/cpu/math_coefficients.h"
#include "backend/cpu/math_emitters.h"

#include <algorithm>
#include <array>
#include <numbers>

namespace weft::cpu::math {
namespace {

// Powers: b^x = 2^n * e^r with |r| <= ln(2) / 2 -------------------------------------------------------------------------

/// A base by its logarithm to base 2, the logarithm of 2 to it in two parts, and its natural logarithm.
struct Base {
  double log2, high, low, natural;
};
constexpr Base base_2{1, 1, 0, std::numbers::ln2};
Base base_e(const Format& f) { return {std::numbers::log2e, f.ln2_high, f.ln2_low, 1}; }
Base base_10(const Format& f) { return {std::numbers::ln10 / std::numbers::ln2, f.log10_2_high, f.log10_2_low, std::numbers::ln10}; }

struct Power {
  Lanes n, whole;  ///< the same number, the second as an integer
  Lanes r;
};

Power split(Lanes x, const Base& base) {
  const Format& f = format_of(x);
  Lanes shifted = mad(x, base.log2, x.number(f.to_whole));
  Lanes n = shifted - f.to_whole;
  Lanes r = mad(n, -base.high, x);
  if (base.low != 0) r = mad(n, -base.low, r);
  return {n, shifted.to_bits() - x.number(f.to_whole).to_bits(), base.natural == 1 ? r : r * base.natural};
}

Lanes exp_of_small(Lanes r) { return mad(mad(polynomial(r, format_of(r).exp), r, 1.0), r, 1.0); }
Lanes expm1_of_small(Lanes r) { return mad(r * r, polynomial(r, format_of(r).exp), r); }

/// 2^n for an n that makes it a normal number.
Lanes power_of_two(Lanes n, const Format& f) { return ((n + f.bias) << f.mantissa).from_bits(); }

/// x * 2^n, rounded once, for any n of which 2^(n/2) is a normal number.
Lanes scaled(Lanes x, const Power& p, const Target& target) {
  if (target.vector_bits == 512 && x.count() * x.bits() == 512) {
    const auto id = x.bits() == 32 ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_512 : llvm::Intrinsic::x86_avx512_mask_scalef_pd_512;
    auto* all = llvm::ConstantInt::getAllOnesValue(x.b->getIntNTy(x.count()));
    constexpr int current_rounding = 4;
    return x.with(x.b->CreateIntrinsic(id, {}, {x.v, p.n.v, x.v, all, x.b->getInt32(current_rounding)}));
  }
  const Format& f = format_of(x);
  Lanes half = p.whole >> 1;
  return x * power_of_two(half, f) * power_of_two(p.whole - half, f);
}

Lanes power(Lanes x, const Base& base, double least, double most, const Target& target) {
  const Power p = split(at_least(at_most(x, most), least), base);
  return scaled(exp_of_small(p.r), p, target);
}

/// e^r and e^-r for half their sum and half their difference: cosh(r) and sinh(r).
struct Halves {
  Lanes even, odd;
};
Halves halves_of_exp(Lanes r) {
  // 1 + r + r^2 (c0 + c1 r + c2 r^2 + ...), whose even powers are the one and odd powers the other.
  const auto c = format_of(r).exp;
  Lanes z = r * r;
  return {mad(z, horner(z, c, 2), z.number(1)), mad(r * z, horner(z, c.subspan(1), 2), r)};
}

/// cosh(x) or sinh(x) = 2^(n-1) e^r +- 2^(-n-1) e^-r, for x of at least 0.
Lanes hyperbolic(Lanes x, bool sine) {
  const Format& f = format_of(x);
  const Power p = split(at_most(x, f.sinh_most), base_e(f));
  const Halves h = halves_of_exp(p.r);
  // Each of a quarter of its size: the sum overflows no earlier than the result.
  Lanes up = power_of_two(p.whole - 2, f);
  Lanes down = select(p.whole < 64, power_of_two(-p.whole - 2, f), 0.0);
  Lanes sum = up + down, difference = up - down;
  Lanes half = sine ? mad(h.even, difference, h.odd * sum) : mad(h.even, sum, h.odd * difference);
  return half + half;
}

// Logarithms: x = 2^n * (1 + f) with 1 + f between sqrt(1/2) and sqrt(2) ------------------------------------------------

struct Parts {
  Lanes n, f;
};

/// Of the bits of a positive normal number, less those of sqrt(1/2).
Lanes exponent_in(Lanes bits) { return bits >> format_of(bits).mantissa; }
Lanes fraction_in(Lanes bits) {
  const Format& f = format_of(bits);
  return ((bits & ((std::int64_t{1} << f.mantissa) - 1)) + f.half).from_bits() - 1;
}

Parts parts(Lanes x) {
  const Format& f = format_of(x);
  Lanes tiny = x < f.least_normal;
  Lanes bits = select(tiny, x * static_cast<double>(std::int64_t{1} << f.mantissa), x).to_bits() - f.half;
  return {exponent_in(bits).to_floating() - select(tiny, x.number(f.mantissa), 0.0), fraction_in(bits)};
}

/// log(1 + f) - f
Lanes log1p_rest(Lanes f) {
  if (f.bits() == 32) return f * f * mad(f, polynomial(f, log1p_f32), -0.5);
  // As in fdlibm's e_log.c: with s = f / (2 + f) it is s (f^2 / 2 + r(s)) - f^2 / 2, where s r(s) = log((1+s)/(1-s)) - 2 s.
  Lanes s = f / (f + 2), z = s * s, half = f * f * 0.5;
  return mad(s, mad(z, polynomial(z, log_quotient_f64), half), -half);
}

/// log_b(x) = n * (high + low) + ln(1 + f) * per_natural
Lanes logarithm(Lanes x, double high, double low, double per_natural) {
  const auto [n, f] = parts(x);
  Lanes rest = log1p_rest(f);
  Lanes sum = per_natural == 1 ? f + mad(n, low, rest) : (f + rest) * per_natural;
  if (per_natural != 1 && low != 0) sum = mad(n, low, sum);
  sum = mad(n, high, sum);
  sum = select(x > 0, sum, select(x == 0, -infinity, x.number(nan)));
  return select(x == infinity, x, sum);
}

/// log(1 + x), plus log(2) where `twice`.
Lanes log1p_of(Lanes x, const Lanes* twice) {
  const Format& format = format_of(x);
  Lanes bits = (x + 1).to_bits() - format.half;
  Lanes n = exponent_in(bits);
  // (1 + x) / 2^n - 1, rounded once. Its scale is 4 / 2^n, which is a normal number for all n.
  Lanes scale = power_of_two(2 - n, format);
  Lanes f = mad(x * 0.25, scale, mad(scale, 0.25, x.number(-1)));
  n = n.to_floating();
  if (twice) n = n + select(*twice, x.number(1), 0.0);
  Lanes sum = mad(n, format.ln2_high, f + mad(n, format.ln2_low, log1p_rest(f)));
  sum = select(abs(x) < format.linear, x, sum);
  sum = select(x > -1, sum, select(x == -1, -infinity, x.number(nan)));
  return select(x == infinity, x, sum);
}

/// Where asinh and acosh are log(2 x).
constexpr double large = 0x1p30;

}  // namespace

Lanes exp(Lanes x, const Target& target) {
  const Format& f = format_of(x);
  return power(x, base_e(f), f.exp_least, f.exp_most, target);
}
Lanes exp2(Lanes x, const Target& target) { return power(x, base_2, format_of(x).exp2_least, format_of(x).exp2_most, target); }
Lanes exp10(Lanes x, const Target& target) {
  const Format& f = format_of(x);
  return power(x, base_10(f), f.exp10_least, f.exp10_most, target);
}

/// 2^n (e^r - 1) + (2^n - 1), of half the size until the end: 2^n may overflow where the result does not.
Lanes expm1(Lanes x, const Target&) {
  const Format& f = format_of(x);
  const Power p = split(at_least(at_most(x, f.exp_most), -64), base_e(f));
  Lanes s = power_of_two(p.whole - 1, f);
  Lanes half = mad(s, expm1_of_small(p.r), s - 0.5);
  return select(abs(x) < f.linear, x, half + half);
}

Lanes sinh(Lanes x, const Target&) {
  Lanes a = abs(x);
  return select(a < format_of(x).linear, x, copysign(hyperbolic(a, true), x));
}
Lanes cosh(Lanes x, const Target&) { return hyperbolic(abs(x), false); }

/// t / (t + 2) with t = e^2x - 1. At 22 it is 1.
Lanes tanh(Lanes x, const Target&) {
  const Format& f = format_of(x);
  Lanes a = abs(x);
  const Power p = split(at_most(a + a, 44), base_e(f));
  Lanes s = power_of_two(p.whole, f);
  Lanes t = mad(s, expm1_of_small(p.r), s - 1);
  return copysign(t / (t + 2), x);
}

/// Of negative x as e^x / (1 + e^x), which vanishes gradually.
Lanes sigmoid(Lanes x, const Target& target) {
  const Format& f = format_of(x);
  const Power p = split(at_least(-abs(x), f.exp_least), base_e(f));
  Lanes e = scaled(exp_of_small(p.r), p, target);
  return select(x < 0, e, 1.0) / (e + 1);
}

/// x + x q(x^2) up to 1; from there 1 - 2^p(x).
/// The table's element of which the index gives the low bits.
Lanes looked_up(Lanes index, std::span<const double, 16> table, const Target& target) {
  auto& b = *index.b;
  std::array<float, 16> numbers;
  std::ranges::copy(table, numbers.begin());
  auto part = [&](std::size_t first, std::size_t count) {
    return llvm::ConstantDataVector::get(b.getContext(), llvm::ArrayRef(numbers.data() + first, count));
  };
  if (index.count() == 16 && target.vector_bits >= 512)
    return index.with(b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_sf_512, {}, {part(0, 16), index.v}));
  if (index.count() == 8 && target.vector_bits >= 256) {
    auto half = [&](std::size_t first) { return index.with(b.CreateIntrinsic(llvm::Intrinsic::x86_avx2_permps, {}, {part(first, 8), index.v})); };
    return select((index & 8) != 0, half(8), half(0));
  }
  auto* array = llvm::ConstantDataArray::get(b.getContext(), llvm::ArrayRef(numbers));
  auto* memory = new llvm::GlobalVariable(*b.GetInsertBlock()->getModule(), array->getType(), true, llvm::GlobalValue::PrivateLinkage, array);
  const Lanes low = index & 15;
  auto element = [&](llvm::Value* i) { return b.CreateLoad(b.getFloatTy(), b.CreateInBoundsGEP(b.getFloatTy(), memory, i)); };
  if (!index.type()->isVectorTy()) return index.with(element(low.v));
  llvm::Value* all = llvm::PoisonValue::get(index.as(b.getFloatTy()));
  for (unsigned i = 0; i < index.count(); ++i) all = b.CreateInsertElement(all, element(b.CreateExtractElement(low.v, i)), i);
  return index.with(all);
}

/// A polynomial around the nearest multiple of a step. Few operations: GELU waits for them rather than for memory.
Lanes erf_of_f32(Lanes x, const Target& target) {
  constexpr double step = 131.0 / 512;
  const Format& f = format_of(x);
  Lanes a = at_most(abs(x), f.one_least);
  Lanes shifted = mad(a, 1 / step, a.number(f.to_whole));
  Lanes n = shifted - f.to_whole, d = mad(n, -step, a);
  auto coefficient = [&](std::size_t k) { return looked_up(shifted.to_bits(), erf_f32[k], target); };
  Lanes q = coefficient(5);
  for (std::size_t k = 4; k > 0; --k) q = mad(q, d, coefficient(k));
  return copysign(mad(q, d, select(n == 0, d, coefficient(0))), x);
}

Lanes erf(Lanes x, const Target& target) {
  if (x.bits() == 32) return erf_of_f32(x, target);
  const Format& f = format_of(x);
  Lanes a = abs(x);
  Lanes small = mad(x, polynomial(x * x, erf_f64), x);
  const Power p = split(polynomial(at_most(a, f.one_least), log2_erfc_f64), base_2);
  Lanes complement = (exp_of_small(p.r).to_bits() + (p.whole << f.mantissa)).from_bits();
  return select(a >= 1, copysign(1 - complement, x), small);
}

Lanes log(Lanes x, const Target&) { return logarithm(x, format_of(x).ln2_high, format_of(x).ln2_low, 1); }
Lanes log2(Lanes x, const Target&) { return logarithm(x, 1, 0, std::numbers::log2e); }
Lanes log10(Lanes x, const Target&) { return logarithm(x, format_of(x).log10_2_high, format_of(x).log10_2_low, std::numbers::log10e); }
Lanes log1p(Lanes x, const Target&) { return log1p_of(x, nullptr); }

/// log(1 + t) with t = |x| + x^2 / (1 + sqrt(1 + x^2)).
Lanes asinh(Lanes x, const Target&) {
  Lanes a = abs(x), z = a * a;
  Lanes is_large = a > large;
  Lanes t = a + select(is_large, -1.0, z / (sqrt(z + 1) + 1));
  return copysign(log1p_of(t, &is_large), x);
}

/// log(1 + t + sqrt(t (t + 2))) with t = x - 1.
Lanes acosh(Lanes x, const Target&) {
  Lanes t = x - 1;
  Lanes is_large = x > large;
  return select(x < 1, nan, log1p_of(t + select(is_large, 0.0, sqrt(t * (t + 2))), &is_large));
}

Lanes atanh(Lanes x, const Target&) {
  Lanes a = abs(x);
  Lanes half = log1p_of((a + a) / (1 - a), nullptr) * 0.5;
  return select(a < format_of(x).linear, x, copysign(half, x));
}

namespace {

/// A number in two parts: high is the sum rounded.
struct Double {
  Lanes high, low;
};
Double sum(Lanes large, Lanes small) {
  Lanes high = large + small;
  return {high, small - (high - large)};
}
Double product(Lanes x, Lanes y) {
  Lanes high = x * y;
  return {high, fma(x, y, -high)};
}

/// log(x) of x > 0 to about 2^-66 of itself; the low part is 0 where the high one is infinite.
Double accurate_log(Lanes x) {
  const Format& format = format_of(x);
  const auto [n, f] = parts(x);
  // s = f / (2 + f) and z = s^2, in two parts each.
  const Double d = sum(x.number(2), f);
  Lanes s = f / d.high;
  Lanes s_low = (fma(-s, d.high, f) - s * d.low) / d.high;
  Double z = product(s, s);
  z.low = mad(s + s, s_low, z.low);
  // log((1 + s) / (1 - s)) = 2 s + s^3 (2/3 + z q(z)).
  constexpr double third = 0x1.5555555555555p-1, third_low = 0x1.5555555555555p-55;
  Double q = sum(x.number(third), z.high * polynomial(z.high, log_quotient_tail_f64));
  q.low = q.low + third_low;
  Double cube = product(z.high, s);
  cube.low = cube.low + mad(z.high, s_low, z.low * s);
  Double t = product(cube.high, q.high);
  t.low = t.low + mad(cube.high, q.low, cube.low * q.high);
  Double u = sum(s + s, t.high);
  u.low = u.low + (t.low + (s_low + s_low));
  Double r = sum(n * format.ln2_high, u.high);
  r.low = r.low + mad(n, format.ln2_low, u.low);
  Double result = sum(r.high, r.low);
  Lanes special = select(x == 0, -infinity, x);
  Lanes finite = (x > 0) & (x < infinity);
  return {select(finite, result.high, special), select(finite, result.low, 0.0)};
}

}  // namespace

namespace {

/// e^(y log x) of x >= 0 in f64, which leaves nothing to care for: turning it into f32 rounds, overflows and vanishes as it should.
Lanes magnitude_of_f32(Lanes x, Lanes y) {
  Lanes a = x.to_f64();
  const auto [n, f] = parts(a);
  Lanes l = mad(n, std::numbers::ln2, f + f * f * mad(f, polynomial(f, log1p_f64), -0.5));
  l = select((a > 0) & (a < infinity), l, select(a == 0, -infinity, a));
  const Format& format = format_of(l);
  const Power p = split(at_least(at_most(y.to_f64() * l, 100), -110), base_e(format));
  Lanes e = mad(mad(polynomial(p.r, exp_f32), p.r, 1.0), p.r, 1.0);
  return (e.to_bits() + (p.whole << format.mantissa)).from_bits().to_f32();
}

}  // namespace

/// e^(y log|x|), with the sign and the exceptions of C's pow.
Lanes pow(Lanes x, Lanes y, const Target& target) {
  Lanes a = abs(x);
  auto magnitude = [&]() -> Lanes {
    if (x.bits() == 32) return magnitude_of_f32(a, y);
    const Format& f = format_of(x);
    const Double l = accurate_log(a);
    Double exponent = product(y, l.high);
    exponent.low = mad(y, l.low, exponent.low);
    Lanes e = at_least(at_most(exponent.high, f.exp_most), f.exp_least);
    Power p = split(e, base_e(f));
    p.r = p.r + select(e == exponent.high, exponent.low, 0.0);
    return scaled(exp_of_small(p.r), p, target);
  };
  Lanes m = magnitude();
  Lanes half = y * 0.5;
  Lanes is_broken = trunc(y) != y;
  Lanes is_odd = (trunc(half) != half) & (trunc(y) == y);
  m = select(is_odd, copysign(m, x), m);
  m = select((x < 0) & (x > -infinity) & is_broken, nan, m);
  return select((x == 1) | (y == 0) | ((x == -1) & (abs(y) == infinity)), 1.0, m);
}

}  // namespace weft::cpu::math
