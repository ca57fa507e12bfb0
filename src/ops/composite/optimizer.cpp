#include "ops/composite/composite.h"

#include <weft/init.h>
#include <weft/optimizer.h>
#include <weft/reduction.h>

namespace weft {

using ops::wide_type;
using ops::widened;

namespace {

[[noreturn]] void fail_optimizer(std::string_view name, const std::string& message, const Operand& at) {
  fail_graph(std::string(name) + ": " + message, ir::Location::of(at.where()));
}

void check(std::string_view name, std::span<const Tensor> variables, std::span<const Tensor> gradients, const Operand& learning_rate) {
  if (variables.size() != gradients.size())
    fail_optimizer(name, std::to_string(variables.size()) + " variables but " + std::to_string(gradients.size()) + " gradients", learning_rate);
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Tensor p = variables[i], g = gradients[i];
    if (!p || p.operation().name() != "variable") fail_optimizer(name, (p ? p.name() : "an empty tensor") + " is not a variable", learning_rate);
    if (!g || g.graph() != p.graph() || p.graph() != variables[0].graph())
      fail_optimizer(name, "variable " + p.name() + " and its gradient don't belong to the graph of the others", learning_rate);
    if (!is_floating(p.dtype()) || g.dtype() != p.dtype())
      fail_optimizer(name,
                     "variable " + p.name() + " is " + p.type().str() + ", its gradient " + g.type().str() + "; expects the same floating-point type",
                     learning_rate);
  }
  const Tensor rate = learning_rate.tensor();
  if (rate && (!is_floating(rate.dtype()) || (rate.shape().ranked() && rate.shape().rank() != 0)))
    fail_optimizer(name, "the learning rate is " + rate.type().str() + ", expects a floating-point scalar", learning_rate);
}

/// A variable that remembers something about `variable` from step to step.
Tensor slot(Tensor variable, std::string_view what, const Operand& at) {
  const std::string label = variable.operation().label();
  return add_variable(*variable.graph(), init::zeros(variable.shape(), wide_type(variable.dtype())),
                      label.empty() ? std::string(what) : label + "/" + std::string(what), at.where());
}

/// The scalar as an operand beside tensors of `dtype`.
Operand scalar_as(const Operand& value, DType dtype) { return value.tensor() ? Operand(cast(value, dtype), value.where()) : value; }

Operation assign(Tensor variable, Tensor value) { return add_assign(variable, cast(value, variable.dtype())); }

Tensor decayed(Tensor gradient, Tensor p, double weight_decay) { return weight_decay == 0 ? gradient : gradient + weight_decay * p; }

std::vector<Operation> adam_updates(std::string_view name, std::span<const Tensor> variables, std::span<const Tensor> gradients,
                                    const Operand& learning_rate, const AdamOptions& options, double decoupled_decay) {
  check(name, variables, gradients, learning_rate);
  std::vector<Operation> updates;
  if (variables.empty()) return updates;
  const CompositeScope scope(name, {Operand(variables[0], learning_rate.where())});
  // Counting steps, rather than keeping powers of beta that are multiplied at each, loses nothing over long trainings.
  const Tensor counter = add_variable(scope.graph(), init::zeros({}, i64), std::string(name) + "/step", learning_rate.where());
  const Tensor step = counter + 1, t = cast(step, f64);
  updates.push_back(add_assign(counter, step));
  const Tensor correction1 = 1 - pow(options.beta1, t), correction2 = sqrt(1 - pow(options.beta2, t));
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const DType dtype = wide_type(variables[i].dtype());
    const Tensor p = widened(variables[i]), g = decayed(widened(gradients[i]), p, options.weight_decay);
    const Operand rate = scalar_as(learning_rate, dtype);
    const Tensor momentum = slot(variables[i], "momentum", learning_rate), velocity = slot(variables[i], "velocity", learning_rate);
    const Tensor m = options.beta1 * momentum + (1 - options.beta1) * g, v = options.beta2 * velocity + (1 - options.beta2) * square(g);
    updates.push_back(add_assign(momentum, m));
    updates.push_back(add_assign(velocity, v));
    Tensor scale = v;
    if (options.amsgrad) {
      const Tensor largest = slot(variables[i], "maximum_velocity", learning_rate);
      scale = maximum(largest, v);
      updates.push_back(add_assign(largest, scale));
    }
    const Tensor kept = decoupled_decay == 0 ? p : p - rate * (decoupled_decay * p);
    updates.push_back(
        assign(variables[i], kept - rate * (m / cast(correction1, dtype)) / (sqrt(scale) / cast(correction2, dtype) + options.epsilon)));
  }
  return updates;
}

}  // namespace

