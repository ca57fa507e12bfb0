// Where values live and when steps run: by the planner alone, then as programs on the CPU show it.
#include "plan/plan.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "compile/backend.h"
#include "plan/arena.h"

namespace weft::plan_test {
namespace {

using plan::Lifetime;
using plan::Step;
using plan::Value;

bool overlaps(const Lifetime& a, std::int64_t a_offset, const Lifetime& b, std::int64_t b_offset) {
  return a.first <= b.last && b.first <= a.last && a_offset < b_offset + b.bytes && b_offset < a_offset + a.bytes;
}

void expect_apart(const std::vector<Lifetime>& lives, const plan::Arena& arena) {
  for (std::size_t i = 0; i < lives.size(); ++i) {
    EXPECT_EQ(arena.offsets[i] % 64, 0);
    EXPECT_LE(arena.offsets[i] + lives[i].bytes, arena.bytes);
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(overlaps(lives[i], arena.offsets[i], lives[j], arena.offsets[j])) << i << ' ' << j;
  }
}

TEST(Arena, ValuesAliveTogetherLieApartAndTheArenaIsNearTheLiveMaximum) {
  std::mt19937 random(1);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<Lifetime> lives;
    const int steps = 10 + below(100);
    for (int i = 0; i < steps; ++i) {
      const int first = below(steps);
      lives.push_back({std::int64_t{1} << below(20), first, std::min(first + 1 + below(below(4) ? 4 : 40), steps)});
    }
    const auto arena = plan::arrange(lives);
    expect_apart(lives, arena);
    EXPECT_LE(static_cast<double>(arena.bytes), 1.05 * static_cast<double>(arena.live_maximum)) << "trial " << trial;
  }
}

TEST(Arena, ActivationsKeptForTheBackwardPassStack) {
  std::vector<Lifetime> lives;
  constexpr int layers = 40;
  for (int i = 0; i < layers; ++i) {
    lives.push_back({(i * 7919 % 13 + 1) * 1000, i, 2 * layers - i});                    // an activation
    lives.push_back({(i * 104729 % 11 + 1) * 700, 2 * layers - i, 2 * layers - i + 1});  // its gradient
  }
  const auto arena = plan::arrange(lives);
  expect_apart(lives, arena);
  EXPECT_LE(static_cast<double>(arena.bytes), 1.02 * static_cast<double>(arena.live_maximum));
}

/// A value in the arena, and one elsewhere.
Value inner(std::int64_t bytes) { return {bytes, true, false, -1}; }
Value outer(std::int64_t bytes, int replaces = -1) { return {bytes, false, false, replaces}; }

Step step(std::vector<int> reads, std::vector<int> writes) {
  Step step;
  step.reads = std::move(reads);
  step.writes = std::move(writes);
  return step;
}

TEST(Plan, AResultLiesOverAnOperandThatNothingElseNeeds) {
  const std::vector<Value> values{outer(64), inner(64), inner(64), inner(64), outer(64)};
  std::vector<Step> steps{step({0}, {1}), step({1}, {2}), step({1, 2}, {3}), step({3}, {4})};
  steps[1].overlays = {{1, 2}};  // but step 2 reads value 1 later
  steps[2].overlays = {{1, 3}, {2, 3}};
  const auto plan = plan::make_plan(values, steps);
  EXPECT_NE(plan.offsets[1], plan.offsets[2]);
  EXPECT_TRUE(plan.offsets[3] == plan.offsets[1] || plan.offsets[3] == plan.offsets[2]);
  EXPECT_EQ(plan.bytes, 128);
  EXPECT_EQ(plan.offsets[4], -1);
}

TEST(Plan, AVariableIsWrittenInPlaceAfterAllThatReadsIt) {
  // 0: the variable, 1: its new value, 2: something that reads the old one.
  const std::vector<Value> values{outer(64), outer(64, 0), outer(64)};
  std::vector<Step> steps{step({0}, {1}), step({0}, {2})};
  steps[0].overlays = {{0, 1}};
  const auto plan = plan::make_plan(values, steps);
  EXPECT_TRUE(plan.is_in_place[1]);
  EXPECT_EQ(plan.launches, (std::vector<std::vector<int>>{{1}, {0}}));
}

TEST(Plan, NothingThatCanFailComesAfterAVariableIsWrittenInPlace) {
  const std::vector<Value> values{outer(64), outer(64, 0), outer(64), outer(64)};
  std::vector<Step> steps{step({0}, {1}), step({2}, {3})};
  steps[0].overlays = {{0, 1}};
  steps[1].can_fail = true;
  const auto sunk = plan::make_plan(values, steps);
  EXPECT_TRUE(sunk.is_in_place[1]);
  EXPECT_EQ(sunk.launches, (std::vector<std::vector<int>>{{1}, {0}}));
  steps[1].reads = {1};
  EXPECT_FALSE(plan::make_plan(values, steps).is_in_place[1]) << "what can fail needs the new value";
}

TEST(Plan, VariablesThatTradeValuesAreNotBothWrittenInPlace) {
  const std::vector<Value> values{outer(64), outer(64), outer(64, 0), outer(64, 1)};
  std::vector<Step> steps{step({0, 1}, {2}), step({0, 1}, {3})};
  steps[0].overlays = {{0, 2}};
  steps[1].overlays = {{1, 3}};
  const auto plan = plan::make_plan(values, steps);
  EXPECT_NE(plan.is_in_place[2], plan.is_in_place[3]);
  EXPECT_EQ(plan.launches.back(), std::vector<int>{plan.is_in_place[2] ? 0 : 1});
}

TEST(Plan, AVariableReadOtherwiseThanElementByElementIsNotWrittenInPlace) {
  const std::vector<Value> values{outer(64), outer(64, 0)};
  EXPECT_FALSE(plan::make_plan(values, {step({0}, {1})}).is_in_place[1]);
}

TEST(Plan, IndependentStepsStartTogether) {
  const std::vector<Value> values{outer(64), inner(64), outer(64), inner(64), outer(64)};
  std::vector<Step> steps{step({0}, {1}), step({1}, {2}), step({0}, {3}), step({3}, {4})};
  for (auto& s : steps) s.can_join = true;
  EXPECT_EQ(plan::make_plan(values, steps).launches, (std::vector<std::vector<int>>{{0, 2}, {1, 3}}));
}

TEST(Plan, AnOrderThatNeedsLessMemoryIsTaken) {
  // Two large values made first and used one after the other: better each used as soon as it is there.
  const std::vector<Value> values{outer(64), inner(6400), inner(6400), outer(64), outer(64)};
  const std::vector<Step> steps{step({0}, {1}), step({0}, {2}), step({1}, {3}), step({2}, {4})};
  EXPECT_EQ(plan::make_plan(values, steps).bytes, 6400);
}

// Programs ----------------------------------------------------------------------------------------------------------------

class Memory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }
  static constexpr RunOptions cpu{.backend = Backend::cpu};
  static constexpr RunOptions unstitched{.backend = Backend::cpu, .stitch = false};
};

