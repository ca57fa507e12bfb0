// What becomes one kernel, and that it computes the same.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "compare.h"
#include "compile/backend.h"
#include "team.h"

namespace weft::stitch_test {
namespace {

class Stitch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }
  static constexpr RunOptions cpu{.backend = Backend::cpu};
  static constexpr RunOptions reference{.backend = Backend::reference};

  static NDArray waves(Shape shape, double phase = 0) {
    NDArray a(f32, shape);
    double i = phase;
    for (auto& e : a.elements<float>()) e = static_cast<float>(std::sin(i) * 2), i += 0.7311;
    return a;
  }

  /// Kernels of the compiled targets, after comparing what they compute with the reference, and one thread's bits with two's.
  int kernels(Graph& g, const std::vector<std::pair<Tensor, NDArray>>& feeds, const std::vector<Tensor>& targets, double tolerance = 3e-6) {
    std::vector<FeedType> types;
    std::vector<TensorData> data;
    for (const auto& [t, a] : feeds) types.push_back({t, a.type()}), data.emplace_back(a);
    const Executable e = g.compile(types, targets, {}, cpu), r = g.compile(types, targets, {}, reference);
    auto run_by = [&](int threads) {
      const Team team(threads);
      return e.run(data);
    };
    const auto alone = run_by(1), together = run_by(2), expected = r.run(data);
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const auto x = together[t].elements<float>(), y = expected[t].elements<float>();
      EXPECT_EQ(std::memcmp(alone[t].data(), together[t].data(), static_cast<std::size_t>(alone[t].byte_count())), 0) << "target " << t;
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(double{x[i]} - y[i]) / (1 + std::abs(double{y[i]})));
      EXPECT_LT(worst, tolerance) << "target " << t;
    }
    return e.statistics().kernels;
  }
};

TEST_F(Stitch, SoftmaxIsOneKernel) {
  for (const Shape& shape : {Shape{7, 33}, Shape{300, 500}, Shape{1, 5}, Shape{40, 3, 70}}) {
    Graph g;
    const Tensor x = g.placeholder(shape, f32);
    EXPECT_EQ(kernels(g, {{x, waves(shape)}}, {softmax(x * 0.125f, -1)}), 1) << shape.str();
    EXPECT_EQ(kernels(g, {{x, waves(shape)}}, {log_softmax(x, -1)}), 1) << shape.str();
  }
}

TEST_F(Stitch, SoftmaxOverAnOuterAxisIsOneKernelWhereAColumnFits) {
  Graph g;
  const Tensor x = g.placeholder({50, 300}, f32);
  EXPECT_EQ(kernels(g, {{x, waves({50, 300})}}, {softmax(x, 0)}), 1);
}

TEST_F(Stitch, LayerNormAndItsGradientsAreOneKernelAndATotal) {
  for (const Shape& shape : {Shape{300, 500}, Shape{67, 129}}) {
    Graph g;
    const std::int64_t c = shape[1];
    const Tensor x = g.placeholder(shape, f32), gamma = g.placeholder({c}, f32), beta = g.placeholder({c}, f32), dy = g.placeholder(shape, f32);
    const Tensor y = layer_norm(x, -1, {.gamma = gamma, .beta = beta});
    const std::vector<std::pair<Tensor, NDArray>> feeds{{x, waves(shape)}, {gamma, waves({c}, 1)}, {beta, waves({c}, 2)}};
    EXPECT_EQ(kernels(g, feeds, {y}), 1) << shape.str();
    auto with_dy = feeds;
    with_dy.emplace_back(dy, waves(shape, 3));
    const auto grads = g.gradients(sum(y * dy), {x, gamma, beta});
    // Rows with blocks of column sums, then the blocks' totals.
    EXPECT_LE(kernels(g, with_dy, {grads[0], grads[1], grads[2]}, 2e-5), 3) << shape.str();
  }
}

/// Casts between the types of memory and of arithmetic cost no kernels, and no memory.
TEST_F(Stitch, LayerNormAndItsGradientsInHalfPrecisionAreOneKernelAndATotal) {
  for (const DType dtype : {f16, bf16}) {
    Graph g;
    const Shape shape{300, 500};
    const Tensor x = g.placeholder(shape, dtype), gamma = g.placeholder({500}, dtype), beta = g.placeholder({500}, dtype),
                 dy = g.placeholder(shape, dtype);
    const auto gradients = g.gradients(layer_norm(x, -1, {.gamma = gamma, .beta = beta}) * dy, {x, gamma, beta});
    std::vector<FeedType> types;
    for (const Tensor t : {x, gamma, beta, dy}) types.push_back({t, t.type()});
    const auto statistics = g.compile(types, gradients, {}, cpu).statistics();
    EXPECT_EQ(statistics.kernels, 2);
    // Sums of parts of the rows, of two columns.
    EXPECT_LT(statistics.arena_bytes, 300 * 500 * 2);
    const Feeds feeds{
        {x, waves(shape).cast(dtype)}, {gamma, waves({500}, 1).cast(dtype)}, {beta, waves({500}, 2).cast(dtype)}, {dy, waves(shape, 3).cast(dtype)}};
    const auto expected = g.run(feeds, gradients, {}, reference), got = g.run(feeds, gradients, {}, cpu);
    for (std::size_t t = 0; t < gradients.size(); ++t) EXPECT_TRUE(agree(expected[t], got[t], {.ulp = 2, .scale = t == 0 ? 4.0 : 16.0})) << t;
  }
}

