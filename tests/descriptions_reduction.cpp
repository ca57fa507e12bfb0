// Reductions. A sum of n terms below m is exact to n * m epsilon whatever the order of its terms.
#include "descriptions.h"

#include <weft/elementwise.h>
#include <weft/reduction.h>

namespace weft {
namespace {

using Build = std::function<Tensor(Tensor)>;

std::vector<Shapes> matrices() { return {{{7, 13}}, {{31, 2}}, {{3, 0}}, {{0, 3}}, {{1, 1}}, {{5, 2, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}}}; }

OpCase reduction(std::string name, Build build, Domain domain, const std::vector<DType>& dtypes, Tolerance tolerance = {}) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x[0])}; },
          .inputs = {{domain}},
          .shapes = matrices(),
          .dtypes = dtypes,
          .tolerance = tolerance,
          .differentiable = dtypes[0] == f32 ? std::vector<std::size_t>{0} : std::vector<std::size_t>{}};
}

/// Over everything, so that any shape does.
OpCase whole_reduction(std::string name, Build build, Domain domain, const std::vector<DType>& dtypes, Tolerance tolerance = {}) {
  OpCase c = reduction(std::move(name), std::move(build), domain, dtypes, tolerance);
  c.shapes = any_shapes();
  return c;
}

OpCase argument(std::string name, Build build, std::vector<Shapes> shapes) {
  // Whole numbers, so that some tie.
  OpCase c = reduction(std::move(name), std::move(build), whole(-3, 3), ordered());
  c.shapes = std::move(shapes);
  c.differentiable.clear();
  return c;
}

}  // namespace

std::vector<OpCase> reduction_cases() {
  const Tolerance sums{.ulp = 1, .scale = 91 * 4}, means{.ulp = 4, .scale = 4 * 4};
  // Each factor rounds once.
  const Tolerance products{.ulp = 91};
  const std::vector<Shapes> filled{{{7, 13}}, {{31, 2}}, {{3, 5, 2}}, {{4, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}}};
  return {
      reduction("sum", [](Tensor x) { return sum(x, 0); }, anything(), numbers(), {.ulp = 1, .scale = 31 * 8}),
      reduction(
          "sum_inner", [](Tensor x) { return sum(x, -1, {.keep = true}); }, real(-4, 4), numbers(), sums),
      reduction(
          "sum_both_ends",
          [](Tensor x) {
            return sum(x, {-1, 0});
          },
          real(-4, 4), numbers(), sums),
      whole_reduction(
          "sum_all", [](Tensor x) { return sum(x); }, real(-4, 4), numbers(), sums),
      reduction(
          "sum_of_no_axes", [](Tensor x) { return sum(x, std::vector<int>{}); }, anything(), numbers()),
      reduction(
          "prod", [](Tensor x) { return prod(x, 1); }, real(0.5, 1.5), numbers(), products),
      reduction(
          "prod_with_zeros", [](Tensor x) { return prod(x, 0); }, whole(-1, 2), numbers(), products),
      whole_reduction(
          "prod_all", [](Tensor x) { return prod(x, {}, {.keep = true}); }, real(0.8, 1.2), numbers(), products),
      reduction(
          "max", [](Tensor x) { return max(x, 1); }, anything(), reals()),
      reduction(
          "max_outer", [](Tensor x) { return max(x, 0, {.keep = true}); }, anything(), reals()),
      whole_reduction(
          "max_all", [](Tensor x) { return max(x); }, anything(), reals()),
      reduction(
          "min", [](Tensor x) { return min(x, 1); }, anything(), reals()),
      reduction(
          "min_outer", [](Tensor x) { return min(x, -2); }, anything(), reals()),
      reduction(
          "nanmax", [](Tensor x) { return nanmax(x, 1); }, anything(), reals()),
      reduction(
          "nanmin", [](Tensor x) { return nanmin(x, 0); }, anything(), reals()),
      reduction("all", [](Tensor x) { return all(x, 1); }, anything(), {boolean}),
      reduction("any", [](Tensor x) { return any(x, 0, {.keep = true}); }, anything(), {boolean}),
      whole_reduction("all_of_all", [](Tensor x) { return all(x); }, anything(), {boolean}),
      reduction(
          "mean", [](Tensor x) { return mean(x, 1); }, real(-4, 4), numbers(), means),
      whole_reduction(
          "mean_all", [](Tensor x) { return mean(x); }, real(-4, 4), numbers(), means),
      // Squares of differences below 8, their mean below 64.
      reduction("variance", [](Tensor x) { return variance(x, 0); }, real(-4, 4), floats(), {.ulp = 4, .scale = 4 * 64}),
      whole_reduction("variance_all", [](Tensor x) { return variance(x, {}, {.keep = true}); }, real(-4, 4), floats(), {.ulp = 4, .scale = 4 * 64}),
      argument(
          "argmax", [](Tensor x) { return argmax(x, 1); }, filled),
      argument(
          "argmin", [](Tensor x) { return argmin(x, 0, {.keep = true, .dtype = i64}); }, filled),
      argument("argmax_all", [](Tensor x) { return argmax(x); }, {{{7, 13}}, {{}}, {{31}}}),
      argument("argmin_all", [](Tensor x) { return argmin(x); }, {{{7, 13}}, {{}}, {{31}}}),
  };
}

}  // namespace weft
