// What the compiled code of the CPU backend must be like: how many kernels, what is shared, what several threads may do.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "compile/backend.h"
#include "team.h"

// Of the OpenMP runtime that the library is linked with.

namespace weft::cpu_test {
namespace {

class Cpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }
  static constexpr RunOptions cpu{.backend = Backend::cpu};
  static constexpr RunOptions unstitched{.backend = Backend::cpu, .stitch = false};
};

Tensor gelu_chain(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

NDArray ramp(Shape shape, float scale = 0.01f) {
  NDArray a(f32, shape);
  float v = -1;
  for (auto& e : a.elements<float>()) e = v, v = v > 1 ? -1 : v + scale;
  return a;
}

TEST_F(Cpu, AnElementwiseChainIsOneKernel) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f32, "x"), y = gelu_chain(x);
  const auto stitched = g.compile({{x, {f32, {1000}}}}, {y}, {}, cpu).statistics();
  EXPECT_EQ(stitched.kernels, 1);
  EXPECT_EQ(stitched.bytes_read, 4000);
  EXPECT_EQ(stitched.bytes_written, 4000);
  EXPECT_EQ(stitched.arena_bytes, 0);
  EXPECT_EQ(g.compile({{x, {f32, {1000}}}}, {y}, {}, unstitched).statistics().kernels, 5);
}

TEST_F(Cpu, AChainWhoseIntermediatesAreUsedTwiceInItIsOneKernel) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f32, "x");
  const Tensor dx = g.gradients(gelu_chain(x), {x})[0];
  EXPECT_EQ(g.compile({{x, {f32, {1000}}}}, {dx}, {}, cpu).statistics().kernels, 1);
}

TEST_F(Cpu, MovementIsReadInPlace) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 8}, f32, "x");
  const Tensor y = pad(reverse(transpose(x, 0, 1), {1}) * 2.0f, {1, 0}, {1, 2}) + 1.0f;
  const NDArray data = ramp({5, 8});
  const Executable e = g.compile({{x, data.type()}}, {y}, {}, cpu);
  EXPECT_EQ(e.statistics().kernels, 1);
  const NDArray r = e.run({data})[0];
  ASSERT_EQ(r.shape(), (Shape{10, 7}));
  for (int i = 0; i < 10; ++i)
    for (int j = 0; j < 7; ++j) {
      const bool inside = i > 0 && i < 9 && j < 5;
      const float expected = inside ? data.elements<float>()[static_cast<std::size_t>((4 - j) * 8 + i - 1)] * 2 + 1 : 1;
      EXPECT_EQ(r.elements<float>()[static_cast<std::size_t>(i * 7 + j)], expected) << i << ' ' << j;
    }
}

TEST_F(Cpu, AnElementwisePrologueIsComputedInTheReduction) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, dynamic}, f32, "x"), y = sum(square(x) * 3.0f, 1);
  const Executable e = g.compile({{x, {f32, {7, 100}}}}, {y}, {}, cpu);
  EXPECT_EQ(e.statistics().kernels, 1);
}

TEST_F(Cpu, ASecondBatchSizeCompilesNothing) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 12, 12, 3}, f32, "x"), w = g.variable(init::he({3, 3, 3, 8})), v = g.variable(init::he({288, 5}));
  const Tensor y = matmul(reshape(max_pool2d(relu(conv2d(x, w, {.padding = Padding::same})), {2, 2}), {dynamic, 288}), v);
  const Tensor loss = mean(square(y));
  const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.01f);
  auto compile = [&](std::int64_t batch) {
    return g.compile(std::vector<FeedType>{{x, {f32, {batch, 12, 12, 3}}}}, std::vector{loss}, updates, cpu).statistics();
  };
  EXPECT_GT(compile(6).kernels, 0);
  EXPECT_EQ(compile(11).kernels_compiled, 0);
  EXPECT_EQ(compile(30).kernels_compiled, 0);
}

TEST_F(Cpu, TheRunCacheIsBoundedAndCounted) {
  Graph g;
  g.set_cache_capacity(2);
  const Tensor x = g.placeholder({dynamic}, f32, "x"), y = x + 1.0f;
  for (const std::int64_t n : {3, 4, 3, 5, 3, 4}) g.run({{x, ramp({n})}}, {y}, std::span<const Operation>{}, cpu);
  const auto s = g.cache_statistics();
  EXPECT_EQ(s.executables, 2u);
  EXPECT_EQ(s.misses, 4u);
  EXPECT_EQ(s.hits, 2u);
  EXPECT_EQ(s.evictions, 2u);
  g.clear_cache();
  EXPECT_EQ(g.cache_statistics().executables, 0u);
}

