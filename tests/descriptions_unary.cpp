// Elementwise operations on one operand. The accuracy of floating-point functions is that of elementwise.h: 4 ulp.
#include "descriptions.h"

#include <weft/elementwise.h>

namespace weft {
namespace {

using Function = Tensor (*)(Operand);

OpCase unary(std::string name, Function f, Domain domain, const std::vector<DType>& dtypes, double ulp = 0) {
  const bool floating = dtypes[0] == f32;
  return {.name = std::move(name),
          .build = [f](Graph&, const Tensors& x) { return Tensors{f(x[0])}; },
          .inputs = {{domain}},
          .shapes = any_shapes(),
          .dtypes = dtypes,
          .tolerance = {.ulp = ulp},
          .differentiable = floating ? std::vector<std::size_t>{0} : std::vector<std::size_t>{},
          .special_values = true,
          .elementwise = true};
}

/// A function whose result is bool, or has no derivative for another reason.
OpCase flat(std::string name, Function f, Domain domain, const std::vector<DType>& dtypes, double ulp = 0) {
  OpCase c = unary(std::move(name), f, domain, dtypes, ulp);
  c.differentiable.clear();
  return c;
}

OpCase complex_part(std::string name, Function f) {
  OpCase c = flat(std::move(name), f, anything(), {c64});
  c.special_values = false;
  return c;
}

Tensors casts(const Tensor& x, const std::vector<DType>& to) {
  Tensors results;
  for (auto t : to)
    if (t != x.dtype()) results.push_back(cast(x, t));
  return results;
}

}  // namespace

std::vector<OpCase> unary_cases() {
  const auto steps = real(-4, 4).avoiding({-4, -3, -2, -1, 0, 1, 2, 3, 4});
  const auto halves = real(-4, 4).avoiding({-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5});
  std::vector<OpCase> cases{
      unary("neg", neg, anything(), numbers()),
      unary("abs", abs, anything().avoiding({0}), numbers(), 1),
      unary("sign", sign, anything().avoiding({0}), reals()),
      unary("floor", floor, steps, reals()),
      unary("ceil", ceil, steps, reals()),
      unary("trunc", trunc, steps, reals()),
      unary("rint", rint, halves, reals()),
      unary("round", round, halves, reals()),
      unary("exp", exp, real(-10, 10), floats(), 4),
      unary("exp2", exp2, real(-12, 12), floats(), 4),
      unary("exp10", exp10, real(-4, 4), floats(), 4),
      unary("expm1", expm1, real(-4, 4), floats(), 4),
      unary("log", log, real(0.05, 20), floats(), 4),
      unary("log2", log2, real(0.05, 20), floats(), 4),
      unary("log10", log10, real(0.05, 20), floats(), 4),
      unary("log1p", log1p, real(-0.9, 20), floats(), 4),
      unary("sqrt", sqrt, real(0.05, 20), floats(), 4),
      unary("rsqrt", rsqrt, real(0.05, 20), floats(), 4),
      unary("reciprocal", reciprocal, anything().avoiding({0}), numbers(), 4),
      unary("square", square, anything(), numbers_and_bool(), 4),
      unary("sin", sin, real(-7, 7), floats(), 4),
      unary("cos", cos, real(-7, 7), floats(), 4),
      unary("tan", tan, real(-1.4, 1.4), floats(), 4),
      unary("asin", asin, real(-0.95, 0.95), floats(), 4),
      unary("acos", acos, real(-0.95, 0.95), floats(), 4),
      unary("atan", atan, real(-7, 7), floats(), 4),
      unary("sinh", sinh, real(-7, 7), floats(), 4),
      unary("cosh", cosh, real(-7, 7), floats(), 4),
      unary("tanh", tanh, real(-7, 7), floats(), 4),
      unary("asinh", asinh, real(-7, 7), floats(), 4),
      unary("acosh", acosh, real(1.1, 20), floats(), 4),
      unary("atanh", atanh, real(-0.95, 0.95), floats(), 4),
      unary("erf", erf, real(-4, 4), floats(), 4),
      unary("sigmoid", sigmoid, real(-10, 10), floats(), 4),
      unary("relu", relu, anything().avoiding({0}), reals()),
      flat("stop_gradient", stop_gradient, anything(), all_types()),
      flat("is_nan", is_nan, anything(), all_types()),
      flat("is_inf", is_inf, anything(), all_types()),
      flat("is_finite", is_finite, anything(), all_types()),
      flat("signbit", signbit, anything(), ordered()),
      flat("logical_not", logical_not, anything(), {boolean}),
      flat("bit_not", bit_not, anything(), bits()),
      flat("popcount", popcount, anything(), integers()),
      complex_part("real", real),
      complex_part("imag", imag),
      complex_part("conj", conj),
  };
  OpCase every = flat("cast", nullptr, real(-300, 300), all_types());
  every.build = [](Graph&, const Tensors& x) { return casts(x[0], all_types()); };
  cases.push_back(every);
  OpCase same_bits = flat("bitcast", nullptr, anything(), all_types());
  same_bits.build = [](Graph&, const Tensors& x) {
    Tensors results;
    for (auto t : all_types())
      if (t != boolean && size_of(t) == size_of(x[0].dtype())) results.push_back(bitcast(x[0], t));
    return results;
  };
  cases.push_back(same_bits);
  return cases;
}

}  // namespace weft
