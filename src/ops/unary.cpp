#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/reference_array.h"

#include <weft/elementwise.h>

#include <bit>
#include <cmath>
#include <numbers>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;
using Accepts = bool (*)(DType);

// Inference: the accepted element types, and the result's.
template <bool (*accepted)(DType)> constexpr std::string_view wanted = "any type";
template <> constexpr std::string_view wanted<is_floating> = "floating point";
template <> constexpr std::string_view wanted<is_number> = "a number";
template <> constexpr std::string_view wanted<is_real> = "a real number";
template <> constexpr std::string_view wanted<is_integer> = "an integer";
template <> constexpr std::string_view wanted<is_integer_or_bool> = "an integer or bool";
template <> constexpr std::string_view wanted<is_bool> = "bool";
template <> constexpr std::string_view wanted<is_complex> = "c64";

template <bool (*accepted)(DType)> void infer_same(Inference& c) {
  c.require(accepted, 0, wanted<accepted>);
  c.result(c[0]);
}

void infer_part(Inference& c) {
  c.require(is_complex, 0, "c64");
  c.result(f32, c.shape(0));
}

void infer_abs(Inference& c) {
  c.require(is_number, 0, "a number");
  c.result(is_complex(c.dtype(0)) ? f32 : c.dtype(0), c.shape(0));
}

void infer_cast(Inference& c) { c.result(c.attributes.dtype("dtype"), c.shape(0)); }

void infer_bitcast(Inference& c) {
  const DType to = c.attributes.dtype("dtype");
  if (size_of(to) != size_of(c.dtype(0)))
    c.fail("operand " + c[0].str() + " has elements of " + std::to_string(size_of(c.dtype(0))) + " bytes, " + std::string(name_of(to)) + " takes " +
           std::to_string(size_of(to)));
  if (to == boolean) c.fail("bits can't be taken as bool; compare with 0 instead");
  c.result(to, c.shape(0));
}

void evaluate_cast(Evaluation& e) { *e.results[0] = reference::cast(*e.operands[0], e.node.attributes.dtype("dtype")); }

void evaluate_bitcast(Evaluation& e) {
  const NDArray from = reference::to_ndarray(*e.operands[0]);
  NDArray to(e.results[0]->type);
  to.write_bytes({from.data(), static_cast<std::size_t>(from.byte_count())});
  *e.results[0] = reference::from_ndarray(to);
}

// A real function of one operand.
template <double (*f)(double)> double real1(double a, double, double) { return f(a); }
template <double (*f)(double)> constexpr ScalarFunctions real_function{real1<f>, nullptr, nullptr};

wide identity(wide a, wide, wide, DType) { return a; }

double sign_of(double a) { return std::isnan(a) ? a : (a > 0) - (a < 0); }

constexpr Primitive row(std::string_view name, void (*infer)(Inference&), ScalarFunctions scalar, void (*gradient)(Gradient&)) {
  return elementwise_row(name, 1, infer, scalar, gradient);
}

constexpr auto zero = [](Gradient&) {};

