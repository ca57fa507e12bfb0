// Matrix products by generated code: matrices times vectors, few rows or columns, small ones, and the types that no library takes.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "compare.h"
#include "compile/backend.h"
#include "team.h"

// Of the OpenMP runtime that the library is linked with.

namespace weft::products_test {
namespace {

constexpr RunOptions cpu{.backend = Backend::cpu}, reference{.backend = Backend::reference};

class Products : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }
};

NDArray random_array(DType dtype, Shape shape) {
  std::mt19937 random(static_cast<unsigned>(shape.element_count()));
  NDArray a(f32, shape);
  for (auto& e : a.elements<float>()) e = static_cast<float>(random() >> 8) * 0x1p-23f - 1;
  if (!is_floating(dtype) && dtype != c64)
    for (auto& e : a.elements<float>()) e = std::floor(is_signed_integer(dtype) ? 8 * e : 8 * std::abs(e));
  return a.cast(dtype);
}

/// The norm of the difference against that of the truth.
double error_of_norm(const NDArray& truth, const NDArray& got) {
  double error = 0, norm = 0;
  if (truth.dtype() == c64) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(truth.element_count()); ++i) {
      const std::complex<double> t = truth.elements<std::complex<float>>()[i], g = got.elements<std::complex<float>>()[i];
      error += std::norm(t - g), norm += std::norm(t);
    }
  } else {
    const NDArray t = truth.cast(f64), g = got.cast(f64);
    for (std::size_t i = 0; i < static_cast<std::size_t>(t.element_count()); ++i) {
      const double d = t.elements<double>()[i] - g.elements<double>()[i];
      error += d * d, norm += t.elements<double>()[i] * t.elements<double>()[i];
    }
  }
  return norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
}

/// What rounding the result costs, and for f32 what partial sums may.
double accuracy(DType dtype) {
  switch (dtype) {
    case f64: return 1e-15;
    case f32:
    case c64: return 2e-6;
    case f16: return 0x1p-11;
    case bf16: return 0x1p-8;
    default: return 0;
  }
}

struct Size {
  std::int64_t m, k, n;
};

void expect_right(DType dtype, Size s, bool ta, bool tb, Shape batch_a = {}, Shape batch_b = {}) {
  auto shape = [](Shape batch, std::int64_t rows, std::int64_t columns, bool transposed) {
    std::vector<std::int64_t> sizes(batch.begin(), batch.end());
    sizes.push_back(transposed ? columns : rows);
    sizes.push_back(transposed ? rows : columns);
    return Shape(sizes);
  };
  const NDArray av = random_array(dtype, shape(batch_a, s.m, s.k, ta)), bv = random_array(dtype, shape(batch_b, s.k, s.n, tb));
  Graph g;
  const Tensor a = g.placeholder(av.shape(), dtype), b = g.placeholder(bv.shape(), dtype);
  const Tensor y = matmul(a, b, {.transpose_a = ta, .transpose_b = tb});
  const NDArray truth = g.run({{a, av}, {b, bv}}, {y}, {}, reference)[0], got = g.run({{a, av}, {b, bv}}, {y}, {}, cpu)[0];
  ASSERT_EQ(truth.shape(), got.shape());
  EXPECT_LE(error_of_norm(truth, got), accuracy(dtype))
      << name_of(dtype) << " " << av.shape().str() << (ta ? " transposed" : "") << " times " << bv.shape().str() << (tb ? " transposed" : "");
}

void expect_right_on_all_sides(DType dtype, Size size) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) expect_right(dtype, size, ta, tb);
}

TEST_F(Products, WithVectorsAreRight) {
  for (const std::int64_t k : {1, 7, 64, 127, 1031})
    for (const std::int64_t n : {1, 2, 15, 17, 33, 130, 519}) {
      expect_right(f32, {1, k, n}, false, false);
      expect_right(f32, {1, k, n}, false, true);
      expect_right(f32, {n, k, 1}, false, false);
      expect_right(f32, {n, k, 1}, true, false);
    }
}

TEST_F(Products, OfAllTypesAreRight) {
  for (const DType dtype : {f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, c64})
    for (const Size size : {Size{5, 17, 37}, {13, 3, 2}}) expect_right_on_all_sides(dtype, size);
}

