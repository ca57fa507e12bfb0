// Sorting. Whole numbers, so that many elements tie, except where differences need neighbours apart.
#include "descriptions.h"

#include <weft/sort.h>

namespace weft {
namespace {

using Build = std::function<Tensors(const Tensors&)>;

OpCase sorting(std::string name, Domain domain, std::vector<Shapes> shapes, Build build) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return build(x); },
          .inputs = {{domain}},
          .shapes = std::move(shapes),
          .dtypes = ordered(),
          .special_values = true};
}

OpCase differentiable_sorting(std::string name, std::vector<Shapes> shapes, Build build) {
  OpCase c = sorting(std::move(name), anything(), std::move(shapes), std::move(build));
  c.differentiable = {0};
  return c;
}

}  // namespace

std::vector<OpCase> sort_cases() {
  const std::vector<Shapes> matrices{
      {{5, 31}}, {{37, 2}}, {{3, 0}}, {{0, 3}}, {{1, 1}}, {{3, 200}}, {{2, 5, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}}};
  const std::vector<Shapes> at_least_2{{{5, 31}}, {{0, 3}}, {{3, 200}}, {{300, 3}}, {{3}}, {{2, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}}};
  const auto both = [](TopK t) { return Tensors{t.values, t.indices}; };
  std::vector<OpCase> cases{
      differentiable_sorting("sort", matrices, [](const Tensors& x) { return Tensors{sort(x[0], -1)}; }),
      differentiable_sorting("sort_outer_descending", matrices, [](const Tensors& x) { return Tensors{sort(x[0], 0, {.descending = true})}; }),
      sorting("sort_of_ties", whole(-3, 3), matrices,
              [](const Tensors& x) {
                return Tensors{sort(x[0], -1), sort(x[0], -1, {.descending = true})};
              }),
      sorting("argsort", whole(-3, 3), matrices, [](const Tensors& x) { return Tensors{argsort(x[0], -1)}; }),
      sorting("argsort_outer_descending", whole(-3, 3), matrices,
              [](const Tensors& x) { return Tensors{argsort(x[0], 0, {.descending = true, .dtype = i64})}; }),
      differentiable_sorting("top_k", at_least_2, [](const Tensors& x) { return Tensors{top_k(x[0], 2).values}; }),
      differentiable_sorting("bottom_k", at_least_2, [](const Tensors& x) { return Tensors{bottom_k(x[0], 2).values}; }),
      sorting("top_k_of_ties", whole(-3, 3), at_least_2, [=](const Tensors& x) { return both(top_k(x[0], 2)); }),
      sorting("bottom_k_of_ties", whole(-3, 3), at_least_2, [=](const Tensors& x) { return both(bottom_k(x[0], 2, -1, {.dtype = i64})); }),
      sorting("top_k_outer", whole(-3, 3), {{{31, 5}}, {{200, 3}}, {{2, 0}}}, [=](const Tensors& x) { return both(top_k(x[0], 2, 0)); }),
      sorting("top_k_of_most", whole(-3, 3), {{{5, 31}}, {{25}}}, [=](const Tensors& x) { return both(top_k(x[0], 25)); }),
      sorting("bottom_k_of_none", whole(-3, 3), {{{5, 31}}, {{0}}}, [=](const Tensors& x) { return both(bottom_k(x[0], 0)); }),
  };
  // The special values are fewer.
  for (auto& c : cases)
    if (c.name == "top_k_of_most" || c.name == "top_k_outer") c.special_values = false;
  OpCase together = differentiable_sorting("sort_together", {{{5, 31}, {5, 31}, {5, 31}}, {{37}, {37}, {37}}, {{200, 2}, {200, 2}, {200, 2}}},
                                           [](const Tensors& x) { return sort_together(x[0], {x[1]}, 0); });
  together.inputs = {{anything()}, {anything()}};
  together.special_values = false;
  for (auto& shapes : together.shapes) shapes.pop_back();
  together.differentiable = {0, 1};
  cases.push_back(std::move(together));
  return cases;
}

}  // namespace weft
