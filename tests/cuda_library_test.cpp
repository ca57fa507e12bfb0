// Contractions in NVIDIA's libraries: every way that is taken gives what the reference does, and the choice among them stays.
#include "compare.h"
#include "compile/backend.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace weft::cuda_library_test {
namespace {

class CudaLibraries : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_not(Backend::cuda); !why.empty()) GTEST_SKIP() << why;
  }
};

constexpr RunOptions measured{.backend = Backend::cuda}, unmeasured{.backend = Backend::cuda, .measure = false},
    reference{.backend = Backend::reference};

NDArray random(const Shape& shape, DType dtype, unsigned seed) {
  NDArray a(f32, shape);
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> between(-1, 1);
  for (auto& e : a.elements<float>()) e = between(engine);
  return a.cast(dtype);
}

/// Sums of products of numbers up to 1: each of the terms is rounded, and partial sums seldom leave [-16, 16].
Tolerance tolerance(std::int64_t terms) { return {.ulp = 2, .scale = static_cast<double>(terms)}; }

NDArray on_host(const NDArray& a) { return a.to(Device::cpu()).copy(); }

bool same(const NDArray& a, const NDArray& b) {
  const NDArray x = on_host(a), y = on_host(b);
  return x.type() == y.type() && std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.byte_count())) == 0;
}

struct Convolution {
  const char* name;
  Shape images, weights;
  ConvOptions options;
};

const Convolution convolutions[] = {
    {"same", {2, 12, 12, 16}, {3, 3, 16, 16}, {.padding = Padding::same}},
    {"valid", {2, 12, 12, 16}, {3, 3, 16, 16}, {}},
    {"padded at one end", {2, 12, 12, 16}, {2, 2, 16, 32}, {.padding = Padding::same}},
    {"strided, padded more at the end", {2, 20, 20, 16}, {3, 3, 16, 16}, {.strides = {2, 2}, .padding = Padding::same}},
    {"dilated", {2, 14, 14, 16}, {3, 3, 16, 16}, {.dilations = {2, 2}, .padding = Padding::same}},
    {"in groups", {4, 14, 14, 16}, {3, 3, 8, 16}, {.groups = 2, .padding = Padding::same}},
    {"of one channel", {4, 14, 14, 1}, {5, 5, 1, 32}, {.padding = Padding::same}},
    {"of odd channels", {4, 14, 14, 7}, {5, 5, 7, 13}, {.padding = Padding::same}},
    {"of points", {4, 14, 14, 32}, {1, 1, 32, 24}, {}},
    {"of every second point", {4, 28, 28, 32}, {1, 1, 32, 24}, {.strides = {2, 2}}},
};

TEST_F(CudaLibraries, ConvolveAsTheReferenceDoes) {
  for (const auto& c : convolutions)
    for (const DType dtype : {f32, f16, bf16}) {
      SCOPED_TRACE(std::string(c.name) + " " + std::string(name_of(dtype)));
      Graph g;
      const Tensor x = g.placeholder(c.images, dtype, "x"), w = g.placeholder(c.weights, dtype, "w"), y = conv2d(x, w, c.options);
      const Tensor dy = g.placeholder(y.shape(), dtype, "dy");
      const std::vector<Tensor> targets{y, conv2d_data_gradient(dy, w, x, c.options), conv2d_weights_gradient(x, dy, w, c.options)};
      const Feeds feeds{{x, random(c.images, dtype, 1)}, {w, random(c.weights, dtype, 2)}, {dy, random(y.shape(), dtype, 3)}};
      const auto expected = g.run(feeds, targets, {}, reference);
      for (const RunOptions& options : {measured, unmeasured}) {
        const auto got = g.run(feeds, targets, {}, options);
        // A result has a term for each element of a window, an element of the data for each that it is part of, a weight for each place.
        const std::int64_t window = c.weights[0] * c.weights[1],
                           terms[] = {window * c.weights[2], window * c.weights[3], y.shape().element_count() / c.weights[3]};
        for (std::size_t i = 0; i < targets.size(); ++i) EXPECT_TRUE(agree(expected[i], on_host(got[i]), tolerance(terms[i])));
      }
    }
}

