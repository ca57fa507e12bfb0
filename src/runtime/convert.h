// Conversion of one element from one type to another, as `cast` defines it: floating-point to integer towards zero,
// saturating, NaN as 0; integer to integer by two's complement; everything else rounded once, to nearest, ties to even.
#pragma once

#include <weft/dtype.h>

#include <bit>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>

namespace weft::runtime {

template <class T> inline constexpr bool is_half = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

/// The float nearest to `value` among those with an odd last bit (or `value` itself where a float holds it). Rounding that
/// to a format with at least two bits less rounds `value` correctly; rounding through the nearest float wouldn't.
/// S. Boldo, G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.
inline float round_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(nearest) == value) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

/// The same for integers and double.
template <class T> double round_to_odd(T value) {
  if constexpr (sizeof(T) == 8) {
    const bool negative = value < 0;
    auto magnitude = negative ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    if (magnitude >> 53) magnitude = (magnitude & ~0x7ffull) | ((magnitude & 0x7ffull) ? 0x800ull : 0ull);
    return negative ? -static_cast<double>(magnitude) : static_cast<double>(magnitude);
  } else {
    return static_cast<double>(value);
  }
}

template <class To, class From> To saturate(From value) {
  using Limits = std::numeric_limits<To>;
  constexpr From low = static_cast<From>(Limits::min());
  const From high = std::ldexp(From{1}, Limits::digits);
  if (std::isnan(value)) return 0;
  if (value >= high) return Limits::max();
  return value <= low ? Limits::min() : static_cast<To>(value);
}

template <class To, class From> To convert(From value) {
  using Complex = std::complex<float>;
  if constexpr (std::is_same_v<To, From>) return value;
  else if constexpr (std::is_same_v<From, Complex>) {
    if constexpr (std::is_same_v<To, bool>) return value != Complex{};
    else return convert<To>(value.real());
  } else if constexpr (std::is_same_v<To, Complex>) return {convert<float>(value), 0.0f};
  else if constexpr (is_half<From>) return convert<To>(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, bool>) return value != From{};
  else if constexpr (is_half<To>) {
    if constexpr (std::is_same_v<From, float>) return To(value);
    else if constexpr (std::is_same_v<From, double>) return To(round_to_odd(value));
    else return To(round_to_odd(round_to_odd<From>(value)));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) return saturate<To>(value);
  else return static_cast<To>(value);
}

}  // namespace weft::runtime
