// What networks are made of: activations, losses, normalisations, steps of optimizers. Each is a handful of operations of 4 ulp on
// values of a known size. 16-bit types round after each where they aren't said to be computed in f32.
#include "descriptions.h"

#include <weft/activation.h>
#include <weft/elementwise.h>
#include <weft/loss.h>
#include <weft/normalization.h>
#include <weft/optimizer.h>

namespace weft {
namespace {

using Build = std::function<Tensor(const Tensors&)>;

OpCase composed(std::string name, std::vector<Input> inputs, std::vector<Shapes> shapes, Tolerance tolerance, Build build) {
  std::vector<std::size_t> differentiable;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].dtype) differentiable.push_back(i);
  return {.name = std::move(name),
          .build = [build](Graph&, const Tensors& x) { return Tensors{build(x)}; },
          .inputs = std::move(inputs),
          .shapes = std::move(shapes),
          .dtypes = floats(),
          .tolerance = tolerance,
          .differentiable = differentiable};
}

/// Elementwise, on values below 6.
OpCase activation(std::string name, Build build, std::vector<double> kinks = {}) {
  OpCase c = composed(std::move(name), {{real(-6, 6).avoiding(std::move(kinks))}}, any_shapes(), {.ulp = 16, .scale = 16}, std::move(build));
  c.elementwise = true;
  return c;
}

/// Along dimensions of a matrix.
std::vector<Shapes> matrices() { return {{{7, 13}}, {{1, 31}}, {{0, 3}}, {{1, 1}}, {{5, 2, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}}}; }

OpCase fixed_rank(OpCase c) {
  c.unknown_rank = false;
  return c;
}

OpCase fixed_sizes(OpCase c) {
  c.unknown_sizes = c.unknown_rank = false;
  return c;
}

}  // namespace

std::vector<OpCase> activation_cases() {
  const Tolerance rows{.ulp = 16, .scale = 16};
  return {
      activation("leaky_relu", [](const Tensors& x) { return leaky_relu(x[0]); }, {0}),
      activation("leaky_relu_steep", [](const Tensors& x) { return leaky_relu(x[0], 0.25); }, {0}),
      activation("elu", [](const Tensors& x) { return elu(x[0]); }, {0}),
      activation("selu", [](const Tensors& x) { return selu(x[0]); }, {0}),
      activation("gelu", [](const Tensors& x) { return gelu(x[0]); }),
      activation("gelu_tanh", [](const Tensors& x) { return gelu(x[0], Gelu::tanh); }),
      activation("silu", [](const Tensors& x) { return silu(x[0]); }),
      activation("softplus", [](const Tensors& x) { return softplus(x[0]); }),
      activation("log_sigmoid", [](const Tensors& x) { return log_sigmoid(x[0]); }),
      activation("mish", [](const Tensors& x) { return mish(x[0]); }),
      activation("softsign", [](const Tensors& x) { return softsign(x[0]); }, {0}),
      activation("hard_sigmoid", [](const Tensors& x) { return hard_sigmoid(x[0]); }, {-3, 3}),
      activation("hard_swish", [](const Tensors& x) { return hard_swish(x[0]); }, {-3, 3}),
      composed("prelu", {{real(-6, 6).avoiding({0})}, {real(0, 1)}}, {{{7, 13}, {13}}, {{0, 3}, {3}}}, {.ulp = 4},
               [](const Tensors& x) { return leaky_relu(x[0], x[1]); }),
      composed("softmax", {{real(-4, 4)}}, matrices(), rows, [](const Tensors& x) { return softmax(x[0]); }),
      composed("softmax_outer", {{real(-4, 4)}}, matrices(), rows, [](const Tensors& x) { return softmax(x[0], 0); }),
      composed("log_softmax", {{real(-4, 4)}}, matrices(), rows, [](const Tensors& x) { return log_softmax(x[0]); }),
      composed("log_softmax_outer", {{real(-4, 4)}}, matrices(), rows, [](const Tensors& x) { return log_softmax(x[0], 0); }),
  };
}

std::vector<OpCase> loss_cases() {
  // Losses of single examples are below 64; their sums add up at most 91.
  const Tolerance one{.ulp = 16, .scale = 64}, mean = one, total{.ulp = 16, .scale = 64 * 91};
  const std::vector<Shapes> same{{{7, 13}, {7, 13}}, {{1, 31}, {1, 31}}, {{0, 3}, {0, 3}}}, indexed{{{7, 5}, {7}}, {{0, 5}, {0}}, {{5}, {}}};
  const auto values = real(-4, 4);
  return {
      composed("softmax_cross_entropy", {{values}, {real(0, 1)}}, same, mean, [](const Tensors& x) { return softmax_cross_entropy(x[0], x[1]); }),
      composed("softmax_cross_entropy_each", {{values}, {real(0, 1)}}, same, one,
               [](const Tensors& x) { return softmax_cross_entropy(x[0], x[1], Reduction::none, 0); }),
      // The number of classes must be known.
      fixed_sizes(composed("softmax_cross_entropy_of_indices", {{values}, {whole(0, 4), i32}}, indexed, mean,
                           [](const Tensors& x) { return softmax_cross_entropy(x[0], x[1]); })),
      fixed_sizes(composed("softmax_cross_entropy_summed", {{values}, {whole(0, 4), i64}}, indexed, total,
                           [](const Tensors& x) { return softmax_cross_entropy(x[0], x[1], Reduction::sum); })),
      composed("binary_cross_entropy", {{real(0.05, 0.95)}, {real(0, 1)}}, same, mean,
               [](const Tensors& x) { return binary_cross_entropy(x[0], x[1]); }),
      composed("binary_cross_entropy_with_logits", {{values}, {real(0, 1)}}, same, one,
               [](const Tensors& x) { return binary_cross_entropy_with_logits(x[0], x[1], Reduction::none); }),
      composed("mean_squared_error", {{values}, {values}}, same, mean, [](const Tensors& x) { return mean_squared_error(x[0], x[1]); }),
      composed("mean_absolute_error", {{values}, {values}}, same, total,
               [](const Tensors& x) { return mean_absolute_error(x[0], x[1], Reduction::sum); }),
      composed("huber_loss", {{values}, {values}}, same, mean, [](const Tensors& x) { return huber_loss(x[0], x[1], 1.5); }),
  };
}

