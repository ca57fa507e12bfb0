#include "ops/composite/composite.h"

#include <weft/activation.h>
#include <weft/loss.h>
#include <weft/movement.h>
#include <weft/reduction.h>

#include <limits>

namespace weft {

using ops::require_floating;
using ops::widened;

namespace {

Tensor reduced(Tensor loss, Reduction reduction, DType dtype) {
  if (reduction == Reduction::sum) loss = sum(loss);
  if (reduction == Reduction::mean) loss = mean(loss);
  return cast(loss, dtype);
}

/// A second operand in the type that the first is computed in: labels of f16 beside logits of f16 become f32 with them.
Tensor beside(const CompositeScope& scope, std::string_view op, const Operand& x, const Operand& other) {
  const Tensor t = scope.tensor(other);
  const DType dtype = x.tensor().dtype();
  if (t.dtype() != dtype)
    fail_graph(
        std::string(op) + ": operands " + x.tensor().type().str() + " and " + t.type().str() + " have different element types; cast one of them",
        ir::Location::of(other.where()));
  return widened(t);
}

void require_tensor(std::string_view op, const Operand& x) {
  if (!x.tensor()) fail_graph(std::string(op) + ": the prediction is a number, expects a tensor", ir::Location::of(x.where()));
  require_floating(op, x);
}

/// Whether element `class` along the axis is the labelled one, as 0, 1, 2, ... compared with labels that got the axis back.
Tensor is_labelled(GraphState& graph, Tensor labels, std::int64_t classes, int axis, int rank) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(rank), 1);
  sizes[static_cast<std::size_t>(axis)] = classes;
  Attributes attributes{{"dtype", i64}, {"axis", std::int64_t{axis}}, {"shape", sizes}};
  return equal(labels, apply_source(graph, "iota", std::move(attributes), {}));
}

Tensor index_loss(GraphState& graph, const Operand& logits, const Operand& labels, int axis) {
  const std::string_view op = "softmax_cross_entropy";
  const Shape& shape = logits.tensor().shape();
  const auto where = ir::Location::of(labels.where());
  const std::string given = "labels " + labels.tensor().type().str() + " beside logits " + logits.tensor().type().str();
  if (!shape.ranked()) fail_graph(std::string(op) + ": " + given + ": index labels need logits of known rank", where);
  const int rank = shape.rank(), at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank)
    fail_graph(std::string(op) + ": axis " + std::to_string(axis) + " is out of range for logits " + logits.tensor().type().str(), where);
  if (shape[at] == dynamic) fail_graph(std::string(op) + ": " + given + ": index labels need a known number of classes", where);
  std::vector<std::int64_t> expected(shape.begin(), shape.end());
  expected.erase(expected.begin() + at);
  const Shape& actual = labels.tensor().shape();
  bool agree = !actual.ranked() || actual.rank() == rank - 1;
  for (int i = 0; agree && i < actual.rank(); ++i) {
    const auto size = expected[static_cast<std::size_t>(i)];
    agree = actual[i] == size || actual[i] == dynamic || size == dynamic;
  }
  if (!agree) fail_graph(std::string(op) + ": " + given + ": expects index labels of shape " + Shape(expected).str(), where);

  const Tensor index = cast(labels, i64);
  const Tensor logs = log_softmax(Operand(widened(logits), logits.where()), at);
  const Tensor loss = -sum(select(is_labelled(graph, expand_dims(index, at), shape[at], at, rank), logs, 0), at);
  return select(logical_and(index >= 0, index < shape[at]), loss, std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

Tensor softmax_cross_entropy(Operand logits, Operand labels, Reduction reduction, int axis) {
  CompositeScope scope("softmax_cross_entropy", {logits, labels});
  require_tensor("softmax_cross_entropy", logits);
  const DType dtype = logits.tensor().dtype();
  if (labels.tensor() && is_integer(labels.tensor().dtype())) return reduced(index_loss(scope.graph(), logits, labels, axis), reduction, dtype);
  const Tensor truth = beside(scope, "softmax_cross_entropy", logits, labels), logs = log_softmax(Operand(widened(logits), logits.where()), axis);
  const auto shape = broadcast(logs.shape(), truth.shape());
  if (!shape || (shape->ranked() && logs.shape().ranked() && truth.shape().ranked() && truth.shape().rank() != logs.shape().rank()))
    fail_graph(
        "softmax_cross_entropy: labels " + truth.type().str() + " and logits " + logs.type().str() + " differ in shape; index labels are integers",
        ir::Location::of(labels.where()));
  return reduced(-sum(truth * logs, axis), reduction, dtype);
}

Tensor binary_cross_entropy(Operand probabilities, Operand labels, Reduction reduction) {
  CompositeScope scope("binary_cross_entropy", {probabilities, labels});
  require_tensor("binary_cross_entropy", probabilities);
  const Tensor p = widened(probabilities), y = beside(scope, "binary_cross_entropy", probabilities, labels);
  // A logarithm of 0 is not even computed: its derivative would be an infinity times the bound's zero.
  const Tensor some = not_equal(p, 0), not_all = not_equal(p, 1);
  const Tensor log_p = select(some, maximum(log(select(some, p, 1)), -100), -100);
  const Tensor log_q = select(not_all, maximum(log1p(-select(not_all, p, 0)), -100), -100);
  return reduced(-(y * log_p + (1 - y) * log_q), reduction, probabilities.tensor().dtype());
}

Tensor binary_cross_entropy_with_logits(Operand logits, Operand labels, Reduction reduction) {
  CompositeScope scope("binary_cross_entropy_with_logits", {logits, labels});
  require_tensor("binary_cross_entropy_with_logits", logits);
  const Tensor x = widened(logits), y = beside(scope, "binary_cross_entropy_with_logits", logits, labels);
  return reduced(softplus(x) - x * y, reduction, logits.tensor().dtype());
}

Tensor mean_squared_error(Operand prediction, Operand truth, Reduction reduction) {
  CompositeScope scope("mean_squared_error", {prediction, truth});
  require_tensor("mean_squared_error", prediction);
  return reduced(square(widened(prediction) - beside(scope, "mean_squared_error", prediction, truth)), reduction, prediction.tensor().dtype());
}

Tensor mean_absolute_error(Operand prediction, Operand truth, Reduction reduction) {
  CompositeScope scope("mean_absolute_error", {prediction, truth});
  require_tensor("mean_absolute_error", prediction);
  return reduced(abs(widened(prediction) - beside(scope, "mean_absolute_error", prediction, truth)), reduction, prediction.tensor().dtype());
}

Tensor huber_loss(Operand prediction, Operand truth, double delta, Reduction reduction) {
  CompositeScope scope("huber_loss", {prediction, truth});
  require_tensor("huber_loss", prediction);
  if (!(delta > 0)) fail_graph("huber_loss: delta is " + std::to_string(delta) + ", expects a positive number", ir::Location::of(prediction.where()));
  const Tensor d = widened(prediction) - beside(scope, "huber_loss", prediction, truth);
  // With c = d bounded by delta this is d^2 / 2 inside and delta * (|d| - delta / 2) outside, without squaring a large d.
  const Tensor c = clamp(d, -delta, delta);
  return reduced(c * (d - 0.5 * c), reduction, prediction.tensor().dtype());
}

}  // namespace weft
