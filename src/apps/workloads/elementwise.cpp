// Chains of elementwise operations, which memory bounds.
#include "apps/workloads/workload.h"

#include <weft/elementwise.h>

#include <cmath>

namespace weft::apps {
namespace {

/// The function written out, as a user would who has no library function for it.
Tensor gelu_chain(Tensor x) { return x * (0.5f * (erf(x * std::sqrt(0.5f)) + 1.0f)); }

void build_gelu(Setup& s, std::int64_t n) { s.targets = {gelu_chain(s.feed({n}))}; }

void build_gelu_and_gradient(Setup& s, std::int64_t n) {
  const Tensor x = s.feed({n}), dy = s.feed({n}), y = gelu_chain(x);
  s.targets = {y, s.graph.gradients(y * dy, {x})[0]};
}

}  // namespace

std::vector<Workload> elementwise_workloads() {
  constexpr std::int64_t sizes[] = {1 << 16, 1 << 20, 1 << 24, 1 << 28};
  std::vector<Workload> rows;
  auto add = [&](const std::string& name, std::int64_t n, auto build, bool stitch = true) {
    rows.push_back(
        {.name = name + "_f32_" + std::to_string(n), .build = [=](Setup& s) { build(s, n); }, .stitch = stitch, .is_large = n == sizes[3]});
  };
  for (auto n : sizes) add("copy", n, [](Setup& s, std::int64_t count) { s.targets = {s.feed({count})}; });
  for (auto n : sizes) add("gelu", n, build_gelu);
  for (auto n : {sizes[2], sizes[3]}) {
    add("gelu_fwdbwd", n, build_gelu_and_gradient);
    add("gelu_unstitched", n, build_gelu, false);
    add("gelu_fwdbwd_unstitched", n, build_gelu_and_gradient, false);
  }
  return rows;
}

}  // namespace weft::apps
