#include "graph/build.h"

#include <weft/elementwise.h>

#include <limits>

namespace weft {

Tensor reciprocal(Operand x) {
  CompositeScope scope("reciprocal", {x});
  return 1 / x;
}

Tensor square(Operand x) {
  CompositeScope scope("square", {x});
  return x * x;
}

Tensor is_nan(Operand x) {
  CompositeScope scope("is_nan", {x});
  return not_equal(x, x);
}

Tensor is_finite(Operand x) {
  CompositeScope scope("is_finite", {x});
  if (const DType t = x.tensor().dtype(); !is_floating(t) && !is_complex(t)) return equal(x, x);
  // An infinity or NaN minus itself is NaN.
  const Tensor difference = x - x;
  return equal(difference, 0);
}

Tensor is_inf(Operand x) {
  CompositeScope scope("is_inf", {x});
  if (is_complex(x.tensor().dtype())) return logical_or(is_inf(real(x)), is_inf(imag(x)));
  if (!is_floating(x.tensor().dtype())) return not_equal(x, x);
  return equal(abs(x), std::numeric_limits<double>::infinity());
}

Tensor signbit(Operand x) {
  CompositeScope scope("signbit", {x});
  const DType dtype = x.tensor().dtype();
  if (!is_floating(dtype)) return x < 0;
  return bitcast(x, size_of(dtype) == 2 ? i16 : size_of(dtype) == 4 ? i32 : i64) < 0;
}

Tensor floor_mod(Operand a, Operand b) {
  CompositeScope scope("floor_mod", {a, b});
  const Tensor divisor = scope.tensor(b), r = rem(a, divisor);
  // The remainder has a's sign; where that isn't b's, one more b.
  const Tensor other_sign = not_equal(r < 0, divisor < 0);
  return select(logical_and(logical_and(not_equal(r, 0), other_sign), not_equal(divisor, 0)), r + divisor, r);
}

Tensor div_no_nan(Operand a, Operand b) {
  CompositeScope scope("div_no_nan", {a, b});
  const Tensor divisor = scope.tensor(b), is_zero = equal(divisor, 0);
  return select(is_zero, 0, a / select(is_zero, 1, divisor));
}

Tensor logical_nand(Operand a, Operand b) { return logical_not(logical_and(a, b)); }
Tensor logical_nor(Operand a, Operand b) { return logical_not(logical_or(a, b)); }
Tensor logical_xnor(Operand a, Operand b) { return logical_not(logical_xor(a, b)); }

Tensor clamp(Operand x, Operand low, Operand high) {
  CompositeScope scope("clamp", {x, low, high});
  return minimum(maximum(x, low), high);
}

}  // namespace weft
