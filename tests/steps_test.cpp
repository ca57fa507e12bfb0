// Several runs begun at once.
#include "compile/backend.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace weft::steps_test {
namespace {

std::vector<RunOptions> backends() {
  std::vector<RunOptions> list;
  for (Backend b : {Backend::reference, Backend::cpu, Backend::cuda})
    if (has_backend(b)) list.push_back({.backend = b});
  return list;
}

bool same(const NDArray& a, const NDArray& b) {
  const NDArray x = a.to(Device::cpu()).copy(), y = b.to(Device::cpu()).copy();
  return x.type() == y.type() && std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.byte_count())) == 0;
}

/// A network that takes its batches from data it holds, by a counter that it holds too, and drops units at random.
struct Training {
  Graph g;
  Tensor data = g.variable(points(), "data"), classes = g.variable(labels(), "classes"), step = g.variable(NDArray::scalar<std::int32_t>(0), "step");
  Tensor w1 = g.variable(init::he({4, 32})), w2 = g.variable(init::he({32, 3}));
  Tensor noise = g.placeholder({16, 32}, f32, "noise"), loss, rows;
  std::vector<Operation> updates;

  explicit Training(OutOfBounds out_of_bounds) {
    g.set_seed(7);
    rows = (step * 16 + iota(g, {16})) % 50;
    const GatherOptions options{.out_of_bounds = out_of_bounds};
    const Tensor x = gather(data, rows, 0, options), y = gather(classes, rows, 0, options);
    const Tensor hidden = relu(matmul(x, w1)) + noise * random_uniform(g, {16, 32});
    loss = softmax_cross_entropy(matmul(hidden, w2), y, Reduction::mean);
    const std::vector<Tensor> weights{w1, w2};
    updates = adam(weights, g.gradients(loss, weights), 0.01f);
    updates.push_back(g.assign(step, step + 1));
  }

  static NDArray points() {
    NDArray a(f32, {50, 4});
    for (std::size_t i = 0; i < 200; ++i) a.elements<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    return a;
  }
  static NDArray labels() {
    NDArray a(i32, {50});
    for (std::size_t i = 0; i < 50; ++i) a.elements<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7 % 3);
    return a;
  }
  Executable compile(const RunOptions& options) {
    return g.compile(std::vector<FeedType>{{noise, noise.type()}}, std::vector{loss, rows}, updates, options);
  }
};

const NDArray noise = [] {
  NDArray a(f32, {16, 32});
  std::iota(a.elements<float>().begin(), a.elements<float>().end(), 0.0f);
  for (float& v : a.elements<float>()) v /= 512;
  return a;
}();

TEST(Steps, BegunAtOnceGiveTheBitsOfSingleRuns) {
  for (const auto& options : backends())
    for (OutOfBounds out_of_bounds : {OutOfBounds::ignore, OutOfBounds::error}) {
      Training one(out_of_bounds), several(out_of_bounds);
      const Executable a = one.compile(options), b = several.compile(options);
      for (const int steps : {1, 4, 4, 4, 3, 3, 1, 3, 10}) {
        std::vector<TensorData> singles{NDArray(f32, {}), NDArray(i32, {16})}, at_once{NDArray(f32, {}), NDArray(i32, {16})};
        for (int i = 0; i < steps; ++i) a.run(std::vector<TensorData>{noise}, singles);
        b.run(std::vector<TensorData>{noise}, at_once, {.steps_per_launch = steps});
        for (int t : {0, 1}) EXPECT_TRUE(same(singles[static_cast<std::size_t>(t)].array(), at_once[static_cast<std::size_t>(t)].array())) << steps;
        EXPECT_TRUE(same(one.g.value(one.w1), several.g.value(several.w1))) << steps;
        EXPECT_EQ(one.g.value(one.step).item(), several.g.value(several.step).item());
      }
      EXPECT_EQ(several.g.value(several.step).item(), 33);
    }
}

TEST(Steps, ThatFailLeaveWhatTheStepsBeforeThemDid) {
  for (const auto& options : backends()) {
    Graph g;
    const Tensor table = g.variable(NDArray::of<float>({3}, {5, 6, 7})), step = g.variable(NDArray::scalar<std::int32_t>(0));
    const Tensor taken = gather(table, step);
    const Executable e = g.compile({}, std::vector{taken}, std::vector{g.assign(step, step + 1), g.assign(table, table * 2.0f)}, options);
    std::vector<TensorData> results{NDArray(f32, {})};
    EXPECT_THROW(e.run({}, results, {.steps_per_launch = 5}), RunError);
    EXPECT_EQ(g.value(step).item(), 3);
    EXPECT_TRUE(same(g.value(table), NDArray::of<float>({3}, {40, 48, 56})));
  }
}

TEST(Steps, AreOneOrMore) {
  Graph g;
  const Tensor x = g.placeholder({2}, f32), y = x + 1.0f;
  const Executable e = g.compile({{x, x.type()}}, {y}, {}, {.backend = Backend::reference});
  std::vector<TensorData> results{NDArray(f32, {2})};
  EXPECT_THROW(e.run(std::vector<TensorData>{NDArray(f32, {2})}, results, {.steps_per_launch = 0}), RunError);
}

TEST(Streams, AreForGpus) {
  Graph g;
  const Tensor x = g.placeholder({2}, f32), y = x + 1.0f;
  const Executable e = g.compile({{x, x.type()}}, {y}, {}, {.backend = Backend::reference});
  std::vector<TensorData> results{NDArray(f32, {2})};
  try {
    e.run(std::vector<TensorData>{NDArray(f32, {2})}, results, {.stream = nullptr});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RunError& error) { EXPECT_NE(std::string(error.what()).find("runs on the host"), std::string::npos) << error.what(); }
}

}  // namespace
}  // namespace weft::steps_test
