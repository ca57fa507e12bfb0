// Optimizers against loops written out by hand, and on a small problem.
#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/loss.h>
#include <weft/movement.h>
#include <weft/optimizer.h>
#include <weft/reduction.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "evaluated.h"

namespace weft::optimizer_test {
namespace {

using Values = std::vector<double>;

const Values start = {1, -2, 0.5}, target = {0.25, 3, -1}, curvature = {1, 0.5, 4};

/// The gradient of sum(curvature * (p - target)^2 / 2).
double slope(const Values& p, std::size_t i) { return curvature[i] * (p[i] - target[i]); }

NDArray array(const Values& v) { return NDArray::of<double>({static_cast<std::int64_t>(v.size())}, v); }

using Optimizer = std::function<std::vector<Operation>(std::span<const Tensor>, std::span<const Tensor>)>;

/// p after `steps` runs of the optimizer's updates.
Values trained(const Optimizer& optimizer, int steps, DType dtype = f64) {
  Graph g;
  const Tensor p = g.variable(array(start).cast(dtype), "p");
  const Tensor loss = sum(cast(g.constant(array(curvature)), dtype) * square(p - cast(g.constant(array(target)), dtype))) * 0.5;
  const auto updates = optimizer(g.variables(), g.gradients(loss, g.variables()));
  for (int i = 0; i < steps; ++i) g.run({}, {}, updates);
  const NDArray value = g.value(p).cast(f64);
  return {value.elements<double>().begin(), value.elements<double>().end()};
}

void expect_near(const Values& actual, const Values& expected, double tolerance = 1e-12) {
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
}

TEST(Optimizer, SgdTakesAStepAgainstTheGradient) {
  Values p = start;
  for (int step = 0; step < 3; ++step)
    for (std::size_t i = 0; i < 3; ++i) p[i] -= 0.1 * slope(p, i);
  expect_near(trained([](auto v, auto g) { return sgd(v, g, 0.1); }, 3), p);
}

TEST(Optimizer, SgdWithMomentumAndDecay) {
  for (bool nesterov : {false, true}) {
    Values p = start, m(3);
    for (int step = 0; step < 4; ++step)
      for (std::size_t i = 0; i < 3; ++i) {
        const double g = slope(p, i) + 0.01 * p[i];
        m[i] = 0.9 * m[i] + g;
        p[i] -= 0.1 * (nesterov ? g + 0.9 * m[i] : m[i]);
      }
    expect_near(trained([&](auto v, auto g) { return sgd(v, g, 0.1, {.momentum = 0.9, .nesterov = nesterov, .weight_decay = 0.01}); }, 4), p);
  }
}

/// Adam's paper, algorithm 1; `decoupled` as in AdamW's algorithm 2.
Values adam_by_hand(int steps, double lr, double beta1, double beta2, double epsilon, bool amsgrad, double decay, double decoupled) {
  Values p = start, m(3), v(3), largest(3);
  for (int t = 1; t <= steps; ++t)
    for (std::size_t i = 0; i < 3; ++i) {
      const double g = slope(p, i) + decay * p[i];
      p[i] *= 1 - lr * decoupled;
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      largest[i] = std::max(largest[i], v[i]);
      const double corrected = (amsgrad ? largest[i] : v[i]) / (1 - std::pow(beta2, t));
      p[i] -= lr * m[i] / (1 - std::pow(beta1, t)) / (std::sqrt(corrected) + epsilon);
    }
  return p;
}

TEST(Optimizer, AdamIsThePapersAlgorithm) {
  expect_near(trained([](auto v, auto g) { return adam(v, g, 0.1); }, 5), adam_by_hand(5, 0.1, 0.9, 0.999, 1e-8, false, 0, 0));
  const AdamOptions options{.beta1 = 0.5, .beta2 = 0.7, .epsilon = 0.1, .amsgrad = true, .weight_decay = 0.02};
  expect_near(trained([&](auto v, auto g) { return adam(v, g, 0.3, options); }, 8), adam_by_hand(8, 0.3, 0.5, 0.7, 0.1, true, 0.02, 0));
}

TEST(Optimizer, AdamWShrinksTheVariableItself) {
  expect_near(trained([](auto v, auto g) { return adamw(v, g, 0.1, {.weight_decay = 0.3}); }, 5),
              adam_by_hand(5, 0.1, 0.9, 0.999, 1e-8, false, 0, 0.3));
}

TEST(Optimizer, SixteenBitVariablesAreUpdatedIn32Bits) {
  // Squares of these gradients times 1 - beta2 would be lost in f16.
  expect_near(trained([](auto v, auto g) { return adam(v, g, 0.1); }, 4, f16), adam_by_hand(4, 0.1, 0.9, 0.999, 1e-8, false, 0, 0), 5e-3);
  expect_near(trained([](auto v, auto g) { return sgd(v, g, 0.1, {.momentum = 0.9}); }, 2, bf16),
              trained([](auto v, auto g) { return sgd(v, g, 0.1, {.momentum = 0.9}); }, 2), 0.05);
}

TEST(Optimizer, StateIsVariablesLabelledAfterTheirs) {
  Graph g;
  const Tensor w = g.variable(init::zeros({2}, f16), "layer/w");
  const auto grads = g.gradients(sum(w * w), {w});
  const auto updates = adam(g.variables(), grads, 0.1, {.amsgrad = true});
  EXPECT_EQ(updates.size(), 5u);
  EXPECT_EQ(g.find("layer/w/momentum").type(), (TensorType{f32, {2}}));
  EXPECT_EQ(g.find("layer/w/velocity").type(), (TensorType{f32, {2}}));
  EXPECT_EQ(g.find("layer/w/maximum_velocity").type(), (TensorType{f32, {2}}));
  g.run({}, {}, updates);
  EXPECT_EQ(g.value(g.find("adam/step")).elements<std::int64_t>()[0], 1);
}

TEST(Optimizer, TheLearningRateMayBeFed) {
  Graph g;
  const Tensor p = g.variable(array(start)), rate = g.placeholder({}, f32);
  const auto updates = sgd(g.variables(), g.gradients(sum(p), g.variables()), rate);
  g.run({{rate, 0.5f}}, {}, updates);
  g.run({{rate, 0.25f}}, {}, updates);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(g.value(p).elements<double>()[i], start[i] - 0.75);
}

TEST(Optimizer, EveryOptimizerFitsALine) {
  const std::pair<const char*, Optimizer> optimizers[] = {
      {"sgd", [](auto v, auto g) { return sgd(v, g, 0.3f); }},
      {"momentum", [](auto v, auto g) { return sgd(v, g, 0.1f, {.momentum = 0.9}); }},
      {"nesterov", [](auto v, auto g) { return sgd(v, g, 0.1f, {.momentum = 0.9, .nesterov = true}); }},
      {"adam", [](auto v, auto g) { return adam(v, g, 0.1f); }},
      {"amsgrad", [](auto v, auto g) { return adam(v, g, 0.1f, {.amsgrad = true}); }},
      {"adamw", [](auto v, auto g) { return adamw(v, g, 0.1f, {.weight_decay = 1e-5}); }},
      {"clipped", [](auto v, auto g) { return sgd(v, clip_by_global_norm(g, 1), 0.3f); }},
  };
  std::vector<float> xs, ys;
  for (int i = 0; i < 32; ++i) {
    xs.push_back(static_cast<float>(i) / 16 - 1);
    ys.push_back(3 * xs.back() - 2);
  }
  for (const auto& [name, optimizer] : optimizers) {
    SCOPED_TRACE(name);
    Graph g;
    const Tensor x = g.placeholder({dynamic}), y = g.placeholder({dynamic}), a = g.variable(init::zeros({}), "a"),
                 b = g.variable(init::zeros({}), "b");
    const Tensor loss = mean_squared_error(a * x + b, y);
    const auto updates = optimizer(g.variables(), g.gradients(loss, g.variables()));
    const Feeds feeds = {{x, NDArray::of<float>({32}, xs)}, {y, NDArray::of<float>({32}, ys)}};
    const double first = g.run(feeds, {loss}, updates)[loss].item();
    for (int i = 0; i < 300; ++i) g.run(feeds, {}, updates);
    EXPECT_GT(first, 5);
    EXPECT_NEAR(g.value(a).item(), 3, 0.01);
    EXPECT_NEAR(g.value(b).item(), -2, 0.01);
  }
}

TEST(Optimizer, FunctionalStepsAreMpsGraphs) {
  Graph g;
  const Tensor p = g.placeholder({3}, f64), dp = g.placeholder({3}, f64), m = g.placeholder({3}, f64), v = g.placeholder({3}, f64),
               largest = g.placeholder({3}, f64);
  const Tensor descended = stochastic_gradient_descent(0.5, p, dp);
  const AdamStep plain = adam_step(0.1, 0.9, 0.99, 1e-3, 0.81, 0.9801, p, m, v, {}, dp),
                 bounded = adam_step(0.1, 0.9, 0.99, 1e-3, p, m, v, largest, dp);
  EXPECT_FALSE(plain.maximum_velocity);
  const Values gradient = {0.5, -1, 2}, m0 = {0.1, 0.2, 0.3}, v0 = {0.5, 0.25, 0.1}, l0 = {0.1, 0.2, 5};
  const Feeds feeds = {{p, array(start)}, {dp, array(gradient)}, {m, array(m0)}, {v, array(v0)}, {largest, array(l0)}};
  const auto result = g.run(feeds, {descended, plain.values, plain.momentum, plain.velocity, bounded.values, bounded.maximum_velocity});
  for (std::size_t i = 0; i < 3; ++i) {
    const double m1 = 0.9 * m0[i] + 0.1 * gradient[i], v1 = 0.99 * v0[i] + 0.01 * gradient[i] * gradient[i], l1 = std::max(l0[i], v1);
    const double expected[] = {start[i] - 0.5 * gradient[i],
                               start[i] - 0.1 * std::sqrt(1 - 0.9801) / (1 - 0.81) * m1 / (std::sqrt(v1) + 1e-3),
                               m1,
                               v1,
                               start[i] - 0.1 * m1 / (std::sqrt(l1) + 1e-3),
                               l1};
    for (std::size_t r = 0; r < 6; ++r) EXPECT_NEAR(result[r].elements<double>()[i], expected[r], 1e-12) << r;
  }
}

TEST(Optimizer, ClippingKeepsDirectionsAndTypes) {
  Graph g;
  const Tensor a = g.placeholder({2}, f32), b = g.placeholder({1}, f16);
  const std::vector<Tensor> both = {a, b};
  const auto clipped = clip_by_global_norm(both, 2.5), bounded = clip_by_value(both, -1, 2);
  const Tensor norm = global_norm(both);
  ASSERT_EQ(clipped[1].dtype(), f16);
  const auto wide = [](const NDArray& x) { return x.cast(f64); };
  auto r = g.run({{a, NDArray::of<float>({2}, {3, 0})}, {b, wide(NDArray::of<float>({1}, {-4})).cast(f16)}},
                 {norm, clipped[0], clipped[1], bounded[0], bounded[1]});
  EXPECT_EQ(r[0].item(), 5);
  EXPECT_EQ(r[1].elements<float>()[0], 1.5f);
  EXPECT_EQ(r[2].item(), -2);
  EXPECT_EQ(r[3].elements<float>()[0], 2);
  EXPECT_EQ(r[4].item(), -1);
  r = g.run({{a, NDArray(f32, {2})}, {b, NDArray(f16, {1})}}, {clipped[0]});
  EXPECT_EQ(r[0].elements<float>()[0], 0) << "nothing to clip, no division of 0 by 0";
}

TEST(Optimizer, WhatDoesNotFitIsRefused) {
  Graph g, other;
  const Tensor w = g.variable(init::zeros({2}), "w"), x = g.placeholder({2}, f32, "x"), i = g.placeholder({}, i32), wide = g.placeholder({2}, f64);
  const std::vector<Tensor> variables = {w}, gradients = {x}, none, placeholders = {x}, doubles = {wide}, foreign = {other.placeholder({2})};
  EXPECT_EQ(error_of([&] { sgd(variables, none, 0.1); }), "sgd: 1 variables but 0 gradients");
  EXPECT_EQ(error_of([&] { sgd(placeholders, gradients, 0.1); }), "sgd: x is not a variable");
  EXPECT_EQ(error_of([&] { adam(variables, doubles, 0.1); }),
            "adam: variable w is f32[2], its gradient f64[2]; expects the same floating-point type");
  EXPECT_EQ(error_of([&] { adamw(variables, foreign, 0.1); }), "adamw: variable w and its gradient don't belong to the graph of the others");
  EXPECT_EQ(error_of([&] { sgd(variables, gradients, i); }), "sgd: the learning rate is i32[], expects a floating-point scalar");
  EXPECT_EQ(error_of([&] { sgd(variables, gradients, x); }), "sgd: the learning rate is f32[2], expects a floating-point scalar");
  EXPECT_TRUE(sgd(none, none, 0.1).empty());
}

}  // namespace
}  // namespace weft::optimizer_test
