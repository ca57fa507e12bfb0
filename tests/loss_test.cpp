// Losses against their definitions in double, and their derivatives far out.
#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/loss.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "evaluated.h"

namespace weft::loss_test {
namespace {

using Values = std::vector<double>;

NDArray array(const Shape& shape, const Values& values) { return NDArray::of<double>(shape, values); }

/// log(softmax(row))[c]
double log_probability(const Values& row, std::size_t c) {
  const double largest = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (double v : row) total += std::exp(v - largest);
  return row[c] - largest - std::log(total);
}

const Values logits_of_2x3 = {0.5, -1, 2, 30, 0, -30};

TEST(Loss, SoftmaxCrossEntropyOfProbabilities) {
  const Values labels = {0.2, 0.3, 0.5, 0, 0, 1};
  double each[2] = {};
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t c = 0; c < 3; ++c) each[r] -= labels[r * 3 + c] * log_probability({&logits_of_2x3[r * 3], &logits_of_2x3[r * 3] + 3}, c);
  for (const Shape& shape : {Shape{2, 3}, Shape{dynamic, dynamic}, Shape::unranked()}) {
    Graph g;
    const Tensor x = g.placeholder(shape, f64), y = g.placeholder(shape, f64);
    const Tensor none = softmax_cross_entropy(x, y, Reduction::none), sum = softmax_cross_entropy(x, y, Reduction::sum),
                 mean = softmax_cross_entropy(x, y);
    const auto result = g.run({{x, array({2, 3}, logits_of_2x3)}, {y, array({2, 3}, labels)}}, {none, sum, mean});
    EXPECT_EQ(result[none].shape(), Shape{2});
    for (std::size_t r = 0; r < 2; ++r) EXPECT_NEAR(result[none].elements<double>()[r], each[r], 1e-12);
    EXPECT_NEAR(result[sum].item(), each[0] + each[1], 1e-12);
    EXPECT_NEAR(result[mean].item(), (each[0] + each[1]) / 2, 1e-12);
  }
}

TEST(Loss, SoftmaxCrossEntropyOfIndicesIsThatOfOneHotLabels) {
  for (DType dtype : {u8, i32, i64, u64}) {
    Graph g;
    const Tensor x = g.placeholder({dynamic, 3}, f64), y = g.placeholder({dynamic}, dtype), loss = softmax_cross_entropy(x, y, Reduction::none);
    const Tensor dx = g.gradients(loss, {x})[0];
    const auto result = g.run({{x, array({2, 3}, logits_of_2x3)}, {y, NDArray::of<std::int64_t>({2}, {0, 2}).cast(dtype)}}, {loss, dx});
    for (std::size_t r = 0; r < 2; ++r) {
      const Values row(&logits_of_2x3[r * 3], &logits_of_2x3[r * 3] + 3);
      EXPECT_NEAR(result[loss].elements<double>()[r], -log_probability(row, r ? 2 : 0), 1e-12);
      for (std::size_t c = 0; c < 3; ++c)
        EXPECT_NEAR(result[dx].elements<double>()[r * 3 + c], std::exp(log_probability(row, c)) - (c == (r ? 2u : 0u)), 1e-12);
    }
  }
}

TEST(Loss, TheClassesMayBeAnyDimension) {
  // [2, classes 3, 2] with index labels [2, 2]
  Values logits(12);
  std::iota(logits.begin(), logits.end(), -5.0);
  logits[3] = 4.5;
  Graph g;
  const Tensor x = g.placeholder({dynamic, 3, dynamic}, f64), y = g.placeholder({dynamic, dynamic}, i32);
  const Tensor loss = softmax_cross_entropy(x, y, Reduction::none, 1), mean = softmax_cross_entropy(x, y, Reduction::mean, -2);
  const auto result = g.run({{x, array({2, 3, 2}, logits)}, {y, NDArray::of<std::int32_t>({2, 2}, {0, 1, 2, 1})}}, {loss, mean});
  const std::size_t labels[] = {0, 1, 2, 1};
  double total = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t at = i / 2 * 6 + i % 2;
    const double expected = -log_probability({logits[at], logits[at + 2], logits[at + 4]}, labels[i]);
    EXPECT_NEAR(result[loss].elements<double>()[i], expected, 1e-12);
    total += expected;
  }
  EXPECT_NEAR(result[mean].item(), total / 4, 1e-12) << "divided by the examples, not by the elements";
}

