// Activations against their definitions in double, values and derivatives, far out too.
#include <weft/activation.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/reduction.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "evaluated.h"

namespace weft::activation_test {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct Activation {
  const char* name;
  Tensor (*build)(Tensor);
  double (*value)(double);
  double (*derivative)(double);
};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double soft(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double normal_pdf(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
constexpr double selu_alpha = 1.6732632423543772, selu_scale = 1.0507009873554805;

/// The tanh form's inner polynomial and the derivative of x/2 * (1 + tanh(u)).
double cubic(double x) { return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x); }
double gelu_tanh_derivative(double x) {
  const double t = std::tanh(cubic(x)), slope = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + (t * t == 1 ? 0 : 0.5 * x * (1 - t * t) * slope);
}
double mish_derivative(double x) {
  const double t = std::tanh(soft(x));
  return t + (t == 1 ? 0 : x * (1 - t * t) * logistic(x));
}

const Activation activations[] = {
    {"leaky_relu", [](Tensor x) { return leaky_relu(x, 0.1); }, [](double x) { return x > 0 ? x : 0.1 * x; },
     [](double x) { return x > 0 ? 1 : 0.1; }},
    {"elu", [](Tensor x) { return elu(x); }, [](double x) { return x > 0 ? x : std::expm1(x); }, [](double x) { return x > 0 ? 1 : std::exp(x); }},
    {"elu of 2", [](Tensor x) { return elu(x, 2.0); }, [](double x) { return x > 0 ? x : 2 * std::expm1(x); },
     [](double x) { return x > 0 ? 1 : 2 * std::exp(x); }},
    {"selu", [](Tensor x) { return selu(x); }, [](double x) { return selu_scale * (x > 0 ? x : selu_alpha * std::expm1(x)); },
     [](double x) { return selu_scale * (x > 0 ? 1 : selu_alpha * std::exp(x)); }},
    {"gelu", [](Tensor x) { return gelu(x); }, [](double x) { return x * normal_cdf(x); },
     [](double x) { return normal_cdf(x) + x * normal_pdf(x); }},
    {"gelu by tanh", [](Tensor x) { return gelu(x, Gelu::tanh); }, [](double x) { return 0.5 * x * (1 + std::tanh(cubic(x))); },
     gelu_tanh_derivative},
    {"silu", [](Tensor x) { return silu(x); }, [](double x) { return x * logistic(x); },
     [](double x) { return logistic(x) * (1 + x * logistic(-x)); }},
    {"softplus", [](Tensor x) { return softplus(x); }, soft, logistic},
    {"log_sigmoid", [](Tensor x) { return log_sigmoid(x); }, [](double x) { return -soft(-x); }, [](double x) { return logistic(-x); }},
    {"mish", [](Tensor x) { return mish(x); }, [](double x) { return x * std::tanh(soft(x)); }, mish_derivative},
    {"softsign", [](Tensor x) { return softsign(x); }, [](double x) { return x / (1 + std::fabs(x)); },
     [](double x) { return 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))); }},
    {"hard_sigmoid", [](Tensor x) { return hard_sigmoid(x); }, [](double x) { return std::min(std::max(x / 6 + 0.5, 0.0), 1.0); },
     [](double x) { return std::fabs(x) < 3 ? 1.0 / 6 : 0; }},
    {"hard_swish", [](Tensor x) { return hard_swish(x); }, [](double x) { return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0); },
     [](double x) { return x >= 3    ? 1
                           : x <= -3 ? 0
                                     : x / 3 + 0.5; }},
};

const std::vector<double> places = {0, 1e-3, -1e-3, 0.5, -0.5, 1, -1, 2.5, -2.5, 6, -6, 11, -11, 30, -30, 1000, -1000};

NDArray array(const std::vector<double>& values) { return NDArray::of<double>({static_cast<std::int64_t>(values.size())}, values); }

TEST(Activation, ValuesAndDerivativesAreThoseOfTheDefinition) {
  for (const auto& a : activations) {
    SCOPED_TRACE(a.name);
    Graph g;
    const Tensor x = g.placeholder({dynamic}, f64), y = a.build(x), dx = g.gradients(y, {x})[0];
    const auto result = g.run({{x, array(places)}}, {y, dx});
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double v = a.value(places[i]), d = a.derivative(places[i]);
      EXPECT_NEAR(result[y].elements<double>()[i], v, 1e-13 * std::max(1.0, std::fabs(v))) << "at " << places[i];
      EXPECT_NEAR(result[dx].elements<double>()[i], d, 1e-13 * std::max(1.0, std::fabs(d))) << "derivative at " << places[i];
    }
  }
}