/// What is done with sums over columns is done where they are put together, beside what is done with rows.
TEST_F(Stitch, WhatFollowsColumnSumsIsInTheirKernel) {
  Graph g;
  const Tensor x = g.placeholder({300, 500}, f32), bias = g.placeholder({500}, f32), rate = g.placeholder({}, f32);
  const std::pair<Tensor, NDArray> rows{x, waves({300, 500})}, row{bias, waves({500}, 1)}, factor{rate, waves({}, 2)};
  const Tensor y = softmax(x + bias, -1), slope = sum(y, 0);
  EXPECT_EQ(kernels(g, {rows, row, factor}, {y, bias - rate * slope, sqrt(slope)}, 1e-5), 2);
  // All rows read it again.
  EXPECT_EQ(kernels(g, {rows, row}, {y * (bias - slope)}, 1e-5), 3);
}

/// New values of variables are computed side by side instead.
TEST_F(Stitch, UpdatesDoNotFollowColumnSumsInTheirKernel) {
  Graph g;
  const Tensor x = g.placeholder({300, 500}, f32);
  const Tensor bias = g.variable(waves({500}, 1));
  const Tensor y = softmax(x + bias, -1), slope = sum(y, 0) * 0.25f;
  const Operation update = g.assign(bias, bias - slope);
  EXPECT_EQ(g.compile({{x, x.type()}}, {y}, {update}, cpu).statistics().kernels, 3);
}

TEST_F(Stitch, CastsToLargerTypesAreReadInPlace) {
  Graph g;
  const Tensor x = g.placeholder({300, 500}, f16), w = g.placeholder({500}, u8), wide = cast(x, f32);
  const Tensor y = sum(exp(wide) * cast(w, f32), 1), z = max(wide, 0);
  const auto statistics = g.compile({{x, x.type()}, {w, w.type()}}, {y, z}, {}, cpu).statistics();
  EXPECT_LT(statistics.arena_bytes, 300 * 500);
  NDArray bytes(u8, {500});
  for (std::size_t i = 0; i < 500; ++i) bytes.elements<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 7);
  const Feeds feeds{{x, waves({300, 500}).cast(f16)}, {w, bytes}};
  const auto expected = g.run(feeds, {y, z}, std::span<const Operation>{}, reference), got = g.run(feeds, {y, z}, std::span<const Operation>{}, cpu);
  for (std::size_t t = 0; t < 2; ++t) EXPECT_TRUE(agree(expected[t], got[t], {.ulp = 8})) << t;
}

TEST_F(Stitch, CrossEntropyAndItsGradientAreFewKernels) {
  Graph g;
  const Tensor x = g.placeholder({200, 1000}, f32), labels = g.placeholder({200}, i32);
  NDArray truth(i32, {200});
  int n = 0;
  for (auto& l : truth.elements<std::int32_t>()) l = (n += 37) % 1000;
  const Tensor loss = softmax_cross_entropy(x, labels, Reduction::mean);
  EXPECT_LE(kernels(g, {{x, waves({200, 1000})}, {labels, truth}}, {loss, g.gradients(loss, {x})[0]}), 2);
}

TEST_F(Stitch, SeveralReductionsOfOneArrayAreOnePass) {
  Graph g;
  const Tensor x = g.placeholder({100, 700}, f32);
  EXPECT_EQ(kernels(g, {{x, waves({100, 700})}}, {sum(x, 1), max(x, 1), mean(square(x), 1)}, 1e-5), 1);
}

TEST_F(Stitch, SumsOverRowsAndColumnsAreOnePass) {
  for (const Shape& shape : {Shape{257, 700}, Shape{3, 5}, Shape{1000, 64}, Shape{20, 30, 40}}) {
    Graph g;
    const Tensor x = g.placeholder(shape, f32);
    const int last = shape.rank() - 1;
    std::vector<int> leading;
    for (int d = 0; d < last; ++d) leading.push_back(d);
    EXPECT_EQ(kernels(g, {{x, waves(shape)}}, {sum(x, last), sum(square(x), leading), x + 1.0f}, 1e-5), 2) << shape.str();
  }
}

