#include <weft/elementwise.h>
#include <weft/movement.h>
#include <weft/pooling.h>

#include "evaluated.h"

#include <cmath>
#include <limits>

namespace weft::pooling_test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers(const NDArray& a) {
  const NDArray d = a.cast(f64).dense();
  return {d.elements<double>().begin(), d.elements<double>().end()};
}

/// Whole numbers in no obvious order, many of them equal.
NDArray scrambled(Shape shape, DType dtype = f64, std::uint32_t state = 7) {
  NDArray a(f64, shape);
  for (auto& v : a.elements<double>()) state = state * 1664525u + 1013904223u, v = static_cast<double>(state >> 29) - 3;
  return a.cast(dtype);
}

double dot(const NDArray& a, const NDArray& b) {
  const auto x = numbers(a), y = numbers(b);
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

// 0 1 2 3 / 4 5 6 7 / 8 9 10 11 / 12 13 14 15, as one image of one channel.
NDArray image() { return counting<float>({1, 4, 4, 1}); }

TEST(Pooling, MaximumOfEachWindow) {
  FedGraph f;
  const Tensor x = f.g.constant(image());
  EXPECT_EQ(f.value(squeeze(max_pool2d(x, {2, 2}))), "f32[2,2] [[5, 7], [13, 15]]");
  EXPECT_EQ(f.value(squeeze(max_pool2d(x, {2}, {.strides = {1, 2}}))), "f32[3,2] [[5, 7], [9, 11], [13, 15]]");
  EXPECT_EQ(f.value(squeeze(max_pool2d(x, {2}, {.strides = {1}, .dilations = {2}}))), "f32[2,2] [[10, 11], [14, 15]]");
  EXPECT_EQ(f.value(squeeze(max_pool2d(-x, {3}, {.strides = {2}, .pads = {{1, 1}}}))), "f32[2,2] [[-0, -1], [-4, -5]]");
}

TEST(Pooling, MeanOfEachWindowPassesOverPaddingUnlessTold) {
  FedGraph f;
  const Tensor x = f.g.constant(image());
  EXPECT_EQ(f.value(squeeze(average_pool2d(x, {2, 2}))), "f32[2,2] [[2.5, 4.5], [10.5, 12.5]]");
  EXPECT_EQ(f.value(squeeze(average_pool2d(x, {2, 2}, {.pads = {{1, 1}}}))), "f32[3,3] [[0, 1.5, 3], [6, 7.5, 9], [12, 13.5, 15]]");
  EXPECT_EQ(f.value(squeeze(average_pool2d(x, {2, 2}, {.pads = {{1, 1}}, .count_padding = true}))),
            "f32[3,3] [[0, 0.75, 0.75], [3, 7.5, 4.5], [3, 6.75, 3.75]]");
}

TEST(Pooling, RootOfSquaresOfEachWindow) {
  FedGraph f;
  const Tensor x = f.g.constant(NDArray::of<float>({1, 4, 1}, {3, -4, 0, 0}));
  EXPECT_EQ(f.value(l2_pool1d(x, {2})), "f32[1,2,1] [[[5], [0]]]");
}

TEST(Pooling, CeilTakesALastWindowThatBeginsInside) {
  FedGraph f;
  const Tensor x = f.g.constant(counting<float>({1, 5, 1}));
  EXPECT_EQ(f.value(squeeze(max_pool1d(x, {2}))), "f32[2] [1, 3]");
  EXPECT_EQ(f.value(squeeze(max_pool1d(x, {2}, {.ceil = true}))), "f32[3] [1, 3, 4]");
  EXPECT_EQ(f.value(squeeze(average_pool1d(x, {2}, {.ceil = true, .count_padding = true}))), "f32[3] [0.5, 2.5, 4]");
  // The fourth window would begin in the padding after x.
  EXPECT_EQ(f.value(squeeze(max_pool1d(x, {2}, {.pads = {{1, 1}}, .ceil = true}))), "f32[3] [0, 2, 4]");
  // A place in the padding is counted, one beyond it isn't.
  EXPECT_EQ(f.value(squeeze(average_pool1d(x, {3}, {.pads = {{0, 1}}, .ceil = true, .count_padding = true}))), "f32[2] [1, 2.3333333]");
  EXPECT_EQ(f.value(squeeze(average_pool1d(x, {4}, {.strides = {3}, .ceil = true}))), "f32[2] [1.5, 3.5]");
}

TEST(Pooling, SamePadsAsConvolutionDoes) {
  FedGraph f;
  const Tensor x = f.g.constant(counting<float>({1, 4, 1}));
  EXPECT_EQ(f.value(squeeze(max_pool1d(x, {2}, {.strides = {1}, .padding = Padding::same}))), "f32[4] [1, 2, 3, 3]");
  EXPECT_EQ(f.value(squeeze(max_pool1d(x, {2}, {.strides = {1}, .padding = Padding::same_lower}))), "f32[4] [0, 1, 2, 3]");
  EXPECT_EQ(f.value(squeeze(average_pool1d(x, {3}, {.strides = {2}, .padding = Padding::same}))), "f32[2] [1, 2.5]");
}

TEST(Pooling, LayoutsAndTheGeneralFormAgree) {
  FedGraph f;
  const NDArray v = scrambled({2, 5, 6, 3});
  const int to_first[] = {0, 3, 1, 2};
  const PoolOptions options{.strides = {2, 1}, .pads = {{1, 0}, {0, 1}}};
  PoolOptions first = options;
  first.layout = "NCHW";
  const Tensor last = max_pool2d(f.g.constant(v), {3, 2}, options);
  const std::string expected = f.value(transpose(last, to_first));
  EXPECT_EQ(f.value(max_pool2d(f.g.constant(v.transpose(to_first)), {3, 2}, first)), expected);
  EXPECT_EQ(f.value(max_pool(f.g.constant(v.transpose(to_first)), {1, 1, 3, 2}, {.strides = {1, 1, 2, 1}, .pads = {{}, {}, {1, 0}, {0, 1}}})),
            expected);
  // Over all four dimensions.
  EXPECT_EQ(f.value(max_pool(f.g.constant(counting({2, 2, 2, 4})), {2, 1, 2, 2})), "i32[1,2,1,2] [[[[21, 23]], [[29, 31]]]]");
  EXPECT_EQ(f.value(max_pool3d(f.g.constant(counting({1, 2, 2, 2, 1})), {2})), "i32[1,1,1,1,1] [[[[[7]]]]]");
}

TEST(Pooling, NaNIsTheMaximum) {
  FedGraph f;
  const auto r = max_pool_with_indices(f.g.constant(NDArray::of<double>({6}, {1, nan, 2, 3, nan, nan})), {3});
  EXPECT_EQ(f.value(r.values), "f64[2] [nan, nan]");
  EXPECT_EQ(f.value(r.indices), "i32[2] [1, 1]");
}

TEST(Pooling, WindowsWithinThePaddingHaveTheLowestValueAndNoIndex) {
  FedGraph f;
  const auto r = max_pool_with_indices(f.g.constant(NDArray::of<std::int8_t>({1}, {5})), {2}, {.strides = {1}, .dilations = {2}, .pads = {{1, 2}}});
  EXPECT_EQ(f.value(r.values), "i8[2] [-128, 5]");
  EXPECT_EQ(f.value(r.indices), "i32[2] [-1, 0]");
  EXPECT_EQ(f.value(average_pool(f.g.constant(5.0, {1}), {2}, {.strides = {1}, .dilations = {2}, .pads = {{1, 2}}})), "f32[2] [0, 5]");
}

TEST(Pooling, IndicesCountWindowsOrInnermostDimensions) {
  FedGraph f;
  const Tensor x = f.g.constant(NDArray::of<float>({1, 2, 4, 1}, {9, 0, 1, 2,  //
                                                                  0, 0, 3, 2}));
  auto indices = [&](PoolIndexOptions index) { return f.value(squeeze(max_pool2d_with_indices(x, {2, 2}, {}, index).indices)); };
  EXPECT_EQ(indices({}), "i32[2] [0, 2]");
  EXPECT_EQ(indices({.dimensions = 2}), "i32[2] [0, 0]");
  EXPECT_EQ(indices({.global = true}), "i32[2] [0, 6]");
  EXPECT_EQ(indices({.global = true, .dimensions = 2}), "i32[2] [0, 2]");
  const Tensor two = f.g.constant(counting<float>({2, 1, 2, 3}));
  EXPECT_EQ(f.value(max_pool2d_with_indices(two, {1, 2}, {}, {.global = true}).indices), "i32[2,1,1,3] [[[[3, 4, 5]]], [[[9, 10, 11]]]]");
  EXPECT_EQ(f.value(max_pool2d_with_indices(two, {1, 2}, {}, {.global = true, .dimensions = 3}).indices),
            "i32[2,1,1,3] [[[[3, 4, 5]]], [[[3, 4, 5]]]]");
}

TEST(Pooling, DerivativeOfTheMaximumGoesToTheFirst) {
  FedGraph f;
  const Tensor x = f.fed({dynamic}, NDArray::of<float>({4}, {1, 1, 0, 2})), y = max_pool(x, {2}, {.strides = {1}});
  EXPECT_EQ(f.value(f.g.gradients(y, {x})[0]), "f32[4] [1, 1, 0, 1]");
}

const PoolOptions options_to_try[] = {
    {},
    {.strides = {2, 1}, .pads = {{1, 0}, {0, 1}}},
    {.strides = {1}, .dilations = {2, 1}, .padding = Padding::same},
    {.strides = {2}, .padding = Padding::same_lower},
    {.strides = {3, 2}, .ceil = true},
};

TEST(Pooling, GradientsFromSourceFromIndicesAndByDifferentiationAgree) {
  for (const auto& o : options_to_try)
    for (const PoolIndexOptions index : {PoolIndexOptions{}, {.global = true}, {.dimensions = 3}, {.global = true, .dimensions = 3}}) {
      FedGraph f;
      const Tensor x = f.fed({dynamic, dynamic, 6, 2}, scrambled({2, 5, 6, 2}));
      const PoolIndices pooled = max_pool2d_with_indices(x, {3, 2}, o, index);
      const Tensor dy = pooled.values * 0.5 + 1.0;
      const std::string expected = f.value(f.g.gradients(pooled.values * pooled.values * 0.25 + pooled.values, {x})[0]);
      EXPECT_EQ(f.value(max_pool2d_gradient(dy, x, {3, 2}, o)), expected);
      EXPECT_EQ(f.value(max_pool2d_gradient(dy, pooled.indices, x, {3, 2}, o, index)), expected);
    }
}

TEST(Pooling, MeanAndRootHaveTheDerivativesOfTheirForms) {
  for (const auto& o : options_to_try) {
    FedGraph f;
    const NDArray v = scrambled({2, 5, 6, 2});
    const Tensor x = f.fed({dynamic, dynamic, 6, 2}, v);
    const AveragePoolOptions average{.strides = o.strides, .dilations = o.dilations, .padding = o.padding, .pads = o.pads, .ceil = o.ceil};
    const Tensor mean = average_pool2d(x, {3, 2}, average), root = l2_pool2d(x, {3, 2}, o);
    const Tensor dmean = f.g.gradients(0.5 * square(mean), {x})[0], droot = f.g.gradients(0.5 * square(root), {x})[0];
    const Tensor targets[] = {mean, root, dmean, droot, average_pool2d_gradient(mean, x, {3, 2}, average), l2_pool2d_gradient(root, x, {3, 2}, o)};
    const RunResult r = f.g.run(f.feeds, targets);
    // Both are homogeneous of degree 1, so x * d(y^2 / 2)/dx sums to y^2.
    EXPECT_NEAR(dot(r[2], v), dot(r[0], r[0]), 1e-9);
    EXPECT_NEAR(dot(r[3], v), dot(r[1], r[1]), 1e-9);
    const auto same = [](const NDArray& a, const NDArray& b) {
      const auto x = numbers(a), y = numbers(b);
      ASSERT_EQ(x.size(), y.size());
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-12);
    };
    same(r[4], r[2]);
    same(r[5], r[3]);
  }
}

