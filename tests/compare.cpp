#include "compare.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <sstream>

namespace weft {
namespace {

/// Significant bits and the exponent of the smallest normal number.
struct Format {
  int precision, least_exponent;
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::f16: return {11, -14};
    case DType::bf16: return {8, -126};
    case DType::f64: return {53, -1022};
    default: return {24, -126};
  }
}

std::string place(std::size_t linear, const Shape& shape) {
  std::vector<std::size_t> index(static_cast<std::size_t>(shape.rank()));
  for (int d = shape.rank() - 1; d >= 0; --d) {
    index[static_cast<std::size_t>(d)] = linear % static_cast<std::size_t>(shape[d]);
    linear /= static_cast<std::size_t>(shape[d]);
  }
  std::string s = "[";
  for (auto i : index) s += (s.size() > 1 ? "," : "") + std::to_string(i);
  return s + "]";
}

/// How often the allowed error fits into the actual one; infinite where only equality would do.
double excess(double expected, double got, double allowed) {
  if (expected == got || (std::isnan(expected) && std::isnan(got))) return 0;
  if (!std::isfinite(expected) || !std::isfinite(got) || allowed == 0) return std::numeric_limits<double>::infinity();
  return std::fabs(expected - got) / allowed;
}

template <class T> double excess_of(T expected, T got, DType dtype, Tolerance t) {
  if constexpr (std::is_same_v<T, std::complex<float>>) {
    const double allowed = t.ulp * unit_in_last_place(std::abs(std::complex<double>(expected)), f32) + t.scale * epsilon(f32);
    return std::max(excess(expected.real(), got.real(), allowed), excess(expected.imag(), got.imag(), allowed));
  } else if constexpr (std::is_integral_v<T>) {
    return expected == got ? 0 : std::numeric_limits<double>::infinity();
  } else {
    const auto wide = [](T v) -> double {
      if constexpr (sizeof(T) == 2) return static_cast<float>(v);
      else return v;
    };
    return excess(wide(expected), wide(got), t.ulp * unit_in_last_place(wide(expected), dtype) + t.scale * epsilon(dtype));
  }
}

template <class T> std::string printed(T v) {
  std::ostringstream s;
  s.precision(17);
  if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) s << static_cast<float>(v);
  else s << +v;
  return s.str();
}
std::string printed(std::complex<float> v) { return "(" + printed(v.real()) + ", " + printed(v.imag()) + ")"; }

}  // namespace

double unit_in_last_place(double x, DType dtype) {
  const Format f = format_of(dtype);
  const int exponent = x == 0 || !std::isfinite(x) ? f.least_exponent : std::max(std::ilogb(x), f.least_exponent);
  return std::ldexp(1.0, exponent - f.precision + 1);
}

double epsilon(DType dtype) { return is_floating(dtype) || is_complex(dtype) ? unit_in_last_place(1, dtype) : 0; }

::testing::AssertionResult agree(const NDArray& expected, const NDArray& got, Tolerance tolerance) {
  if (expected.type() != got.type()) return ::testing::AssertionFailure() << "expected " << expected.type().str() << ", got " << got.type().str();
  return visit_dtype(expected.dtype(), [&](auto zero) -> ::testing::AssertionResult {
    using T = decltype(zero);
    const NDArray a = expected.dense(), b = got.dense();
    const auto left = a.elements<T>(), right = b.elements<T>();
    std::size_t worst = 0, wrong = 0;
    double most = 1;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const double e = excess_of<T>(left[i], right[i], expected.dtype(), tolerance);
      wrong += e > 1;
      if (e > most) most = e, worst = i;
    }
    if (wrong == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << wrong << " of " << left.size() << " elements of " << expected.type().str() << " are wrong, worst at "
                                         << place(worst, expected.shape()) << ": expected " << printed(left[worst]) << ", got "
                                         << printed(right[worst]) << ", " << most << " times the error of " << tolerance.ulp << " ulp + "
                                         << tolerance.scale << " epsilon that is allowed";
  });
}

}  // namespace weft