TEST_F(Cpu, SeveralThreadsRunOneExecutable) {
  Graph g;
  const Tensor x = g.placeholder({64, 96}, f32, "x"), w = g.variable(init::glorot({96, 32}));
  const Tensor y = softmax(matmul(gelu_chain(x), w), -1);
  const Executable e = g.compile({{x, {f32, {64, 96}}}}, {y}, {}, cpu);
  std::vector<NDArray> inputs, expected;
  for (int t = 0; t < 4; ++t) {
    inputs.push_back(ramp({64, 96}, 0.003f * static_cast<float>(t + 1)));
    expected.push_back(e.run({inputs.back()})[0]);
  }
  std::vector<std::thread> threads;
  std::vector<int> differences(4);
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const NDArray r = e.run({inputs[t]})[0];
        differences[t] += std::memcmp(r.data(), expected[t].data(), static_cast<std::size_t>(r.byte_count())) != 0;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(differences, std::vector<int>(4));
}

TEST_F(Cpu, ThreadsThatTrainAndReadSeeWholeSteps) {
  Graph g;
  const Tensor w = g.variable(init::zeros({1000}));
  const Operation step = g.assign(w, w + 1.0f);
  const Tensor lowest = min(w), highest = max(w);
  std::vector<std::thread> threads;
  std::atomic<int> torn = 0;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) g.run({}, {}, {step}, cpu);
    });
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto r = g.run({}, {lowest, highest}, std::span<const Operation>{}, cpu);
        torn += r[0].item() != r[1].item();
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(g.value(w).elements<float>()[999], 100);
}

TEST_F(Cpu, AFailedRunLeavesVariablesAsTheyWere) {
  Graph g;
  const Tensor table = g.variable(init::constant({5, 3}, 2.0), "table"), index = g.placeholder({dynamic}, i64, "index");
  const Tensor rows = gather(table, index, 0).named("embedding");
  const Operation update = g.assign(table, table * 3.0f);
  const std::int64_t wrong[] = {1, 70};
  try {
    g.run({{index, NDArray::of<std::int64_t>({2}, wrong)}}, {rows}, {update}, cpu);
    FAIL() << "an index out of range was taken";
  } catch (const RunError& e) { EXPECT_STREQ(e.what(), "gather \"embedding\": index 70 is out of range for axis 0 of size 5"); }
  EXPECT_EQ(g.value(table).elements<float>()[0], 2);
  const std::int64_t right[] = {4, 0};
  EXPECT_EQ(g.run({{index, NDArray::of<std::int64_t>({2}, right)}}, {rows}, {update}, cpu)[0].elements<float>()[0], 2);
  EXPECT_EQ(g.value(table).elements<float>()[0], 6);
}

TEST_F(Cpu, LargeReductionsAreAccurateAndTheSameForAnyNumberOfThreads) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f32, "x"), rows = g.placeholder({dynamic, dynamic}, f32, "rows");
  const Tensor total = sum(x), largest = max(x), columns = sum(exp(rows), 0);
  NDArray data(f32, {1'000'003}), table(f32, {5'003, 37});
  std::uint32_t state = 1;
  auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 8) / 16777216.0f;
  };
  for (auto& e : data.elements<float>()) e = next();
  for (auto& e : table.elements<float>()) e = next();
  data.elements<float>()[777'777] = 5;
  double exact = 0;
  for (const auto& e : data.elements<float>()) exact += e;

  const Executable e = g.compile(std::vector<FeedType>{{x, data.type()}, {rows, table.type()}}, std::vector{total, largest, columns}, {}, cpu);
  std::vector<TensorData> feeds;
  for (const auto& f : e.feeds()) feeds.emplace_back(f.placeholder == x ? data : table);
  const auto first = e.run(feeds);
  EXPECT_NEAR(first[0].item(), exact, exact * 6e-8);
  EXPECT_EQ(first[1].item(), 5);
  for (const int threads : {1, 2, 3, 7}) {
    const Team team(threads);
    const auto r = e.run(feeds);
    for (std::size_t i = 0; i < r.size(); ++i)
      EXPECT_EQ(std::memcmp(r[i].data(), first[i].data(), static_cast<std::size_t>(r[i].byte_count())), 0)
          << "result " << i << " with " << threads << " threads";
  }
  EXPECT_EQ(g.compile({{x, data.type()}}, {total}, {}, cpu).statistics().kernels, 2) << "in parts, then the parts";
}

