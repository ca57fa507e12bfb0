#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/reference_array.h"

#include <weft/elementwise.h>

#include <cmath>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;

template <bool (*accepted)(DType), DType... fixed> void infer(Inference& c) {
  const std::string_view wanted = accepted == is_floating          ? "floating point"
                                  : accepted == is_real            ? "a real number"
                                  : accepted == is_integer         ? "an integer"
                                  : accepted == is_integer_or_bool ? "an integer or bool"
                                                                   : "a number";
  c.require_same_dtype(0, 1);
  c.require(accepted, 0, wanted);
  c.result(c.dtype(0), broadcast_operands(c));
}

constexpr bool is_ordered(DType t) { return t != c64; }

template <bool (*accepted)(DType)> void infer_comparison(Inference& c) {
  c.require_same_dtype(0, 1);
  c.require(accepted, 0, "a real number or bool");
  c.result(boolean, broadcast_operands(c));
}

void infer_complex(Inference& c) {
  for (std::size_t i : {0u, 1u}) c.require([](DType t) { return t == f32; }, i, "f32");
  c.result(c64, broadcast_operands(c));
}

void evaluate_complex(Evaluation& e) {
  using namespace reference;
  const auto& re = *e.operands[0];
  const auto& im = *e.operands[1];
  const Shape& shape = e.results[0]->type.shape;
  const auto re_strides = broadcast_strides(re.type.shape, shape), im_strides = broadcast_strides(im.type.shape, shape);
  for_each_index(shape.sizes(), [&](auto index, std::int64_t linear) {
    std::size_t a = 0, b = 0;
    for (std::size_t d = 0; d < index.size(); ++d)
      a += static_cast<std::size_t>(index[d] * re_strides[d]), b += static_cast<std::size_t>(index[d] * im_strides[d]);
    e.results[0]->as<complex>()[static_cast<std::size_t>(linear)] = complex(re.as<double>()[a], im.as<double>()[b]);
  });
}

wide integer_power(wide base, wide exponent, wide, DType dtype) {
  if (exponent < 0) return base == 1 ? wide(1) : base == -1 ? (exponent % 2 == 0 ? wide(1) : wide(-1)) : wide(0);
  wide result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = reference::wrap(reference::multiply_add(wide(0), result, base), dtype);
    base = reference::wrap(reference::multiply_add(wide(0), base, base), dtype);
  }
  return result;
}

wide shifted(wide a, wide count, DType dtype, bool left) {
  const wide width = static_cast<wide>(size_of(dtype) * 8);
  const bool past = count < 0 || count >= width;
  if (left) return past ? wide(0) : reference::wrap(a << static_cast<int>(count), dtype);
  return past ? (a < 0 ? wide(-1) : wide(0)) : a >> static_cast<int>(count);
}

double propagating(double a, double b, bool less) { return std::isnan(a) ? a : std::isnan(b) ? b : less ? std::fmin(a, b) : std::fmax(a, b); }

/// Where both are equal each operand gets half, so that the derivative of max(x, x) is that of x.
template <bool minimum, bool skips_nan> void extremum_gradient(Gradient& g) {
  const Tensor a = g.operand(0), b = g.operand(1), dy = g.cotangent();
  const Tensor half = select(equal(a, b), dy * 0.5, 0.0);
  auto chosen = [](Tensor x, Tensor other) {
    const Tensor beats = minimum ? x < other : x > other;
    return skips_nan ? logical_or(beats, is_nan(other)) : beats;
  };
  if (g.wanted(0)) g.set(0, select(chosen(a, b), dy, half));
  if (g.wanted(1)) g.set(1, select(chosen(b, a), dy, half));
}

constexpr Primitive row(std::string_view name, void (*infer)(Inference&), ScalarFunctions scalar, void (*gradient)(Gradient&),
                        bool commutative = false) {
  return elementwise_row(name, 2, infer, scalar, gradient, commutative);
}

#define WEFT_COMPARISON(name, accepted, op, comm)                                                                                                  \
  row(name, infer_comparison<accepted>,                                                                                                            \
      {[](double a, double b, double) { return a op b ? 1.0 : 0.0; }, [](wide a, wide b, wide, DType) { return wide(a op b); }, nullptr}, nullptr, \
      comm)