TEST(Activation, SecondDerivativesAreThoseOfTheFirstOnes) {
  for (const auto& a : activations) {
    SCOPED_TRACE(a.name);
    Graph g;
    const Tensor x = g.placeholder({dynamic}, f64), dx = g.gradients(a.build(x), {x})[0], ddx = g.gradients(dx, {x})[0];
    const std::vector<double> smooth = {0.7, -0.7, 2, -2, 1000, -1000};
    const auto result = g.run({{x, array(smooth)}}, {ddx});
    for (std::size_t i = 0; i < smooth.size(); ++i) {
      const double h = 1e-4, numeric = (a.derivative(smooth[i] + h) - a.derivative(smooth[i] - h)) / (2 * h);
      EXPECT_NEAR(result[0].elements<double>()[i], numeric, 1e-7) << "at " << smooth[i];
    }
  }
}

TEST(Activation, SoftplusHasItsSecondDerivativeAtZero) {
  Graph g;
  const Tensor x = g.placeholder({}, f64), dx = g.gradients(softplus(x), {x})[0];
  EXPECT_NEAR(g.run({{x, 0.0}}, {g.gradients(dx, {x})[0]})[0].item(), 0.25, 1e-15);
}

TEST(Activation, SixteenBitTypesStayFinite) {
  for (const auto& a : activations) {
    SCOPED_TRACE(a.name);
    for (DType dtype : {f16, bf16}) {
      Graph g;
      const Tensor x = g.placeholder({dynamic}, dtype), y = a.build(x), dx = g.gradients(y, {x})[0];
      ASSERT_EQ(y.dtype(), dtype);
      const auto result = g.run({{x, array(places).cast(dtype)}}, {y, dx});
      const NDArray values = result[y].cast(f64), derivatives = result[dx].cast(f64);
      for (std::size_t i = 0; i < places.size(); ++i) {
        EXPECT_NEAR(values.elements<double>()[i], a.value(places[i]), 0.02 * std::max(1.0, std::fabs(a.value(places[i])))) << "at " << places[i];
        EXPECT_NEAR(derivatives.elements<double>()[i], a.derivative(places[i]), 0.04) << "derivative at " << places[i];
      }
    }
  }
}

TEST(Activation, SlopesOfLeakyReluMayBeATensor) {
  Graph g;
  const Tensor x = g.placeholder({2, 2}, f64), alpha = g.placeholder({2}, f64);
  const Tensor y = leaky_relu(x, alpha), d = g.gradients(y, {alpha})[0];
  const auto result = g.run({{x, NDArray::of<double>({2, 2}, {1, -2, -3, -4})}, {alpha, NDArray::of<double>({2}, {0.5, 0.25})}}, {y, d});
  const double values[] = {1, -0.5, -1.5, -1}, derivatives[] = {-3, -6};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(result[y].elements<double>()[i], values[i]);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(result[d].elements<double>()[i], derivatives[i]);
}

/// Along the middle dimension of [2, classes, 3].
double softmax_of(std::span<const double> x, std::int64_t classes, std::size_t at) {
  const std::size_t inner = at % 3, outer = at / static_cast<std::size_t>(classes * 3);
  double largest = -inf, total = 0;
  for (std::size_t c = 0; c < static_cast<std::size_t>(classes); ++c)
    largest = std::max(largest, x[(outer * static_cast<std::size_t>(classes) + c) * 3 + inner]);
  for (std::size_t c = 0; c < static_cast<std::size_t>(classes); ++c)
    total += std::exp(x[(outer * static_cast<std::size_t>(classes) + c) * 3 + inner] - largest);
  return std::exp(x[at] - largest) / total;
}

