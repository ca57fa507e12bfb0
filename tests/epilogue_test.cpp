// Elementwise kernels computed behind the parts of a contraction's result.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "compare.h"
#include "compile/backend.h"
#include "team.h"

// Of the OpenMP runtime that the library is linked with.

namespace weft::epilogue_test {
namespace {

class EpilogueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }
};

constexpr RunOptions cpu{.backend = Backend::cpu}, truth{.backend = Backend::reference};

Tensor gelu_chain(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

NDArray noise(Shape shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-1, 1);
  NDArray a(f32, shape);
  for (auto& e : a.elements<float>()) e = values(random);
  return a;
}

/// Contractions whose results are cut in every way: rows, columns, matrices, images, rows of images, not at all.
struct Case {
  std::string name;
  Shape first, second;
  std::function<Tensor(Tensor, Tensor)> contract;
};

std::vector<Case> cases() {
  auto product = [](Tensor a, Tensor b) { return matmul(a, b); };
  auto convolution = [](Tensor x, Tensor w) { return conv2d(x, w, {.padding = Padding::same}); };
  return {
      {"a product in one part", {33, 20}, {19, 20}, [](Tensor a, Tensor b) { return matmul(a, b, {.transpose_b = true}); }},
      {"rows", {601, 90}, {90, 130}, product},
      {"rows of a transposed matrix",
       {90, 601},
       {130, 90},
       [](Tensor a, Tensor b) { return matmul(a, b, {.transpose_a = true, .transpose_b = true}); }},
      {"columns", {37, 300}, {300, 717}, product},
      {"matrices", {7, 65, 50}, {7, 50, 90}, product},
      {"matrices that share one", {3, 150, 130}, {130, 66}, product},
      {"images", {11, 9, 9, 5}, {3, 3, 5, 24}, convolution},
      {"rows of images", {2, 67, 33, 8}, {3, 5, 8, 40}, convolution},
      {"a strided convolution",
       {1, 65, 64, 16},
       {3, 3, 16, 48},
       [](Tensor x, Tensor w) {
         return conv2d(x, w, {.strides = {2, 2}, .padding = Padding::same});
       }},
  };
}

struct Network {
  Graph g;
  std::vector<FeedType> feeds;
  std::vector<NDArray> values;
  Tensor z;

  explicit Network(const Case& c) { z = c.contract(input(c.first), input(c.second)); }
  Tensor input(Shape shape) {
    const Tensor t = g.placeholder(shape, f32);
    values.push_back(noise(shape, static_cast<unsigned>(values.size() + 1)));
    feeds.push_back({t, {f32, shape}});
    return t;
  }
  Tensor bias() { return input({z.shape()[z.shape().rank() - 1]}); }
  Executable compile(std::vector<Tensor> targets, RunOptions options = cpu) { return g.compile(feeds, targets, {}, options); }
  std::vector<NDArray> run(const Executable& e) const {
    std::vector<TensorData> data;
    for (const auto& f : e.feeds())
      for (std::size_t i = 0; i < feeds.size(); ++i)
        if (f.placeholder == feeds[i].placeholder) data.emplace_back(values[i]);
    return e.run(data);
  }
};

/// Sums of up to 300 products of numbers below 1, cast from f32 perhaps, then a few operations.
Tolerance tolerance(DType type) { return {.ulp = 16, .scale = type == f64 ? 300 * 0x1p29 : 300}; }

void expect_one_step(const Case& c, const std::function<std::vector<Tensor>(Network&)>& build) {
  Network n(c);
  const auto targets = build(n);
  const Executable e = n.compile(targets);
  EXPECT_EQ(e.statistics().kernels, 0) << c.name << '\n' << e.dump();
  EXPECT_EQ(e.statistics().library_calls, 1) << c.name;
  const auto is = n.run(e), expected = n.run(n.compile(targets, truth));
  for (std::size_t i = 0; i < is.size(); ++i) EXPECT_TRUE(agree(expected[i], is[i], tolerance(is[i].dtype()))) << c.name << ", result " << i;
}

TEST_F(EpilogueTest, BiasAndActivationAreComputedBehindEveryKindOfPart) {
  for (const auto& c : cases()) expect_one_step(c, [](Network& n) { return std::vector{gelu_chain(n.z + n.bias())}; });
}

TEST_F(EpilogueTest, AResidualOfTheSameShapeIsAdded) {
  for (const auto& c : cases())
    expect_one_step(c, [](Network& n) {
      const Tensor other = n.input(n.z.shape());
      return std::vector{relu(n.z) + other};
    });
}

TEST_F(EpilogueTest, AGradientIsMaskedByTheActivationThatItPasses) {
  for (const auto& c : cases())
    expect_one_step(c, [](Network& n) {
      const Tensor y = n.input(n.z.shape());
      return std::vector{select(y > 0.0f, n.z, 0.0f * n.z)};
    });
}

