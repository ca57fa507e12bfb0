// How elements are folded into one, for reference evaluation of reductions and scans.
#pragma once

#include "ops/reference_array.h"

#include <cmath>
#include <limits>

namespace weft::ops {

struct Sum {
  template <class T> static T identity(DType) { return T(0); }
  template <class T> static T of(T a, T x, DType) { return a + x; }
};

struct Product {
  template <class T> static T identity(DType) { return T(1); }
  template <class T> static T of(T a, T x, DType dtype) {
    if constexpr (std::is_same_v<T, reference::wide>) return reference::wrap(reference::multiply_add(T(0), a, x), dtype);
    else return a * x;
  }
};

/// The least value of an integer type, or the greatest.
inline reference::wide limit(DType dtype, bool least) {
  const int bits = static_cast<int>(size_of(dtype)) * 8;
  if (is_unsigned_integer(dtype)) return least ? reference::wide(0) : (reference::wide(1) << bits) - 1;
  return least ? -(reference::wide(1) << (bits - 1)) : (reference::wide(1) << (bits - 1)) - 1;
}

template <bool largest, bool skip_nan> struct Extremum {
  template <class T> static T identity(DType dtype) {
    if constexpr (std::is_same_v<T, double>) return largest ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    else return static_cast<T>(limit(dtype, largest));
  }
  static double of(double a, double x, DType) {
    if (std::isnan(x)) return skip_nan ? a : x;
    return !std::isnan(a) && (largest ? x > a : x < a) ? x : a;
  }
  static reference::wide of(reference::wide a, reference::wide x, DType) { return (largest ? x > a : x < a) ? x : a; }
};

}  // namespace weft::ops
