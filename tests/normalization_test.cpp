// Normalisations against plain loops in double.
#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/normalization.h>
#include <weft/reduction.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "evaluated.h"

namespace weft::normalization_test {
namespace {

using Values = std::vector<double>;

Values random_values(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-2, 3);
  Values v(count);
  for (auto& e : v) e = uniform(random);
  return v;
}

NDArray array(const Shape& shape, const Values& values) { return NDArray::of<double>(shape, values); }

struct Statistics {
  double mean, variance;
};

/// Of the elements whose `group` is that of element `at`.
Statistics statistics(const Values& x, std::size_t at, const std::function<std::size_t(std::size_t)>& group) {
  double total = 0, squares = 0, count = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (group(i) == group(at)) total += x[i], ++count;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (group(i) == group(at)) squares += (x[i] - total / count) * (x[i] - total / count);
  return {total / count, squares / count};
}

void expect_normalized(const NDArray& y, const Values& x, const std::function<std::size_t(std::size_t)>& group,
                       const std::function<std::size_t(std::size_t)>& channel, const Values& gamma, const Values& beta, double epsilon = 1e-5) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto s = statistics(x, i, group);
    EXPECT_NEAR(y.elements<double>()[i], (x[i] - s.mean) / std::sqrt(s.variance + epsilon) * gamma[channel(i)] + beta[channel(i)], 1e-12) << i;
  }
}

const Values gamma_of_4 = {1, 2, -0.5, 0.25}, beta_of_4 = {0, 1, -1, 0.5};

/// Compares g.gradients(sum(y * weights)) with central differences.
void expect_gradient(Graph& g, Tensor y, Tensor x, const Shape& shape, const Values& at, const Feeds& others = {}) {
  Values w = random_values(at.size(), 9);
  const Tensor loss = sum(y * g.constant(array(shape, w)));
  Feeds feeds = others;
  feeds[x] = array(shape, at);
  const auto derivative = g.run(feeds, {g.gradients(loss, {x})[0]});
  for (std::size_t i = 0; i < at.size(); ++i) {
    double sides[2];
    for (int side : {0, 1}) {
      Values moved = at;
      moved[i] += side ? 1e-5 : -1e-5;
      feeds[x] = array(shape, moved);
      sides[side] = g.run(feeds, {loss})[loss].item();
    }
    EXPECT_NEAR(derivative[0].elements<double>()[i], (sides[1] - sides[0]) / 2e-5, 1e-6) << i;
  }
}

TEST(Normalization, NormalizeTakesWhatItIsGiven) {
  Graph g;
  const Tensor x = g.placeholder({2, 3}, f32);
  const Tensor y = normalize(x, 1.0f, 4.0f, {.beta = g.constant(3.0), .epsilon = 0});
  EXPECT_EQ(g.run({{x, NDArray(f32, {2, 3})}}, {y})[y].elements<float>()[5], 2.5f);
}

TEST(Normalization, LayerNormOverTheLastDimension) {
  const Values x = random_values(24);
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{dynamic, dynamic, 4}, Shape::unranked()}) {
    Graph g;
    const Tensor in = g.placeholder(shape, f64), gamma = g.variable(array({4}, gamma_of_4)), beta = g.variable(array({4}, beta_of_4));
    const Tensor y = layer_norm(in, -1, {.gamma = gamma, .beta = beta});
    const auto result = g.run({{in, array({2, 3, 4}, x)}}, {y});
    expect_normalized(
        result[y], x, [](auto i) { return i / 4; }, [](auto i) { return i % 4; }, gamma_of_4, beta_of_4);
  }
}

TEST(Normalization, LayerNormOverSeveralDimensions) {
  const Values x = random_values(24);
  Graph g;
  const Tensor in = g.placeholder({2, 3, 4}, f64), y = layer_norm(in, {1, 2}, {.epsilon = 0.1});
  const auto result = g.run({{in, array({2, 3, 4}, x)}}, {y});
  expect_normalized(
      result[y], x, [](auto i) { return i / 12; }, [](auto) { return 0; }, {1}, {0}, 0.1);
}