std::vector<OpCase> normalization_cases() {
  // Centred values below 8 times gamma below 2, divided by a deviation that is seldom below 1.
  const Tolerance rounded{.ulp = 16, .scale = 64};
  const auto values = real(-4, 4);
  const Input gamma{real(0.5, 2)}, beta{real(-1, 1)};
  const std::vector<Shapes> rows{{{7, 13}, {13}, {13}}, {{3, 0, 5}, {5}, {5}}, {{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 7}, {7}, {7}}};
  const std::vector<Shapes> last{{{2, 5, 3, 4}, {4}, {4}}, {{7, 4}, {4}, {4}}}, second{{{2, 4, 5, 3}, {4}, {4}}};
  auto channels = [](const Tensors& x, int axis) { return ChannelNormOptions{.gamma = x[1], .beta = x[2], .axis = axis}; };
  std::vector<OpCase> cases{
      composed("normalize", {{values}, {real(-1, 1)}, {real(0.5, 2)}}, {{{7, 13}, {7, 1}, {7, 1}}, {{0, 3}, {3}, {3}}}, rounded,
               [](const Tensors& x) { return normalize(x[0], x[1], x[2]); }),
      composed("layer_norm", {{values}, gamma, beta}, rows, rounded,
               [](const Tensors& x) { return layer_norm(x[0], -1, {.gamma = x[1], .beta = x[2]}); }),
      composed("layer_norm_plain", {{values}}, {{{7, 3, 5}}}, rounded,
               [](const Tensors& x) {
                 return layer_norm(x[0], {1, 2});
               }),
      composed("rms_norm", {{values}, gamma}, {{{7, 13}, {13}}, {{0, 3}, {3}}}, rounded,
               [](const Tensors& x) { return rms_norm(x[0], -1, {.gamma = x[1]}); }),
      composed("l2_normalize", {{values}}, {{{7, 13}}, {{0, 3}}}, rounded, [](const Tensors& x) { return l2_normalize(x[0]); }),
      fixed_rank(
          composed("batch_norm", {{values}, gamma, beta}, last, rounded, [=](const Tensors& x) { return batch_norm(x[0], channels(x, -1)).y; })),
      fixed_rank(composed("batch_norm_channels_first", {{values}, gamma, beta}, second, rounded,
                          [=](const Tensors& x) { return batch_norm(x[0], channels(x, 1)).y; })),
      fixed_rank(composed("batch_norm_inference", {{values}, gamma, beta}, last, rounded,
                          [=](const Tensors& x) { return batch_norm(x[0], x[2], x[1], channels(x, -1)); })),
      fixed_rank(composed("instance_norm", {{values}, gamma, beta}, {{{2, 5, 3, 4}, {4}, {4}}}, rounded,
                          [=](const Tensors& x) { return instance_norm(x[0], channels(x, -1)); })),
      fixed_sizes(composed("group_norm", {{values}, gamma, beta}, {{{2, 5, 3, 4}, {4}, {4}}}, rounded,
                           [=](const Tensors& x) { return group_norm(x[0], 2, channels(x, -1)); })),
  };
  return cases;
}

std::vector<OpCase> optimizer_cases() {
  const Tolerance rounded{.ulp = 16, .scale = 16};
  const auto values = real(-2, 2);
  const Shape s{7, 13};
  OpCase step = composed("adam_step", {{values}, {values}, {real(0.1, 2)}, {values}}, {{s, s, s, s}, {{0}, {0}, {0}, {0}}}, rounded, nullptr);
  step.build = [](Graph&, const Tensors& x) {
    const AdamStep r = adam_step(0.01, 0.9, 0.999, 1e-4, x[0], x[1], x[2], {}, x[3]);
    return Tensors{r.values, r.momentum, r.velocity};
  };
  OpCase clipped = composed("clip_by_global_norm", {{values}, {values}}, {{s, {31}}, {{0}, {2}}}, rounded, nullptr);
  clipped.build = [](Graph&, const Tensors& x) { return clip_by_global_norm(x, 1.0); };
  OpCase bounded = composed("clip_by_value", {{values.avoiding({-1, 1})}, {values.avoiding({-1, 1})}}, {{s, {31}}, {{0}, {}}}, {}, nullptr);
  bounded.build = [](Graph&, const Tensors& x) { return clip_by_value(x, -1, 1); };
  for (auto t : {i32, i64, i16, i8}) bounded.dtypes.push_back(t);
  OpCase descent = composed("stochastic_gradient_descent", {{values}, {values}}, {{s, s}, {{}, {}}, {{0}, {0}}}, rounded,
                            [](const Tensors& x) { return stochastic_gradient_descent(0.1, x[0], x[1]); });
  descent.dtypes.push_back(c64);
  OpCase norm = composed("global_norm", {{values}, {values}}, {{s, {31}}, {{2}, {}}}, rounded, [](const Tensors& x) { return global_norm(x); });
  return {descent, step, norm, clipped, bounded};
}

}  // namespace weft