TEST(Loss, AnIndexOutOfRangeGivesNaNAndNoDerivative) {
  Graph g;
  const Tensor x = g.placeholder({4, 3}, f32), y = g.placeholder({4}, i64), loss = softmax_cross_entropy(x, y, Reduction::none);
  const auto result = g.run({{x, NDArray(f32, {4, 3})}, {y, NDArray::of<std::int64_t>({4}, {3, -1, (std::int64_t{1} << 32) + 1, 1})}},
                            {loss, g.gradients(loss, {x})[0]});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::isnan(result[0].elements<float>()[i]));
    EXPECT_EQ(result[1].elements<float>()[i * 3], 0);
  }
  EXPECT_FLOAT_EQ(result[0].elements<float>()[3], std::log(3.0f));
}

TEST(Loss, SoftmaxCrossEntropyStaysFiniteFarOut) {
  Graph g;
  const Tensor x = g.placeholder({2, 2}, f32), y = g.placeholder({2, 2}, f32), loss = softmax_cross_entropy(x, y, Reduction::none),
               dx = g.gradients(loss, {x})[0];
  const auto result = g.run({{x, NDArray::of<float>({2, 2}, {1000, -1000, 30, -30})}, {y, NDArray::of<float>({2, 2}, {0, 1, 1, 0})}}, {loss, dx});
  EXPECT_EQ(result[loss].elements<float>()[0], 2000);
  EXPECT_NEAR(result[loss].elements<float>()[1], 0, 1e-20);
  EXPECT_EQ(result[dx].elements<float>()[0], 1);
  EXPECT_EQ(result[dx].elements<float>()[1], -1);
}

TEST(Loss, BinaryCrossEntropyBoundsItsLogarithms) {
  Graph g;
  const Tensor p = g.placeholder({5}, f32), y = g.placeholder({5}, f32), loss = binary_cross_entropy(p, y, Reduction::none),
               dp = g.gradients(loss, {p})[0];
  const auto result = g.run({{p, NDArray::of<float>({5}, {0.25f, 0, 1, 0, 1})}, {y, NDArray::of<float>({5}, {0.5f, 1, 0, 0, 1})}}, {loss, dp});
  const double losses[] = {-0.5 * std::log(0.25) - 0.5 * std::log(0.75), 100, 100, 0, 0};
  const double derivatives[] = {-0.5 / 0.25 + 0.5 / 0.75, 0, 0, 1, -1};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(result[loss].elements<float>()[i], losses[i], 1e-6);
    EXPECT_NEAR(result[dp].elements<float>()[i], derivatives[i], 1e-5) << i;
  }
}

TEST(Loss, BinaryCrossEntropyWithLogitsStaysFiniteFarOut) {
  const Values logits = {0, 0.5, -0.5, 30, -30, 1000, -1000, 1000, -1000}, labels = {0.5, 1, 0.25, 0, 0, 1, 1, 0, 0};
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f64), y = g.placeholder({dynamic}, f64), loss = binary_cross_entropy_with_logits(x, y, Reduction::none);
  const Tensor dx = g.gradients(loss, {x})[0];
  const auto result = g.run({{x, array({9}, logits)}, {y, array({9}, labels)}}, {loss, dx});
  for (std::size_t i = 0; i < 9; ++i) {
    const double softplus = std::max(logits[i], 0.0) + std::log1p(std::exp(-std::fabs(logits[i])));
    EXPECT_NEAR(result[loss].elements<double>()[i], softplus - logits[i] * labels[i], 1e-12);
    EXPECT_NEAR(result[dx].elements<double>()[i], 1 / (1 + std::exp(-logits[i])) - labels[i], 1e-12);
  }
}

