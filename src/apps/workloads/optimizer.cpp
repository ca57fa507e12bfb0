// Updates of variables by given gradients.
#include "apps/workloads/workload.h"

#include <weft/optimizer.h>

namespace weft::apps {
namespace {

/// Parameters in tensors of a million.
void build_adam(Setup& s, int tensors) {
  std::vector<Tensor> gradients;
  for (int i = 0; i < tensors; ++i) {
    s.graph.variable(init::normal({1000, 1000}, 0, 1));
    gradients.push_back(s.feed({1000, 1000}));
  }
  s.operations = adam(s.graph.variables(), gradients, 1e-3);
}

}  // namespace

std::vector<Workload> optimizer_workloads() {
  return {{.name = "adam_10m_f32", .build = [](Setup& s) { build_adam(s, 10); }, .iterations = 20},
          {.name = "adam_100m_f32", .build = [](Setup& s) { build_adam(s, 100); }, .iterations = 20, .is_large = true}};
}

}  // namespace weft::apps
