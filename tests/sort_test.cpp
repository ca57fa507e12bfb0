// Sorting: order, stability, NaN and zeros, selections, derivatives, long rows.
#include "evaluated.h"
#include "operation.h"
#include "team.h"

#include <weft/elementwise.h>
#include <weft/sort.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

// Of the OpenMP runtime that the library is linked with.

namespace weft::sort_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

/// build(values) in a graph of its own.
template <Element T> std::string of(std::initializer_list<T> values, const std::function<Tensor(Tensor)>& build) {
  FedGraph f;
  return f.value(build(f.fed(Shape::unranked(), NDArray::of<T>({static_cast<std::int64_t>(values.size())}, values))));
}

struct Sorting : ::testing::Test, FedGraph {};

TEST_F(Sorting, GoesAlongAnyDimension) {
  const Tensor x = fed(Shape::unranked(), NDArray::of<std::int32_t>({2, 3}, {5, 1, 3, 2, 4, 0}));
  EXPECT_EQ(value(sort(x, 1)), "i32[2,3] [[1, 3, 5], [0, 2, 4]]");
  EXPECT_EQ(value(sort(x, -2)), "i32[2,3] [[2, 1, 0], [5, 4, 3]]");
  EXPECT_EQ(value(sort(x, -1, {.descending = true})), "i32[2,3] [[5, 3, 1], [4, 2, 0]]");
  EXPECT_EQ(value(argsort(x, 0)), "i32[2,3] [[1, 0, 1], [0, 1, 0]]");
}

TEST_F(Sorting, ComparesEveryTypeInItsOwnOrder) {
  auto ascending = [](Tensor x) { return sort(x, 0); };
  EXPECT_EQ(of<std::int8_t>({1, -128, 127, -1, 0}, ascending), "i8[5] [-128, -1, 0, 1, 127]");
  EXPECT_EQ(of<std::uint64_t>({1, ~std::uint64_t{0}, 0}, ascending), "u64[3] [0, 1, 18446744073709551615]");
  EXPECT_EQ(of<float>({1, -inf, 0.5f, inf, -2}, ascending), "f32[5] [-inf, -2, 0.5, 1, inf]");
  EXPECT_EQ(of<bool>({true, false, true, false}, ascending), "bool[4] [false, false, true, true]");
}

TEST_F(Sorting, CountsNaNAsLargest) {
  EXPECT_EQ(of<float>({nan, 1, nan, inf}, [](Tensor x) { return sort(x, 0); }), "f32[4] [1, inf, nan, nan]");
  EXPECT_EQ(of<float>({1, nan, inf}, [](Tensor x) { return sort(x, 0, {.descending = true}); }), "f32[3] [nan, inf, 1]");
  EXPECT_EQ(of<float>({1, -nan, inf, nan}, [](Tensor x) { return argsort(x, 0); }), "i32[4] [0, 2, 1, 3]");
  EXPECT_EQ(of<float>({1, nan, 3}, [](Tensor x) { return top_k(x, 2).values; }), "f32[2] [nan, 3]");
  EXPECT_EQ(of<float>({nan, 1, 3}, [](Tensor x) { return bottom_k(x, 2).values; }), "f32[2] [1, 3]");
}

TEST_F(Sorting, KeepsTheOrderOfEqualElementsBothWays) {
  EXPECT_EQ(of<std::int32_t>({2, 1, 2, 1}, [](Tensor x) { return argsort(x, 0); }), "i32[4] [1, 3, 0, 2]");
  EXPECT_EQ(of<std::int32_t>({2, 1, 2, 1}, [](Tensor x) { return argsort(x, 0, {.descending = true}); }), "i32[4] [0, 2, 1, 3]");
  EXPECT_EQ(of<std::int32_t>({2, 1, 2, 1}, [](Tensor x) { return top_k(x, 3, 0, {.dtype = i64}).indices; }), "i64[3] [0, 2, 1]");
  EXPECT_EQ(of<std::int32_t>({2, 1, 2, 1}, [](Tensor x) { return bottom_k(x, 3).indices; }), "i32[3] [1, 3, 0]");
}

TEST_F(Sorting, TakesZerosForEqualAndKeepsTheirSigns) {
  EXPECT_EQ(of<float>({0.0f, -0.0f, -1}, [](Tensor x) { return argsort(x, 0); }), "i32[3] [2, 0, 1]");
  EXPECT_EQ(of<float>({0.0f, -0.0f, 5, 0.0f, -1}, [](Tensor x) { return 1.0f / sort(x, 0); }), "f32[5] [-1, inf, -inf, inf, 0.2]");
  EXPECT_EQ(of<float>({-0.0f, 0.0f, -1}, [](Tensor x) { return 1.0f / sort(x, 0, {.descending = true}); }), "f32[3] [-inf, inf, -1]");
}

