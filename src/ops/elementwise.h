// What the elementwise families share.
#pragma once

#include "ops/families.h"

#include <weft/tensor.h>

namespace weft::ops {

/// The shape to which all operands broadcast; fails naming their types.
Shape broadcast_operands(const Inference& c);

constexpr bool is_number(DType t) { return t != boolean; }
constexpr bool is_real(DType t) { return t != boolean && t != c64; }
constexpr bool is_floating_or_complex(DType t) { return is_floating(t) || is_complex(t); }
constexpr bool is_integer_or_bool(DType t) { return is_integer(t) || t == boolean; }
constexpr bool is_bool(DType t) { return t == boolean; }
constexpr bool is_any(DType) { return true; }

/// A primitive that its scalar functions describe in full.
constexpr Primitive elementwise_row(std::string_view name, int operands, void (*infer)(Inference&), ScalarFunctions scalar,
                                    void (*gradient)(Gradient&), bool commutative = false) {
  return {.name = name,
          .min_operands = operands,
          .max_operands = operands,
          .kind = Kind::elementwise,
          .infer = infer,
          .gradient = gradient,
          .evaluate = evaluate_elementwise,
          .expand = nullptr,
          .scalar = scalar,
          .commutative = commutative};
}

}  // namespace weft::ops
