// Activation functions; relu and sigmoid stand in elementwise.h. Operands are floating point, results have x's type. Values
// and derivatives stay finite for every finite x.
#pragma once

#include <weft/elementwise.h>
#include <weft/tensor.h>

namespace weft {

/// x where x > 0, alpha * x elsewhere; the derivative at 0 is alpha. A tensor alpha broadcasts with x (PReLU). A. Maas, A.
/// Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013; K. He et al., "Delving deep
/// into rectifiers", 2015.
Tensor leaky_relu(Operand x, Operand alpha = 0.01);
/// x where x > 0, alpha * (exp(x) - 1) elsewhere. D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep
/// network learning by exponential linear units", 2016.
Tensor elu(Operand x, Operand alpha = 1.0);
/// scale * elu(x, alpha) with the constants that keep mean 0 and variance 1. G. Klambauer et al., "Self-normalizing neural
/// networks", 2017.
Tensor selu(Operand x);

enum class Gelu {
  erf,   ///< x/2 * (1 + erf(x / sqrt(2)))
  tanh,  ///< x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), within 5e-4 of it
};
/// x times the probability that a standard normal variable is below x. D. Hendrycks, K. Gimpel, "Gaussian error linear
/// units", 2016.
Tensor gelu(Operand x, Gelu form = Gelu::erf);
/// x * sigmoid(x), also called swish. P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", 2017.
Tensor silu(Operand x);
/// log(1 + exp(x)), without overflow.
Tensor softplus(Operand x);
/// log(sigmoid(x)), without underflow.
Tensor log_sigmoid(Operand x);
/// x * tanh(softplus(x)). D. Misra, "Mish: a self regularized non-monotonic activation function", 2019.
Tensor mish(Operand x);
/// x / (1 + |x|)
Tensor softsign(Operand x);
/// min(max(alpha * x + beta, 0), 1)
Tensor hard_sigmoid(Operand x, double alpha = 1.0 / 6, double beta = 0.5);
/// x * hard_sigmoid(x). A. Howard et al., "Searching for MobileNetV3", 2019.
Tensor hard_swish(Operand x);

/// exp(x) / sum(exp(x)) along one dimension, computed from x - max(x), so that no finite x overflows. 16-bit types are
/// computed in f32. Elements that are -inf get 0; where all are -inf, or one is inf, the results are NaN.
Tensor softmax(Operand x, int axis = -1);
/// log(softmax(x)), computed as x - max(x) - log(sum(exp(x - max(x)))). 16-bit types are computed in f32. Elements that
/// are -inf get -inf; where all are -inf, or one is inf, the results are NaN.
Tensor log_softmax(Operand x, int axis = -1);

}  // namespace weft