TEST_F(EpilogueTest, TheResultIsCast) {
  for (const auto& c : cases()) expect_one_step(c, [](Network& n) { return std::vector{cast(n.z, f64)}; });
}

TEST_F(EpilogueTest, TheContractionsOwnResultIsKeptWhereItIsWanted) {
  for (const auto& c : cases()) expect_one_step(c, [](Network& n) { return std::vector{tanh(n.z + n.bias()), n.z}; });
}

TEST_F(EpilogueTest, TheResultNeedsNoMemoryWhenOnlyTheEpilogueReadsIt) {
  Network n({"", {1024, 64}, {64, 1024}, [](Tensor a, Tensor b) { return matmul(a, b); }});
  const Executable e = n.compile({relu(n.z)});
  EXPECT_EQ(e.statistics().bytes_written, 1024 * 1024 * 4);
  EXPECT_LT(e.statistics().arena_bytes, 1024 * 1024 * 4);
}

TEST_F(EpilogueTest, OfTwoProductsThatAreAddedTheLaterTakesTheSum) {
  Graph g;
  const Tensor a = g.placeholder({200, 64}, f32), b = g.placeholder({64, 200}, f32);
  const auto s =
      g.compile({{a, {f32, {200, 64}}}, {b, {f32, {64, 200}}}}, {matmul(a, b) + matmul(b, a, {.transpose_a = true, .transpose_b = true})}, {}, cpu)
          .statistics();
  EXPECT_EQ(s.kernels, 0);
  EXPECT_EQ(s.library_calls, 2);
}

TEST_F(EpilogueTest, AnUpdateIsComputedBehindTheGradientOfAProduct) {
  Graph g;
  const Tensor x = g.placeholder({40, 300}, f32, "x"), w = g.variable(init::glorot({300, 200}), "w");
  const Tensor dw = matmul(x, matmul(x, w), {.transpose_a = true});
  const Executable e = g.compile({{x, {f32, {40, 300}}}}, {}, {g.assign(w, w - 0.01f * dw)}, cpu);
  EXPECT_EQ(e.statistics().kernels, 0) << e.dump();
}

TEST_F(EpilogueTest, WhatCannotBeAnEpilogueIsSaid) {
  Graph g;
  const Tensor a = g.placeholder({200, 64}, f32), z = matmul(a, a, {.transpose_b = true});
  auto dump = [&](Tensor y) { return g.compile({{a, {f32, {200, 64}}}}, {y}, {}, cpu).dump(); };
  EXPECT_NE(dump(exp(reverse(z, {1}))).find("has no epilogue: exp_200x200_f32 reads it in another order"), std::string::npos);
  EXPECT_NE(dump(sum(z, 1)).find("has no epilogue: sum_200_f32 reduces it"), std::string::npos);
  EXPECT_NE(dump(exp(slice(slice(z, 0, 0, 20), 1, 0, 20))).find("has no epilogue: exp_20x20_f32 doesn't read each element once"), std::string::npos);
  EXPECT_NE(dump(z).find("has no epilogue: no kernel reads it"), std::string::npos);
}

TEST_F(EpilogueTest, ConstantWeightsArePackedOnce) {
  Graph g;
  const Tensor a = g.placeholder({300, 64}, f32), w = g.constant(noise({64, 200}, 1));
  const Executable e = g.compile({{a, {f32, {300, 64}}}}, {relu(matmul(a, w))}, {}, cpu);
  // Whether oneDNN wants weights in an order of its own depends on the processor: weights that change tell.
  const Tensor changing = g.placeholder({64, 200}, f32);
  const Executable other = g.compile({{a, {f32, {300, 64}}}, {changing, {f32, {64, 200}}}}, {relu(matmul(a, changing))}, {}, cpu);
  const bool are_packed = other.dump().find("weights packed") != std::string::npos;
  EXPECT_EQ(e.dump().find("weights packed once") != std::string::npos, are_packed) << e.dump();
  EXPECT_EQ(other.dump().find("weights packed once"), std::string::npos);
  const NDArray x = noise({300, 64}, 2);
  const NDArray expected = g.run({{a, x}}, {relu(matmul(a, w))}, std::span<const Operation>{}, truth)[0];
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(agree(expected, e.run({x})[0], tolerance(f32)));
}

TEST_F(EpilogueTest, BitsDoNotDependOnTheNumberOfThreads) {
  for (const auto& c : cases()) {
    std::vector<std::byte> first;
    // Compiled for and run by each number of threads.
    for (const int threads : {1, 2, 3}) {
      const Team team(threads);
      Network n(c);
      const NDArray r = n.run(n.compile({gelu_chain(n.z + n.bias())}))[0];
      const std::vector<std::byte> bytes(r.data(), r.data() + r.byte_count());
      if (first.empty()) first = bytes;
      EXPECT_EQ(first, bytes) << c.name << " with " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace weft::epilogue_test
