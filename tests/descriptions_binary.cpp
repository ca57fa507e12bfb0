// Elementwise operations on two and three operands.
#include "descriptions.h"

#include <weft/elementwise.h>

#include <algorithm>

namespace weft {
namespace {

using Function = Tensor (*)(Operand, Operand);

/// Equal shapes, and each way in which shapes broadcast.
const std::vector<Shapes>& pairs() {
  static const std::vector<Shapes> list{
      {{7, 13}, {7, 13}}, {{7, 13}, {13}},  {{7, 1}, {1, 13}},
      {{}, {31}},         {{31}, {}},       {{}, {}},
      {{0}, {1}},         {{3, 0, 5}, {5}}, {{2, 1, 3, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2}, {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}}};
  return list;
}

OpCase binary(std::string name, Function f, Domain a, Domain b, const std::vector<DType>& dtypes, double ulp = 0) {
  const bool floating = dtypes[0] == f32;
  return {.name = std::move(name),
          .build = [f](Graph&, const Tensors& x) { return Tensors{f(x[0], x[1])}; },
          .inputs = {{a}, {b}},
          .shapes = pairs(),
          .dtypes = dtypes,
          .tolerance = {.ulp = ulp},
          .differentiable = floating ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{},
          .special_values = true,
          .elementwise = true};
}

/// Without a derivative.
OpCase flat(std::string name, Function f, Domain domain, const std::vector<DType>& dtypes) {
  OpCase c = binary(std::move(name), f, domain, domain, dtypes);
  c.differentiable.clear();
  return c;
}

OpCase kinked(OpCase c) {
  c.kinked = true;
  return c;
}

/// Complex products and quotients lose digits in a part that is smaller than the modulus.
OpCase with_complex(OpCase c, double ulp) {
  c.tolerance.ulp = std::max(c.tolerance.ulp, ulp);
  return c;
}

std::vector<Shapes> triples() {
  return {{{7, 13}, {7, 13}, {7, 13}},
          {{7, 13}, {13}, {}},
          {{7, 1}, {1, 13}, {1}},
          {{}, {31}, {31}},
          {{}, {}, {}},
          {{0}, {0}, {1}},
          {{3, 0, 5}, {5}, {}},
          {{2, 1, 3, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2}, {2}, {2, 1}}};
}

}  // namespace

std::vector<OpCase> binary_cases() {
  // The same whole numbers meet often enough for every outcome of a comparison, and for zero divisors.
  const auto few = whole(-5, 5);
  std::vector<OpCase> cases{
      binary("add", add, anything(), anything(), numbers_and_bool()),
      binary("sub", sub, anything(), anything(), numbers()),
      with_complex(binary("mul", mul, anything(), anything(), numbers_and_bool()), 4),
      with_complex(binary("div", div, anything(), real(-7, 7).avoiding({0}), numbers()), 4),
      // Here derivatives jump where a / b is whole.
      binary("rem", rem, real(6.3, 8.7), real(2.3, 2.9).avoiding({2.7, 2.75, 2.8, 2.85}), reals(), 4),
      binary("floor_mod", floor_mod, real(6.3, 8.7), real(2.3, 2.9).avoiding({2.7, 2.75, 2.8, 2.85}), reals(), 4),
      binary("div_no_nan", div_no_nan, anything(), real(-7, 7).avoiding({0}), numbers(), 4),
      binary("pow", pow, real(0.1, 4), real(-3, 3), reals(), 4),
      kinked(binary("minimum", minimum, anything(), anything(), reals())),
      kinked(binary("maximum", maximum, anything(), anything(), reals())),
      kinked(binary("fmin", fmin, anything(), anything(), reals())),
      kinked(binary("fmax", fmax, anything(), anything(), reals())),
      binary("atan2", atan2, real(-4, 4).avoiding({0}), real(-4, 4).avoiding({0}), floats(), 4),
      flat("equal", equal, few, all_types()),
      flat("not_equal", not_equal, few, all_types()),
      flat("less", less, few, ordered()),
      flat("less_equal", less_equal, few, ordered()),
      flat("greater", greater, few, ordered()),
      flat("greater_equal", greater_equal, few, ordered()),
      flat("rem_of_whole", rem, few, reals()),
      flat("floor_mod_of_whole", floor_mod, few, reals()),
      flat("div_no_nan_by_zero", div_no_nan, whole(-2, 2), numbers()),
      flat("logical_and", logical_and, few, {boolean}),
      flat("logical_or", logical_or, few, {boolean}),
      flat("logical_xor", logical_xor, few, {boolean}),
      flat("logical_nand", logical_nand, few, {boolean}),
      flat("logical_nor", logical_nor, few, {boolean}),
      flat("logical_xnor", logical_xnor, few, {boolean}),
      flat("bit_and", bit_and, anything(), bits()),
      flat("bit_or", bit_or, anything(), bits()),
      flat("bit_xor", bit_xor, anything(), bits()),
      flat("shift_left", shift_left, whole(-3, 70), integers()),
      flat("shift_right", shift_right, whole(-3, 70), integers()),
      flat("complex", complex, anything(), {f32}),
  };
  cases.back().special_values = false;
  cases.push_back({.name = "select",
                   .build = [](Graph&, const Tensors& x) { return Tensors{select(x[0], x[1], x[2])}; },
                   .inputs = {{{}, boolean}, {anything()}, {anything()}},
                   .shapes = triples(),
                   .dtypes = all_types(),
                   .differentiable = {1, 2},
                   .special_values = true,
                   .elementwise = true});
  cases.push_back({.name = "clamp",
                   .build = [](Graph&, const Tensors& x) { return Tensors{clamp(x[0], x[1], x[2])}; },
                   .inputs = {{real(-4, 4).avoiding({-2, 2})}, {real(-3, -1).avoiding({-2})}, {real(1, 3).avoiding({2})}},
                   .shapes = triples(),
                   .dtypes = reals(),
                   .differentiable = {0, 1, 2},
                   .elementwise = true});
  return cases;
}

}  // namespace weft