/// Two convolutions and two dense layers.
struct Digits {
  Graph g;
  Tensor images, labels, loss;

  Digits() {
    images = g.placeholder({dynamic, 28, 28, 1}, f32, "images");
    labels = g.placeholder({dynamic, 10}, f32, "labels");
    auto layer = [&](Tensor x, Shape shape) {
      const Tensor w = g.variable(init::he(shape)), b = g.variable(init::zeros({shape[shape.rank() - 1]}));
      return relu((shape.rank() == 4 ? conv2d(x, w, {.padding = Padding::same}) : matmul(x, w)) + b);
    };
    Tensor x = max_pool2d(layer(images, {5, 5, 1, 32}), {2, 2});
    x = max_pool2d(layer(x, {5, 5, 32, 64}), {2, 2});
    x = layer(reshape(x, {dynamic, 7 * 7 * 64}), {7 * 7 * 64, 1024});
    const Tensor logits = matmul(x, g.variable(init::he({1024, 10}))) + g.variable(init::zeros({10}));
    loss = softmax_cross_entropy(logits, labels, Reduction::mean);
  }
  std::vector<Tensor> gradients() { return g.gradients(loss, g.variables()); }
  CompileStatistics compile(std::int64_t batch, const std::vector<Operation>& updates, const RunOptions& options) {
    const std::vector<FeedType> types{{images, {f32, {batch, 28, 28, 1}}}, {labels, {f32, {batch, 10}}}};
    return g.compile(types, std::vector{loss}, updates, options).statistics();
  }
};