// clang-format off: a row a primitive
const Primitive table[] = {
    row("neg", infer_same<is_number>,
        {[](double a, double, double) { return -a; }, [](wide a, wide, wide, DType) { return -a; }, [](complex a, complex, complex) { return -a; }},
        [](Gradient& g) { g.set(0, -g.cotangent()); }),
    row("abs", infer_abs,
        {real1<std::fabs>, [](wide a, wide, wide, DType) { return a < 0 ? -a : a; },
         [](complex a, complex, complex) { return complex(std::abs(a)); }},
        [](Gradient& g) { g.set(0, g.cotangent() * sign(g.operand(0))); }),
    row("sign", infer_same<is_real>, {real1<sign_of>, [](wide a, wide, wide, DType) { return wide((a > 0) - (a < 0)); }, nullptr}, zero),
    row("floor", infer_same<is_real>, {real1<std::floor>, identity, nullptr}, zero),
    row("ceil", infer_same<is_real>, {real1<std::ceil>, identity, nullptr}, zero),
    row("trunc", infer_same<is_real>, {real1<std::trunc>, identity, nullptr}, zero),
    row("rint", infer_same<is_real>, {real1<std::nearbyint>, identity, nullptr}, zero),
    row("round", infer_same<is_real>, {real1<std::round>, identity, nullptr}, zero),
    row("exp", infer_same<is_floating>, real_function<std::exp>, [](Gradient& g) { g.set(0, g.cotangent() * g.result()); }),
    row("exp2", infer_same<is_floating>, real_function<std::exp2>, [](Gradient& g) { g.set(0, g.cotangent() * g.result() * std::numbers::ln2); }),
    row("exp10", infer_same<is_floating>, {[](double a, double, double) { return std::pow(10.0, a); }, nullptr, nullptr},
        [](Gradient& g) { g.set(0, g.cotangent() * g.result() * std::numbers::ln10); }),
    row("expm1", infer_same<is_floating>, real_function<std::expm1>, [](Gradient& g) { g.set(0, g.cotangent() * (g.result() + 1.0)); }),
    row("log", infer_same<is_floating>, real_function<std::log>, [](Gradient& g) { g.set(0, g.cotangent() / g.operand(0)); }),
    row("log2", infer_same<is_floating>, real_function<std::log2>, [](Gradient& g) { g.set(0, g.cotangent() / (g.operand(0) * std::numbers::ln2)); }),
    row("log10", infer_same<is_floating>, real_function<std::log10>,
        [](Gradient& g) { g.set(0, g.cotangent() / (g.operand(0) * std::numbers::ln10)); }),
    row("log1p", infer_same<is_floating>, real_function<std::log1p>, [](Gradient& g) { g.set(0, g.cotangent() / (g.operand(0) + 1.0)); }),
    row("sqrt", infer_same<is_floating>, real_function<std::sqrt>, [](Gradient& g) { g.set(0, g.cotangent() * 0.5 / g.result()); }),
    row("rsqrt", infer_same<is_floating>, {[](double a, double, double) { return 1 / std::sqrt(a); }, nullptr, nullptr},
        [](Gradient& g) { g.set(0, g.cotangent() * -0.5 * g.result() / g.operand(0)); }),
    row("sin", infer_same<is_floating>, real_function<std::sin>, [](Gradient& g) { g.set(0, g.cotangent() * cos(g.operand(0))); }),
    row("cos", infer_same<is_floating>, real_function<std::cos>, [](Gradient& g) { g.set(0, -g.cotangent() * sin(g.operand(0))); }),
    row("tan", infer_same<is_floating>, real_function<std::tan>, [](Gradient& g) { g.set(0, g.cotangent() * (1.0 + square(g.result()))); }),
    row("asin", infer_same<is_floating>, real_function<std::asin>, [](Gradient& g) { g.set(0, g.cotangent() * rsqrt(1.0 - square(g.operand(0)))); }),
    row("acos", infer_same<is_floating>, real_function<std::acos>, [](Gradient& g) { g.set(0, -g.cotangent() * rsqrt(1.0 - square(g.operand(0)))); }),
    row("atan", infer_same<is_floating>, real_function<std::atan>, [](Gradient& g) { g.set(0, g.cotangent() / (1.0 + square(g.operand(0)))); }),
    row("sinh", infer_same<is_floating>, real_function<std::sinh>, [](Gradient& g) { g.set(0, g.cotangent() * cosh(g.operand(0))); }),
    row("cosh", infer_same<is_floating>, real_function<std::cosh>, [](Gradient& g) { g.set(0, g.cotangent() * sinh(g.operand(0))); }),
    row("tanh", infer_same<is_floating>, real_function<std::tanh>, [](Gradient& g) { g.set(0, g.cotangent() * (1.0 - square(g.result()))); }),
    row("asinh", infer_same<is_floating>, real_function<std::asinh>,
        [](Gradient& g) { g.set(0, g.cotangent() * rsqrt(square(g.operand(0)) + 1.0)); }),
    row("acosh", infer_same<is_floating>, real_function<std::acosh>,
        [](Gradient& g) { g.set(0, g.cotangent() * rsqrt(square(g.operand(0)) - 1.0)); }),
    row("atanh", infer_same<is_floating>, real_function<std::atanh>, [](Gradient& g) { g.set(0, g.cotangent() / (1.0 - square(g.operand(0)))); }),
    row("erf", infer_same<is_floating>, real_function<std::erf>,
        [](Gradient& g) { g.set(0, g.cotangent() * (2 * std::numbers::inv_sqrtpi) * exp(-square(g.operand(0)))); }),
    row("sigmoid", infer_same<is_floating>, {[](double a, double, double) { return 1 / (1 + std::exp(-a)); }, nullptr, nullptr},
        [](Gradient& g) { g.set(0, g.cotangent() * (g.result() * (1.0 - g.result()))); }),
    row("relu", infer_same<is_real>,
        {[](double a, double, double) { return a <= 0 ? 0.0 : a; }, [](wide a, wide, wide, DType) { return a < 0 ? wide(0) : a; }, nullptr},
        [](Gradient& g) { g.set(0, select(g.result() > 0, g.cotangent(), 0)); }),
    row("logical_not", infer_same<is_bool>, {nullptr, [](wide a, wide, wide, DType) { return wide(a == 0); }, nullptr}, nullptr),
    row("bit_not", infer_same<is_integer_or_bool>, {nullptr, [](wide a, wide, wide, DType t) { return t == boolean ? wide(a == 0) : ~a; }, nullptr},
        nullptr),
    row("popcount", infer_same<is_integer>,
        {nullptr, [](wide a, wide, wide, DType t) { return wide(std::popcount(static_cast<std::uint64_t>(a) << (64 - 8 * size_of(t)))); }, nullptr},
        nullptr),
    row("real", infer_part, {nullptr, nullptr, [](complex a, complex, complex) { return complex(a.real()); }}, nullptr),
    row("imag", infer_part, {nullptr, nullptr, [](complex a, complex, complex) { return complex(a.imag()); }}, nullptr),
    row("conj", infer_same<is_complex>, {nullptr, nullptr, [](complex a, complex, complex) { return std::conj(a); }}, nullptr),
    {.name = "stop_gradient",
     .min_operands = 1,
     .max_operands = 1,
     .kind = Kind::elementwise,
     .infer = infer_same<is_any>,
     .gradient = [](Gradient&) {},
     .evaluate = [](Evaluation& e) { *e.results[0] = *e.operands[0]; },
     .expand = [](Expansion& e) { return e.operand(0); },
     .scalar = {},
     .commutative = false},
    {.name = "cast",
     .min_operands = 1,
     .max_operands = 1,
     .kind = Kind::elementwise,
     .infer = infer_cast,
     .gradient = [](Gradient& g) { g.set(0, cast(g.cotangent(), g.operand(0).dtype())); },
     .evaluate = evaluate_cast,
     .expand = nullptr,
     .scalar = {},
     .commutative = false},
    {.name = "bitcast",
     .min_operands = 1,
     .max_operands = 1,
     .kind = Kind::elementwise,
     .infer = infer_bitcast,
     .gradient = nullptr,
     .evaluate = evaluate_bitcast,
     .expand = nullptr,
     .scalar = {},
     .commutative = false},
};
// clang-format on

}  // namespace

