#include "descriptions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace weft {
namespace {

std::vector<DType> joined(std::initializer_list<std::vector<DType>> lists) {
  std::vector<DType> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

double drawn(const Domain& domain, std::mt19937_64& random) {
  if (domain.whole) return std::floor(domain.low + std::ldexp(static_cast<double>(random() >> 11), -53) * (domain.high - domain.low + 1));
  for (;;) {
    const double x = domain.low + std::ldexp(static_cast<double>(random() >> 11), -53) * (domain.high - domain.low);
    // Far enough for finite differences, and for 16-bit types to keep to their side.
    if (std::ranges::none_of(domain.avoid, [&](double point) { return std::fabs(x - point) < 0.05; })) return x;
  }
}

template <class T> T drawn_as(const Domain& domain, std::mt19937_64& random) {
  if constexpr (std::is_same_v<T, bool>) {
    return random() >> 63;
  } else if constexpr (std::is_integral_v<T>) {
    if (domain.full) return static_cast<T>(random());
    const double low = std::max(std::ceil(domain.low), static_cast<double>(std::numeric_limits<T>::lowest()));
    const double high = std::min(std::floor(domain.high), static_cast<double>(std::numeric_limits<T>::max()));
    return static_cast<T>(drawn({.low = low, .high = std::max(low, high), .whole = true}, random));
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    const auto re = static_cast<float>(drawn(domain, random));
    return {re, static_cast<float>(drawn(domain, random))};
  } else if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(drawn(domain, random)));
  } else {
    return static_cast<T>(drawn(domain, random));
  }
}

}  // namespace

const std::vector<DType>& floats() {
  static const std::vector<DType> list{f32, f64, f16, bf16};
  return list;
}
const std::vector<DType>& integers() {
  static const std::vector<DType> list{i32, i64, i16, i8, u8, u16, u32, u64};
  return list;
}
const std::vector<DType>& reals() {
  static const auto list = joined({floats(), integers()});
  return list;
}
const std::vector<DType>& numbers() {
  static const auto list = joined({reals(), {c64}});
  return list;
}
const std::vector<DType>& numbers_and_bool() {
  static const auto list = joined({numbers(), {boolean}});
  return list;
}
const std::vector<DType>& ordered() {
  static const auto list = joined({reals(), {boolean}});
  return list;
}
const std::vector<DType>& bits() {
  static const auto list = joined({integers(), {boolean}});
  return list;
}
const std::vector<DType>& all_types() {
  static const auto list = joined({numbers(), {boolean}});
  return list;
}

const std::vector<Shapes>& any_shapes() {
  static const std::vector<Shapes> list{{{7, 13}}, {{}}, {{0}}, {{3, 0, 5}}, {{31}}, {{1, 1}}, {{1, 2, 1, 1, 2, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 2}}};
  return list;
}

const std::vector<OpCase>& op_cases() {
  static const auto all = [] {
    std::vector<OpCase> list;
    for (auto family : {unary_cases, binary_cases, movement_cases, reduction_cases, cumulative_cases, sort_cases, image_cases, indexing_cases,
                        matmul_cases, convolution_cases, pooling_cases, random_cases, activation_cases, loss_cases, normalization_cases,
                        optimizer_cases, recurrent_cases, control_cases}) {
      auto rows = family();
      std::ranges::move(rows, std::back_inserter(list));
    }
    return list;
  }();
  return all;
}

NDArray sample(const Domain& domain, DType dtype, const Shape& shape, std::uint64_t seed) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15ull + 1);
  NDArray a(dtype, shape);
  visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : a.elements<T>()) v = drawn_as<T>(domain, random);
  });
  return a;
}

NDArray special_values(DType dtype) {
  return visit_dtype(dtype, [](auto zero) -> NDArray {
    using T = decltype(zero);
    constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    if constexpr (std::is_same_v<T, bool>) {
      return NDArray::of<bool>({2}, {false, true});
    } else if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      return NDArray::of<T>({9}, {T(0), T(1), T(-1), T(2), T(-2), Limits::lowest(), T(Limits::lowest() + 1), T(Limits::max() - 1), Limits::max()});
    } else {
      const DType type = dtype_of<T>;
      // The largest and smallest numbers of the type: at them results overflow, vanish or lose digits.
      const double largest = type == f16 ? 65504 : type == f64 ? 1e308 : 1e38, smallest = type == f16 ? 6e-8 : type == f64 ? 5e-324 : 1e-40;
      std::vector<double> values{0.0, -0.0, 1, -1, 0.5, -0.5, inf, -inf, nan, largest, -largest, smallest, -smallest, 2.5, -2.5, 3};
      return NDArray::of<double>({static_cast<std::int64_t>(values.size())}, values).cast(type);
    }
  });
}

}  // namespace weft
