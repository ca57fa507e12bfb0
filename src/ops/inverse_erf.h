// The inverse of the error function, for normal numbers by inversion. M. Giles, "Approximating the erfinv function", GPU
// Computing Gems Jade Edition, 2011, single precision: relative error below 4e-7 on (-1, 1).
#pragma once

#include <array>
#include <cmath>
#include <numbers>

namespace weft::inverse_erf {

/// With w = -log(1 - x^2), erfinv(x) = x * p(w), where p is a polynomial (highest power first) in w - 2.5 for w < 5, in
/// sqrt(w) - 3 otherwise.
inline constexpr std::array<double, 9> central{2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                                               -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
inline constexpr std::array<double, 9> tail{-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                                            -0.0076224613,   0.00943887047,  1.00167406,    2.83297682};

/// To double precision: the approximation, then a step of Newton's.
inline double evaluate(double x) {
  const double w = -std::log((1 - x) * (1 + x));
  const auto& p = w < 5 ? central : tail;
  const double t = w < 5 ? w - 2.5 : std::sqrt(w) - 3;
  double y = 0;
  for (double c : p) y = y * t + c;
  y *= x;
  return y - (std::erf(y) - x) * std::exp(y * y) / (2 * std::numbers::inv_sqrtpi);
}

}  // namespace weft::inverse_erf
