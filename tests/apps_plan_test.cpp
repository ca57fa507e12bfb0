// The memory plans of the training steps that `weft bench` times.
#include <gtest/gtest.h>

#include "apps/workloads/workload.h"
#include "compile/backend.h"

namespace weft::apps::apps_plan_test {
namespace {

TEST(Workloads, TrainInArenasNearTheLiveMaximum) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  int steps = 0;
  for (const auto& family : {digits_workloads(), gan_workloads(), lstm_workloads()})
    for (const auto& workload : family) {
      if (!workload.build || !workload.name.starts_with("train_")) continue;
      apps::Setup setup;
      workload.build(setup);
      const CompileStatistics s = setup.compile({.backend = Backend::cpu}).statistics();
      EXPECT_LE(static_cast<double>(s.arena_bytes), 1.05 * static_cast<double>(s.live_maximum)) << workload.name;
      ++steps;
    }
  EXPECT_GE(steps, 6);
}

}  // namespace
}  // namespace weft::apps::apps_plan_test