TEST_F(Memory, ThePlanOfTheDigitsStepIsNearTheLiveMaximum) {
  Digits net;
  const auto updates = sgd(net.g.variables(), net.gradients(), 0.01f);
  for (const auto& options : {cpu, unstitched})
    for (const std::int64_t batch : {16, 32, 64}) {
      const auto s = net.compile(batch, updates, options);
      EXPECT_GT(s.live_maximum, 0);
      EXPECT_LE(static_cast<double>(s.arena_bytes), 1.05 * static_cast<double>(s.live_maximum)) << "batch " << batch;
    }
}

TEST_F(Memory, TrainingNeedsNoSecondCopyOfTheVariables) {
  Digits net;
  const auto updates = sgd(net.g.variables(), net.gradients(), 0.01f);
  EXPECT_EQ(net.compile(16, updates, unstitched).shadow_bytes, 0);
  // Stitched, the dense layers' gradients never are in memory: the product, which may fail, writes the new weights.
  const auto s = net.compile(16, updates, cpu);
  EXPECT_LE(s.arena_bytes + s.shadow_bytes, 18'000'000) << "of variables there are 13 MB";
}

TEST_F(Memory, UnstitchedChainsAreComputedInPlace) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f32, "x"), y = sqrt(exp(abs(sin(x))) + 1.0f);
  EXPECT_EQ(g.compile({{x, {f32, {1024}}}}, {y}, {}, unstitched).statistics().arena_bytes, 4096);
}

TEST_F(Memory, AnOperandThatIsReadAtOtherPlacesKeepsItsMemory) {
  Graph g;
  const Tensor x = g.placeholder({32, 32}, f32, "x"), e = exp(x), y = exp(transpose(e, 0, 1) + e);
  NDArray data(f32, {32, 32});
  float v = -1;
  for (auto& d : data.elements<float>()) d = v += 0.001f;
  NDArray r = g.run({{x, data}}, {y}, std::span<const Operation>{}, unstitched)[0];
  const auto in = data.elements<float>(), out = r.elements<float>();
  for (std::size_t i = 0; i < 32; ++i)
    for (std::size_t j = 0; j < 32; ++j) EXPECT_NEAR(out[i * 32 + j], std::exp(std::exp(in[j * 32 + i]) + std::exp(in[i * 32 + j])), 2e-5f);
}

TEST_F(Memory, AVariableThatIsReadAfterwardsAtOtherPlacesIsWrittenBeside) {
  Graph g;
  const Tensor w = g.variable(NDArray::of<float>({4}, {1, 2, 3, 4}));
  const Operation flip = g.assign(w, reverse(w, {0}) + 1.0f);
  const Executable e = g.compile({}, {}, {flip}, cpu);
  EXPECT_EQ(e.statistics().shadow_bytes, 16);
  e.run(std::span<const TensorData>{});
  EXPECT_EQ(g.value(w).elements<float>()[0], 5);
  EXPECT_EQ(g.value(w).elements<float>()[3], 2);
}

TEST_F(Memory, TargetsSeeTheOldValueOfAVariableThatIsUpdatedInPlace) {
  Graph g;
  const Tensor w = g.variable(init::constant({3}, 4.0)), doubled = w * 2.0f;
  const Operation step = g.assign(w, w + 1.0f);
  const Executable e = g.compile({}, {w, doubled}, {step}, cpu);
  EXPECT_EQ(e.statistics().shadow_bytes, 0);
  const auto r = e.run(std::span<const TensorData>{});
  EXPECT_EQ(r[0].elements<float>()[0], 4);
  EXPECT_EQ(r[1].elements<float>()[0], 8);
  EXPECT_EQ(g.value(w).elements<float>()[0], 5);
}

TEST_F(Memory, VariablesThatTradeValuesDo) {
  Graph g;
  const Tensor a = g.variable(init::constant({3}, 1.0)), b = g.variable(init::constant({3}, 2.0)), c = g.variable(init::constant({3}, 3.0));
  const Executable e = g.compile({}, {}, {g.assign(a, b), g.assign(b, a), g.assign(c, c)}, cpu);
  for (int i = 0; i < 3; ++i) e.run(std::span<const TensorData>{});
  EXPECT_EQ(g.value(a).elements<float>()[0], 2);
  EXPECT_EQ(g.value(b).elements<float>()[1], 1);
  EXPECT_EQ(g.value(c).elements<float>()[2], 3);
}

