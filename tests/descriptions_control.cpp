// Loops and branches. What they compute is of operations described elsewhere; here it is some steps of sums and products.
#include "descriptions.h"

#include <weft/control.h>
#include <weft/elementwise.h>
#include <weft/movement.h>
#include <weft/reduction.h>

namespace weft {

std::vector<OpCase> control_cases() {
  const Input near{real(-1, 1)}, positive{real(0.25, 1)};
  const std::vector<Shapes> alike{{{3, 4}, {3, 4}}, {{0, 4}, {0, 4}}, {{}, {}}, {{2, 1, 5}, {2, 1, 5}}};
  const std::vector<Shapes> sequences{{{4, 3}, {4, 3}, {3}}, {{1, 8}, {1, 8}, {8}}, {{0, 3}, {0, 3}, {3}}, {{5}, {5}, {}}};
  const Tolerance steps{.ulp = 64, .scale = 16};
  return {
      {.name = "cond",
       .build =
           [](Graph&, const Tensors& x) {
             return cond(
                 sum(x[1]) > 1.5,
                 [&] {
                   return Tensors{x[0] * x[1], x[1] + 1};
                 },
                 [&] {
                   return Tensors{x[0] - x[1] * x[1], x[0] + x[1]};
                 });
           },
       .inputs = {near, positive},
       .shapes = alike,
       .dtypes = floats(),
       .tolerance = steps,
       .differentiable = {0, 1},
       .unknown_rank = false},
      {.name = "call",
       .build =
           [](Graph&, const Tensors& x) {
             Graph other;
             const Tensor a = other.placeholder(Shape::unranked(), x[0].dtype()), b = other.placeholder(Shape::unranked(), x[1].dtype());
             const Tensor y = a * b;
             return call(other, {{a, x[0]}, {b, x[1]}}, {y + a, y - b});
           },
       .inputs = {near, positive},
       .shapes = alike,
       .dtypes = numbers(),
       .tolerance = steps,
       .differentiable = {0, 1}},
      {.name = "while_loop",
       .build =
           [](Graph& g, const Tensors& x) {
             const Tensors initial{g.constant(0, {}, i32), x[0]};
             const auto r = while_loop(
                 initial, [](auto s) { return s[0] < 3; },
                 [&](auto s) {
                   return Tensors{s[0] + 1, s[1] * x[1] + 1};
                 });
             return Tensors{r[1], r[0]};
           },
       .inputs = {{whole(0, 4)}, {whole(0, 2)}},
       .shapes = alike,
       .dtypes = numbers_and_bool(),
       .tolerance = steps,
       .unknown_rank = false},
      {.name = "for_loop",
       .build =
           [](Graph&, const Tensors& x) {
             const LoopValues r = for_loop(3, Tensors{x[0]}, [&](const Iteration& i) {
               const Tensor next = tanh(i.states[0] * x[1]) + cast(i.index, x[0].dtype()) * x[1];
               return LoopValues{{next}, {next * x[1], i.states[0]}};
             });
             return Tensors{r.states[0], r.outputs[0], r.outputs[1]};
           },
       .inputs = {near, positive},
       .shapes = alike,
       .dtypes = floats(),
       .tolerance = steps,
       .differentiable = {0, 1},
       .unknown_rank = false},
      {.name = "scan",
       .build =
           [](Graph&, const Tensors& x) {
             const LoopValues r = scan(Tensors{x[0], x[1]}, Tensors{x[2]}, [&](const Iteration& i) {
               const Tensor next = i.states[0] * i.elements[0] + i.elements[1] * x[2];
               return LoopValues{{next}, {next * i.elements[1]}};
             });
             return Tensors{r.states[0], r.outputs[0]};
           },
       .inputs = {near, near, positive},
       .shapes = sequences,
       .dtypes = numbers_and_bool(),
       .tolerance = steps,
       .differentiable = {0, 1, 2},
       .unknown_rank = false},
      {.name = "scan_reversed",
       .build =
           [](Graph&, const Tensors& x) {
             const LoopValues r = scan(Tensors{x[0], x[1]}, Tensors{x[2]},
                                       [&](const Iteration& i) {
                                         const LoopValues inner = for_loop(2, Tensors{i.states[0]}, [&](const Iteration& j) {
                                           return LoopValues{{j.states[0] * i.elements[0] + x[2] * cast(j.index, x[2].dtype())}};
                                         });
                                         return LoopValues{{inner.states[0] + i.elements[1]}, {inner.states[0]}};
                                       },
                                       {.reverse = true});
             return Tensors{r.states[0], r.outputs[0]};
           },
       .inputs = {near, near, positive},
       .shapes = sequences,
       .dtypes = numbers_and_bool(),
       .tolerance = steps,
       .differentiable = {0, 1, 2},
       .unknown_rank = false},
  };
}

}  // namespace weft