TEST(Normalization, RmsNormAndL2NormalizeDivideByTheSizeOfAVector) {
  const Values x = random_values(12);
  Graph g;
  const Tensor in = g.placeholder({3, 4}, f64), rms = rms_norm(in, -1, {.gamma = g.constant(2.0, {}, f64)}), l2 = l2_normalize(in);
  const auto result = g.run({{in, array({3, 4}, x)}}, {rms, l2});
  for (std::size_t i = 0; i < 12; ++i) {
    double squares = 0;
    for (std::size_t c = 0; c < 4; ++c) squares += x[i / 4 * 4 + c] * x[i / 4 * 4 + c];
    EXPECT_NEAR(result[rms].elements<double>()[i], 2 * x[i] / std::sqrt(squares / 4 + 1e-5), 1e-12);
    EXPECT_NEAR(result[l2].elements<double>()[i], x[i] / std::sqrt(squares), 1e-12);
  }
  const auto zero = g.run({{in, NDArray(f64, {3, 4})}}, {l2, g.gradients(l2, {in})[0]});
  EXPECT_EQ(zero[0].elements<double>()[0], 0);
  EXPECT_TRUE(std::isfinite(zero[1].elements<double>()[0]));
}

TEST(Normalization, BatchNormTakesTheStatisticsOfChannelsInEitherLayout) {
  const Values x = random_values(48);
  for (bool known : {true, false}) {
    Graph g;
    const Tensor gamma = g.variable(array({4}, gamma_of_4)), beta = g.variable(array({4}, beta_of_4));
    const Tensor last = g.placeholder(known ? Shape{2, 3, 2, 4} : Shape{dynamic, dynamic, dynamic, dynamic}, f64);
    const Tensor first = g.placeholder(known ? Shape{2, 4, 3, 2} : Shape{dynamic, dynamic, dynamic, dynamic}, f64);
    const auto nhwc = batch_norm(last, {.gamma = gamma, .beta = beta}), nchw = batch_norm(first, {.gamma = gamma, .beta = beta, .axis = 1});
    const auto result =
        g.run({{last, array({2, 3, 2, 4}, x)}, {first, array({2, 4, 3, 2}, x)}}, {nhwc.y, nhwc.mean, nhwc.variance, nchw.y, nchw.mean});
    const auto inner = [](std::size_t i) { return i % 4; };
    const auto outer = [](std::size_t i) { return i / 6 % 4; };
    expect_normalized(result[0], x, inner, inner, gamma_of_4, beta_of_4);
    expect_normalized(result[3], x, outer, outer, gamma_of_4, beta_of_4);
    ASSERT_EQ(result[1].shape(), Shape{4});
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(result[1].elements<double>()[c], statistics(x, c, inner).mean, 1e-12);
      EXPECT_NEAR(result[2].elements<double>()[c], statistics(x, c, inner).variance, 1e-12);
      EXPECT_NEAR(result[4].elements<double>()[c], statistics(x, c * 6, outer).mean, 1e-12);
    }
  }
}

TEST(Normalization, RunningStatisticsFollowTheBatchAndServeInference) {
  const Values x = random_values(24);
  Graph g;
  const Tensor in = g.placeholder({dynamic, 4}, f64), mean = g.variable(init::zeros({4}, f64)), variance = g.variable(init::constant({4}, 1, f64));
  const auto batch = batch_norm(in);
  const auto updates = update_running_statistics(mean, variance, batch, 0.75);
  const Tensor inference = batch_norm(in, mean, variance, {.epsilon = 0});
  g.run({{in, array({6, 4}, x)}}, {}, updates);
  const auto inner = [](std::size_t i) { return i % 4; };
  const auto y = g.run({{in, array({6, 4}, x)}}, {inference});
  for (std::size_t i = 0; i < 24; ++i) {
    const auto s = statistics(x, i, inner);
    EXPECT_NEAR(g.value(mean).elements<double>()[i % 4], 0.25 * s.mean, 1e-12);
    EXPECT_NEAR(g.value(variance).elements<double>()[i % 4], 0.75 + 0.25 * s.variance, 1e-12);
    EXPECT_NEAR(y[0].elements<double>()[i], (x[i] - 0.25 * s.mean) / std::sqrt(0.75 + 0.25 * s.variance), 1e-12);
  }
}