TEST(Pooling, TheRootsDerivativeIsZeroWhereItIsZero) {
  FedGraph f;
  const Tensor x = f.fed({4}, NDArray::of<float>({4}, {0, 0, 3, -4}));
  EXPECT_EQ(f.value(f.g.gradients(l2_pool(x, {2}), {x})[0]), "f32[4] [0, 0, 0.6, -0.8]");
}

TEST(Pooling, SecondDerivativesFollowTheSameElements) {
  FedGraph f;
  const Tensor x = f.fed({dynamic}, NDArray::of<double>({5}, {1, 4, 2, 5, 3}));
  const Tensor dx = f.g.gradients(square(max_pool(x, {3}, {.strides = {1}})), {x})[0];  // 2 x y at each maximum
  EXPECT_EQ(f.value(dx), "f64[5] [0, 8, 0, 20, 0]");
  EXPECT_EQ(f.value(f.g.gradients(dx, {x})[0]), "f64[5] [0, 2, 0, 4, 0]");
  const Tensor ddx = f.g.gradients(f.g.gradients(square(average_pool(x, {2})), {x})[0], {x})[0];  // 1/2 for each of both elements
  EXPECT_EQ(f.value(ddx), "f64[5] [1, 1, 1, 1, 0]");
}

TEST(Pooling, SumsHalvesInFullPrecision) {
  FedGraph f;
  EXPECT_EQ(f.value(average_pool(f.g.constant(60000.0, {4}, f16), {4})), "f16[1] [60000]");
  EXPECT_EQ(f.value(l2_pool(f.g.constant(300.0, {4}, f16), {4})), "f16[1] [600]");
}

