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
  constexpr std::int64_t sizes[] = {1 << 16, 1 << 20, 1 << 24}, largest = sizes[2];
  std::vector<Workload> rows;
  for (auto n : sizes) rows.push_back({.name = "copy_f32_" + std::to_string(n), .build = [n](Setup& s) { s.targets = {s.feed({n})}; }});
  for (auto n : sizes) rows.push_back({.name = "gelu_f32_" + std::to_string(n), .build = [n](Setup& s) { build_gelu(s, n); }});
  const std::string size = std::to_string(largest);
  rows.push_back({.name = "gelu_fwdbwd_f32_" + size, .build = [](Setup& s) { build_gelu_and_gradient(s, largest); }});
  rows.push_back({.name = "gelu_unstitched_f32_" + size, .build = [](Setup& s) { build_gelu(s, largest); }, .stitch = false});
  rows.push_back({.name = "gelu_fwdbwd_unstitched_f32_" + size, .build = [](Setup& s) { build_gelu_and_gradient(s, largest); }, .stitch = false});
  return rows;
}

}  // namespace weft::apps