std::vector<Operation> sgd(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, SgdOptions options) {
  check("sgd", variables, gradients, learning_rate);
  std::vector<Operation> updates;
  if (variables.empty()) return updates;
  const CompositeScope scope("sgd", {Operand(variables[0], learning_rate.where())});
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Tensor p = widened(variables[i]), g = decayed(widened(gradients[i]), p, options.weight_decay);
    Tensor direction = g;
    if (options.momentum != 0) {
      const Tensor momentum = slot(variables[i], "momentum", learning_rate), v = options.momentum * momentum + g;
      updates.push_back(add_assign(momentum, v));
      direction = options.nesterov ? g + options.momentum * v : v;
    }
    updates.push_back(assign(variables[i], p - scalar_as(learning_rate, p.dtype()) * direction));
  }
  return updates;
}

std::vector<Operation> adam(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, AdamOptions options) {
  return adam_updates("adam", variables, gradients, learning_rate, options, 0);
}

std::vector<Operation> adamw(std::span<const Tensor> variables, std::span<const Tensor> gradients, Operand learning_rate, AdamWOptions options) {
  const AdamOptions moments{.beta1 = options.beta1, .beta2 = options.beta2, .epsilon = options.epsilon, .amsgrad = options.amsgrad};
  return adam_updates("adamw", variables, gradients, learning_rate, moments, options.weight_decay);
}

Tensor stochastic_gradient_descent(Operand learning_rate, Operand x, Operand dx) {
  CompositeScope scope("stochastic_gradient_descent", {learning_rate, x, dx});
  return x - learning_rate * dx;
}

AdamStep adam_step(Operand current_learning_rate, Operand beta1, Operand beta2, Operand epsilon, Tensor values, Tensor momentum, Tensor velocity,
                   Tensor maximum_velocity, Tensor gradient) {
  CompositeScope scope("adam_step", {current_learning_rate, beta1, beta2, epsilon, values, momentum, velocity, gradient});
  const Tensor b1 = scope.tensor(beta1), b2 = scope.tensor(beta2);
  AdamStep step;
  step.momentum = b1 * momentum + (1 - b1) * gradient;
  step.velocity = b2 * velocity + (1 - b2) * square(gradient);
  if (maximum_velocity) step.maximum_velocity = maximum(maximum_velocity, step.velocity);
  step.values = values - current_learning_rate * step.momentum / (sqrt(maximum_velocity ? step.maximum_velocity : step.velocity) + epsilon);
  return step;
}

AdamStep adam_step(Operand learning_rate, Operand beta1, Operand beta2, Operand epsilon, Operand beta1_power, Operand beta2_power, Tensor values,
                   Tensor momentum, Tensor velocity, Tensor maximum_velocity, Tensor gradient) {
  CompositeScope scope("adam_step", {learning_rate, beta1, beta2, epsilon, beta1_power, beta2_power, values, momentum, velocity, gradient});
  const Tensor rate = learning_rate * sqrt(1 - scope.tensor(beta2_power)) / (1 - scope.tensor(beta1_power));
  return adam_step(Operand(rate, learning_rate.where()), beta1, beta2, epsilon, values, momentum, velocity, maximum_velocity, gradient);
}

Tensor global_norm(std::span<const Tensor> tensors, std::source_location where) {
  if (tensors.empty()) fail_graph("global_norm: there are no tensors", ir::Location::of(where));
  const CompositeScope scope("global_norm", {Operand(tensors[0], where)});
  DType dtype = f32;
  for (const auto& t : tensors) {
    ops::require_floating("global_norm", Operand(t, where));
    if (t && t.dtype() == f64) dtype = f64;
  }
  Tensor total;
  for (const auto& t : tensors) {
    const Tensor squares = sum(square(cast(t, dtype)));
    total = total ? total + squares : squares;
  }
  return sqrt(total);
}

std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double max_norm, std::source_location where) {
  if (gradients.empty()) return {};
  const CompositeScope scope("clip_by_global_norm", {Operand(gradients[0], where)});
  const Tensor scale = minimum(max_norm / global_norm(gradients, where), 1);
  std::vector<Tensor> clipped;
  for (const auto& g : gradients) clipped.push_back(cast(cast(g, scale.dtype()) * scale, g.dtype()));
  return clipped;
}

std::vector<Tensor> clip_by_value(std::span<const Tensor> gradients, double low, double high, std::source_location where) {
  std::vector<Tensor> clipped;
  for (const auto& g : gradients) clipped.push_back(clamp(Operand(g, where), low, high));
  return clipped;
}

}  // namespace weft