TEST(Pooling, UnknownSizesAreFoundWhenFed) {
  FedGraph f;
  const Tensor x = f.fed(Shape::unranked(), image());
  const Tensor y = average_pool2d(x, {3, 3}, {.strides = {2}, .padding = Padding::same});
  EXPECT_EQ(y.type().str(), "f32[?,?,?,?]");
  EXPECT_EQ(max_pool2d(f.g.placeholder({dynamic, 8, dynamic, 3}), {2, 2}).type().str(), "f32[?,4,?,3]");
  EXPECT_EQ(f.value(squeeze(y)), "f32[2,2] [[5, 6.5], [11, 12.5]]");
}

TEST(Pooling, EmptyTensorsGiveEmptyResults) {
  FedGraph f;
  const Tensor none = f.g.constant(0.0, {0, 4, 4, 2}), flat = f.g.constant(0.0, {1, 0, 4, 2});
  EXPECT_EQ(f.g.run({}, {average_pool2d(none, {2, 2})})[0].shape(), (Shape{0, 2, 2, 2}));
  EXPECT_EQ(f.g.run({}, {max_pool2d(flat, {2, 2})})[0].shape(), (Shape{1, 0, 2, 2}));
  EXPECT_EQ(f.g.run({}, {max_pool2d_gradient(f.g.constant(0.0, {1, 0, 2, 2}), flat, {2, 2})})[0].shape(), (Shape{1, 0, 4, 2}));
}