TEST_F(Cpu, TargetsMayBeFeedsVariablesConstantsAndEachOther) {
  Graph g;
  const Tensor x = g.placeholder({3}, f32, "x"), w = g.variable(init::constant({3}, 4.0)), c = g.constant(7.0, {3});
  const Tensor y = x + w, flat = reshape(y, {1, 3});
  const Operation swap = g.assign(w, x);
  const auto r = g.run({{x, NDArray::of<float>({3}, {1, 2, 3})}}, {x, w, c, y, flat, y}, {swap}, cpu);
  EXPECT_EQ(r[0].elements<float>()[2], 3);
  EXPECT_EQ(r[1].elements<float>()[2], 4);
  EXPECT_EQ(r[2].elements<float>()[2], 7);
  EXPECT_EQ(r[3].elements<float>()[2], 7);
  EXPECT_EQ(r[4].elements<float>()[0], 5);
  EXPECT_EQ(r[5].elements<float>()[0], 5);
  EXPECT_EQ(g.value(w).elements<float>()[1], 2);
}

TEST_F(Cpu, CallersStorageIsWrittenDirectlyOrThroughStrides) {
  Graph g;
  const Tensor x = g.placeholder({2, 3}, f32, "x"), y = x * 2.0f;
  const NDArray data = NDArray::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  NDArray transposed = NDArray(f32, {3, 2}).transpose(0, 1);
  Results results{{y, transposed}};
  g.run({{x, data}}, results, {}, cpu);
  EXPECT_EQ(transposed.copy().elements<float>()[5], 12);
  NDArray in_place = data.copy();
  Results same{{y, in_place}};
  g.run({{x, in_place}}, same, {}, cpu);
  EXPECT_EQ(in_place.elements<float>()[0], 2);
  EXPECT_EQ(in_place.elements<float>()[5], 12);
}

TEST_F(Cpu, TheDumpShowsPassesKernelsAndRefusals) {
  Graph g;
  const Tensor x = g.placeholder({4, 8}, f32, "x"), e = exp(x).named("numerator");
  const Tensor w = g.placeholder({8, 4}, f32, "w"), y = matmul(e / sum(e, 1, {.keep = true}), w);
  const std::string dump = g.compile({{x, {f32, {4, 8}}}, {w, {f32, {8, 4}}}}, {y}, {}, cpu).dump();
  for (const char* part : {"== specialize", "== merge identical", "== kernels", "kernel exp_sum_div_4x8_f32", "== not stitched"})
    EXPECT_NE(dump.find(part), std::string::npos) << part;
}

TEST_F(Cpu, FloatsBecomeIntegersAsArraysDo) {
  // Both sides of every type's limits, in any lane.
  std::vector<double> values = {0, -0.0, 0.5, -0.5, -0.99, 0.999, std::nan(""), -std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, -1e300, 5e-324};
  for (const int bits : {7, 8, 15, 16, 31, 32, 63, 64})
    for (const double sign : {1, -1})
      for (const double beside : {-1.5, -1.0, -0.5, 0.0, 0.5, 1.0}) {
        values.push_back(sign * (std::ldexp(1, bits) + beside));
        values.push_back(std::nextafter(values.back(), 0));
        values.push_back(static_cast<double>(std::nextafter(static_cast<float>(values.back()), 0.0f)));
      }
  for (const std::size_t shift : {0u, 1u, 7u})
    for (const DType from : {f64, f32, f16, bf16})
      for (const DType to : {i8, u8, i16, u16, i32, u32, i64, u64}) {
        std::vector<double> turned = values;
        std::rotate(turned.begin(), turned.begin() + static_cast<std::ptrdiff_t>(shift), turned.end());
        const NDArray x = NDArray::of<double>({static_cast<std::int64_t>(turned.size())}, turned).cast(from);
        Graph g;
        const Tensor a = g.placeholder({dynamic}, from);
        const NDArray y = g.run({{a, x}}, {cast(a, to)}, {}, cpu)[0], expected = x.cast(to);
        for (std::int64_t i = 0; i < x.element_count(); ++i)
          EXPECT_EQ(y.slice(0, i, i + 1).str(), expected.slice(0, i, i + 1).str()) << x.slice(0, i, i + 1).str();
      }
}

}  // namespace
}  // namespace weft::cpu_test