TEST_F(Products, OfAllShapesOfTilesAreRight) {
  for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 23})
    for (const std::int64_t n : {1, 3, 16, 31, 32, 47, 100}) expect_right_on_all_sides(f16, {m, 19, n});
}

TEST_F(Products, WithoutElementsAreRight) {
  for (const DType dtype : {f32, f16, i32})
    for (const Size size : {Size{0, 3, 5}, {3, 0, 5}, {3, 5, 0}, {1, 0, 7}, {7, 0, 1}, {0, 0, 0}}) expect_right_on_all_sides(dtype, size);
}

TEST_F(Products, OfManyTermsAreRight) {
  for (const Size size : {Size{1, 20011, 40}, {3, 20011, 5}, {40, 20011, 1}, {9, 5003, 18}}) {
    expect_right_on_all_sides(f32, size);
    expect_right_on_all_sides(f16, size);
  }
}

TEST_F(Products, OfBroadcastBatchesAreRight) {
  for (const DType dtype : {f32, f64})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        expect_right(dtype, {3, 5, 7}, ta, tb, {2, 1}, {3});
        expect_right(dtype, {1, 20, 33}, ta, tb, {5}, {});
        expect_right(dtype, {1, 20, 33}, ta, tb, {}, {5});
        expect_right(dtype, {9, 20, 1}, ta, tb, {4, 1}, {1, 3});
      }
}

TEST_F(Products, OfLargeTermsLoseNoMoreThanTheirTypeDoes) {
  // 2^20 terms of one size: summed in f32 alone they would be off by a hundredth.
  Graph g;
  const NDArray ones = [] {
    NDArray a(f32, {1, 1 << 20});
    for (auto& e : a.elements<float>()) e = 0.1f;
    return a;
  }();
  const Tensor a = g.placeholder(ones.shape()), b = g.placeholder({1 << 20, 2});
  const NDArray bv = ones.reshape({1 << 20, 1}).broadcast_to({1 << 20, 2}).dense();
  const NDArray y = g.run({{a, ones}, {b, bv}}, {matmul(a, b)}, {}, cpu)[0];
  const double truth = 0x1p20 * 0.1f * 0.1f;
  for (float v : y.elements<float>()) EXPECT_NEAR(v, truth, truth * 1e-5);
}

TEST_F(Products, AreTheSameBitsForAnyNumberOfThreads) {
  const Size sizes[] = {{1, 700, 900}, {900, 700, 1}, {3, 2000, 400}, {2, 9000, 3}};
  for (const Size s : sizes) {
    const NDArray av = random_array(f32, {s.m, s.k}), bv = random_array(f32, {s.k, s.n});
    Graph g;
    const Tensor a = g.placeholder(av.shape()), b = g.placeholder(bv.shape());
    const Executable e = g.compile({{a, av.type()}, {b, bv.type()}}, {matmul(a, b)}, {}, cpu);
    ASSERT_EQ(e.statistics().library_calls, 0);
    std::vector<NDArray> results;
    for (const int threads : {1, 2, 3}) {
      const Team team(threads);
      results.push_back(e.run(std::vector<TensorData>{av, bv})[0].dense());
    }
    for (std::size_t i = 1; i < results.size(); ++i)
      EXPECT_EQ(std::memcmp(results[0].data(), results[i].data(), static_cast<std::size_t>(results[0].byte_count())), 0);
  }
}

TEST_F(Products, OfOtherSizesCompileNothing) {
  auto compiled = [](DType dtype, Size s) {
    Graph g;
    const Tensor a = g.placeholder({s.m, s.k}, dtype), b = g.placeholder({s.k, s.n}, dtype);
    return g.compile({{a, a.type()}, {b, b.type()}}, {matmul(a, b)}, {}, cpu).statistics().kernels_compiled;
  };
  compiled(f16, {16, 100, 64});
  EXPECT_EQ(compiled(f16, {64, 300, 70}), 0);
  EXPECT_EQ(compiled(f16, {9, 17, 1000}), 0);
  compiled(f32, {1, 512, 1024});
  EXPECT_EQ(compiled(f32, {1, 640, 2000}), 0);
  compiled(f32, {512, 1024, 1});
  EXPECT_EQ(compiled(f32, {129, 333, 1}), 0);
}

}  // namespace
}  // namespace weft::products_test