TEST(Loss, SquaredAbsoluteAndHuberErrors) {
  const Values differences = {0, 0.5, -0.5, 1, -1, 3, -3, 1e200};
  Graph g;
  const Tensor x = g.placeholder({dynamic}, f64), truth = g.placeholder({dynamic}, f64);
  const Tensor squared = mean_squared_error(x, truth), absolute = mean_absolute_error(x, truth, Reduction::sum),
               huber = huber_loss(x, truth, 1.0, Reduction::none);
  const Tensor dh = g.gradients(huber, {x})[0], dt = g.gradients(squared, {truth})[0];
  const Feeds feeds = {{x, array({8}, differences)}, {truth, NDArray(f64, {8})}};
  const auto result = g.run(feeds, {huber, dh});
  for (std::size_t i = 0; i < 8; ++i) {
    const double d = differences[i];
    EXPECT_DOUBLE_EQ(result[huber].elements<double>()[i], std::fabs(d) <= 1 ? d * d / 2 : std::fabs(d) - 0.5);
    EXPECT_DOUBLE_EQ(result[dh].elements<double>()[i], std::min(std::max(d, -1.0), 1.0));
  }
  const auto small = g.run({{x, array({2}, {1, 4})}, {truth, array({2}, {2, 2})}}, {squared, absolute, dt});
  EXPECT_DOUBLE_EQ(small[squared].item(), (1.0 + 4.0) / 2);
  EXPECT_DOUBLE_EQ(small[absolute].item(), 3);
  EXPECT_DOUBLE_EQ(small[dt].elements<double>()[1], -2);
}

TEST(Loss, SixteenBitLossesAreComputedIn32Bits) {
  Graph g;
  const Tensor x = g.placeholder({3}, f16), y = g.placeholder({3}, f16), loss = mean_squared_error(x, y);
  ASSERT_EQ(loss.dtype(), f16);
  const auto result = g.run({{x, NDArray::of<double>({3}, {300, 0, 0}).cast(f16)}, {y, NDArray(f16, {3})}}, {loss});
  EXPECT_EQ(result[loss].cast(f64).item(), 30000) << "300^2 is no f16";
}

TEST(Loss, LabelsMayBeANumber) {
  Graph g;
  const Tensor x = g.placeholder({2}, f32), real = binary_cross_entropy_with_logits(x, 1);
  EXPECT_FLOAT_EQ(g.run({{x, NDArray(f32, {2})}}, {real})[real].item(), std::log(2.0));
}

TEST(Loss, LabelsThatDoNotFitAreRefused) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 10}, f32), wide = g.placeholder({dynamic, 11}, f32), index = g.placeholder({dynamic, 10}, i32);
  const Tensor f64_labels = g.placeholder({dynamic, 10}, f64), classes = g.placeholder({dynamic, dynamic}, f32), one = g.placeholder({dynamic}, i32);
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(x, wide); }),
            "softmax_cross_entropy: labels f32[?,11] and logits f32[?,10] differ in shape; index labels are integers");
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(x, index); }),
            "softmax_cross_entropy: labels i32[?,10] beside logits f32[?,10]: expects index labels of shape [?]");
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(x, f64_labels); }),
            "softmax_cross_entropy: operands f32[?,10] and f64[?,10] have different element types; cast one of them");
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(classes, one); }),
            "softmax_cross_entropy: labels i32[?] beside logits f32[?,?]: index labels need a known number of classes");
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(x, one, Reduction::sum, 2); }),
            "softmax_cross_entropy: axis 2 is out of range for logits f32[?,10]");
  EXPECT_EQ(error_of([&] { softmax_cross_entropy(index, index); }).find("softmax_cross_entropy: operand %2 is i32[?,10], expects floating point"),
            0u);
  EXPECT_EQ(error_of([&] { huber_loss(x, x, 0); }), "huber_loss: delta is 0.000000, expects a positive number");
}

}  // namespace
}  // namespace weft::loss_test
