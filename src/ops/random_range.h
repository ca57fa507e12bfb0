// Half-open ranges of random numbers.
#pragma once

#include "ops/reference_array.h"

#include <algorithm>
#include <cmath>

namespace weft::ops {

/// The largest value of a floating type below `high`, which scaling a number of [0, 1) to [low, high) could round up to.
inline double largest_below(double high, DType dtype) {
  const double value = reference::round_to(high, dtype);
  if (value < high) return value;
  const double smallest = std::ldexp(1.0, dtype == f64 ? -1074 : dtype == f16 ? -24 : dtype == bf16 ? -133 : -149);
  double step = std::max(std::ldexp(std::fabs(value), -54), smallest);
  while (!(reference::round_to(value - step, dtype) < high)) step *= 2;
  return reference::round_to(value - step, dtype);
}

}  // namespace weft::ops