TEST(Activation, SoftmaxIsThatOfTheDefinitionAlongAnyDimension) {
  for (const Shape& shape : {Shape{2, 4, 3}, Shape{dynamic, dynamic, dynamic}, Shape::unranked()}) {
    for (int axis : {1, -2}) {
      Graph g;
      const Tensor x = g.placeholder(shape, f64), y = softmax(x, axis), l = log_softmax(x, axis);
      std::vector<double> values;
      for (int i = 0; i < 24; ++i) values.push_back(i % 7 * 0.3 - i % 5 * 40);
      const auto result = g.run({{x, NDArray::of<double>({2, 4, 3}, values)}}, {y, l});
      for (std::size_t i = 0; i < 24; ++i) {
        EXPECT_NEAR(result[y].elements<double>()[i], softmax_of(values, 4, i), 1e-14);
        EXPECT_NEAR(result[l].elements<double>()[i], std::log(softmax_of(values, 4, i)), 1e-11);
      }
    }
  }
}

TEST(Activation, SoftmaxAndItsDerivativeStayFiniteFarOut) {
  Graph g;
  const Tensor x = g.placeholder({4}, f32), weights = g.placeholder({4}, f32);
  const Tensor y = softmax(x), l = log_softmax(x), dy = g.gradients(y * weights, {x})[0], dl = g.gradients(l * weights, {x})[0];
  const auto result = g.run({{x, NDArray::of<float>({4}, {1000, 0, -1000, 1000})}, {weights, NDArray::of<float>({4}, {1, 2, 3, 4})}}, {y, l, dy, dl});
  const float expected[4][4] = {
      {0.5f, 0, 0, 0.5f}, {-0.6931472f, -1000.6931472f, -2000.6931472f, -0.6931472f}, {-0.75f, 0, 0, 0.75f}, {-4, 2, 3, -1}};
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(result[r].elements<float>()[i], expected[r][i]) << r << " " << i;
}

TEST(Activation, MaskedElementsOfSoftmaxGetNothing) {
  Graph g;
  const Tensor x = g.placeholder({2, 3}, f64), y = softmax(x), l = log_softmax(x), dx = g.gradients(y * y, {x})[0];
  const auto result = g.run({{x, NDArray::of<double>({2, 3}, {0, -inf, 0, -inf, -inf, -inf})}}, {y, l, dx});
  const double values[] = {0.5, 0, 0.5};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(result[y].elements<double>()[i], values[i]);
    EXPECT_NEAR(result[dx].elements<double>()[i], 0, 1e-15);
    EXPECT_TRUE(std::isnan(result[y].elements<double>()[3 + i])) << "nothing is left in this row";
  }
  EXPECT_EQ(result[l].elements<double>()[1], -inf);
}

TEST(Activation, SoftmaxOfNothingIsNothing) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, dynamic}, f32), y = softmax(x);
  EXPECT_EQ(g.run({{x, NDArray(f32, {3, 0})}}, {y})[y].shape(), (Shape{3, 0}));
  EXPECT_EQ(g.run({{x, NDArray(f32, {0, 3})}}, {y})[y].shape(), (Shape{0, 3}));
}

TEST(Activation, ASixteenBitSoftmaxIsComputedIn32Bits) {
  Graph g;
  const Tensor x = g.placeholder({4096}, f16), y = softmax(x);
  const auto result = g.run({{x, NDArray(f16, {4096})}}, {sum(cast(y, f64))});
  EXPECT_NEAR(result[0].item(), 1, 1e-3);
}

TEST(Activation, StopGradientIsAConstantToDerivatives) {
  Graph g;
  const Tensor x = g.placeholder({2}, f32), y = x * stop_gradient(x);
  const auto result = g.run({{x, NDArray::of<float>({2}, {3, 4})}}, {y, g.gradients(y, {x})[0]});
  EXPECT_EQ(result[0].elements<float>()[1], 16);
  EXPECT_EQ(result[1].elements<float>()[1], 4);
}

TEST(Activation, IntegersAndAbsentAxesAreRefused) {
  Graph g;
  const Tensor i = g.placeholder({3}, i32, "i"), x = g.placeholder({3}, f32, "x");
  EXPECT_EQ(error_of([&] { softmax(i); }), "softmax: operand i is i32[3], expects floating point");
  EXPECT_EQ(error_of([&] { elu(i); }), "elu: operand i is i32[3], expects floating point");
  EXPECT_NE(error_of([&] { softmax(x, 1); }).find("axis 1 is out of range for rank 1"), std::string::npos);
}

}  // namespace
}  // namespace weft::activation_test