// clang-format off: a row a primitive
const Primitive table[] = {
    row(
        "add", infer<is_any>,
        {[](double a, double b, double) { return a + b; }, [](wide a, wide b, wide, DType) { return a + b; },
         [](complex a, complex b, complex) { return a + b; }},
        [](Gradient& g) {
          g.set(0, g.cotangent());
          g.set(1, g.cotangent());
        },
        true),
    row("sub", infer<is_number>,
        {[](double a, double b, double) { return a - b; }, [](wide a, wide b, wide, DType) { return a - b; },
         [](complex a, complex b, complex) { return a - b; }},
        [](Gradient& g) {
          g.set(0, g.cotangent());
          if (g.wanted(1)) g.set(1, -g.cotangent());
        }),
    row(
        "mul", infer<is_any>,
        {[](double a, double b, double) { return a * b; }, [](wide a, wide b, wide, DType) { return reference::multiply_add(wide(0), a, b); },
         [](complex a, complex b, complex) { return a * b; }},
        [](Gradient& g) {
          if (g.wanted(0)) g.set(0, g.cotangent() * g.operand(1));
          if (g.wanted(1)) g.set(1, g.cotangent() * g.operand(0));
        },
        true),
    row("div", infer<is_number>,
        {[](double a, double b, double) { return a / b; }, [](wide a, wide b, wide, DType) { return b == 0 ? wide(0) : a / b; },
         [](complex a, complex b, complex) { return a / b; }},
        [](Gradient& g) {
          if (g.wanted(0)) g.set(0, g.cotangent() / g.operand(1));
          if (g.wanted(1)) g.set(1, -g.cotangent() * g.result() / g.operand(1));
        }),
    row("rem", infer<is_real>,
        {[](double a, double b, double) { return std::fmod(a, b); }, [](wide a, wide b, wide, DType) { return b == 0 ? a : a % b; }, nullptr},
        [](Gradient& g) {
          g.set(0, g.cotangent());
          if (g.wanted(1)) g.set(1, -g.cotangent() * trunc(g.operand(0) / g.operand(1)));
        }),
    row("pow", infer<is_real>, {[](double a, double b, double) { return std::pow(a, b); }, integer_power, nullptr},
        [](Gradient& g) {
          const Tensor a = g.operand(0), b = g.operand(1), dy = g.cotangent();
          // x^0 has derivative 0 everywhere, also at x = 0 where b * a^(b-1) is 0 * inf.
          if (g.wanted(0)) g.set(0, dy * select(equal(b, 0), 0.0, b * pow(a, b - 1.0)));
          // Where a <= 0 the power is not differentiable in b; 0^b is 0 for positive b, and so is its derivative.
          if (g.wanted(1)) g.set(1, dy * select(a > 0, g.result() * log(select(a > 0, a, 1.0)), 0.0));
        }),
    row("min", infer<is_real>,
        {[](double a, double b, double) { return propagating(a, b, true); }, [](wide a, wide b, wide, DType) { return a < b ? a : b; }, nullptr},
        extremum_gradient<true, false>, true),
    row("max", infer<is_real>,
        {[](double a, double b, double) { return propagating(a, b, false); }, [](wide a, wide b, wide, DType) { return a > b ? a : b; }, nullptr},
        extremum_gradient<false, false>, true),
    row("fmin", infer<is_real>,
        {[](double a, double b, double) { return std::fmin(a, b); }, [](wide a, wide b, wide, DType) { return a < b ? a : b; }, nullptr},
        extremum_gradient<true, true>, true),
    row("fmax", infer<is_real>,
        {[](double a, double b, double) { return std::fmax(a, b); }, [](wide a, wide b, wide, DType) { return a > b ? a : b; }, nullptr},
        extremum_gradient<false, true>, true),
    row("atan2", infer<is_floating>, {[](double a, double b, double) { return std::atan2(a, b); }, nullptr, nullptr},
        [](Gradient& g) {
          const Tensor y = g.operand(0), x = g.operand(1), scaled = g.cotangent() / (square(x) + square(y));
          if (g.wanted(0)) g.set(0, scaled * x);
          if (g.wanted(1)) g.set(1, -scaled * y);
        }),
    row("equal", infer_comparison<is_any>,
        {[](double a, double b, double) { return a == b ? 1.0 : 0.0; }, [](wide a, wide b, wide, DType) { return wide(a == b); },
         [](complex a, complex b, complex) { return complex(a == b); }},
        nullptr, true),
    row("not_equal", infer_comparison<is_any>,
        {[](double a, double b, double) { return a != b ? 1.0 : 0.0; }, [](wide a, wide b, wide, DType) { return wide(a != b); },
         [](complex a, complex b, complex) { return complex(a != b); }},
        nullptr, true),
    WEFT_COMPARISON("less", is_ordered, <, false),
    WEFT_COMPARISON("less_equal", is_ordered, <=, false),
    WEFT_COMPARISON("greater", is_ordered, >, false),
    WEFT_COMPARISON("greater_equal", is_ordered, >=, false),
    row("bit_and", infer<is_integer_or_bool>, {nullptr, [](wide a, wide b, wide, DType) { return a & b; }, nullptr}, nullptr, true),
    row("bit_or", infer<is_integer_or_bool>, {nullptr, [](wide a, wide b, wide, DType) { return a | b; }, nullptr}, nullptr, true),
    row("bit_xor", infer<is_integer_or_bool>, {nullptr, [](wide a, wide b, wide, DType) { return a ^ b; }, nullptr}, nullptr, true),
    row("shift_left", infer<is_integer>, {nullptr, [](wide a, wide b, wide, DType t) { return shifted(a, b, t, true); }, nullptr}, nullptr),
    row("shift_right", infer<is_integer>, {nullptr, [](wide a, wide b, wide, DType t) { return shifted(a, b, t, false); }, nullptr}, nullptr),
    {.name = "complex",
     .min_operands = 2,
     .max_operands = 2,
     .kind = Kind::elementwise,
     .infer = infer_complex,
     .gradient = nullptr,
     .evaluate = evaluate_complex,
     .expand = nullptr,
     .scalar = {},
     .commutative = false},
};
// clang-format on
#undef WEFT_COMPARISON

}  // namespace