TEST_F(Stitch, ColumnSumsAreAddedRowByRow) {
  Graph g;
  const Tensor x = g.placeholder({1001, 130}, f32), y = g.placeholder({1001, 130}, f32);
  const NDArray a = waves({1001, 130}), c = waves({1001, 130}, 5);
  EXPECT_EQ(kernels(g, {{x, a}, {y, c}}, {sum(x * y, 0), max(x, 0), min(y, 0)}, 2e-5), 2);
  EXPECT_EQ(kernels(g, {{x, a}, {y, c}}, {select(x > 0, y, 0), sum(select(x > 0, y, 0), 0) * 0.5f}, 2e-5), 2);
}

TEST_F(Stitch, AResultThatOthersReadIsStoredByTheKernelThatComputesIt) {
  Graph g;
  const Tensor x = g.placeholder({64, 96}, f32), y = exp(x) * 2.0f, z = sqrt(y + 1.0f);
  EXPECT_EQ(kernels(g, {{x, waves({64, 96})}}, {y, z, z - y}), 1);
}

TEST_F(Stitch, RegionsThatReadTheSameMemoryAreOne) {
  Graph g;
  const Tensor x = g.placeholder({64, 96}, f32);
  EXPECT_EQ(kernels(g, {{x, waves({64, 96})}}, {exp(x), tanh(x), sum(x, 1)}), 1);
}

TEST_F(Stitch, BatchNormOfAnImageIsFewKernels) {
  Graph g;
  const Tensor x = g.placeholder({8, 10, 10, 32}, f32), gamma = g.placeholder({32}, f32), beta = g.placeholder({32}, f32);
  const std::vector<std::pair<Tensor, NDArray>> feeds{{x, waves({8, 10, 10, 32})}, {gamma, waves({32}, 1)}, {beta, waves({32}, 2)}};
  EXPECT_LE(kernels(g, feeds, {batch_norm(x, {.gamma = gamma, .beta = beta}).y}, 1e-5), 5);
}

TEST_F(Stitch, AnInstanceNormIsOneKernel) {
  Graph g;
  const Tensor x = g.placeholder({4, 32, 9, 9}, f32);
  EXPECT_EQ(kernels(g, {{x, waves({4, 32, 9, 9})}}, {instance_norm(x, {.axis = 1})}, 1e-5), 1);
}

TEST_F(Stitch, PartsOfAnArrayAreComputedWhereTheyAreRead) {
  Graph g;
  const Tensor x = g.placeholder({32, 40}, f32), z = x * 2.0f + 1.0f;
  const Tensor y = sigmoid(slice(z, 1, 0, 20)) * tanh(slice(z, 1, 20, 20));
  EXPECT_EQ(kernels(g, {{x, waves({32, 40})}}, {y}), 1);
}

TEST_F(Stitch, ACheapValueIsComputedByEachOfItsReaders) {
  Graph g;
  const Tensor x = g.placeholder({64, 64}, f32), a = x + 1.0f;
  const auto e = g.compile({{x, {f32, {64, 64}}}}, {sum(a * x, 1), transpose(a, 0, 1) * 3.0f}, {}, cpu);
  EXPECT_EQ(e.statistics().arena_bytes, 0);
}

TEST_F(Stitch, ProductsThatNoLibraryComputesAreOneKernelWithWhatFollows) {
  for (const std::int64_t rows : {1, 2, 7, 8})
    for (const bool transposed : {false, true}) {
      Graph g;
      const Shape shape = transposed ? Shape{130, 200} : Shape{200, 130};
      const Tensor x = g.placeholder({rows, 200}, f32), w = g.placeholder(shape, f32), bias = g.placeholder({130}, f32);
      const Tensor product = matmul(x, transposed ? transpose(w, 0, 1) : w), y = gelu(product + bias);
      const std::vector<std::pair<Tensor, NDArray>> feeds{{x, waves({rows, 200})}, {w, waves(shape, 1)}, {bias, waves({130}, 2)}};
      EXPECT_EQ(kernels(g, feeds, {y}, 1e-4), 1) << rows << transposed;
      EXPECT_EQ(kernels(g, feeds, {y, product}, 1e-4), 1) << rows << transposed;
      EXPECT_EQ(kernels(g, feeds, {softmax(y, -1)}, 1e-4), 2) << rows << transposed;
    }
}

TEST_F(Stitch, ProductsReadViewsAndBatchesInPlace) {
  Graph g;
  const Tensor x = g.placeholder({3, 1, 1, 20}, f32), w = g.placeholder({5, 40, 9}, f32);
  const Tensor y = matmul(x, slice(w, 1, 10, 20));
  EXPECT_EQ(kernels(g, {{x, waves({3, 1, 1, 20})}, {w, waves({5, 40, 9}, 1)}}, {tanh(y) * 2.0f}, 1e-5), 1);
}

