// What is particular to running on a GPU: where arrays and variables lie, replayed runs, and failures.
#include "compare.h"
#include "compile/backend.h"

#include <weft/weft.h>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weft::cuda_run_test {
namespace {

constexpr RunOptions cuda{.backend = Backend::cuda}, reference{.backend = Backend::reference};

class CudaRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_not(Backend::cuda); !why.empty()) GTEST_SKIP() << why;
  }
};

NDArray counting(std::int64_t n, float first = 0) {
  NDArray a(f32, {n});
  std::iota(a.elements<float>().begin(), a.elements<float>().end(), first);
  return a;
}

bool same(const NDArray& a, const NDArray& b) {
  const NDArray x = a.to(Device::cpu()).copy(), y = b.to(Device::cpu()).copy();
  return x.type() == y.type() && std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.byte_count())) == 0;
}

/// The driver, as a program that uses CUDA beside weft has it.
template <class F> F* in_driver(const char* name) {
  static void* const library = ::dlopen("libcuda.so.1", RTLD_NOW);
  return reinterpret_cast<F*>(::dlsym(library, name));
}

/// Bytes of the GPU that this process uses; others may use it, too.
std::uint64_t used_bytes() {
  void* pool = nullptr;
  std::uint64_t bytes = 0;
  constexpr int used = 7;  // CU_MEMPOOL_ATTR_USED_MEM_CURRENT
  EXPECT_EQ(in_driver<int(void**, int)>("cuDeviceGetDefaultMemPool")(&pool, 0), 0);
  EXPECT_EQ(in_driver<int(void*, int, void*)>("cuMemPoolGetAttribute")(pool, used, &bytes), 0);
  return bytes;
}

/// Pages of the host.
long resident_pages() {
  long all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident;
}

using CudaArrays = CudaRun;

TEST_F(CudaArrays, GoToTheGpuAndComeBack) {
  const NDArray host = counting(1000), there = host.to(Device::cuda());
  EXPECT_EQ(there.device(), Device::cuda());
  EXPECT_TRUE(same(host, there));
  EXPECT_TRUE(same(there.copy(), host));
  EXPECT_EQ(there.str(), host.str());
  EXPECT_EQ(there.slice(0, 7, 8).item(), 7);
  EXPECT_TRUE(same(there.cast(i32), host.cast(i32)));
  EXPECT_THROW(NDArray(f32, {3}, Device::cuda()).elements<float>(), RunError);
}

TEST_F(CudaArrays, HaveViewsThatAreCopiedAsTheyAreOnTheHost) {
  const NDArray host = counting(60).reshape({6, 10}), there = host.to(Device::cuda());
  const auto view = [](const NDArray& a) { return a.slice(0, 5, 0, -2).transpose(0, 1); };
  EXPECT_TRUE(same(view(there).copy(), view(host).copy()));
  NDArray changed = there.copy(), expected = host.copy();
  view(changed).assign(view(host.cast(f32)).copy());
  view(expected).assign(view(host).copy());
  EXPECT_TRUE(same(changed, expected));
}

TEST_F(CudaRun, ComputesWhatTheReferenceDoes) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 300}, f32, "x"), w = g.variable(init::glorot({300, 50})), b = g.variable(init::zeros({50}));
  const Tensor y = softmax(relu(matmul(x, w) + b), -1);
  for (const std::int64_t rows : {1, 3, 64}) {
    const Feeds feeds{{x, counting(rows * 300).reshape({rows, 300})}};
    const NDArray expected = g.run(feeds, {y}, std::span<const Operation>{}, reference)[0];
    EXPECT_TRUE(agree(expected, g.run(feeds, {y}, std::span<const Operation>{}, cuda)[0], {.ulp = 64, .scale = 1}));
  }
}

TEST_F(CudaRun, TakesAndGivesArraysOnEitherSide) {
  Graph g;
  const Tensor x = g.placeholder({5000}, f32, "x"), y = g.placeholder({5000}, f32, "y");
  const Tensor sum = x + y, product = x * y;
  const Executable e = g.compile({{x, {f32, {5000}}}, {y, {f32, {5000}}}}, {sum, product}, {}, cuda);
  const NDArray a = counting(5000), b = counting(5000, 3);
  const auto expected = g.run({{x, a}, {y, b}}, {sum, product}, std::span<const Operation>{}, reference);
  for (int repeat = 0; repeat < 4; ++repeat)
    for (const Device first : {Device::cpu(), Device::cuda()})
      for (const Device second : {Device::cpu(), Device::cuda()}) {
        const std::vector<TensorData> feeds{a.to(first), b.to(second)};
        std::vector<TensorData> results{NDArray(f32, {5000}, second), NDArray(f32, {5000}, first)};
        e.run(feeds, results);
        EXPECT_TRUE(same(expected[0], results[0].array())) << repeat << first.str() << second.str();
        EXPECT_TRUE(same(expected[1], results[1].array())) << repeat << first.str() << second.str();
      }
}

