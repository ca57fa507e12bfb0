// Operations that move elements about: exact, for every type.
#include "descriptions.h"

#include <weft/elementwise.h>
#include <weft/movement.h>

namespace weft {
namespace {

using Build = std::function<Tensors(const Tensors&)>;

OpCase movement(std::string name, std::vector<Shapes> shapes, Build build) {
  const auto count = shapes[0].size();
  std::vector<std::size_t> differentiable;
  for (std::size_t i = 0; i < count; ++i) differentiable.push_back(i);
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return build(x); },
          .inputs = std::vector<Input>(count, Input{anything()}),
          .shapes = std::move(shapes),
          .dtypes = all_types(),
          .differentiable = differentiable};
}

/// Which needs to know the rank while building.
OpCase ranked(OpCase c) {
  c.unknown_rank = false;
  return c;
}

OpCase padded(std::string name, PadMode mode) {
  OpCase c = movement(std::move(name), {{{4, 7}}, {{3, 31}}}, [mode](const Tensors& x) {
    return Tensors{pad(x[0], {2, 0}, {1, 3}, {.mode = mode})};
  });
  // The elements of an antiperiodic continuation are negated.
  if (mode == PadMode::antiperiodic) c.dtypes = numbers();
  return c;
}

/// Only the shape of the operand matters.
OpCase counted(std::string name, std::vector<Shapes> shapes, Build build) {
  OpCase c = movement(std::move(name), std::move(shapes), std::move(build));
  c.differentiable.clear();
  return c;
}

const Shape rank16{1, 2, 1, 1, 2, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 2};

}  // namespace

