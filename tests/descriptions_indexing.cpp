// Elements chosen by indices.
#include "descriptions.h"

#include <weft/elementwise.h>
#include <weft/indexing.h>

namespace weft {
namespace {

using Build = std::function<Tensor(const Tensors&)>;

/// Data and indices of i32.
OpCase gathering(std::string name, Domain indices, std::vector<Shapes> shapes, Build build) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x)}; },
          .inputs = {{anything()}, {indices, i32}},
          .shapes = std::move(shapes),
          .dtypes = all_types(),
          .differentiable = {0}};
}

/// Data, indices of i64 and updates. Several updates meet in one element.
OpCase scattering(std::string name, Domain indices, std::vector<Shapes> shapes, const std::vector<DType>& dtypes, Tolerance tolerance, Build build) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x)}; },
          .inputs = {{real(0.5, 2)}, {indices, i64}, {real(0.5, 2)}},
          .shapes = std::move(shapes),
          .dtypes = dtypes,
          .tolerance = tolerance,
          .differentiable = {0, 2}};
}

OpCase scattering(ScatterMode mode, std::string name, const std::vector<DType>& dtypes, Tolerance tolerance) {
  return scattering(std::move(name), whole(0, 6), {{{7, 3}, {13}, {13, 3}}, {{7}, {}, {}}, {{7, 3}, {0}, {0, 3}}, {{7, 0}, {5}, {5, 0}}}, dtypes,
                    tolerance, [mode](const Tensors& x) { return scatter(x[0], x[1], x[2], 0, {.mode = mode}); });
}

}  // namespace

std::vector<OpCase> indexing_cases() {
  const GatherOptions ignore{.out_of_bounds = OutOfBounds::ignore}, batched{.batch_dims = 1};
  // Up to 13 updates of at most 2 meet in an element, each step rounds.
  const Tolerance sums{.ulp = 1, .scale = 2 * 14}, products{.ulp = 14 * 2};
  std::vector<OpCase> cases{
      gathering("gather", whole(0, 6),
                {{{7, 13}, {5}}, {{7}, {}}, {{7, 2}, {0, 3}}, {{7, 0}, {4}}, {{7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {5}}},
                [](const Tensors& x) { return gather(x[0], x[1]); }),
      gathering("gather_inner", whole(0, 12), {{{7, 13}, {3, 2}}, {{13}, {31}}}, [](const Tensors& x) { return gather(x[0], x[1], -1); }),
      gathering("gather_batched", whole(0, 2), {{{4, 3, 5}, {4, 7}}, {{0, 3}, {0, 2}}},
                [=](const Tensors& x) { return gather(x[0], x[1], 1, batched); }),
      gathering("gather_within_bounds", whole(-3, 9), {{{7, 2}, {31}}}, [=](const Tensors& x) { return gather(x[0], x[1], 0, ignore); }),
      gathering("gather_nd", whole(0, 3), {{{4, 5, 3}, {7, 2}}, {{4, 4}, {2}}, {{4, 4, 2}, {0, 2}}},
                [](const Tensors& x) { return gather_nd(x[0], x[1]); }),
      gathering("gather_nd_batched", whole(0, 2), {{{2, 3, 4, 5}, {2, 7, 2}}}, [=](const Tensors& x) { return gather_nd(x[0], x[1], batched); }),
      gathering("gather_along_axis", whole(-1, 7), {{{7, 3}, {5, 3}}, {{7}, {31}}, {{7, 0}, {2, 0}}},
                [](const Tensors& x) { return gather_along_axis(x[0], x[1], 0); }),
      scattering(ScatterMode::add, "scatter_add", numbers(), sums),
      scattering(ScatterMode::sub, "scatter_sub", numbers(), sums),
      scattering(ScatterMode::mul, "scatter_mul", numbers(), products),
      scattering(ScatterMode::div, "scatter_div", numbers(), products),
      scattering(ScatterMode::min, "scatter_min", reals(), {}),
      scattering(ScatterMode::max, "scatter_max", reals(), {}),
      scattering(ScatterMode::set, "scatter_set", all_types(), {}),
      scattering("scatter_inner", whole(-2, 9), {{{3, 7}, {13}, {3, 13}}}, numbers(), sums,
                 [](const Tensors& x) { return scatter(x[0], x[1], x[2], 1, {.out_of_bounds = OutOfBounds::ignore}); }),
      scattering("scatter_nd", whole(0, 3), {{{4, 5, 3}, {7, 2}, {7, 3}}, {{4, 4}, {31, 2}, {31}}}, numbers(), sums,
                 [](const Tensors& x) { return scatter_nd(x[0], x[1], x[2]); }),
      scattering("scatter_along_axis", whole(-1, 5), {{{5, 3}, {7, 3}, {7, 3}}}, numbers(), sums,
                 [](const Tensors& x) { return scatter_along_axis(x[0], x[1], x[2], 0); }),
      scattering("scatter_onto_zeros", whole(0, 6), {{{1}, {13}, {13, 3}}}, numbers(), sums,
                 [](const Tensors& x) {
                   return scatter(Shape{7, 3}, x[1], x[2] + x[0]);
                 }),
  };
  OpCase hot{.name = "one_hot",
             .build =
                 [](Graph&, const Tensors& x) {
                   return Tensors{one_hot(x[0], 7), one_hot(x[0], 3, {.axis = -2, .dtype = u8, .on = 5, .off = 1})};
                 },
             .inputs = {{whole(-1, 8)}},
             .shapes = {{{7, 13}}, {{0}}, {{31}}, {{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3}}},
             .dtypes = integers()};
  cases.push_back(hot);
  return cases;
}

}  // namespace weft
