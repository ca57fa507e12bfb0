// Building and running graphs: sources, state, control dependencies, feeds.
#include <weft/elementwise.h>
#include <weft/graph.h>

#include <gtest/gtest.h>

#include <cmath>

namespace weft::graph_test {
namespace {

Tensor gelu_of_talk(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

TEST(Graph, ComputesGeluOnAnUnrankedPlaceholder) {
  Graph g;
  const Tensor x = g.placeholder(Shape::unranked(), f32, "x");
  const Tensor y = gelu_of_talk(x);
  const auto result = g.run({{x, NDArray::of<float>({2, 2}, {-1, 0, 1, 2})}}, {y});
  const float inputs[] = {-1, 0, 1, 2};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(result[y].elements<float>()[i], 0.5 * inputs[i] * (1 + std::erf(inputs[i] * std::sqrt(0.5))), 1e-6);
}

TEST(Graph, DifferentiatesGelu) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f64, "x");
  const auto d = g.gradients(gelu_of_talk(x), {x});
  const auto result = g.run({{x, NDArray::of<double>({3}, {-1, 0, 2})}}, {d[0]});
  const double inputs[] = {-1, 0, 2};
  for (int i = 0; i < 3; ++i) {
    const double v = inputs[i];
    EXPECT_NEAR(result[0].elements<double>()[i], 0.5 * (1 + std::erf(v * std::sqrt(0.5f))) + v * std::exp(-v * v / 2) / std::sqrt(2 * M_PI), 1e-6);
  }
}

TEST(Graph, KeepsVariablesFromRunToRun) {
  Graph g;
  const Tensor w = g.variable(init::constant({2}, 1.0), "w");
  const Operation update = g.assign(w, w * 2.0f);
  const auto before = g.run({}, {w}, {update});
  EXPECT_EQ(before[w].elements<float>()[0], 1) << "an implicit read sees the value at the start of the run";
  EXPECT_EQ(g.value(w).elements<float>()[1], 2);
  g.run({}, {}, {update});
  EXPECT_EQ(g.value(w).elements<float>()[1], 4);
}

TEST(Graph, ReadAfterAssignSeesTheNewValue) {
  Graph g;
  const Tensor w = g.variable(init::constant({}, 3.0));
  const Operation update = g.assign(w, w + 1.0f);
  Tensor after, implicit;
  g.control_dependencies({update}, [&] {
    after = g.read(w);
    implicit = w * 10.0f;
  });
  const Tensor unordered = g.read(w);
  const auto r = g.run({}, {after, implicit, unordered});
  EXPECT_EQ(r[after].item(), 4);
  EXPECT_EQ(r[implicit].item(), 40);
  EXPECT_EQ(r[unordered].item(), 3);
}

}  // namespace
}  // namespace weft::graph_test
