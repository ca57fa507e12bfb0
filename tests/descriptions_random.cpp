// Random numbers, which every backend draws alike from the same seed or state.
#include "descriptions.h"

#include <weft/elementwise.h>
#include <weft/random.h>

namespace weft {
namespace {

using Like = std::function<Tensor(Tensor)>;

OpCase like(std::string name, Like build, const std::vector<DType>& dtypes, Tolerance tolerance) {
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x[0])}; },
          .inputs = {{real(-2, 2)}},
          .shapes = any_shapes(),
          .dtypes = dtypes,
          .tolerance = tolerance};
}

/// From a state, with the state to go on from.
OpCase drawn(std::string name, std::function<RandomResult(Tensor)> build, Tolerance tolerance) {
  return {.name = std::move(name),
          .build =
              [build](Graph&, const Tensors& x) {
                const RandomResult r = build(x[0]);
                return Tensors{r.values, r.state};
              },
          .inputs = {{anything(), u64}},
          .shapes = {{{3}}},
          .dtypes = {f32},
          .tolerance = tolerance};
}

}  // namespace

std::vector<OpCase> random_cases() {
  // Bits are exact; what follows is one multiplication and one addition, or a root and a logarithm of 4 ulp each times a
  // cosine, whose angle below 2 pi is off by a rounding and is stretched by at most 5.8 deviations.
  const Tolerance scaled{.ulp = 1, .scale = 2}, normal{.ulp = 12, .scale = 2 * 5.8 * 6.3}, inverse{.ulp = 16, .scale = 4};
  OpCase dropped = like("dropout", [](Tensor x) { return dropout(x, 0.3, {.seed = 5}); }, floats(), {.ulp = 4});
  dropped.differentiable = {0};
  // Indices: exact, unless two candidates lie within rounding of each other, which these numbers don't.
  OpCase chosen =
      like("categorical", [](Tensor x) { return categorical(x, {.temperature = 0.5, .top_k = 5, .top_p = 0.9, .seed = 8}); }, floats(), {});
  chosen.shapes = {{{7, 13}}, {{0, 13}}, {{3, 1, 6}}};
  chosen.unknown_rank = false;
  return {
      like(
          "random_uniform_like", [](Tensor x) { return random_uniform_like(x, {.low = -1, .high = 2, .seed = 1}); }, floats(), scaled),
      like(
          "random_normal_like", [](Tensor x) { return random_normal_like(x, {.mean = 1, .deviation = 2, .seed = 2}); }, floats(), normal),
      like(
          "random_truncated_normal_like", [](Tensor x) { return random_truncated_normal_like(x, {.seed = 3}); }, floats(), inverse),
      like("random_integers_like", [](Tensor x) { return random_integers_like(x, {.low = -9, .high = 100, .seed = 4}); }, all_types(), {}),
      like("random_bernoulli_like", [](Tensor x) { return random_bernoulli_like(x, 0.25f, {.seed = 6}); }, all_types(), {}),
      dropped,
      chosen,
      drawn(
          "random_uniform",
          [](Tensor s) {
            return random_uniform(s, {31, 7});
          },
          scaled),
      drawn("random_integers",
            [](Tensor s) {
              return random_integers(s, {31, 7}, {.low = 0, .high = 6, .dtype = u8});
            },
            {}),
      drawn(
          "random_normal",
          [](Tensor s) {
            return random_normal(s, {31, 7});
          },
          normal),
      drawn(
          "random_truncated_normal",
          [](Tensor s) {
            return random_truncated_normal(s, {0, 7});
          },
          inverse),
  };
}

}  // namespace weft
