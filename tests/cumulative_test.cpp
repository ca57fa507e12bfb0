// Scans: what their options mean, how they treat NaN and ties, their derivatives, and how long ones are computed.
#include "compile/backend.h"
#include "evaluated.h"
#include "operation.h"
#include "team.h"

#include <weft/cumulative.h>
#include <weft/elementwise.h>
#include <weft/movement.h>

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

// Of the OpenMP runtime that the library is linked with.

namespace weft::cumulative_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Cumulative : ::testing::Test, FedGraph {
  template <Element T> Tensor list(std::initializer_list<T> values) {
    return fed(Shape::unranked(), NDArray::of<T>({static_cast<std::int64_t>(values.size())}, values));
  }
  std::string derivative(Tensor y, Tensor x) { return value(g.gradients(y, {x})[0]); }
};

/// build(values) in a graph of its own.
template <Element T> std::string of(std::initializer_list<T> values, const std::function<Tensor(Tensor)>& build) {
  FedGraph f;
  return f.value(build(f.fed(Shape::unranked(), NDArray::of<T>({static_cast<std::int64_t>(values.size())}, values))));
}

TEST_F(Cumulative, IncludeTheElementUnlessExclusive) {
  const Tensor x = list<std::int32_t>({1, 2, 3, 4});
  EXPECT_EQ(value(cumulative_sum(x, 0)), "i32[4] [1, 3, 6, 10]");
  EXPECT_EQ(value(cumulative_sum(x, 0, {.exclusive = true})), "i32[4] [0, 1, 3, 6]");
  EXPECT_EQ(value(cumulative_sum(x, 0, {.reverse = true})), "i32[4] [10, 9, 7, 4]");
  EXPECT_EQ(value(cumulative_sum(x, 0, {.exclusive = true, .reverse = true})), "i32[4] [9, 7, 4, 0]");
  EXPECT_EQ(value(cumulative_product(x, -1, {.exclusive = true})), "i32[4] [1, 1, 2, 6]");
}

TEST_F(Cumulative, GoAlongAnyDimension) {
  const Tensor x = fed(Shape::unranked(), counting({2, 3}));
  EXPECT_EQ(value(cumulative_sum(x, 0)), "i32[2,3] [[0, 1, 2], [3, 5, 7]]");
  EXPECT_EQ(value(cumulative_sum(x, 1)), "i32[2,3] [[0, 1, 3], [3, 7, 12]]");
  EXPECT_EQ(value(cumulative_sum(x, -2, {.reverse = true})), "i32[2,3] [[3, 5, 7], [3, 4, 5]]");
}

TEST_F(Cumulative, OfIntegersWrapInTheirOwnType) {
  EXPECT_EQ(of<std::int8_t>({100, 100, 1}, [=](Tensor x) { return cumulative_sum(x, 0); }), "i8[3] [100, -56, -55]");
  EXPECT_EQ(of<std::uint8_t>({16, 17, 2}, [=](Tensor x) { return cumulative_product(x, 0); }), "u8[3] [16, 16, 32]");
}

TEST_F(Cumulative, ExtremesOfNothingAreTheTypesOwn) {
  const CumulativeOptions exclusive{.exclusive = true};
  EXPECT_EQ(of<float>({1, 2}, [=](Tensor x) { return cumulative_maximum(x, 0, exclusive); }), "f32[2] [-inf, 1]");
  EXPECT_EQ(of<float>({1, 2}, [=](Tensor x) { return cumulative_minimum(x, 0, exclusive); }), "f32[2] [inf, 1]");
  EXPECT_EQ(of<std::int8_t>({1, 2}, [=](Tensor x) { return cumulative_maximum(x, 0, exclusive); }), "i8[2] [-128, 1]");
  EXPECT_EQ(of<std::uint8_t>({1, 2}, [=](Tensor x) { return cumulative_minimum(x, 0, exclusive); }), "u8[2] [255, 1]");
}

TEST_F(Cumulative, ExtremesAreNaNFromTheFirstNaNOn) {
  EXPECT_EQ(of<float>({1, nan, 3}, [=](Tensor x) { return cumulative_maximum(x, 0); }), "f32[3] [1, nan, nan]");
  EXPECT_EQ(of<float>({1, nan, 3}, [=](Tensor x) { return cumulative_minimum(x, 0, {.reverse = true}); }), "f32[3] [nan, nan, 3]");
}

TEST_F(Cumulative, SumsOf16BitsAreAccumulatedInMore) {
  const Tensor x = g.constant(1.0, {4096}, f16);
  EXPECT_EQ(value(slice(cumulative_sum(x, 0), 0, 4095, 1)), "f16[1] [4096]");
}

TEST_F(Cumulative, LinearRecurrencesDiscountWhatCameBefore) {
  const Tensor x = list<float>({1, 1, 1, 1}), factors = g.constant(NDArray::of<float>({4}, {9, 2, 0, 3}));
  EXPECT_EQ(value(linear_recurrence(x, 0.5f, 0)), "f32[4] [1, 1.5, 1.75, 1.875]");
  EXPECT_EQ(value(linear_recurrence(x, factors, 0)), "f32[4] [1, 3, 1, 4]");
  EXPECT_EQ(value(linear_recurrence(x, 0.5f, 0, {.exclusive = true, .reverse = true})), "f32[4] [1.75, 1.5, 1, 0]");
}