TEST(Normalization, InstanceAndGroupNormWorkForEachExample) {
  const Values x = random_values(48);
  for (bool known : {true, false}) {
    Graph g;
    const Tensor gamma = g.constant(array({4}, gamma_of_4)), beta = g.constant(array({4}, beta_of_4));
    const Tensor last = g.placeholder(known ? Shape{2, 3, 2, 4} : Shape{dynamic, dynamic, dynamic, 4}, f64);
    const Tensor first = g.placeholder(known ? Shape{2, 4, 3, 2} : Shape{dynamic, 4, dynamic, dynamic}, f64);
    const Tensor instance = instance_norm(last, {.gamma = gamma, .beta = beta}), nhwc = group_norm(last, 2, {.gamma = gamma, .beta = beta});
    const Tensor nchw = group_norm(first, 2, {.gamma = gamma, .beta = beta, .axis = 1}), one = group_norm(first, 1, {.axis = 1});
    const auto result = g.run({{last, array({2, 3, 2, 4}, x)}, {first, array({2, 4, 3, 2}, x)}}, {instance, nhwc, nchw, one});
    const auto inner = [](std::size_t i) { return i % 4; };
    const auto outer = [](std::size_t i) { return i / 6 % 4; };
    expect_normalized(
        result[0], x, [](auto i) { return i / 24 * 4 + i % 4; }, inner, gamma_of_4, beta_of_4);
    expect_normalized(
        result[1], x, [](auto i) { return i / 24 * 2 + i % 4 / 2; }, inner, gamma_of_4, beta_of_4);
    expect_normalized(
        result[2], x, [](auto i) { return i / 12; }, outer, gamma_of_4, beta_of_4);
    expect_normalized(
        result[3], x, [](auto i) { return i / 24; }, [](auto) { return 0; }, {1}, {0});
  }
}

TEST(Normalization, DerivativesAreThoseOfFiniteDifferences) {
  const Shape shape{2, 3, 4};
  const Values at = random_values(24, 5);
  Graph g;
  const Tensor x = g.placeholder({dynamic, dynamic, 4}, f64), gamma = g.constant(array({4}, gamma_of_4));
  expect_gradient(g, layer_norm(x, -1, {.gamma = gamma}), x, shape, at);
  expect_gradient(g, rms_norm(x), x, shape, at);
  expect_gradient(g, l2_normalize(x, {1, 2}), x, shape, at);
  expect_gradient(g, batch_norm(x, {.gamma = gamma}).y, x, shape, at);
  expect_gradient(g, instance_norm(x), x, shape, at);
  expect_gradient(g, group_norm(x, 2, {.gamma = gamma}), x, shape, at);
}

TEST(Normalization, SixteenBitStatisticsAreTakenIn32Bits) {
  Graph g;
  const Tensor x = g.placeholder({4}, f16), y = layer_norm(x);
  ASSERT_EQ(y.dtype(), f16);
  const auto result = g.run({{x, NDArray::of<double>({4}, {-1000, 1000, -1000, 1000}).cast(f16)}}, {cast(y, f64)});
  EXPECT_EQ(result[0].elements<double>()[1], 1) << "1000^2 is no f16";
}

TEST(Normalization, WhatDoesNotFitIsRefused) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 8, 8, 6}, f32), i = g.placeholder({2, 2}, i32, "i"), u = g.placeholder(Shape::unranked(), f32),
               five = g.placeholder({5}, f32);
  EXPECT_EQ(error_of([&] { layer_norm(i); }), "layer_norm: operand i is i32[2,2], expects floating point");
  EXPECT_EQ(error_of([&] { batch_norm(u); }), "batch_norm: expects a tensor of known rank, x is f32[...]");
  EXPECT_EQ(error_of([&] { batch_norm(x, {.gamma = five}); }), "batch_norm: gamma is f32[5], expects one element for each channel of x f32[?,8,8,6]");
  EXPECT_EQ(error_of([&] { batch_norm(x, five, five); }), "batch_norm: mean is f32[5], expects one element for each channel of x f32[?,8,8,6]");
  EXPECT_EQ(error_of([&] { batch_norm(x, {.axis = 4}); }), "batch_norm: channel axis 4 is out of range for x f32[?,8,8,6]");
  EXPECT_EQ(error_of([&] { group_norm(x, 4); }), "group_norm: the channels of x f32[?,8,8,6] can't be divided into 4 groups");
  EXPECT_EQ(error_of([&] { instance_norm(x, {.axis = 0}); }), "instance_norm: the first dimension is the batch, it can't be the channels");
}

}  // namespace
}  // namespace weft::normalization_test