TEST_F(Stitch, ProductsWithTheSameTermsThatAreAddedAreOneKernel) {
  Graph g;
  const Tensor x = g.placeholder({1, 64}, f32), h = g.placeholder({1, 64}, f32), w = g.placeholder({64, 96}, f32), u = g.placeholder({64, 96}, f32);
  const Tensor gates = sigmoid(matmul(x, w) + matmul(h, u));
  EXPECT_EQ(kernels(g, {{x, waves({1, 64})}, {h, waves({1, 64}, 1)}, {w, waves({64, 96}, 2)}, {u, waves({64, 96}, 3)}}, {gates}, 1e-5), 1);
}

TEST_F(Stitch, WhatAProductReadsOftenIsStored) {
  Graph g;
  const Tensor x = g.placeholder({48, 40}, f64), w = g.placeholder({40, 48}, f64);
  const auto e = g.compile({{x, {f64, {48, 40}}}, {w, {f64, {40, 48}}}}, {matmul(x, w * 2.0f)}, {}, cpu);
  EXPECT_EQ(e.statistics().kernels, 2) << e.dump();
}

TEST_F(Stitch, ANumberThatAllElementsReadIsComputedWithThem) {
  Graph g;
  const Tensor x = g.placeholder({3 << 20}, f32), rate = g.placeholder({}, f32);
  const auto e = g.compile({{x, {f32, {3 << 20}}}, {rate, {f32, {}}}}, {x * (rate * 2.0f)}, {}, cpu);
  EXPECT_EQ(e.statistics().kernels, 1) << e.dump();
}

TEST_F(Stitch, ACycleIsNotMade) {
  // b reads a directly, and through a matrix product: a and b can't be one kernel.
  Graph g;
  const Tensor x = g.placeholder({48, 48}, f32), a = exp(x * 0.1f), b = a + matmul(a, x);
  kernels(g, {{x, waves({48, 48})}}, {b * 2.0f, a}, 1e-5);
}

TEST_F(Stitch, AValueReadAtOtherPlacesThanItsOwnIsStored) {
  Graph g;
  const Tensor x = g.placeholder({30, 30}, f32), e = exp(x), s = e / sum(e, 1, {.keep = true});
  EXPECT_EQ(kernels(g, {{x, waves({30, 30})}}, {s + transpose(s, 0, 1), s * reverse(s, {0})}), 2);
}

TEST_F(Stitch, LargeResultsAreWrittenPastTheCachesAndSmallOnesAreNot) {
  // One feed is not aligned to a vector, so that both versions of the loop run.
  constexpr std::int64_t large = std::int64_t{12} << 20;
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f32), y = x * 2.0f + 1.0f;
  const NDArray a = waves({large + 3});
  const NDArray part = a.slice(0, 3, large + 3);
  for (const std::int64_t n : {std::int64_t{1000}, large}) {
    const Executable e = g.compile(std::vector<FeedType>{{x, {f32, {n}}}}, std::vector<Tensor>{y}, {}, cpu);
    EXPECT_EQ(e.dump().find("past the caches") != std::string::npos, n == large);
    NDArray memory(f32, {n + 5});
    for (const std::int64_t offset : {0, 1, 5}) {
      std::vector<TensorData> feeds{part.slice(0, 0, n)}, results{memory.slice(0, offset, offset + n)};
      e.run(feeds, results);
      const std::span<const float> r = memory.elements<float>(), in = a.elements<float>();
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < n; ++i) wrong += r[static_cast<std::size_t>(i + offset)] != in[static_cast<std::size_t>(i + 3)] * 2 + 1;
      EXPECT_EQ(wrong, 0) << n << " at " << offset;
    }
  }
}

TEST_F(Stitch, ConcatenationsAreReadInPlace) {
  Graph g;
  const Tensor x = g.placeholder({16, 10}, f32), y = g.placeholder({16, 7}, f32);
  EXPECT_EQ(kernels(g, {{x, waves({16, 10})}, {y, waves({16, 7}, 2)}}, {sum(exp(concat({x, y * 2.0f}, 1)), 1)}), 1);
}

/// What reads `x` would be one kernel, and what reads `p` another, but then each would need the other's results.
TEST_F(Stitch, KernelsNeverNeedEachOther) {
  Graph g;
  const Tensor x = g.placeholder({64, 64}, f32), p = g.placeholder({64, 64}, f32);
  const Tensor first = matmul(abs(x), x);
  const Tensor second = matmul(p * 2.0f, x);
  kernels(g, {{x, waves({64, 64})}, {p, waves({64, 64}, 1)}}, {x + second, p - first}, 1e-4);
}

}  // namespace
}  // namespace weft::stitch_test