TEST_F(CudaLibraries, AddABiasAndCutOffNegativeNumbersInTheSameKernel) {
  for (const DType dtype : {f32, f16, bf16}) {
    SCOPED_TRACE(std::string(name_of(dtype)));
    Graph g;
    const Tensor x = g.placeholder({4, 14, 14, 16}, dtype, "x"), w = g.placeholder({3, 3, 16, 32}, dtype, "w"), b = g.placeholder({32}, dtype, "b"),
                 m = g.placeholder({128, 512}, dtype, "m"), n = g.placeholder({512, 32}, dtype, "n");
    const Tensor convolved = conv2d(x, w, {.padding = Padding::same}), multiplied = matmul(m, n);
    const std::vector<Tensor> targets{relu(convolved + b), convolved + b, relu(multiplied + b), relu(multiplied), multiplied + b};
    NDArray images = random({4, 14, 14, 16}, f32, 1), rows = random({128, 512}, f32, 4);
    images.elements<float>()[5000] = std::numeric_limits<float>::quiet_NaN();
    images.elements<float>()[9000] = -std::numeric_limits<float>::infinity();
    rows.elements<float>()[300] = std::numeric_limits<float>::quiet_NaN();
    rows.elements<float>()[900] = std::numeric_limits<float>::infinity();
    const Feeds all{{x, images.cast(dtype)},
                    {w, random({3, 3, 16, 32}, dtype, 2)},
                    {b, random({32}, dtype, 3)},
                    {m, rows.cast(dtype)},
                    {n, random({512, 32}, dtype, 5)}};
    for (std::size_t i = 0; i < targets.size(); ++i) {
      SCOPED_TRACE(i);
      Feeds feeds{{b, all.at(b)}};
      for (const Tensor t : i < 2 ? std::vector{x, w} : std::vector{m, n}) feeds.emplace(t, all.at(t));
      if (i == 3) feeds.erase(b);
      const auto expected = g.run(feeds, {targets[i]}, {}, reference);
      for (const RunOptions& options : {measured, unmeasured})
        EXPECT_TRUE(agree(expected[0], on_host(g.run(feeds, {targets[i]}, {}, options)[0]), tolerance(512)));
    }
  }
}

TEST_F(CudaLibraries, ComputeABiasWithoutAKernelOfItsOwn) {
  Graph g;
  const Tensor x = g.placeholder({128, 512}, f32), w = g.placeholder({512, 32}, f32), b = g.placeholder({32}, f32);
  const Tensor y = relu(matmul(x, w) + b);
  const auto compile = [&](const RunOptions& options) {
    return g.compile({{x, x.type()}, {w, w.type()}, {b, b.type()}}, {y}, {}, options).statistics();
  };
  const CompileStatistics fused = compile(unmeasured);
  EXPECT_EQ(fused.kernels, 0);
  EXPECT_EQ(fused.library_calls, 1);
  RunOptions apart = unmeasured;
  apart.without = {"join after contractions"};
  EXPECT_EQ(compile(apart).kernels, 1);
}

TEST_F(CudaLibraries, SayWhatIsPositiveInTheSameKernel) {
  Graph g;
  const Tensor x = g.placeholder({4, 14, 14, 16}, f32, "x"), w = g.placeholder({3, 3, 16, 30}, f32, "w"), b = g.placeholder({30}, f32, "b"),
               m = g.placeholder({128, 512}, f32, "m"), n = g.placeholder({512, 30}, f32, "n");
  const Tensor convolved = relu(conv2d(x, w, {.padding = Padding::same}) + b), multiplied = relu(matmul(m, n) + b);
  const Feeds all{{x, random({4, 14, 14, 16}, f32, 1)},
                  {w, random({3, 3, 16, 30}, f32, 2)},
                  {b, random({30}, f32, 3)},
                  {m, random({128, 512}, f32, 4)},
                  {n, random({512, 30}, f32, 5)}};
  const std::vector<Tensor> sides[] = {{x, w, b}, {m, n, b}};
  for (int i = 0; i < 2; ++i) {
    const Tensor y = i == 0 ? convolved : multiplied;
    Feeds feeds;
    std::vector<FeedType> types;
    for (const Tensor t : sides[i]) feeds.emplace(t, all.at(t)), types.push_back({t, t.type()});
    const std::vector<Tensor> targets{y, y > 0.0f};
    if (i == 0) { EXPECT_EQ(g.compile(types, targets, {}, unmeasured).statistics().kernels, 0); }
    const auto expected = g.run(feeds, targets, {}, reference);
    for (const RunOptions& options : {measured, unmeasured}) {
      const auto got = g.run(feeds, targets, {}, options);
      EXPECT_TRUE(agree(expected[0], on_host(got[0]), tolerance(512)));
      const NDArray values = on_host(got[0]), answers = on_host(got[1]);
      for (std::int64_t k = 0; k < values.element_count(); ++k)
        ASSERT_EQ(answers.elements<bool>()[static_cast<std::size_t>(k)], values.elements<float>()[static_cast<std::size_t>(k)] > 0);
    }
  }
}

