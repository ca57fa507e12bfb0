#include <weft/elementwise.h>
#include <weft/movement.h>
#include <weft/reduction.h>

#include "evaluated.h"

#include <cmath>

namespace weft::reduction_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Reductions : ::testing::Test, FedGraph {
  Tensor x = fed(Shape::unranked(), counting({2, 3}), "x");  ///< [[0, 1, 2], [3, 4, 5]]
  std::string constant_value(Tensor t) { return g.run({}, {t})[0].str(); }
  template <Element T> Tensor list(std::initializer_list<T> values) {
    return g.constant(NDArray::of<T>({static_cast<std::int64_t>(values.size())}, values));
  }
};

TEST_F(Reductions, LeaveOutOrKeepTheAxes) {
  EXPECT_EQ(value(sum(x)), "i32[] 15");
  EXPECT_EQ(value(sum(x, 0)), "i32[3] [3, 5, 7]");
  EXPECT_EQ(value(sum(x, -1)), "i32[2] [3, 12]");
  EXPECT_EQ(value(sum(x, {1, 0})), "i32[] 15");
  EXPECT_EQ(value(sum(x, -1, {.keep = true})), "i32[2,1] [[3], [12]]");
  EXPECT_EQ(value(sum(x, {}, {.keep = true})), "i32[1,1] [[15]]");
  EXPECT_EQ(value(sum(x, std::vector<int>{})), "i32[2,3] [[0, 1, 2], [3, 4, 5]]");
}

TEST_F(Reductions, InferWhatIsKnown) {
  const Tensor y = g.placeholder({dynamic, 3, dynamic});
  EXPECT_EQ(sum(y, 0).shape(), (Shape{3, dynamic}));
  EXPECT_EQ(sum(y, -1, {.keep = true}).shape(), (Shape{dynamic, 3, 1}));
  EXPECT_EQ(sum(x).shape(), Shape{});
  EXPECT_EQ(sum(x, 0).shape(), Shape::unranked());
  EXPECT_EQ(argmax(y, 1, {.dtype = i64}).type().str(), "i64[?,?]");
}

TEST_F(Reductions, RefuseWhatDoesNotFit) {
  const Tensor y = g.placeholder({2, 3}, f32);
  expect_error<GraphError>([&] { sum(y, 2); }, "reduce_sum: axis 2 is out of range for rank 2, expects -2 to 1 (at reduction_test.cpp:");
  expect_error<GraphError>([&] { sum(y, {0, -2}); }, "axis -2 is given twice");
  expect_error<GraphError>([&] { all(y); }, "reduce_and: operand 0 is f32[2,3], expects bool");
  expect_error<GraphError>([&] { sum(y < 0.0f); }, "reduce_sum: operand 0 is bool[2,3], expects a number");
  expect_error<GraphError>([&] { argmax(y, 0, {.dtype = u8}); }, "arg_max: a place is i32 or i64, not u8");
  expect_error<GraphError>([&] { argmax(g.placeholder({2, 0}), 1); }, "arg_max: operand f32[2,0] has no elements along axis 1");
  expect_error<GraphError>([&] { variance(x); }, "variance: operand i32[...] is not floating point");
  expect_error<RunError>([&] { value(sum(x, 2)); }, "axis 2 is out of range");
}

TEST_F(Reductions, OfNothingGiveTheIdentity) {
  const Tensor none = g.constant(NDArray(f32, {0, 2})), integers = g.constant(NDArray(i8, {0}));
  EXPECT_EQ(constant_value(sum(none, 0)), "f32[2] [0, 0]");
  EXPECT_EQ(constant_value(prod(none, 0)), "f32[2] [1, 1]");
  EXPECT_EQ(constant_value(max(none, 0)), "f32[2] [-inf, -inf]");
  EXPECT_EQ(constant_value(nanmin(none, 0)), "f32[2] [inf, inf]");
  EXPECT_EQ(constant_value(max(integers)), "i8[] -128");
  EXPECT_EQ(constant_value(min(integers)), "i8[] 127");
  EXPECT_EQ(constant_value(mean(integers)), "i8[] 0");
  EXPECT_EQ(constant_value(all(none < 0.0f, 0)), "bool[2] [true, true]");
  EXPECT_EQ(constant_value(any(none < 0.0f, 0)), "bool[2] [false, false]");
  EXPECT_EQ(constant_value(sum(none, 1)), "f32[0] []");
}

TEST_F(Reductions, OfIntegersWrapInTheirOwnType) {
  EXPECT_EQ(constant_value(sum(list<std::int8_t>({100, 100}))), "i8[] -56");
  EXPECT_EQ(constant_value(prod(list<std::uint8_t>({16, 17}))), "u8[] 16");
  EXPECT_EQ(constant_value(prod(list<std::int64_t>({std::int64_t{1} << 40, std::int64_t{1} << 40, 3}))), "i64[] 0");
  EXPECT_EQ(constant_value(max(list<std::uint64_t>({1, ~std::uint64_t{0}}))), "u64[] 18446744073709551615");
}

TEST_F(Reductions, OfExtremaTreatNaNAsTheirNamesSay) {
  const Tensor y = list<float>({1, nan, 3});
  EXPECT_EQ(constant_value(max(y)), "f32[] nan");
  EXPECT_EQ(constant_value(min(y)), "f32[] nan");
  EXPECT_EQ(constant_value(nanmax(y)), "f32[] 3");
  EXPECT_EQ(constant_value(nanmin(y)), "f32[] 1");
}

