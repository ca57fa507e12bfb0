// What emits each elementary function, for f32 and f64 alike; emit_math.cpp lists them.
#pragma once

#include "backend/cpu/emit.h"
#include "backend/cpu/lanes.h"

#include <limits>

namespace weft::cpu::math {

inline constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

/// What of a floating-point format the functions need. The high parts of logarithms of 2 have so few bits that their product
/// with an exponent is exact.
struct Format {
  int mantissa;       ///< bits stored
  std::int64_t bias;  ///< of the exponent
  std::int64_t half;  ///< the bits of sqrt(1/2)
  double to_whole;    ///< adding it rounds to a whole number, kept in the low bits
  double least_normal;
  double linear;  ///< below it a function x + O(x^2) is x to within half a unit in the last place
  double ln2_high, ln2_low, log10_2_high, log10_2_low;
  double pi_low;                 ///< pi less what it is in the format
  double exp_least, exp_most;    ///< below and above, e^x is 0 and infinite
  double exp2_least, exp2_most;  ///< 2^x
  double exp10_least, exp10_most;
  double sinh_most;
  double one_least;  ///< from here on erf is 1
  std::span<const double> exp, sin, cos, tan, asin, atan;
};
const Format& format_of(Lanes x);

// math_exp_log.cpp
Lanes exp(Lanes x, const Target& target);
Lanes exp2(Lanes x, const Target& target);
Lanes exp10(Lanes x, const Target& target);
Lanes expm1(Lanes x, const Target& target);
Lanes sinh(Lanes x, const Target& target);
Lanes cosh(Lanes x, const Target& target);
Lanes tanh(Lanes x, const Target& target);
Lanes sigmoid(Lanes x, const Target& target);
Lanes erf(Lanes x, const Target& target);
Lanes log(Lanes x, const Target& target);
Lanes log2(Lanes x, const Target& target);
Lanes log10(Lanes x, const Target& target);
Lanes log1p(Lanes x, const Target& target);
Lanes asinh(Lanes x, const Target& target);
Lanes acosh(Lanes x, const Target& target);
Lanes atanh(Lanes x, const Target& target);
Lanes pow(Lanes x, Lanes y, const Target& target);

// math_trigonometry.cpp
Lanes sin(Lanes x, const Target& target);
Lanes cos(Lanes x, const Target& target);
Lanes tan(Lanes x, const Target& target);
Lanes asin(Lanes x, const Target& target);
Lanes acos(Lanes x, const Target& target);
Lanes atan(Lanes x, const Target& target);
Lanes atan2(Lanes y, Lanes x, const Target& target);
Lanes fmod(Lanes x, Lanes y, const Target& target);

}  // namespace weft::cpu::math
