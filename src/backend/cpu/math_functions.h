// The elementary functions that the CPU backend emits, and how accurate they are.
#pragma once

#include <span>
#include <string_view>

namespace weft::cpu {

/// A function, and the farthest that its results may be from the true value in units in the last place.
struct MathFunction {
  std::string_view name;
  int operands;
  double ulp_f32, ulp_f64;
};

std::span<const MathFunction> math_functions();

}  // namespace weft::cpu
