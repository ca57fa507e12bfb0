// Operations whose elements depend on their whole row or column: softmax, layer norm, sums.
#include "apps/workloads/workload.h"

#include <weft/activation.h>
#include <weft/normalization.h>
#include <weft/reduction.h>

namespace weft::apps {
namespace {

constexpr std::int64_t height = 2048, width = 2048, sum_height = 4096, sum_width = 4096;

void build_softmax(Setup& s) { s.targets = {softmax(s.feed({height, width}) * 0.125f)}; }

void build_layer_norm(Setup& s) {
  const Tensor x = s.feed({height, width}), gamma = s.feed({width}), beta = s.feed({width});
  s.targets = {layer_norm(x, -1, {gamma, beta})};
}

void build_layer_norm_gradients(Setup& s) {
  const Tensor x = s.feed({height, width}), gamma = s.feed({width}), beta = s.feed({width}), dy = s.feed({height, width});
  s.targets = s.graph.gradients(layer_norm(x, -1, {gamma, beta}) * dy, {x, gamma, beta});
}

void build_sum_of_squares(Setup& s, int axis) { s.targets = {sum(square(s.feed({sum_height, sum_width})), axis)}; }

}  // namespace

std::vector<Workload> row_workloads() {
  return {{.name = "softmax_f32_2048x2048", .build = build_softmax},
          {.name = "layernorm_f32_2048x2048", .build = build_layer_norm},
          {.name = "layernorm_fwdbwd_f32_2048x2048", .build = build_layer_norm_gradients},
          {.name = "sumsq_rows_f32_4096x4096", .build = [](Setup& s) { build_sum_of_squares(s, 1); }},
          {.name = "sumsq_cols_f32_4096x4096", .build = [](Setup& s) { build_sum_of_squares(s, 0); }}};
}

}  // namespace weft::apps