TEST_F(CudaRun, CopesWithAnyLayoutAndWithLargeArrays) {
  Graph g;
  const Tensor x = g.placeholder({1000, 700}, f32, "x"), y = x * 2.0f;
  const Executable e = g.compile({{x, {f32, {1000, 700}}}}, {y}, {}, cuda);
  const NDArray turned = counting(700'000).reshape({700, 1000}).transpose(0, 1);
  for (const NDArray& feed :
       {turned, turned.copy(), turned.to(Device::cuda()), counting(700'000).reshape({700, 1000}).to(Device::cuda()).transpose(0, 1)}) {
    const NDArray got = e.run({feed})[0];
    EXPECT_EQ(got.slice(0, 3, 4).slice(1, 5, 6).item(), 2.0 * (5 * 1000 + 3));
    EXPECT_EQ(got.slice(0, 999, 1000).slice(1, 699, 700).item(), 2.0 * 699'999);
  }
  std::vector<TensorData> results{NDArray(f32, {700, 1000}, Device::cuda()).transpose(0, 1)};
  e.run(std::vector<TensorData>{turned}, results);
  EXPECT_EQ(results[0].array().slice(0, 3, 4).slice(1, 5, 6).item(), 2.0 * (5 * 1000 + 3));
}

TEST_F(CudaRun, TransposesAsTheReferenceDoes) {
  for (const DType dtype : {f32, f16, f64, u8})
    for (const auto& [rows, columns] : {std::pair{64, 64}, {33, 65}, {130, 67}, {257, 1000}}) {
      Graph g;
      const Tensor x = g.placeholder({3, rows, columns}, dtype), y = g.placeholder({3, columns, rows}, dtype);
      const Tensor turned = transpose(x, {0, 2, 1}), sum = turned + y, outer = transpose(x, {2, 1, 0});
      const auto numbers = [&](Shape shape, float first) {
        NDArray a = counting(shape.element_count(), first);
        for (auto& f : a.elements<float>()) f = static_cast<float>(static_cast<int>(f) % 101);
        return a.reshape(shape).cast(dtype);
      };
      const Feeds feeds{{x, numbers(x.shape(), 0)}, {y, numbers(y.shape(), 7)}};
      const auto expected = g.run(feeds, {turned, sum, outer}, std::span<const Operation>{}, reference),
                 got = g.run(feeds, {turned, sum, outer}, std::span<const Operation>{}, cuda);
      for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(same(expected[i], got[i])) << name_of(dtype) << " " << rows << "x" << columns << " " << i;
    }
}

TEST_F(CudaRun, ScansColumnsAsTheReferenceDoes) {
  for (const auto& [length, columns] : {std::pair{9, 50}, {300, 33}, {1000, 2}, {70'001, 3}})
    for (const bool exclusive : {false, true})
      for (const bool reverse : {false, true}) {
        Graph g;
        const Tensor x = g.placeholder({length, columns}), n = g.placeholder({length, columns}, i32);
        const CumulativeOptions options{.exclusive = exclusive, .reverse = reverse};
        const Tensor sums = cumulative_sum(x, 0, options), whole = cumulative_sum(n, 0, options), highest = cumulative_maximum(x, 0, options);
        NDArray a = counting(std::int64_t{length} * columns);
        for (auto& f : a.elements<float>()) f = static_cast<float>(static_cast<int>(f) * 37 % 1009) - 500;
        const Feeds feeds{{x, a.reshape({length, columns})}, {n, a.cast(i32).reshape({length, columns})}};
        const auto expected = g.run(feeds, {sums, whole, highest}, std::span<const Operation>{}, reference),
                   got = g.run(feeds, {sums, whole, highest}, std::span<const Operation>{}, cuda);
        for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(same(expected[i], got[i])) << length << "x" << columns << " " << exclusive << reverse << i;
      }
}

/// Each block goes over several rows, of which the next is fetched meanwhile, and adds up columns.
TEST_F(CudaRun, SumsColumnsOfRowsThatItComputes) {
  struct Case {
    std::int64_t rows, columns;
    DType dtype;
  };
  for (const auto& [rows, columns, dtype] :
       {Case{2113, 96, f32}, {2130, 1024, bf16}, {2112, 2056, f32}, {2200, 264, f16}, {2115, 130, f64}, {2120, 101, f32}, {9000, 40, f32}}) {
    Graph g;
    const Tensor x = g.placeholder({rows, columns}, dtype), gamma = g.placeholder({columns}, dtype), beta = g.placeholder({columns}, dtype),
                 dy = g.placeholder({rows, columns}, dtype);
    const auto numbers = [&](const Shape& shape, int step) {
      NDArray a(f32, shape);
      int i = 0;
      for (float& f : a.elements<float>()) f = static_cast<float>((i += step) % 1009 - 504) / 504;
      return a.cast(dtype);
    };
    const Feeds feeds{
        {x, numbers({rows, columns}, 37)}, {gamma, numbers({columns}, 71)}, {beta, numbers({columns}, 5)}, {dy, numbers({rows, columns}, 11)}};
    const std::vector<Tensor> targets = g.gradients(layer_norm(x, -1, {gamma, beta}) * dy, {x, gamma, beta});
    const auto expected = g.run(feeds, targets, {}, reference), got = g.run(feeds, targets, {}, cuda);
    // A column's terms come to about half as much as there are rows; each was rounded a few times, up and down, which in f64 the reference does, too.
    const double added = static_cast<double>(rows) / 2;
    for (std::size_t t = 0; t < targets.size(); ++t)
      EXPECT_TRUE(agree(expected[t], got[t],
                        {.ulp = 8,
                         .scale = t == 0         ? 16.0
                                  : dtype == f64 ? added
                                                 : added / 10}))
          << rows << "x" << columns << " " << name_of(dtype) << t;
  }
}

// The divisor of a whole row, by whose reciprocal what is divided by it is multiplied.
TEST_F(CudaRun, DividesByOneNumberToTheBit) {
  std::vector<float> dividends, divisors;
  const float infinity = std::numeric_limits<float>::infinity(), least = std::numeric_limits<float>::denorm_min(),
              largest = std::numeric_limits<float>::max();
  for (const float x :
       {0.0f, 1.0f, least, 3 * least, std::numeric_limits<float>::min(), largest, infinity, 1 - 0x1p-24f, 1 + 0x1p-23f, 0x1.fffffep60f})
    for (const float sign : {1.0f, -1.0f}) dividends.push_back(x * sign), divisors.push_back(x * sign);
  dividends.push_back(std::numeric_limits<float>::quiet_NaN());
  // Of all sizes, then of those that the short way is for.
  std::mt19937 bits(1);
  const auto with_exponent = [&](int least_exponent, int count) {
    const auto random = static_cast<std::uint32_t>(bits());
    return std::ldexp(1 + static_cast<float>(random >> 9) * 0x1p-23f, least_exponent + static_cast<int>(bits() % static_cast<unsigned>(count))) *
           (random & 1 ? 1.0f : -1.0f);
  };
  while (divisors.size() < 400) divisors.push_back(divisors.size() < 200 ? with_exponent(-126, 254) : with_exponent(-3, 6));
  while (dividends.size() < 4096) dividends.push_back(dividends.size() < 1000 ? with_exponent(-126, 254) : with_exponent(-8, 16));
  const auto rows = static_cast<std::int64_t>(divisors.size());
  for (const std::int64_t columns : {4096, 100, 33}) {
    NDArray x(f32, {rows, columns}), row(f32, {rows, columns}), expected(f32, {rows, columns});
    const auto xs = x.elements<float>(), ys = row.elements<float>(), quotients = expected.elements<float>();
    for (std::size_t i = 0; i < xs.size(); ++i) {
      // Another part of the dividends in each row of fewer.
      xs[i] = dividends[(columns == 4096 ? i : i * 7) % 4096];
      ys[i] = divisors[i / static_cast<std::size_t>(columns)];
      quotients[i] = xs[i] / ys[i];
    }
    Graph g;
    const Tensor dividend = g.placeholder(x.shape()), of_row = g.placeholder(x.shape());
    const NDArray got = g.run({{dividend, x}, {of_row, row}}, {dividend / max(of_row, -1, {.keep = true})}, std::span<const Operation>{}, cuda)[0];
    EXPECT_TRUE(agree(expected, got)) << columns;
    for (std::size_t i = 0; i < xs.size(); ++i)
      ASSERT_TRUE(quotients[i] != 0 || std::signbit(quotients[i]) == std::signbit(got.elements<float>()[i])) << xs[i] << " / " << ys[i];
  }
}

TEST_F(CudaRun, ScansARowToTheSameBitsWhateverIsBesideIt) {
  for (const int axis : {0, 1})
    for (const std::int64_t length : {3000, 100'000}) {
      NDArray first;
      for (const std::int64_t beside : {2, 40}) {
        Graph g;
        const Shape shape = axis == 0 ? Shape{length, beside} : Shape{beside, length};
        const Tensor x = g.placeholder(shape), y = cumulative_sum(x, axis);
        NDArray a(f32, shape);
        const NDArray row = axis == 0 ? a.slice(1, 0, 1) : a.slice(0, 0, 1);
        NDArray values = counting(length);
        for (auto& f : values.elements<float>()) f = std::sin(f) * 1e3f + 1 / (f + 1);
        NDArray(row).assign(values.reshape(row.shape()));
        const NDArray got = g.run({{x, a}}, {y}, std::span<const Operation>{}, cuda)[0];
        const NDArray scanned = (axis == 0 ? got.slice(1, 0, 1) : got.slice(0, 0, 1)).copy().reshape({length});
        if (beside == 2) first = scanned;
        EXPECT_TRUE(same(first, scanned)) << axis << " " << length;
      }
    }
}

TEST_F(CudaRun, ReplaysRunsWhoseArraysChange) {
  Graph g;
  const Tensor x = g.placeholder({100}, f32, "x"), y = sum(exp(x * 0.01f)) + x;
  const Executable e = g.compile({{x, {f32, {100}}}}, {y}, {}, cuda);
  std::vector<NDArray> buffers;
  for (int i = 0; i < 12; ++i) buffers.push_back(counting(100, static_cast<float>(i)).to(Device::cuda()));
  for (int i = 0; i < 100; ++i) {
    const std::size_t which = static_cast<std::size_t>(i * 7 % (i < 50 ? 3 : 12));
    const std::vector<TensorData> feeds{buffers[which]};
    const NDArray expected = g.run({{x, buffers[which].to(Device::cpu())}}, {y}, std::span<const Operation>{}, reference)[0];
    EXPECT_TRUE(agree(expected, e.run(feeds)[0], {.ulp = 16})) << i;
  }
}

TEST_F(CudaRun, GivesRandomNumbersOfItsOwnToEachRun) {
  Graph g;
  const Tensor noise = random_uniform(g, {1000}), again = noise + 1.0f;
  const Executable on_gpu = g.compile({}, {again}, {}, cuda);
  std::vector<NDArray> seen;
  for (int i = 0; i < 5; ++i) {
    seen.push_back(on_gpu.run({})[0]);
    for (int j = 0; j < i; ++j) EXPECT_FALSE(same(seen[static_cast<std::size_t>(j)], seen.back()));
  }
}

TEST_F(CudaRun, TakesItsTurnInAStreamOfTheCallers) {
  constexpr std::size_t n = 1 << 22;
  Graph g;
  const Tensor x = g.placeholder({n}, f32), y = x * 2.0f;
  const Executable e = g.compile({{x, x.type()}}, {y}, {}, cuda);
  NDArray feed(f32, {n}, Device::cuda()), result(f32, {n}, Device::cuda());
  Device::cuda().wait();
  void* stream = nullptr;
  ASSERT_EQ(in_driver<int(void**, unsigned)>("cuStreamCreate")(&stream, 1), 0);
  const auto fill = in_driver<int(void*, unsigned, std::size_t, void*)>("cuMemsetD32Async");
  std::vector<TensorData> results{result};
  NDArray seen(f32, {n});
  for (int round = 1; round <= 5; ++round) {
    for (int i = 0; i < 200; ++i) fill(result.data(), 0, n, stream);
    const float value = static_cast<float>(round);
    ASSERT_EQ(fill(feed.data(), std::bit_cast<unsigned>(value), n, stream), 0);
    e.run(std::vector<TensorData>{feed}, results, {.stream = stream});
    ASSERT_EQ(in_driver<int(void*, void*, std::size_t, void*)>("cuMemcpyDtoHAsync_v2")(seen.data(), result.data(), n * sizeof(float), stream), 0);
    ASSERT_EQ(in_driver<int(void*)>("cuStreamSynchronize")(stream), 0);
    EXPECT_EQ(seen.elements<float>().front(), 2 * value);
    EXPECT_EQ(seen.elements<float>().back(), 2 * value);
  }
  ASSERT_EQ(in_driver<int(void*, int)>("cuStreamBeginCapture_v2")(stream, 2), 0);
  EXPECT_THROW(e.run(std::vector<TensorData>{feed}, results, {.stream = stream}), RunError);
  void* graph = nullptr;
  in_driver<int(void*, void**)>("cuStreamEndCapture")(stream, &graph);
  in_driver<int(void*)>("cuGraphDestroy")(graph);
  in_driver<int(void*)>("cuStreamDestroy_v2")(stream);
}

// Variables -------------------------------------------------------------------------------------------------------------

TEST_F(CudaRun, KeepsVariablesThatAllBackendsSee) {
  Graph g;
  const Tensor v = g.variable(counting(10)), step = g.placeholder({}, f32);
  const Operation add = g.assign(v, v + step);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) g.run({{step, 1.0f}}, {}, {add}, cuda);
    g.run({{step, 10.0f}}, {}, {add}, reference);
    EXPECT_TRUE(same(g.value(v), counting(10, static_cast<float>(14 * (round + 1)))));
  }
  g.set_value(v, counting(10, 100));
  EXPECT_TRUE(same(g.run({}, {v * 1.0f}, std::span<const Operation>{}, cuda)[0], counting(10, 100)));
  const NDArray before = g.value(v);
  g.run({{step, 1.0f}}, {}, {add}, cuda);
  EXPECT_TRUE(same(before, counting(10, 100)));
  g.set_value(v, counting(10, 7).to(Device::cuda()));
  EXPECT_TRUE(same(g.run({}, {v * 1.0f}, std::span<const Operation>{}, reference)[0], counting(10, 7)));
}

TEST_F(CudaRun, TrainsAsTheReferenceDoes) {
  Graph graphs[2];
  std::vector<NDArray> losses[2];
  for (int k = 0; k < 2; ++k) {
    Graph& g = graphs[k];
    g.set_seed(5);
    const Tensor x = g.placeholder({16, 12, 12, 3}, f32, "x"), labels = g.placeholder({16}, i32, "labels");
    const Tensor w = g.variable(init::he({3, 3, 3, 8})), v = g.variable(init::he({288, 5}));
    const Tensor y = matmul(reshape(max_pool2d(relu(conv2d(x, w, {.padding = Padding::same})), {2, 2}), {16, 288}), v);
    const Tensor loss = softmax_cross_entropy(y, labels, Reduction::mean);
    const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.01f);
    NDArray images(f32, {16, 12, 12, 3}), classes(i32, {16});
    for (std::size_t i = 0; i < images.elements<float>().size(); ++i) images.elements<float>()[i] = static_cast<float>(i * 31 % 17) / 17;
    for (std::size_t i = 0; i < 16; ++i) classes.elements<std::int32_t>()[i] = static_cast<std::int32_t>(i % 5);
    for (int i = 0; i < 6; ++i)
      losses[k].push_back(g.run({{x, images}, {labels, classes}}, std::vector{loss}, updates, k == 0 ? reference : cuda)[0]);
  }
  for (std::size_t i = 0; i < losses[0].size(); ++i)
    EXPECT_NEAR(losses[0][i].item(), losses[1][i].item(), 2e-4 * losses[0][i].item()) << "step " << i;
}

TEST_F(CudaRun, MultipliesBatchesAsTheReferenceDoes) {
  struct Case {
    Shape a, b;
    MatmulOptions options;
  };
  // By generated kernels, and by libraries.
  for (const auto& [m, n] : {std::pair{40, 24}, {120, 96}}) {
    const Shape one{m, n}, turned{n, m}, batch{6, m, n}, batch_turned{6, n, m};
    for (const auto& [a, b, options] :
         {Case{batch, batch_turned, {}}, Case{batch, turned, {}}, Case{one, batch_turned, {}}, Case{batch_turned, turned, {.transpose_a = true}},
          Case{batch, one, {.transpose_b = true}}, Case{batch_turned, batch, {.transpose_a = true, .transpose_b = true}},
          Case{turned, batch_turned, {.transpose_a = true}}, Case{{2, 1, m, n}, {2, 3, n, m}, {}}}) {
      Graph g;
      const Tensor x = g.placeholder(a), y = g.placeholder(b), product = matmul(x, y, options);
      const Feeds feeds{{x, counting(a.element_count(), -3).reshape(a)}, {y, counting(b.element_count(), -7).reshape(b)}};
      const NDArray expected = g.run(feeds, {product}, std::span<const Operation>{}, reference)[0];
      EXPECT_TRUE(agree(expected, g.run(feeds, {product}, std::span<const Operation>{}, cuda)[0], {.ulp = 64})) << a.str() << " by " << b.str();
    }
  }
}

TEST_F(CudaRun, ConvolvesAsTheReferenceDoes) {
  struct Case {
    Shape images, weights;
    std::int64_t stride, dilation;
    Padding padding;
  };
  for (const auto& [images, weights, stride, dilation, padding] :
       {Case{{5, 13, 11, 8}, {3, 3, 8, 16}, 1, 1, Padding::same}, Case{{4, 20, 21, 3}, {5, 2, 3, 10}, 2, 1, Padding::same},
        Case{{2, 24, 24, 6}, {3, 3, 6, 12}, 1, 3, Padding::valid}, Case{{3, 16, 16, 32}, {1, 1, 32, 24}, 1, 1, Padding::valid},
        Case{{2, 17, 17, 16}, {1, 1, 16, 40}, 2, 1, Padding::valid}}) {
    for (const DType dtype : {f32, f16, bf16, f64}) {
      Graph g;
      const Tensor x = g.placeholder(images, dtype), w = g.placeholder(weights, dtype);
      const Tensor y = conv2d(x, w, {.strides = {stride, stride}, .dilations = {dilation, dilation}, .padding = padding});
      const Tensor loss = sum(y * y * 0.125f);
      const auto gradients = g.gradients(loss, {x, w});
      const auto small = [&](const Shape& shape, std::int64_t step) {
        NDArray a(f32, shape);
        std::int64_t i = 0;
        for (float& v : a.elements<float>()) v = static_cast<float>((i += step) % 17 - 8) / 16;
        return a.cast(dtype);
      };
      const Feeds feeds{{x, small(images, 5)}, {w, small(weights, 7)}};
      const std::vector<Tensor> targets{y, gradients[0], gradients[1]};
      const auto expected = g.run(feeds, targets, {}, reference), got = g.run(feeds, targets, {}, cuda);
      for (std::size_t t = 0; t < targets.size(); ++t)
        EXPECT_TRUE(agree(expected[t], got[t], {.ulp = 4, .scale = 300})) << images.str() << " " << name_of(dtype) << ", result " << t;
    }
  }
}

TEST_F(CudaRun, GivesTheSameBitsAgain) {
  Graph g;
  const Tensor x = g.placeholder({500, 300}, f32, "x");
  const Tensor y = matmul(x, x, {.transpose_b = true}), s = sum(x), rows = softmax(x, 0);
  const Executable e = g.compile({{x, {f32, {500, 300}}}}, {y, s, rows}, {}, cuda);
  NDArray feed(f32, {500, 300});
  for (std::size_t i = 0; i < 150'000; ++i) feed.elements<float>()[i] = static_cast<float>(i * 7919 % 1009) / 1009;
  const auto first = e.run({feed});
  for (int i = 0; i < 5; ++i) {
    const auto again = e.run({feed});
    for (std::size_t t = 0; t < 3; ++t) EXPECT_TRUE(same(first[t], again[t])) << t;
  }
}

TEST_F(CudaRun, IsSafeFromSeveralThreads) {
  Graph g;
  const Tensor x = g.placeholder({3000}, f32, "x"), y = sum(x) + x * 3.0f;
  const Executable e = g.compile({{x, {f32, {3000}}}}, {y}, {}, cuda);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const NDArray feed = counting(3000, static_cast<float>(t));
      const NDArray expected = e.run({feed})[0];
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(same(expected, e.run({feed})[0]));
    });
  for (auto& t : threads) t.join();
}

TEST_F(CudaRun, UsesAnyOfSeveralGpus) {
  if (Device::all().size() < 3) GTEST_SKIP() << "there is one GPU";
  const Device first = Device::cuda(0), second = Device::cuda(1);
  const RunOptions on_second{.backend = Backend::cuda, .device = 1};
  const NDArray host = counting(100'000), there = host.to(first).to(second);
  EXPECT_EQ(there.device(), second);
  EXPECT_TRUE(same(there, host));
  Graph g;
  const Tensor x = g.placeholder({100'000}, f32), v = g.variable(counting(100'000)), y = x + v;
  const Operation grow = g.assign(v, v + 1.0f);
  for (int i = 0; i < 3; ++i) {
    for (const auto& options : {cuda, on_second}) {
      Results results{{y, NDArray(f32, {100'000}, first)}};
      g.run({{x, there}}, results, std::vector{grow}, options);
      EXPECT_EQ(results.at(y).array().slice(0, 99'999, 100'000).item(), 2 * 99'999 + 2 * i + (options == on_second));
    }
    EXPECT_TRUE(same(g.value(v), counting(100'000, static_cast<float>(2 * i + 2))));
  }
}

TEST_F(CudaRun, HasQueuesOfSeveralGpusWaitForEachOther) {
  if (Device::all().size() < 3) GTEST_SKIP() << "there is one GPU";
  Graph g;
  const Tensor x = g.placeholder({1 << 20}, f32), y = x + 1.0f;
  const Executable e[] = {g.compile({{x, x.type()}}, {y}, {}, cuda), g.compile({{x, x.type()}}, {y}, {}, {.backend = Backend::cuda, .device = 1})};
  Queue queues[2];
  Event done;
  std::vector<NDArray> chain{NDArray(f32, {1 << 20}, Device::cuda(0))};
  for (std::uint64_t i = 0; i < 20; ++i) {
    const int gpu = static_cast<int>(i % 2);
    CommandBuffer buffer(queues[gpu]);
    buffer.wait_for({done, i});
    const std::vector<TensorData> feeds{chain.back()}, results{chain.emplace_back(NDArray(f32, {1 << 20}, Device::cuda(gpu)))};
    buffer.encode(e[gpu], feeds, results);
    buffer.signal({done, i + 1});
    buffer.commit();
  }
  done.wait(20);
  for (auto& q : queues) q.wait();
  EXPECT_EQ(chain.back().slice(0, (1 << 20) - 1, 1 << 20).item(), 20);
}

// Failures --------------------------------------------------------------------------------------------------------------

TEST_F(CudaRun, ReportsAnIndexOutOfRangeAndLeavesVariablesAsTheyWere) {
  Graph g;
  const Tensor table = g.variable(counting(10)), at = g.placeholder({4}, i32, "at");
  const Tensor taken = gather(table, at, 0);
  const Operation grow = g.assign(table, table + 1.0f);
  const auto run = [&](std::vector<std::int32_t> indices) {
    return g.run({{at, NDArray::of<std::int32_t>({4}, std::span<const std::int32_t>(indices))}}, {taken}, {grow}, cuda)[0];
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(same(run({0, 1, 2, 9}).slice(0, 0, 3), counting(3, static_cast<float>(round))));
    try {
      run({0, 1, 12, 9});
      ADD_FAILURE() << "nothing was thrown";
    } catch (const RunError& e) { EXPECT_NE(std::string(e.what()).find("index 12 is out of range"), std::string::npos) << e.what(); }
    EXPECT_TRUE(same(g.value(table), counting(10, static_cast<float>(round + 1))));
  }
}

TEST_F(CudaRun, SaysHowMuchMemoryIsMissing) {
  Graph g;
  const Tensor v = g.variable(counting(4)), n = g.placeholder({}, f32);
  const Tensor large = cumulative_sum(random_uniform(g, {std::int64_t{1} << 40}) * n, 0);
  const Operation change = g.assign(v, v + sum(large));
  try {
    g.run({{n, 1.0f}}, {}, {change}, cuda);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RunError& e) {
    EXPECT_NE(std::string(e.what()).find("out of memory on cuda:0"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("are free"), std::string::npos) << e.what();
  }
  EXPECT_TRUE(same(g.value(v), counting(4)));
}

/// WEFT_TEST_STEPS=100000 takes a minute; nothing else may use the GPU then.
TEST_F(CudaRun, TrainsForLongWithoutGrowing) {
  const char* wish = std::getenv("WEFT_TEST_STEPS");
  const int steps = wish ? std::atoi(wish) : 600;
  Graph g;
  const Tensor images = g.placeholder({16, 14, 14, 1}, f32), labels = g.placeholder({16}, i32);
  const Tensor features = max_pool2d(relu(conv2d(images, g.variable(init::he({3, 3, 1, 16})), {.padding = Padding::same})), {2});
  const Tensor dropped = dropout(reshape(features, {16, 7 * 7 * 16}), 0.2);
  const Tensor loss = softmax_cross_entropy(matmul(dropped, g.variable(init::he({7 * 7 * 16, 10}))), labels, Reduction::mean);
  const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.001f);
  std::vector<NDArray> batches;
  for (int i = 0; i < 7; ++i) batches.push_back(counting(16 * 14 * 14, static_cast<float>(i)).reshape({16, 14, 14, 1}));
  NDArray classes(i32, {16});
  const auto run = [&](int step) {
    const NDArray& batch = batches[static_cast<std::size_t>(step) % batches.size()];
    const Feeds feeds{{images, step % 2 == 0 ? batch : batch.to(Device::cuda())}, {labels, classes}};
    g.run(feeds, std::vector{loss}, updates, cuda);
  };
  for (int i = 0; i < steps / 3; ++i) run(i);
  Device::cuda().wait();
  const auto on_gpu = used_bytes(), free = static_cast<std::uint64_t>(Device::cuda().properties().memory_free);
  const long on_host = resident_pages();
  for (int i = steps / 3; i < steps; ++i) run(i);
  Device::cuda().wait();
  EXPECT_LE(used_bytes(), on_gpu);
  if (wish) { EXPECT_GE(static_cast<std::uint64_t>(Device::cuda().properties().memory_free), free); }
  EXPECT_LT(resident_pages() - on_host, 1024) << "pages of 4096 bytes";
}

TEST_F(CudaRun, CountsElementsPast32Bits) {
  constexpr std::int64_t n = (std::int64_t{1} << 32) + 12344;
  if (Device::cuda().properties().memory_free < 4 * n) GTEST_SKIP() << "there is too little memory";
  Graph g;
  const Tensor x = g.placeholder({n}, u8), at = g.placeholder({3}, i64);
  const Tensor y = x + cast(iota(g, {n}, 0, i64) % 251, u8);
  const Tensor rows = reshape(y, {5, n / 5}), turned = transpose(rows, 0, 1);
  const NDArray places = NDArray::of<std::int64_t>({3}, {0, (std::int64_t{1} << 31) + 7, n - 1});
  NDArray feed(u8, {n}, Device::cuda());
  const auto r = g.run({{x, feed}, {at, places}},
                       {sum(cast(y, i64)), gather(y, at), argmax(equal(iota(g, {n}, 0, i64), n - 2), 0, {.dtype = i64}), sum(cast(turned, i64), {0})},
                       std::span<const Operation>{}, cuda);
  std::int64_t expected = 0;
  for (std::int64_t i = 0; i < 251; ++i) expected += i * ((n - i + 250) / 251);
  EXPECT_EQ(r[0].elements<std::int64_t>()[0], expected);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(r[1].elements<std::uint8_t>()[k], places.elements<std::int64_t>()[k] % 251);
  EXPECT_EQ(r[2].item(), static_cast<double>(n - 2));
  std::int64_t in_all = 0;
  for (std::int64_t v : r[3].elements<std::int64_t>()) in_all += v;
  EXPECT_EQ(in_all, expected);
}

TEST_F(CudaRun, HoldsNoMoreMemoryAfterManyRuns) {
  Graph g;
  const Tensor v = g.variable(counting(1000)), x = g.placeholder({1000}, f32);
  const Tensor loss = sum(v * x);
  const Operation change = g.assign(v, v * 0.999f + x);
  const NDArray feed = counting(1000);
  const auto run = [&] { g.run({{x, feed}}, {loss}, {change}, cuda); };
  for (int i = 0; i < 5; ++i) run();
  Device::cuda().wait();
  const auto used = used_bytes();
  for (int i = 0; i < 500; ++i) run();
  Device::cuda().wait();
  EXPECT_LE(used_bytes(), used);
}

}  // namespace
}  // namespace weft::cuda_run_test
