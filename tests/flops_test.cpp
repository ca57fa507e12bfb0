// What compiling says of the work that a graph asks for.
#include <weft/weft.h>

#include <gtest/gtest.h>

namespace weft::flops_test {
namespace {

CompileStatistics statistics_of(Graph& g, std::span<const Tensor> targets, std::span<const Operation> operations = {}) {
  return g.compile({}, targets, operations, {.backend = Backend::reference}).statistics();
}

std::int64_t flops_of(Graph& g, Tensor target) { return statistics_of(g, std::span(&target, 1)).flops; }

Tensor variable(Graph& g, Shape shape) { return g.variable(init::normal(shape, 0, 1)); }

TEST(Work, CountsTwoOperationsForEachTermOfAProduct) {
  Graph g;
  EXPECT_EQ(flops_of(g, matmul(variable(g, {3, 5}), variable(g, {5, 7}))), 2 * 3 * 5 * 7);
  EXPECT_EQ(flops_of(g, matmul(variable(g, {4, 5, 3}), variable(g, {7, 5}), {.transpose_a = true, .transpose_b = true})), 2 * 4 * 3 * 5 * 7);
}

TEST(Work, CountsTheSameForAConvolutionAndItsDerivatives) {
  Graph g;
  const Tensor x = variable(g, {2, 8, 8, 6}), w = variable(g, {3, 3, 3, 10});
  const Tensor y = conv2d(x, w, {.strides = {2}, .groups = 2, .padding = Padding::same});
  const std::int64_t expected = 2 * (2 * 4 * 4 * 10) * (3 * 3 * 3);
  EXPECT_EQ(flops_of(g, y), expected);
  const Tensor dy = variable(g, {2, 4, 4, 10});
  EXPECT_EQ(flops_of(g, conv2d_data_gradient(dy, w, x, {.strides = {2}, .groups = 2, .padding = Padding::same})), expected);
  EXPECT_EQ(flops_of(g, conv2d_weights_gradient(x, dy, w, {.strides = {2}, .groups = 2, .padding = Padding::same})), expected);
}

TEST(Work, CountsElementsOfWhatElseComputesAndNothingForMoves) {
  Graph g;
  const Tensor x = variable(g, {4, 6});
  EXPECT_EQ(flops_of(g, exp(x) + x), 2 * 24);
  EXPECT_EQ(flops_of(g, sum(x, 1)), 24);
  EXPECT_EQ(flops_of(g, max_pool2d(variable(g, {1, 4, 6, 1}), {2})), 24);
  EXPECT_EQ(flops_of(g, transpose(x, 0, 1)), 0);
}

TEST(Work, CountsEveryFeedVariableTargetAndUpdateOnce) {
  Graph g;
  const Tensor x = variable(g, {4, 6}), y = exp(x) * x, z = sum(y);
  const Operation updates[] = {g.assign(x, y)};
  const Tensor targets[] = {z};
  const CompileStatistics s = statistics_of(g, targets, updates);
  EXPECT_EQ(s.least_read, 24 * 4);
  EXPECT_EQ(s.least_written, 24 * 4 + 4);
}

}  // namespace
}  // namespace weft::flops_test