std::span<const Primitive> binary() { return table; }

}  // namespace ops

namespace {

Tensor logical(std::string_view name, std::string_view op, Operand a, Operand b) {
  for (const Operand* o : {&a, &b})
    if (o->tensor() && o->tensor().dtype() != boolean)
      fail_graph(std::string(name) + ": operand " + o->tensor().name() + " is " + o->tensor().type().str() + ", expects bool",
                 ir::Location::of(o->where()));
  return apply(op, {a, b});
}

}  // namespace

#define WEFT_BINARY(name, op) \
  Tensor name(Operand a, Operand b) { return apply(op, {a, b}); }
WEFT_BINARY(add, "add")
WEFT_BINARY(sub, "sub")
WEFT_BINARY(mul, "mul")
WEFT_BINARY(div, "div")
WEFT_BINARY(rem, "rem")
WEFT_BINARY(pow, "pow")
WEFT_BINARY(minimum, "min")
WEFT_BINARY(maximum, "max")
WEFT_BINARY(fmin, "fmin")
WEFT_BINARY(fmax, "fmax")
WEFT_BINARY(atan2, "atan2")
WEFT_BINARY(equal, "equal")
WEFT_BINARY(not_equal, "not_equal")
WEFT_BINARY(less, "less")
WEFT_BINARY(less_equal, "less_equal")
WEFT_BINARY(greater, "greater")
WEFT_BINARY(greater_equal, "greater_equal")
WEFT_BINARY(bit_and, "bit_and")
WEFT_BINARY(bit_or, "bit_or")
WEFT_BINARY(bit_xor, "bit_xor")
WEFT_BINARY(shift_left, "shift_left")
WEFT_BINARY(shift_right, "shift_right")
WEFT_BINARY(complex, "complex")
#undef WEFT_BINARY

Tensor logical_and(Operand a, Operand b) { return logical("logical_and", "bit_and", a, b); }
Tensor logical_or(Operand a, Operand b) { return logical("logical_or", "bit_or", a, b); }
Tensor logical_xor(Operand a, Operand b) { return logical("logical_xor", "bit_xor", a, b); }

}  // namespace weft
