// Scans. As in sums, the error of a result grows with the number of elements that it is made of.
#include "descriptions.h"

#include <weft/cumulative.h>

namespace weft {
namespace {

using Build = std::function<Tensor(Tensor)>;

OpCase scan(std::string name, Build build, Domain domain, const std::vector<DType>& dtypes, Tolerance tolerance = {}) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x[0])}; },
          .inputs = {{domain}},
          .shapes = {{{5, 31}}, {{37, 2}}, {{3, 0}}, {{0, 3}}, {{1, 1}}, {{2, 5, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}}},
          .dtypes = dtypes,
          .tolerance = tolerance,
          .differentiable = {0}};
}

/// The first result is infinite, which finite differences can't take.
OpCase exclusive_extreme(std::string name, Build build) {
  OpCase c = scan(std::move(name), std::move(build), anything(), reals());
  c.differentiable.clear();
  return c;
}

/// Of one dimension, long enough for parts.
OpCase long_scan(std::string name, Build build, const std::vector<DType>& dtypes) {
  OpCase c = scan(std::move(name), std::move(build), real(-4, 4), dtypes);
  c.shapes = {{{70'001}}, {{2, 65'536}}};
  c.differentiable.clear();
  c.tolerance = {.ulp = 1, .scale = 300'000};
  return c;
}

OpCase recurrence(std::string name, std::vector<Shapes> shapes, CumulativeOptions options, int axis) {
  return {.name = std::move(name),
          .build = [=](Graph&, const Tensors& x) { return Tensors{linear_recurrence(x[0], x[1], axis, options)}; },
          .inputs = {{real(-4, 4)}, {real(-0.9, 0.9)}},
          .shapes = std::move(shapes),
          .dtypes = numbers(),
          .tolerance = {.ulp = 2, .scale = 4 * 16},
          .differentiable = {0, 1}};
}

}  // namespace

std::vector<OpCase> cumulative_cases() {
  const Tolerance sums{.ulp = 1, .scale = 37 * 8}, products{.ulp = 37};
  const CumulativeOptions exclusive{.exclusive = true}, reverse{.reverse = true}, both{.exclusive = true, .reverse = true};
  return {
      scan(
          "cumulative_sum", [](Tensor x) { return cumulative_sum(x, 0); }, anything(), numbers(), sums),
      scan(
          "cumulative_sum_inner", [](Tensor x) { return cumulative_sum(x, -1); }, anything(), numbers(), sums),
      scan(
          "cumulative_sum_inner_exclusive_reverse", [=](Tensor x) { return cumulative_sum(x, -1, both); }, anything(), numbers(), sums),
      scan(
          "cumulative_sum_outer_exclusive", [=](Tensor x) { return cumulative_sum(x, -2, exclusive); }, real(-4, 4), numbers(), sums),
      scan(
          "cumulative_product", [](Tensor x) { return cumulative_product(x, 0); }, real(0.5, 1.5), numbers(), products),
      scan(
          "cumulative_product_with_zeros", [=](Tensor x) { return cumulative_product(x, -1, reverse); }, whole(-1, 2), numbers(), products),
      scan(
          "cumulative_product_exclusive", [=](Tensor x) { return cumulative_product(x, -1, exclusive); }, whole(-1, 2), numbers(), products),
      scan(
          "cumulative_product_exclusive_reverse", [=](Tensor x) { return cumulative_product(x, 0, both); }, real(0.5, 1.5), numbers(), products),
      scan(
          "cumulative_maximum", [](Tensor x) { return cumulative_maximum(x, 0); }, anything(), reals()),
      scan(
          "cumulative_maximum_inner", [](Tensor x) { return cumulative_maximum(x, -1); }, anything(), reals()),
      exclusive_extreme("cumulative_maximum_inner_exclusive_reverse", [=](Tensor x) { return cumulative_maximum(x, -1, both); }),
      scan(
          "cumulative_minimum", [=](Tensor x) { return cumulative_minimum(x, 0, reverse); }, anything(), reals()),
      scan(
          "cumulative_minimum_inner_reverse", [=](Tensor x) { return cumulative_minimum(x, -1, reverse); }, anything(), reals()),
      exclusive_extreme("cumulative_minimum_exclusive", [=](Tensor x) { return cumulative_minimum(x, -2, exclusive); }),
      long_scan(
          "cumulative_sum_long", [](Tensor x) { return cumulative_sum(x, -1); }, numbers()),
      long_scan(
          "cumulative_sum_long_exclusive_reverse", [=](Tensor x) { return cumulative_sum(x, -1, both); }, numbers()),
      long_scan(
          "cumulative_maximum_long_exclusive", [=](Tensor x) { return cumulative_maximum(x, -1, exclusive); }, reals()),
      long_scan(
          "cumulative_minimum_long_reverse", [=](Tensor x) { return cumulative_minimum(x, -1, reverse); }, reals()),
      recurrence("linear_recurrence", {{{7, 13}, {7, 13}}, {{31}, {}}, {{3, 0}, {0}}, {{0, 3}, {0, 3}}, {{5, 4}, {5, 1}}}, {}, 0),
      recurrence("linear_recurrence_inner_reverse", {{{7, 13}, {7, 13}}, {{4, 31}, {31}}}, reverse, -1),
      recurrence("linear_recurrence_exclusive", {{{7, 13}, {7, 13}}, {{4, 31}, {}}}, exclusive, -1),
      recurrence("linear_recurrence_exclusive_reverse", {{{13, 7}, {13, 7}}, {{31}, {31}}}, both, 0),
  };
}

}  // namespace weft