std::vector<OpCase> movement_cases() {
  std::vector<OpCase> cases{
      movement("reshape", {{{7, 6}}, {{0, 6}}, {rank16}, {{42}}},
               [](const Tensors& x) {
                 return Tensors{reshape(x[0], {3, dynamic, 2})};
               }),
      movement("reshape_to_scalar", {{{1, 1}}, {{}}}, [](const Tensors& x) { return Tensors{reshape(x[0], Shape{})}; }),
      movement("transpose", {{{7, 2, 13}}, {{0, 2, 3}}, {{1, 31, 1}}},
               [](const Tensors& x) {
                 return Tensors{transpose(x[0], {2, 0, 1})};
               }),
      movement("transpose_two", {{{7, 2, 13}}, {{7, 13}}, {{3, 0}}, {rank16}}, [](const Tensors& x) { return Tensors{transpose(x[0], 0, -1)}; }),
      movement("broadcast_to", {{{7, 1}}, {{13}}, {{}}, {{1, 7, 13}}},
               [](const Tensors& x) {
                 return Tensors{broadcast_to(x[0], {2, 7, 13})};
               }),
      movement("broadcast_to_nothing", {{{1, 3}}, {{0, 1}}},
               [](const Tensors& x) {
                 return Tensors{broadcast_to(x[0], {0, 3})};
               }),
      movement("expand_dims", {{{7, 13}}, {{0}}, {{}}},
               [](const Tensors& x) {
                 return Tensors{expand_dims(x[0], {0, -1})};
               }),
      movement("squeeze", {{{1, 7, 1, 13}}, {{1, 1}}, {{1, 0, 1}}, {rank16}}, [](const Tensors& x) { return Tensors{squeeze(x[0])}; }),
      movement("squeeze_some", {{{1, 7, 13, 1}}, {{1, 1}}},
               [](const Tensors& x) {
                 return Tensors{squeeze(x[0], {0, -1})};
               }),
      movement("flatten", {{{7, 2, 13}}, {{3, 0, 5}}, {rank16}, {{5}}}, [](const Tensors& x) { return Tensors{flatten(x[0])}; }),
      movement("merge_dims", {{{2, 7, 3}}, {{2, 0, 5}}, {rank16}}, [](const Tensors& x) { return Tensors{merge_dims(x[0], 0, 2)}; }),
      movement("slice", {{{7, 13}}, {{31, 1}}, {{4, 0}}}, [](const Tensors& x) { return Tensors{slice(x[0], 0, 1, 3)}; }),
      movement("slice_of_nothing", {{{7, 13}}, {{4}}}, [](const Tensors& x) { return Tensors{slice(x[0], 0, 2, 0)}; }),
      movement("slice_strided", {{{13, 31}}, {{5, 7, 2}}},
               [](const Tensors& x) {
                 return Tensors{slice(x[0], {.begin = {1, -1}, .end = {-1, 0}, .stride = {3, -2}})};
               }),
      movement("slice_clamped", {{{7, 13}}, {{0, 2}}, {{1, 1}}},
               [](const Tensors& x) {
                 return Tensors{slice(x[0], {.begin = {-9, 5}, .end = {100, 1}, .stride = {2, -1}, .begin_mask = 2})};
               }),
      movement("slice_element", {{{7, 13}}, {{3, 2, 5}}},
               [](const Tensors& x) {
                 return Tensors{slice(x[0], {.begin = {-1, 0}, .end = {0, 2}, .squeeze_mask = 1})};
               }),
      movement("reverse", {{{7, 13}}, {{0, 2}}, {rank16}},
               [](const Tensors& x) {
                 return Tensors{reverse(x[0], {0, -1})};
               }),
      ranked(movement("reverse_all", any_shapes(), [](const Tensors& x) { return Tensors{reverse(x[0])}; })),
      movement("split", {{{7, 13}}, {{1, 2}}, {{0, 3}}}, [](const Tensors& x) { return split(x[0], 3); }),
      movement("split_sizes", {{{3, 7}}, {{7}}},
               [](const Tensors& x) {
                 return split(x[0], {3, 0, 4}, -1);
               }),
      movement("pad", {{{7, 13}}, {{0, 1}}, {{1, 0}}},
               [](const Tensors& x) {
                 return Tensors{pad(x[0], {2, 0}, {1, 3})};
               }),
      movement("pad_interior", {{{7, 13}}, {{0, 1}}, {{1, 2}}},
               [](const Tensors& x) {
                 return Tensors{pad(x[0], {0, 1}, {1, 0}, {.value = 1, .interior = {2, 1}})};
               }),
      movement("pad_with_value", {{{3, 7}, {}}, {{0, 2}, {}}},
               [](const Tensors& x) {
                 return Tensors{pad(x[0], {1, 0}, {0, 2}, {.value = x[1]})};
               }),
      padded("pad_reflect", PadMode::reflect),
      padded("pad_symmetric", PadMode::symmetric),
      padded("pad_edge", PadMode::edge),
      padded("pad_periodic", PadMode::periodic),
      padded("pad_antiperiodic", PadMode::antiperiodic),
      movement("concat", {{{2, 7}, {3, 7}, {1, 7}}, {{0, 3}, {2, 3}, {0, 3}}, {{0}, {0}, {0}}},
               [](const Tensors& x) {
                 return Tensors{concat({x[0], x[1], x[2]}, 0)};
               }),
      movement("concat_inner", {{{7, 2}, {7, 13}}, {{0, 2}, {0, 1}}},
               [](const Tensors& x) {
                 return Tensors{concat({x[0], x[1]}, -1)};
               }),
      movement("concat_interleaved", {{{7, 5}, {7, 5}}, {{0, 1}, {0, 1}}},
               [](const Tensors& x) {
                 return Tensors{concat({x[0], x[1]}, 1, {.interleave = true})};
               }),
      movement("stack", {{{7, 5}, {7, 5}}, {{}, {}}, {{0}, {0}}},
               [](const Tensors& x) {
                 return Tensors{stack({x[0], x[1]}, -1)};
               }),
      movement("tile", {{{7, 5}}, {{0, 5}}, {{1, 1}}},
               [](const Tensors& x) {
                 return Tensors{tile(x[0], {2, 3})};
               }),
      movement("tile_by_zero", {{{7, 5}}},
               [](const Tensors& x) {
                 return Tensors{tile(x[0], {0, 3})};
               }),
      counted("shape_of", any_shapes(), [](const Tensors& x) { return Tensors{shape_of(x[0])}; }),
      counted("size_of", any_shapes(),
              [](const Tensors& x) {
                return Tensors{size_of(x[0], i64), size_of(x[0], f32)};
              }),
  };
  cases.push_back({.name = "iota",
                   .build =
                       [](Graph& g, const Tensors& x) {
                         return Tensors{x[0] + iota(g, {7, 13}, 1, x[0].dtype()), x[0] + iota(g, {7, 1}, -2, x[0].dtype())};
                       },
                   .inputs = {{whole(0, 3)}},
                   .shapes = {{{7, 13}}, {{}}},
                   .dtypes = reals(),
                   .differentiable = {0}});
  return cases;
}

}  // namespace weft