TEST_F(Reductions, ArgumentsAreFirstOfTies) {
  EXPECT_EQ(constant_value(argmax(list<std::int32_t>({1, 3, 3, 0, 0}), 0)), "i32[] 1");
  EXPECT_EQ(constant_value(argmin(list<std::int32_t>({1, 3, 3, 0, 0}), -1, {.keep = true})), "i32[1] [3]");
  EXPECT_EQ(constant_value(argmax(list<float>({1, nan, 3, nan}), 0, {.dtype = i64})), "i64[] 1");
  EXPECT_EQ(constant_value(argmin(list<float>({1, nan, 3}), 0)), "i32[] 1");
  EXPECT_EQ(constant_value(argmax(list<bool>({false, true, true}), 0)), "i32[] 1");
  EXPECT_EQ(value(argmax(x)), "i32[] 5");
  EXPECT_EQ(value(argmax(x, 0)), "i32[3] [1, 1, 1]");
  EXPECT_EQ(value(argmin(x, 1)), "i32[2] [0, 0]");
}

TEST_F(Reductions, MeanDividesByTheNumberOfElements) {
  EXPECT_EQ(value(mean(x)), "i32[] 2");
  EXPECT_EQ(value(mean(cast(x, f32), 1)), "f32[2] [1, 4]");
  EXPECT_EQ(constant_value(mean(list<std::int8_t>({-100, -101}))), "i8[] -100");
  EXPECT_EQ(constant_value(mean(g.constant(60000.0, {4}, f16))), "f16[] 60000");
}

TEST_F(Reductions, VarianceDividesByTheNumberOfElements) {
  const Tensor y = cast(x, f64);
  EXPECT_EQ(value(variance(y, 0)), "f64[3] [2.25, 2.25, 2.25]");
  EXPECT_EQ(value(variance(y, 0, {.keep = true, .mean = mean(y, 0)})), "f64[1,3] [[2.25, 2.25, 2.25]]");
  EXPECT_EQ(value(variance(y, 0, {.mean = g.constant(0.0, {}, f64)})), "f64[3] [4.5, 8.5, 14.5]");
}

struct ReductionGradients : ::testing::Test, FedGraph {
  std::string derivative(Tensor y, Tensor x) { return value(g.gradients(y, {x})[0]); }
  Tensor list(std::initializer_list<float> values) {
    return fed(Shape::unranked(), NDArray::of<float>({static_cast<std::int64_t>(values.size())}, values));
  }
};

TEST_F(ReductionGradients, OfSumAndMeanReachEveryElement) {
  const Tensor x = fed({dynamic, dynamic}, counting<float>({2, 3}));
  const Tensor weights = g.constant(counting<float>({2}));
  EXPECT_EQ(derivative(sum(x, 1) * weights, x), "f32[2,3] [[0, 0, 0], [1, 1, 1]]");
  EXPECT_EQ(derivative(mean(x, 1) * (weights * 3.0f), x), "f32[2,3] [[0, 0, 0], [1, 1, 1]]");
  EXPECT_EQ(derivative(sum(x), x), "f32[2,3] [[1, 1, 1], [1, 1, 1]]");
}

TEST_F(ReductionGradients, OfProductHoldWithZeros) {
  const Tensor a = list({2, 3, 4});
  EXPECT_EQ(derivative(prod(a), a), "f32[3] [12, 8, 6]");
  FedGraph one, two;
  const Tensor b = one.fed({dynamic}, NDArray::of<float>({3}, {2, 0, 4}));
  EXPECT_EQ(one.value(one.g.gradients(prod(b), {b})[0]), "f32[3] [0, 8, 0]");
  const Tensor c = two.fed({dynamic}, NDArray::of<float>({3}, {0, 3, 0}));
  EXPECT_EQ(two.value(two.g.gradients(prod(c), {c})[0]), "f32[3] [0, 0, 0]");
}

TEST_F(ReductionGradients, OfProductCanBeDifferentiatedAgain) {
  for (const auto& [values, expected] : {std::pair{std::vector<float>{2, 3, 4}, "f32[3] [0, 4, 3]"},
                                         {{0, 3, 4}, "f32[3] [0, 4, 3]"},
                                         {{2, 0, 4}, "f32[3] [0, 4, 0]"},
                                         {{0, 0, 4}, "f32[3] [0, 4, 0]"}}) {
    FedGraph f;
    const Tensor x = f.fed({dynamic}, NDArray::of<float>({3}, values));
    const Tensor first = slice(f.g.gradients(prod(x), {x})[0], 0, 0, 1);
    EXPECT_EQ(f.value(f.g.gradients(first, {x})[0]), expected) << "d/dx of x1 * x2 at " << values[0] << ", " << values[1] << ", " << values[2];
  }
}

TEST_F(ReductionGradients, OfExtremaAreSharedByTies) {
  const Tensor x = list({3, 1, 3, 1});
  EXPECT_EQ(derivative(max(x), x), "f32[4] [0.5, 0, 0.5, 0]");
  EXPECT_EQ(derivative(min(x, 0, {.keep = true}) * 4.0f, x), "f32[4] [0, 2, 0, 2]");
}

TEST_F(ReductionGradients, OfExtremaLeaveSkippedNaNAlone) {
  const Tensor x = list({nan, 1, 2});
  EXPECT_EQ(derivative(nanmax(x), x), "f32[3] [0, 0, 1]");
}

}  // namespace
}  // namespace weft::reduction_test
