// Elementwise operations. Operands broadcast as in NumPy (see weft::broadcast); a number takes the element type of the
// tensor beside it. Element types are never converted silently: `cast` does that. Floating results are within 4 units
// in the last place; f16 and bf16 are computed in f32.
#pragma once

#include <weft/tensor.h>

namespace weft {

// Unary -----------------------------------------------------------------------------------------------------------------
Tensor neg(Operand x);   ///< -x; numbers; integers wrap
Tensor abs(Operand x);   ///< |x|; numbers; integers wrap; of c64 the modulus as f32
Tensor sign(Operand x);  ///< -1, 0 or 1; NaN stays; real numbers

Tensor floor(Operand x);  ///< floating, as are all below unless they say more; integers are returned as they are
Tensor ceil(Operand x);
Tensor trunc(Operand x);
Tensor rint(Operand x);   ///< to nearest, ties to even
Tensor round(Operand x);  ///< to nearest, ties away from zero

Tensor exp(Operand x);
Tensor exp2(Operand x);
Tensor exp10(Operand x);
Tensor expm1(Operand x);  ///< exp(x) - 1 without cancellation
Tensor log(Operand x);
Tensor log2(Operand x);
Tensor log10(Operand x);
Tensor log1p(Operand x);  ///< log(1 + x) without cancellation
Tensor sqrt(Operand x);
Tensor rsqrt(Operand x);       ///< 1 / sqrt(x)
Tensor reciprocal(Operand x);  ///< 1 / x; also integers and c64
Tensor square(Operand x);      ///< x * x; numbers
Tensor sin(Operand x);
Tensor cos(Operand x);
Tensor tan(Operand x);
Tensor asin(Operand x);
Tensor acos(Operand x);
Tensor atan(Operand x);
Tensor sinh(Operand x);
Tensor cosh(Operand x);
Tensor tanh(Operand x);
Tensor asinh(Operand x);
Tensor acosh(Operand x);
Tensor atanh(Operand x);
Tensor erf(Operand x);      ///< 2/sqrt(pi) * integral of exp(-t^2) from 0 to x
Tensor sigmoid(Operand x);  ///< 1 / (1 + exp(-x))
Tensor relu(Operand x);     ///< max(x, 0); the derivative at 0 is 0; real numbers

Tensor is_nan(Operand x);     ///< bool; any type
Tensor is_inf(Operand x);     ///< bool; any type, c64 if either part is
Tensor is_finite(Operand x);  ///< bool; any type
Tensor signbit(Operand x);    ///< bool; the sign bit is set, as it is in -0.0; real numbers

Tensor logical_not(Operand x);  ///< bool
Tensor bit_not(Operand x);      ///< integers and bool
Tensor popcount(Operand x);     ///< the number of bits that are set; integers

/// x itself, as which no derivative passes: gradients treat it as a constant. Any type.
Tensor stop_gradient(Operand x);

/// Elements converted: to integers towards zero, saturating, NaN as 0; between integers by wrap-around; to bool as "not
/// zero"; from c64 by the real part.
Tensor cast(Operand x, DType dtype);
/// The same bits as another type of the same size.
Tensor bitcast(Operand x, DType dtype);

Tensor complex(Operand re, Operand im);  ///< c64 of two f32
Tensor real(Operand z);                  ///< f32 of c64
Tensor imag(Operand z);                  ///< f32 of c64
Tensor conj(Operand z);                  ///< c64

// Binary ----------------------------------------------------------------------------------------------------------------
Tensor add(Operand a, Operand b);  ///< numbers; integers wrap; bool: or
Tensor sub(Operand a, Operand b);
Tensor mul(Operand a, Operand b);
Tensor div(Operand a, Operand b);         ///< integers: towards zero; x / 0 is 0; the lowest value / -1 wraps
Tensor rem(Operand a, Operand b);         ///< a - b * trunc(a / b), with a's sign; integers: x rem 0 is x
Tensor floor_mod(Operand a, Operand b);   ///< a - b * floor(a / b), with b's sign; integers: x mod 0 is x
Tensor div_no_nan(Operand a, Operand b);  ///< a / b, and 0 where b is 0
Tensor pow(Operand a, Operand b);         ///< integers: wraps; a negative power is 0 unless a is 1 or -1
Tensor minimum(Operand a, Operand b);     ///< NaN if either is
Tensor maximum(Operand a, Operand b);
Tensor fmin(Operand a, Operand b);  ///< the other if one is NaN
Tensor fmax(Operand a, Operand b);
Tensor atan2(Operand y, Operand x);  ///< the angle of the point (x, y)

Tensor equal(Operand a, Operand b);  ///< bool, as all comparisons; any type
Tensor not_equal(Operand a, Operand b);
Tensor less(Operand a, Operand b);  ///< real numbers and bool
Tensor less_equal(Operand a, Operand b);
Tensor greater(Operand a, Operand b);
Tensor greater_equal(Operand a, Operand b);

Tensor logical_and(Operand a, Operand b);  ///< bool
Tensor logical_or(Operand a, Operand b);
Tensor logical_xor(Operand a, Operand b);
Tensor logical_nand(Operand a, Operand b);
Tensor logical_nor(Operand a, Operand b);
Tensor logical_xnor(Operand a, Operand b);
Tensor bit_and(Operand a, Operand b);  ///< integers and bool
Tensor bit_or(Operand a, Operand b);
Tensor bit_xor(Operand a, Operand b);
Tensor shift_left(Operand a, Operand bits);   ///< integers; by the width or more (or a negative count): 0
Tensor shift_right(Operand a, Operand bits);  ///< copies the sign of signed integers

// Ternary ---------------------------------------------------------------------------------------------------------------
Tensor select(Operand condition, Operand if_true, Operand if_false);  ///< condition is bool
Tensor clamp(Operand x, Operand low, Operand high);                   ///< min(max(x, low), high)

inline Tensor operator-(Operand x) { return neg(x); }
inline Tensor operator+(Operand a, Operand b) { return add(a, b); }
inline Tensor operator-(Operand a, Operand b) { return sub(a, b); }
inline Tensor operator*(Operand a, Operand b) { return mul(a, b); }
inline Tensor operator/(Operand a, Operand b) { return div(a, b); }
inline Tensor operator%(Operand a, Operand b) { return rem(a, b); }
inline Tensor operator<(Operand a, Operand b) { return less(a, b); }
inline Tensor operator<=(Operand a, Operand b) { return less_equal(a, b); }
inline Tensor operator>(Operand a, Operand b) { return greater(a, b); }
inline Tensor operator>=(Operand a, Operand b) { return greater_equal(a, b); }
inline Tensor operator&(Operand a, Operand b) { return bit_and(a, b); }
inline Tensor operator|(Operand a, Operand b) { return bit_or(a, b); }
inline Tensor operator^(Operand a, Operand b) { return bit_xor(a, b); }
inline Tensor operator~(Operand x) { return bit_not(x); }

}  // namespace weft
