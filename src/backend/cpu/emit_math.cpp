#include "backend/cpu/emit_math.h"

#include "backend/cpu/lanes.h"
#include "backend/cpu/math_coefficients.h"

#include <array>
#include <limits>
#include <numbers>

namespace weft::cpu {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

/// What of a floating-point format the functions need.
struct Format {
  int mantissa;       ///< bits stored
  std::int64_t bias;  ///< of the exponent
  std::int64_t half;  ///< the bits of sqrt(1/2)
  double to_whole;    ///< adding it rounds to a whole number, kept in the low bits
  double least_normal;
  double ln2_high, ln2_low, log10_2_high, log10_2_low;  ///< the high parts times an exponent are exact
  std::span<const double> exp;
};
constexpr Format f32_format{23, 127, 0x3f3504f3, 0x1.8p23, 0x1p-126, 0x1.62e4p-1, 0x1.7f7d1cf79abcap-20, 0x1.3440p-2, 0x1.3509f79fef312p-18, exp_f32};

const Format& format_of(Lanes) { return f32_format; }

// exp and its kin: 2^n * e^r with |r| <= ln(2) / 2 --------------------------------------------------------------------

struct Power {
  Lanes n, bits;  ///< the whole number, and the same as an integer
  Lanes r;
};

/// The base's logarithm to base 2; a number of that base's logarithm of 2, in two parts; its natural logarithm.
struct Base {
  double log2, high, low, natural;
};

Base natural_base(const Format& f) { return {std::numbers::log2e, f.ln2_high, f.ln2_low, 1}; }

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

/// 2^n of n that gives a normal number.
Lanes power_of_two(Lanes n, const Format& f) { return ((n + f.bias) << f.mantissa).from_bits(); }

/// x * 2^n, rounded once, of any n for which 2^(n/2) is a normal number.
Lanes scaled(Lanes x, const Power& p, const Target& target) {
  if (target.vector_bits == 512 && x.count() * x.bits() == 512) {
    const auto id = x.bits() == 32 ? llvm::Intrinsic::x86_avx512_mask_scalef_ps_512 : llvm::Intrinsic::x86_avx512_mask_scalef_pd_512;
    auto* all = llvm::ConstantInt::getAllOnesValue(x.b->getIntNTy(x.count()));
    return x.with(x.b->CreateIntrinsic(id, {}, {x.v, p.n.v, x.v, all, x.b->getInt32(4)}));  // 4: the current rounding
  }
  const Format& f = format_of(x);
  Lanes half = p.bits >> 1;
  return x * power_of_two(half, f) * power_of_two(p.bits - half, f);
}

/// Beyond the limits all is 0 or infinite.
Lanes power(Lanes x, const Base& base, double least, double most, const Target& target) {
  const Power p = split(at_least(at_most(x, most), least), base);
  return scaled(exp_of_small(p.r), p, target);
}

Lanes exp(Lanes x, const Target& target) { return power(x, natural_base(format_of(x)), -104, 89, target); }
Lanes exp2(Lanes x, const Target& target) { return power(x, {1, 1, 0, std::numbers::ln2}, -151, 129, target); }
Lanes exp10(Lanes x, const Target& target) {
  const Format& f = format_of(x);
  return power(x, {std::numbers::ln10 / std::numbers::ln2, f.log10_2_high, f.log10_2_low, std::numbers::ln10}, -46, 39, target);
}

/// e^x - 1 for 0 <= x <= 20 or NaN.
Lanes expm1_of_positive(Lanes x) {
  const Format& f = format_of(x);
  const Power p = split(x, natural_base(f));
  Lanes s = power_of_two(p.bits, f);
  return mad(s, expm1_of_small(p.r), s - 1);
}

/// (e^2x - 1) / (e^2x + 1)
Lanes tanh(Lanes x, const Target&) {
  Lanes a = abs(x);
  Lanes t = expm1_of_positive(at_most(a + a, 20));
  return copysign(t / (t + 2), x);
}

/// Of negative x as e^x / (1 + e^x), which vanishes gradually.
Lanes sigmoid(Lanes x, const Target& target) {
  const Power p = split(at_least(-abs(x), -104), natural_base(format_of(x)));
  Lanes e = scaled(exp_of_small(p.r), p, target);
  return select(x < 0, e, 1.0) / (e + 1);
}

// log and its kin: x = 2^n * (1 + f) with 1 + f between sqrt(1/2) and sqrt(2) ------------------------------------------

/// log_b(x) = n * (high + low) + ln(1 + f) * per_natural
Lanes logarithm(Lanes x, double high, double low, double per_natural) {
  const Format& format = format_of(x);
  Lanes tiny = x < format.least_normal;
  Lanes normal = select(tiny, x * static_cast<double>(std::int64_t{1} << format.mantissa), x);
  Lanes bits = normal.to_bits() - format.half;
  Lanes f = ((bits & ((std::int64_t{1} << format.mantissa) - 1)) + format.half).from_bits() - 1;
  Lanes n = (bits >> format.mantissa).to_floating() - select(tiny, x.number(format.mantissa), 0.0);
  Lanes rest = f * f * mad(f, polynomial(f, log1p_f32), -0.5);
  Lanes sum = per_natural == 1 ? f + mad(n, low, rest) : (f + rest) * per_natural;
  if (per_natural != 1 && low != 0) sum = mad(n, low, sum);
  sum = mad(n, high, sum);
  sum = select(x > 0, sum, select(x == 0, -infinity, x.number(nan)));
  return select(x == infinity, x, sum);
}

Lanes log(Lanes x, const Target&) { return logarithm(x, format_of(x).ln2_high, format_of(x).ln2_low, 1); }
Lanes log2(Lanes x, const Target&) { return logarithm(x, 1, 0, std::numbers::log2e); }
Lanes log10(Lanes x, const Target&) { return logarithm(x, format_of(x).log10_2_high, format_of(x).log10_2_low, std::numbers::log10e); }

// erf -------------------------------------------------------------------------------------------------------------------

/// x + x q(x^2) up to 1; from there 1 - 2^p(x), which is 1 from 4 on.
Lanes erf_f32_lanes(Lanes x, const Target&) {
  Lanes a = abs(x);
  Lanes small = mad(x, polynomial(x * x, erf_f32), x);
  const Power p = split(polynomial(at_most(a, 4), log2_erfc_f32), {1, 1, 0, std::numbers::ln2});
  Lanes complement = (exp_of_small(p.r).to_bits() + (p.bits << f32_format.mantissa)).from_bits();
  return select(a >= 1, copysign(1 - complement, x), small);
}

// The table -------------------------------------------------------------------------------------------------------------

using Unary = Lanes (*)(Lanes, const Target&);

struct Row {
  MathFunction function;
  Unary f32, f64;
};

constexpr Row rows[] = {
    {{"exp", 1, 1, 1}, exp, nullptr},   {{"exp2", 1, 1, 1}, exp2, nullptr},       {{"exp10", 1, 1, 1}, exp10, nullptr},
    {{"log", 1, 1, 1}, log, nullptr},   {{"log2", 1, 2, 2}, log2, nullptr},       {{"log10", 1, 2, 2}, log10, nullptr},
    {{"tanh", 1, 3, 3}, tanh, nullptr}, {{"sigmoid", 1, 3, 3}, sigmoid, nullptr}, {{"erf", 1, 1, 1}, erf_f32_lanes, nullptr},
};

}  // namespace

std::span<const MathFunction> math_functions() {
  static const auto functions = [] {
    std::array<MathFunction, std::size(rows)> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = rows[i].function;
    return all;
  }();
  return functions;
}

llvm::Value* emit_math(llvm::IRBuilder<>& builder, const Target& target, std::string_view name, std::span<llvm::Value* const> operands) {
  const Lanes x(builder, operands[0]);
  for (const auto& row : rows)
    if (row.function.name == name)
      if (const Unary emit = x.bits() == 64 ? row.f64 : row.f32) return emit(x, target).v;
  return nullptr;
}

}  // namespace weft::cpu
