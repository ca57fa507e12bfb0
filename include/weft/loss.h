// Losses. Predictions are floating point, and so are results; the 16-bit types are computed in f32. Values and derivatives
// stay finite for every finite prediction.
#pragma once

#include <weft/tensor.h>

namespace weft {

/// What becomes of the losses of single examples or elements: kept as they are, added up, or added up and divided by
/// their number.
enum class Reduction { none, sum, mean };

/// -sum(labels * log(softmax(logits))) along `axis`; without reduction the result has the logits' shape less that axis.
/// Labels are either probabilities of the logits' type and shape, or integers of the logits' shape less `axis`: the index of
/// the true class, whose loss is -log(softmax(logits))[label]. An index out of range gives NaN, and derivatives of zero.
/// The mean divides by the number of examples (the product of the sizes other than `axis`).
Tensor softmax_cross_entropy(Operand logits, Operand labels, Reduction reduction = Reduction::mean, int axis = -1);

/// -(labels * log(p) + (1 - labels) * log(1 - p)) of probabilities p. Logarithms are no lower than -100, as in PyTorch;
/// where that bound holds the derivative is zero. Labels broadcast with p.
Tensor binary_cross_entropy(Operand probabilities, Operand labels, Reduction reduction = Reduction::mean);
/// The same with p = sigmoid(logits): softplus(logits) - logits * labels.
Tensor binary_cross_entropy_with_logits(Operand logits, Operand labels, Reduction reduction = Reduction::mean);

/// (prediction - truth)^2
Tensor mean_squared_error(Operand prediction, Operand truth, Reduction reduction = Reduction::mean);
/// |prediction - truth|
Tensor mean_absolute_error(Operand prediction, Operand truth, Reduction reduction = Reduction::mean);
/// With d = prediction - truth: d^2 / 2 where |d| <= delta, delta * (|d| - delta / 2) elsewhere. P. Huber, "Robust
/// estimation of a location parameter", 1964.
Tensor huber_loss(Operand prediction, Operand truth, double delta = 1.0, Reduction reduction = Reduction::mean);

}  // namespace weft
