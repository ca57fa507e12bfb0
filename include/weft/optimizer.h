// Optimizers: operations that move variables against their gradients. An update is arithmetic on the value that a variable
// has when a run starts, followed by an assign; nothing changes until the returned operations are run:
//
//   auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 1e-3);
//   g.run(feeds, {loss}, updates);
//
// Variables p with gradients g are floating point; a gradient has its variable's type. The learning rate lr is a number
// or a scalar tensor of any floating type (a placeholder or a variable that a schedule assigns). What an optimizer
// remembers are variables of the same graph, labelled "<variable>/momentum" and so on; they are zero at first, and f32
// for 16-bit variables, whose updates are computed in f32.
#pragma once

#include <weft/tensor.h>

#include <source_location>
#include <span>
#include <vector>

namespace weft {

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  ///< added to the gradient: g + weight_decay * p
};
/// Stochastic gradient descent: p - lr * g. With momentum mu, as I. Sutskever et al., "On the importance of initialization
/// and momentum in deep learning", 2013, in PyTorch's form: v' = mu * v + g; p - lr * v', or for Nesterov's
/// p - lr * (g + mu * v').
std::vector<Operation> sgd(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, SgdOptions options = {});

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  bool amsgrad = false;     ///< divides by the largest v so far. S. Reddi et al., "On the convergence of Adam and beyond", 2018
  double weight_decay = 0;  ///< added to the gradient: g + weight_decay * p
};
/// Adam. At step t = 1, 2, ...: m' = beta1 * m + (1 - beta1) * g, v' = beta2 * v + (1 - beta2) * g^2,
/// p - lr * m' / (1 - beta1^t) / (sqrt(v' / (1 - beta2^t)) + epsilon). D. Kingma, J. Ba, "Adam: a method for stochastic
/// optimization", 2015, algorithm 1. The step count is one variable for all, "adam/step".
std::vector<Operation> adam(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, AdamOptions options = {});

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  bool amsgrad = false;
  double weight_decay = 0.01;  ///< p first shrinks by the factor 1 - lr * weight_decay
};
/// Adam with decoupled weight decay. I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", 2019.
std::vector<Operation> adamw(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, AdamWOptions options = {});

// Steps without state, for updates that a program assembles itself. Operands are tensors of one type that broadcast, or
// numbers.
/// x - learning_rate * dx
Tensor stochastic_gradient_descent(Operand learning_rate, Operand x, Operand dx);

struct AdamStep {
  Tensor values, momentum, velocity;
  Tensor maximum_velocity;  ///< only where one was given
};
/// m' = beta1 * m + (1 - beta1) * g, v' = beta2 * v + (1 - beta2) * g^2, x - current_learning_rate * m' / (sqrt(v') +
/// epsilon); with a maximum velocity max(maximum_velocity, v') in the place of v'.
AdamStep adam_step(Operand current_learning_rate, Operand beta1, Operand beta2, Operand epsilon, Tensor values, Tensor momentum, Tensor velocity,
                   Tensor maximum_velocity, Tensor gradient);
/// The same with current_learning_rate = learning_rate * sqrt(1 - beta2_power) / (1 - beta1_power), the powers being
/// beta1^t and beta2^t: the form before section 2.1 of the paper, in which epsilon is not scaled by the correction.
AdamStep adam_step(Operand learning_rate, Operand beta1, Operand beta2, Operand epsilon, Operand beta1_power, Operand beta2_power, Tensor values,
                   Tensor momentum, Tensor velocity, Tensor maximum_velocity, Tensor gradient);

// Clipping --------------------------------------------------------------------------------------------------------------
/// sqrt of the sum of the squares of all elements of all tensors, in f32 (f64 if one of them is f64).
Tensor global_norm(std::span<const Tensor> tensors, std::source_location where = std::source_location::current());
/// All gradients times min(1, max_norm / global_norm(gradients)). NaN where the norm is infinite. R. Pascanu, T. Mikolov, Y.
/// Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double max_norm,
                                        std::source_location where = std::source_location::current());
/// Every element moved into [low, high].
std::vector<Tensor> clip_by_value(std::span<const Tensor> gradients, double low, double high,
                                  std::source_location where = std::source_location::current());

}  // namespace weft
