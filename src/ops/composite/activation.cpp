// Written so that what differentiation makes of a formula is right everywhere, to every order: a select passes the whole
// derivative to one side where max or abs would split or drop it at their kink, and no branch that a select drops makes
// an infinity that a factor of zero would turn into NaN.
#include "ops/composite/composite.h"

#include <weft/activation.h>
#include <weft/reduction.h>

#include <cmath>
#include <numbers>

namespace weft {

using ops::require_floating;

Tensor leaky_relu(Operand x, Operand alpha) {
  CompositeScope scope("leaky_relu", {x, alpha});
  require_floating("leaky_relu", x);
  return select(x > 0, x, alpha * x);
}

Tensor elu(Operand x, Operand alpha) {
  CompositeScope scope("elu", {x, alpha});
  require_floating("elu", x);
  const Tensor positive = x > 0;
  return select(positive, x, alpha * expm1(select(positive, 0, x)));
}

Tensor selu(Operand x) {
  CompositeScope scope("selu", {x});
  // The fixed point (mean 0, variance 1) of the paper's equations 4 and 5.
  constexpr double alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
  return scale * elu(x, alpha);
}

Tensor gelu(Operand x, Gelu form) {
  CompositeScope scope("gelu", {x});
  require_floating("gelu", x);
  if (form == Gelu::erf) return x * 0.5 * (1 + erf(x * std::numbers::sqrt2 / 2));
  // Past 10 the hyperbolic tangent is 1 in every type; the bound keeps the cube from overflowing f16.
  const Tensor t = clamp(x, -10, 10);
  return x * 0.5 * (1 + tanh(std::sqrt(2 * std::numbers::inv_pi) * (t + 0.044715 * (t * t * t))));
}

Tensor silu(Operand x) {
  CompositeScope scope("silu", {x});
  return x * sigmoid(x);
}

Tensor softplus(Operand x) {
  CompositeScope scope("softplus", {x});
  require_floating("softplus", x);
  const Tensor positive = x >= 0;
  return select(positive, x, 0) + log1p(exp(select(positive, -x, x)));
}

Tensor log_sigmoid(Operand x) {
  CompositeScope scope("log_sigmoid", {x});
  require_floating("log_sigmoid", x);
  return -softplus(-x);
}

Tensor mish(Operand x) {
  CompositeScope scope("mish", {x});
  return x * tanh(softplus(x));
}

Tensor softsign(Operand x) {
  CompositeScope scope("softsign", {x});
  require_floating("softsign", x);
  return x / (1 + select(x >= 0, x, -x));
}

Tensor hard_sigmoid(Operand x, double alpha, double beta) {
  CompositeScope scope("hard_sigmoid", {x});
  require_floating("hard_sigmoid", x);
  return clamp(x * alpha + beta, 0, 1);
}

Tensor hard_swish(Operand x) {
  CompositeScope scope("hard_swish", {x});
  return x * hard_sigmoid(x);
}

namespace {

/// x less its largest element along the axis, which cancels out of the result and so is no path for derivatives.
Tensor shifted(const Operand& x, int axis) {
  const Tensor wide = ops::widened(x);
  return wide - stop_gradient(max(wide, axis, {.keep = true}));
}

}  // namespace

Tensor softmax(Operand x, int axis) {
  CompositeScope scope("softmax", {x});
  require_floating("softmax", x);
  const Tensor e = exp(shifted(x, axis));
  return cast(e / sum(e, axis, {.keep = true}), x.tensor().dtype());
}

Tensor log_softmax(Operand x, int axis) {
  CompositeScope scope("log_softmax", {x});
  require_floating("log_softmax", x);
  const Tensor t = shifted(x, axis);
  return cast(t - log(sum(exp(t), axis, {.keep = true})), x.tensor().dtype());
}

}  // namespace weft