TEST_F(Cumulative, RefuseWhatDoesNotFit) {
  const Tensor x = g.placeholder({2, 3}, f32);
  expect_error<GraphError>([&] { cumulative_sum(x, 2); }, "scan_sum: axis 2 is out of range for rank 2, expects -2 to 1");
  expect_error<GraphError>([&] { cumulative_sum(g.placeholder({}, f32), 0); }, "axis 0 is out of range for rank 0");
  expect_error<GraphError>([&] { cumulative_product(x < 0.0f, 0); }, "scan_prod: operand 0 is bool[2,3], expects a number");
  expect_error<GraphError>([&] { cumulative_maximum(g.placeholder({2}, c64), 0); }, "scan_max: operand 0 is c64[2], expects a real number");
  expect_error<GraphError>([&] { linear_recurrence(x, g.placeholder({2}, f32), 0); }, "f32[2]");
  expect_error<RunError>([&] { value(cumulative_sum(list<float>({1}), 1)); }, "axis 1 is out of range");
}

TEST_F(Cumulative, SumsHaveSumsAsDerivatives) {
  const Tensor x = list<float>({1, 2, 3}), weights = g.constant(NDArray::of<float>({3}, {1, 10, 100}));
  EXPECT_EQ(derivative(cumulative_sum(x, 0) * weights, x), "f32[3] [111, 110, 100]");
  EXPECT_EQ(derivative(cumulative_sum(x, 0, {.exclusive = true}) * weights, x), "f32[3] [110, 100, 0]");
  EXPECT_EQ(derivative(cumulative_sum(x, 0, {.reverse = true}) * weights, x), "f32[3] [1, 11, 111]");
}

TEST_F(Cumulative, DerivativesOfProductsHoldWithZeros) {
  for (const auto& [values, expected] : {std::pair{std::vector<float>{2, 3, 4}, "f32[3] [16, 10, 6]"},
                                         {{2, 0, 4}, "f32[3] [1, 10, 0]"},
                                         {{0, 3, 4}, "f32[3] [16, 0, 0]"},
                                         {{0, 0, 4}, "f32[3] [1, 0, 0]"}}) {
    FedGraph f;
    const Tensor x = f.fed({dynamic}, NDArray::of<float>({3}, values));
    EXPECT_EQ(f.value(f.g.gradients(cumulative_product(x, 0), {x})[0]), expected) << values[0] << ", " << values[1] << ", " << values[2];
  }
}

TEST_F(Cumulative, ProductsOfZerosCanBeDifferentiatedToAnyOrder) {
  const Tensor x = list<float>({0, 0, 0, 5});
  Tensor d = slice(cumulative_product(x, 0), 0, 3, 1);
  for (const std::int64_t i : {2, 0, 1}) d = slice(g.gradients(d, {x})[0], 0, i, 1);
  EXPECT_EQ(value(d), "f32[1] [5]");
}

TEST_F(Cumulative, TheElementChosenAsExtremeGetsTheDerivative) {
  const Tensor x = list<float>({1, 3, 2, 3, 0}), weights = g.constant(NDArray::of<float>({5}, {1, 10, 100, 1000, 10000}));
  EXPECT_EQ(derivative(cumulative_maximum(x, 0) * weights, x), "f32[5] [1, 110, 0, 11000, 0]");
  EXPECT_EQ(derivative(cumulative_minimum(x, 0) * weights, x), "f32[5] [1111, 0, 0, 0, 10000]");
  EXPECT_EQ(derivative(cumulative_maximum(x, 0, {.reverse = true}) * weights, x), "f32[5] [0, 11, 0, 1100, 10000]");
  EXPECT_EQ(derivative(cumulative_maximum(x, 0, {.exclusive = true}) * weights, x), "f32[5] [10, 1100, 0, 10000, 0]");
}

TEST_F(Cumulative, AnElementwisePrologueIsComputedInTheScan) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  const Tensor x = g.placeholder({dynamic, dynamic}, f32);
  for (const int axis : {0, 1}) {
    const auto kernels =
        g.compile({{x, {f32, {40, 100}}}}, {cumulative_sum(exp(x) * 2.0f, axis)}, {}, {.backend = Backend::cpu}).statistics().kernels;
    EXPECT_EQ(kernels, 1) << axis;
  }
}

TEST_F(Cumulative, GiveTheSameBitsForAnyNumberOfThreads) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  for (const Shape& shape : {Shape{200'003}, Shape{100, 3001}}) {
    const NDArray data = sample(real(-1, 1), f32, shape, 5);
    Graph g;
    const Tensor x = g.placeholder(shape, f32);
    Tensors all;
    for (int axis = 0; axis < shape.rank(); ++axis)
      for (const bool reverse : {false, true}) all.push_back(cumulative_sum(x, axis, {.reverse = reverse}));
    const Executable e = g.compile(std::vector<FeedType>{{x, data.type()}}, all, std::vector<Operation>{}, {.backend = Backend::cpu});
    const auto one = e.run({data});
    for (const int threads : {1, 2, 3}) {
      const Team team(threads);
      const auto several = e.run({data});
      for (std::size_t i = 0; i < all.size(); ++i)
        EXPECT_EQ(std::memcmp(one[i].data(), several[i].data(), static_cast<std::size_t>(data.type().byte_count())), 0) << threads;
    }
  }
}

}  // namespace
}  // namespace weft::cumulative_test
