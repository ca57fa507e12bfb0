// Updates of variables by given gradients.
#include "apps/workloads/workload.h"

#include <weft/optimizer.h>

namespace weft::apps {
namespace {

/// Ten million parameters in ten tensors.
void build_adam(Setup& s) {
  std::vector<Tensor> gradients;
  for (int i = 0; i < 10; ++i) {
    s.graph.variable(init::normal({1000, 1000}, 0, 1));
    gradients.push_back(s.feed({1000, 1000}));
  }
  s.operations = adam(s.graph.variables(), gradients, 1e-3);
}

}  // namespace

std::vector<Workload> optimizer_workloads() { return {{.name = "adam_10m_f32", .build = build_adam, .iterations = 20}}; }

}  // namespace weft::apps