TEST(Pooling, ErrorsSayWhatDoesNotFit) {
  FedGraph f;
  const Tensor x = f.g.placeholder({dynamic, 4, 4, 2});
  expect_error<GraphError>(
      [&] {
        max_pool2d(x, {5, 5});
      },
      "a window of 5 doesn't fit into the padded size 4 of dimension 1 of f32[?,4,4,2] (at pooling_test.cpp:");
  expect_error<GraphError>([&] { max_pool(x, {2, 2}); }, "operand f32[?,4,4,2] has rank 4, the window 2 entries; they must agree");
  expect_error<GraphError>([&] { max_pool2d(x, {2, 2, 2}); }, "max_pool2d: 3 window sizes are given for 2 spatial dimensions");
  expect_error<GraphError>([&] { max_pool2d(x, {0, 2}); }, "max_pool2d: window sizes of 0 are not 1 or more");
  expect_error<GraphError>([&] { max_pool2d(x, {2, 2}, {.strides = {-1}}); }, "max_pool2d: strides of -1 are not 1 or more");
  expect_error<GraphError>(
      [&] {
        max_pool2d(x, {2, 2}, {.padding = Padding::same, .ceil = true});
      },
      "max_pool2d: ceil has no meaning with padding same");
  expect_error<GraphError>([&] { max_pool2d(x, {2, 2}, {.layout = "CHWN"}); }, "max_pool2d: layout CHWN is neither NHWC nor NCHW");
  expect_error<GraphError>(
      [&] {
        max_pool(x, {1, 2, 2, 1}, {.layout = "NHWC"});
      },
      "max_pool: layout NHWC is given, but the window has an entry for every dimension");
  expect_error<GraphError>(
      [&] {
        average_pool2d(f.g.placeholder({1, 4, 4, 1}, i32), {2, 2});
      },
      "average_pool2d: operand is i32[1,4,4,1], expects floating point");
  expect_error<GraphError>(
      [&] {
        max_pool2d_gradient(f.g.placeholder({1, 3, 2, 2}), x, {2, 2});
      },
      "cotangent f32[1,3,2,2] has size 3 in dimension 1, the window has 2 places there");
  expect_error<GraphError>([&] { max_pool2d_with_indices(x, {2, 2}, {}, {.dimensions = 5}); }, "indices can't count 5 of 4 dimensions");
  expect_error<GraphError>(
      [&] {
        max_pool2d_gradient(x, f.g.placeholder({dynamic, 4, 4, 2}, i32), f.g.placeholder({dynamic, 8, 8, 2}), {2, 2}, {}, {.dimensions = 2});
      },
      "indices that count the 2 innermost dimensions don't say where in the window of dimension 1 an element was");
}

}  // namespace
}  // namespace weft::pooling_test