std::span<const Primitive> unary() { return table; }

}  // namespace ops

#define WEFT_UNARY(name) \
  Tensor name(Operand x) { return apply(#name, {x}); }
WEFT_UNARY(neg)
WEFT_UNARY(abs)
WEFT_UNARY(sign)
WEFT_UNARY(floor)
WEFT_UNARY(ceil)
WEFT_UNARY(trunc)
WEFT_UNARY(rint)
WEFT_UNARY(round)
WEFT_UNARY(exp)
WEFT_UNARY(exp2)
WEFT_UNARY(exp10)
WEFT_UNARY(expm1)
WEFT_UNARY(log)
WEFT_UNARY(log2)
WEFT_UNARY(log10)
WEFT_UNARY(log1p)
WEFT_UNARY(sqrt)
WEFT_UNARY(rsqrt)
WEFT_UNARY(sin)
WEFT_UNARY(cos)
WEFT_UNARY(tan)
WEFT_UNARY(asin)
WEFT_UNARY(acos)
WEFT_UNARY(atan)
WEFT_UNARY(sinh)
WEFT_UNARY(cosh)
WEFT_UNARY(tanh)
WEFT_UNARY(asinh)
WEFT_UNARY(acosh)
WEFT_UNARY(atanh)
WEFT_UNARY(erf)
WEFT_UNARY(sigmoid)
WEFT_UNARY(relu)
WEFT_UNARY(stop_gradient)
WEFT_UNARY(logical_not)
WEFT_UNARY(bit_not)
WEFT_UNARY(popcount)
WEFT_UNARY(real)
WEFT_UNARY(imag)
WEFT_UNARY(conj)
#undef WEFT_UNARY

Tensor cast(Operand x, DType dtype) {
  if (x.tensor() && x.tensor().dtype() == dtype) return implicitly_read(x.tensor());
  return apply("cast", {x}, {{"dtype", dtype}});
}
Tensor bitcast(Operand x, DType dtype) { return apply("bitcast", {x}, {{"dtype", dtype}}); }

}  // namespace weft
