// Normalisations: (x - mean) / sqrt(variance + epsilon) * gamma + beta. They differ in the dimensions over which mean and
// variance are taken; variances divide by the number of elements. x is floating point, results have its type; the 16-bit
// types are computed in f32. gamma (the scale) and beta (the shift) may be left out.
#pragma once

#include <weft/axes.h>
#include <weft/tensor.h>

#include <source_location>
#include <vector>

namespace weft {

struct NormalizeOptions {
  Tensor gamma = {}, beta = {};
  double epsilon = 1e-5;
};
/// With the given mean and variance; they, gamma and beta broadcast with x.
Tensor normalize(Operand x, Operand mean, Operand variance, NormalizeOptions options = {});
/// Over the given dimensions of each example. gamma and beta broadcast with x: for the trailing dimensions they have those
/// dimensions' shape. J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016.
Tensor layer_norm(Operand x, Axes axes = -1, NormalizeOptions options = {});
/// x / sqrt(mean(x^2) + epsilon) * gamma over the given dimensions. B. Zhang, R. Sennrich, "Root mean square layer
/// normalization", 2019.
Tensor rms_norm(Operand x, Axes axes = -1, NormalizeOptions options = {});
/// x / sqrt(max(sum(x^2), epsilon)) over the given dimensions; 0 stays 0.
Tensor l2_normalize(Operand x, Axes axes = -1, double epsilon = 1e-12);

/// For x with a dimension of channels, whose rank must be known; gamma, beta and running statistics have one element a channel.
struct ChannelNormOptions {
  Tensor gamma = {}, beta = {};
  double epsilon = 1e-5;
  int axis = -1;  ///< the channels: -1 for NHWC, 1 for NCHW
};
struct BatchNorm {
  Tensor y;
  Tensor mean, variance;  ///< of this batch, one element a channel
};
/// For training: mean and variance over all dimensions but the channels. S. Ioffe, C. Szegedy, "Batch normalization", 2015,
/// algorithm 1.
BatchNorm batch_norm(Operand x, ChannelNormOptions options = {});
/// For inference: with running statistics.
Tensor batch_norm(Operand x, Operand mean, Operand variance, ChannelNormOptions options = {});
/// Assigns to the running statistics, which are variables: momentum * running + (1 - momentum) * batch.
std::vector<Operation> update_running_statistics(Tensor running_mean, Tensor running_variance, const BatchNorm& batch, double momentum = 0.9,
                                                 std::source_location where = std::source_location::current());
/// Over all dimensions but the first (the batch) and the channels. D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance
/// normalization: the missing ingredient for fast stylization", 2016.
Tensor instance_norm(Operand x, ChannelNormOptions options = {});
/// Over all dimensions but the first, of each of `groups` groups of neighbouring channels, whose number must be known and a
/// multiple of it. Y. Wu, K. He, "Group normalization", 2018.
Tensor group_norm(Operand x, int groups, ChannelNormOptions options = {});

}  // namespace weft