TEST_F(Sorting, MovesOthersAlongWithTheKeys) {
  const Tensor keys = fed({dynamic}, NDArray::of<float>({4}, {3, 1, 2, 1}));
  const auto sorted = sort_together(keys, {g.constant(counting<std::int64_t>({4})), keys < 2.0f}, 0);
  EXPECT_EQ(value(sorted[0]), "f32[4] [1, 1, 2, 3]");
  EXPECT_EQ(value(sorted[1]), "i64[4] [1, 3, 2, 0]");
  EXPECT_EQ(value(sorted[2]), "bool[4] [true, true, false, false]");
}

TEST_F(Sorting, RefusesWhatDoesNotFit) {
  const Tensor x = g.placeholder({2, 3}, f32), y = g.placeholder({dynamic}, f32, "y");
  expect_error<GraphError>([&] { sort(g.placeholder({}, f32), -1); }, "sort: operand 0 is the scalar f32[], expects a dimension to sort along");
  expect_error<GraphError>([&] { sort(x, 2); }, "axis 2 is out of range for rank 2");
  expect_error<GraphError>([&] { argsort(g.placeholder({2}, c64), 0); }, "arg_sort: operand 0 is c64[2], expects a real number or bool");
  expect_error<GraphError>([&] { argsort(x, 0, {.dtype = u8}); }, "a place is i32 or i64, not u8");
  expect_error<GraphError>([&] { sort_together(x, {g.placeholder({3, 2}, f32)}, -1); }, "sort: operand 1 is f32[3,2], expects the shape of the keys");
  expect_error<GraphError>([&] { top_k(x, 4); }, "top_k: k is 4, expects 0 to 3 for operand f32[2,3]");
  expect_error<GraphError>([&] { top_k(y, -1); }, "top_k: k is -1, expects 0 to the size of the axis");
  expect_error<RunError>([&] { g.run({{y, NDArray(f32, {2})}}, {bottom_k(y, 3).values}); }, "k is 3, expects 0 to 2");
}

TEST_F(Sorting, DerivativesGoWhereTheElementsCameFrom) {
  const Tensor x = fed(Shape::unranked(), NDArray::of<float>({4}, {3, 1, 4, 2})), weights = g.constant(NDArray::of<float>({4}, {1, 10, 100, 1000}));
  EXPECT_EQ(value(g.gradients(sort(x, 0) * weights, {x})[0]), "f32[4] [100, 1, 1000, 10]");
  EXPECT_EQ(value(g.gradients(top_k(x, 2).values, {x})[0]), "f32[4] [1, 0, 1, 0]");
  EXPECT_EQ(value(g.gradients(sort_together(x, {x * x}, 0)[1] * weights, {x})[0]), "f32[4] [600, 2, 8000, 40]");
}

/// Rows sorted by std::stable_sort and by weft, with several numbers of threads.
template <Element T> void expect_sorted(Shape shape, const Domain& domain) {
  const NDArray data = sample(domain, dtype_of<T>, shape, 7);
  SCOPED_TRACE(data.type().str());
  const auto length = shape[shape.rank() - 1];
  std::vector<std::int64_t> places(static_cast<std::size_t>(shape.element_count()));
  for (std::int64_t row = 0; row < shape.element_count(); row += length) {
    const auto begin = places.begin() + row, end = begin + length;
    std::iota(begin, end, std::int64_t{0});
    const auto keys = data.elements<T>().subspan(static_cast<std::size_t>(row));
    std::stable_sort(begin, end, [&](auto a, auto b) { return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)]; });
  }
  Graph g;
  const Tensor x = g.placeholder(shape, dtype_of<T>);
  const std::int64_t k = length / 50;
  const Executable e =
      g.compile({{x, data.type()}}, {argsort(x, -1, {.descending = true, .dtype = i64}), sort(x, -1, {.descending = true}), top_k(x, k).values});
  for (const int threads : {1, 2, 3}) {
    const Team team(threads);
    const auto results = e.run({data});
    const auto order = results[0].template elements<std::int64_t>();
    EXPECT_TRUE(std::equal(places.begin(), places.end(), order.begin())) << threads << " threads";
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < shape.element_count(); ++i) {
      const auto row = i / length, place = i % length;
      const T expected = data.elements<T>()[static_cast<std::size_t>(row * length + places[static_cast<std::size_t>(i)])];
      wrong += results[1].template elements<T>()[static_cast<std::size_t>(i)] != expected;
      if (place < k) wrong += results[2].template elements<T>()[static_cast<std::size_t>(row * k + place)] != expected;
    }
    EXPECT_EQ(wrong, 0) << threads << " threads";
  }
}

TEST_F(Sorting, OfLongRowsIsTheSameForAnyNumberOfThreads) {
  expect_sorted<float>({200'003}, real(-1, 1));
  expect_sorted<double>({2, 70'000}, real(-1, 1));
  expect_sorted<std::int16_t>({100'000}, anything());
  expect_sorted<std::uint8_t>({3, 90'001}, anything());
  expect_sorted<std::int64_t>({66'000}, whole(-100, 100));
  expect_sorted<float>({300, 1000}, real(-1, 1));
}

}  // namespace
}  // namespace weft::sort_test