TEST_F(Memory, AValueThatTheUserReadStaysWhenTheVariableIsUpdatedInPlace) {
  Graph g;
  const NDArray first = NDArray::of<float>({3}, {1, 2, 3});
  const Tensor w = g.variable(first);
  const Operation step = g.assign(w, w * 10.0f);
  const NDArray before = g.value(w);
  g.run({}, {}, {step}, cpu);
  EXPECT_EQ(before.elements<float>()[0], 1);
  EXPECT_EQ(first.elements<float>()[0], 1);
  const NDArray given = NDArray::of<float>({3}, {4, 5, 6});
  g.set_value(w, given);
  g.run({}, {}, {step}, cpu);
  EXPECT_EQ(given.elements<float>()[0], 4);
  EXPECT_EQ(g.value(w).elements<float>()[0], 40);
}

TEST_F(Memory, ARunThatFailsLateLeavesWholeVariables) {
  Graph g;
  const Tensor table = g.variable(init::constant({5}, 2.0)), index = g.placeholder({1}, i64, "index");
  // What can fail reads the new value, so that is written beside the old.
  const Tensor grown = table * 3.0f;
  const Operation update = g.assign(table, grown);
  const Tensor picked = gather(grown, index, 0);
  const Executable e = g.compile({{index, {i64, {1}}}}, {picked}, {update}, cpu);
  EXPECT_EQ(e.statistics().shadow_bytes, 20);
  EXPECT_THROW(e.run({NDArray::of<std::int64_t>({1}, {9})}), RunError);
  EXPECT_EQ(g.value(table).elements<float>()[4], 2);
  EXPECT_EQ(e.run({NDArray::of<std::int64_t>({1}, {1})})[0].item(), 6);
  EXPECT_EQ(g.value(table).elements<float>()[4], 6);
}

TEST_F(Memory, ARunAfterOneInWhichTwoKernelsFailedTogetherIsAsAnyOther) {
  Graph g;
  const Tensor index = g.placeholder({1}, i64, "index"), a = g.placeholder({4}), b = g.placeholder({5});
  const Executable e = g.compile({{index, {i64, {1}}}, {a, {f32, {4}}}, {b, {f32, {5}}}}, {gather(a, index, 0), gather(b, index, 0)}, {}, cpu);
  ASSERT_EQ(e.statistics().launches, 1);
  const NDArray four = NDArray::of<float>({4}, {1, 2, 3, 4}), five = NDArray::of<float>({5}, {5, 6, 7, 8, 9});
  EXPECT_THROW(e.run({NDArray::of<std::int64_t>({1}, {9}), four, five}), RunError);
  const auto r = e.run({NDArray::of<std::int64_t>({1}, {1}), four, five});
  EXPECT_EQ(r[0].item(), 2);
  EXPECT_EQ(r[1].item(), 6);
}

TEST_F(Memory, TheUpdatesOfAnOptimiserStartTogether) {
  auto launches = [](int variables) {
    Graph g;
    const Tensor x = g.placeholder({}, f32, "x");
    Tensor loss = x;
    for (int i = 0; i < variables; ++i) loss = loss + sum(square(g.variable(init::zeros({100, 10 + i})) - x));
    const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.01f);
    const auto s = g.compile(std::vector<FeedType>{{x, {f32, {}}}}, std::vector<Tensor>{}, updates, cpu).statistics();
    EXPECT_GE(s.kernels, variables);
    EXPECT_EQ(s.shadow_bytes, 0);
    return s.launches;
  };
  EXPECT_EQ(launches(12), launches(3));
}

TEST_F(Memory, KernelsThatStartTogetherGiveTheSameBitsAsOneByOne) {
  Graph g;
  std::vector<Tensor> inputs, results;
  std::vector<FeedType> types;
  std::vector<TensorData> data;
  for (int i = 0; i < 6; ++i) {
    const Shape shape{100 + 777 * i};
    inputs.push_back(g.placeholder(shape));
    types.push_back({inputs.back(), {f32, shape}});
    NDArray a(f32, shape);
    float v = 0;
    for (auto& e : a.elements<float>()) e = v += 0.01f;
    data.emplace_back(a);
    results.push_back(i % 2 ? exp(sin(inputs.back())) : sum(tanh(inputs.back()), 0));
  }
  const Executable together = g.compile(types, results, {}, cpu);
  EXPECT_LT(together.statistics().launches, together.statistics().kernels);
  const auto r = together.run(data);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const NDArray alone = g.compile(std::vector{types[i]}, std::vector{results[i]}, {}, cpu).run({data[i]})[0];
    EXPECT_TRUE(std::equal(alone.data(), alone.data() + alone.byte_count(), r[i].data())) << i;
  }
}

}  // namespace
}  // namespace weft::plan_test