/// A step of gradient descent, and a residual connection.
TEST_F(CudaLibraries, AddToWhatIsThereInTheSameKernel) {
  Graph g;
  const Tensor x = g.placeholder({4, 14, 14, 16}, f32, "x"), w = g.variable(init::normal({3, 3, 16, 16}, 0, 0.1)), b = g.placeholder({16}, f32, "b");
  const Tensor v = g.placeholder({3, 3, 16, 16}, f32, "v"), y = relu(conv2d(x, v, {.padding = Padding::same}) + x);
  const Tensor loss = sum(square(conv2d(x, w, {.padding = Padding::same}) + b));
  const Tensor m = g.placeholder({128, 512}, f32, "m"), n = g.variable(init::normal({512, 32}, 0, 0.1)), more = sum(square(matmul(m, n)));
  const std::vector<Tensor> weights{w, n};
  const std::vector<Operation> steps = sgd(weights, g.gradients(loss + more, weights), 0.125);
  const Feeds feeds{
      {x, random({4, 14, 14, 16}, f32, 1)}, {b, random({16}, f32, 2)}, {m, random({128, 512}, f32, 3)}, {v, random({3, 3, 16, 16}, f32, 6)}};
  const auto run = [&](const RunOptions& options) {
    g.set_value(w, random({3, 3, 16, 16}, f32, 4));
    g.set_value(n, random({512, 32}, f32, 5));
    std::vector<NDArray> results{g.run(feeds, {y}, steps, options)[0]};
    for (const Tensor& weight : weights) results.push_back(g.value(weight));
    return results;
  };
  const auto expected = run(reference);
  std::vector<FeedType> types;
  for (const auto& [placeholder, data] : feeds) types.push_back({placeholder, data.type()});
  // Measured it is one gradient more, unless others use the GPU meanwhile.
  for (const auto& [options, expected_bases] : {std::pair(measured, 3u), std::pair(unmeasured, 2u)}) {
    const std::string text = g.compile(types, std::vector<Tensor>{y}, steps, options).dump();
    std::size_t bases = 0;
    for (auto at = text.find("+ base"); at != std::string::npos; at = text.find("+ base", at + 1)) ++bases;
    EXPECT_EQ(bases, expected_bases) << text;
  }
  for (const RunOptions& options : {measured, measured, unmeasured}) {
    const auto got = run(options);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(agree(expected[i], on_host(got[i]), tolerance(i == 0 ? 144 : 2048))) << i;
  }
}

TEST_F(CudaLibraries, KeepAResultThatOthersNeed) {
  Graph g;
  const Tensor x = g.placeholder({128, 512}, f32), w = g.placeholder({512, 32}, f32), product = matmul(x, w);
  const Feeds feeds{{x, random({128, 512}, f32, 1)}, {w, random({512, 32}, f32, 2)}};
  const auto expected = g.run(feeds, {product, relu(product)}, {}, reference), got = g.run(feeds, {product, relu(product)}, {}, unmeasured);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(agree(expected[i], on_host(got[i]), tolerance(512)));
}

TEST_F(CudaLibraries, GiveTheSameBitsWhenTheGraphIsBuiltAgain) {
  const auto run = [] {
    Graph g;
    const Tensor x = g.placeholder({8, 28, 28, 16}, f32), w = g.placeholder({5, 5, 16, 32}, f32);
    const Tensor y = relu(conv2d(x, w, {.padding = Padding::same}));
    const std::vector<Tensor> targets{y, g.gradients(sum(y * y), {w})[0]};
    const Feeds feeds{{x, random({8, 28, 28, 16}, f32, 1)}, {w, random({5, 5, 16, 32}, f32, 2)}};
    return g.run(feeds, targets, {}, measured);
  };
  const auto first = run(), second = run();
  EXPECT_TRUE(same(first[0], second[0]));
  EXPECT_TRUE(same(first[1], second[1]));
}

TEST_F(CudaLibraries, RoundToTf32OnlyWhenAsked) {
  Graph g;
  const Tensor x = g.placeholder({512, 512}, f32), w = g.placeholder({512, 512}, f32), y = matmul(x, w);
  const Feeds feeds{{x, random({512, 512}, f32, 1)}, {w, random({512, 512}, f32, 2)}};
  RunOptions tf32 = measured;
  tf32.tf32 = true;
  const NDArray expected = g.run(feeds, {y}, {}, reference)[0];
  EXPECT_TRUE(agree(expected, on_host(g.run(feeds, {y}, {}, measured)[0]), tolerance(512)));
  const NDArray rounded = on_host(g.run(feeds, {y}, {}, tf32)[0]);
  // 13 bits less; errors of either sign add up to the root of their number.
  const Tolerance wider{.scale = 8192 * std::sqrt(512.0)};
  EXPECT_TRUE(agree(expected, rounded, wider));
  EXPECT_FALSE(agree(expected, rounded, tolerance(512)));
}

}  // namespace
}  // namespace weft::cuda_library_test
