// Operations whose elements depend on their whole row or column: softmax, layer norm, sums; and transposes.
#include "apps/workloads/workload.h"

#include <weft/activation.h>
#include <weft/cumulative.h>
#include <weft/movement.h>
#include <weft/normalization.h>
#include <weft/reduction.h>

namespace weft::apps {
namespace {

struct Sizes {
  std::int64_t height, width;
  std::string str() const { return std::to_string(height) + "x" + std::to_string(width); }
};

void build_softmax(Setup& s, Sizes n) { s.targets = {softmax(s.feed({n.height, n.width}) * 0.125f)}; }

void build_layer_norm(Setup& s, Sizes n) {
  const Tensor x = s.feed({n.height, n.width}), gamma = s.feed({n.width}), beta = s.feed({n.width});
  s.targets = {layer_norm(x, -1, {gamma, beta})};
}

void build_layer_norm_gradients(Setup& s, Sizes n) {
  const Tensor x = s.feed({n.height, n.width}), gamma = s.feed({n.width}), beta = s.feed({n.width}), dy = s.feed({n.height, n.width});
  s.targets = s.graph.gradients(layer_norm(x, -1, {gamma, beta}) * dy, {x, gamma, beta});
}

template <int axis> void build_sum_of_squares(Setup& s, Sizes n) { s.targets = {sum(square(s.feed({n.height, n.width})), axis)}; }

template <int axis> void build_cumulative_sum(Setup& s, Sizes n) { s.targets = {cumulative_sum(s.feed({n.height, n.width}), axis)}; }

void build_transpose(Setup& s, Sizes n) { s.targets = {transpose(s.feed({n.height, n.width}), 0, 1)}; }

}  // namespace

std::vector<Workload> row_workloads() {
  std::vector<Workload> rows;
  for (const bool large : {false, true}) {
    const Sizes sizes = large ? Sizes{8192, 8192} : Sizes{2048, 2048}, sum_sizes = large ? Sizes{8192, 16384} : Sizes{4096, 4096};
    auto add = [&](const std::string& name, Sizes n, void (*build)(Setup&, Sizes)) {
      rows.push_back({.name = name + "_f32_" + n.str(), .build = [=](Setup& s) { build(s, n); }, .is_large = large});
    };
    add("softmax", sizes, build_softmax);
    add("layernorm", sizes, build_layer_norm);
    add("layernorm_fwdbwd", sizes, build_layer_norm_gradients);
    add("sumsq_rows", sum_sizes, build_sum_of_squares<1>);
    add("sumsq_cols", sum_sizes, build_sum_of_squares<0>);
    add("transpose", sizes, build_transpose);
    for (const Sizes n : {sizes, Sizes{1, sizes.height * sizes.width}, Sizes{sizes.height * sizes.width / 16, 16}}) {
      add("cumsum_rows", n, build_cumulative_sum<1>);
      if (n.height > 1) add("cumsum_cols", n, build_cumulative_sum<0>);
    }
  }
  return rows;
}

}  // namespace weft::apps
