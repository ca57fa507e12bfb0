#include "ops/composite/composite.h"

#include <weft/activation.h>
#include <weft/cumulative.h>
#include <weft/movement.h>
#include <weft/random.h>
#include <weft/reduction.h>
#include <weft/sort.h>

#include <cmath>
#include <limits>
#include <string>
#include <variant>

namespace weft {

using ops::require_floating;
using ops::widened;

namespace {

constexpr double never = -std::numeric_limits<double>::infinity();

/// Logits of f32 or f64 of what may be drawn, -inf of the rest.
class Distribution {
 public:
  Distribution(const Operand& logits, const CategoricalOptions& options) : given_(logits), options_(options) {
    require_floating("categorical", logits);
    const Shape& shape = logits.tensor().shape();
    if (!shape.ranked() || shape.rank() == 0) fail("expects logits of known rank from 1 on, they are " + logits.tensor().type().str());
    axis_ = options.axis < 0 ? options.axis + shape.rank() : options.axis;
    if (axis_ < 0 || axis_ >= shape.rank())
      fail("axis " + std::to_string(options.axis) + " is out of range for logits " + logits.tensor().type().str());
    if (options.top_k < 0) fail("top_k is " + std::to_string(options.top_k) + ", expects 0 or more");
    if (!(options.top_p > 0 && options.top_p <= 1)) fail("top_p is " + std::to_string(options.top_p) + ", expects more than 0 and at most 1");
    if (options.temperature.is_scalar()) {
      const double t = std::visit([](auto v) { return static_cast<double>(v); }, options.temperature.scalar());
      if (!(t >= 0) || !std::isfinite(t)) fail("temperature is " + std::to_string(t) + ", expects 0 or more");
      is_greedy_ = t == 0;
    }
    logits_ = widened(logits);
    if (is_greedy_) return;
    const Operand& temperature = options.temperature;
    logits_ = temperature.is_scalar() ? logits_ / temperature : logits_ / cast(temperature, logits_.dtype());
    if (options.top_k > 0) keep_largest();
    if (options.top_p < 1) keep_likeliest();
  }

  Tensor logits() const { return logits_; }
  /// The index of the largest sum of logit and noise, made of numbers in [0, 1).
  Tensor draw(Tensor uniform) const {
    if (is_greedy_) return argmax(logits_, axis_);
    return argmax(logits_ - log(-log(maximum(uniform, 0x1p-25))), axis_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { fail_graph("categorical: " + message, ir::Location::of(given_.where())); }

  void keep_largest() {
    const std::int64_t size = logits_.shape()[axis_];
    if (size != dynamic && options_.top_k >= size) return;
    const Tensor least = slice(top_k(logits_, options_.top_k, axis_).values, axis_, options_.top_k - 1, 1);
    logits_ = select(logits_ >= least, logits_, never);
  }

  /// Those before which, in descending order, there is less than top_p.
  void keep_likeliest() {
    const Tensor p = softmax(logits_, axis_), ordered = sort(p, axis_, {.descending = true});
    const Tensor before = cumulative_sum(ordered, axis_, {.exclusive = true});
    const Tensor least = min(select(before < options_.top_p, ordered, 1.0), axis_, {.keep = true});
    logits_ = select(p >= least, logits_, never);
  }

  const Operand& given_;
  const CategoricalOptions& options_;
  int axis_ = 0;
  bool is_greedy_ = false;
  Tensor logits_;
};

}  // namespace

Tensor categorical(Operand logits, CategoricalOptions options) {
  CompositeScope scope("categorical", {logits});
  const Distribution d(logits, options);
  return d.draw(random_uniform_like(d.logits(), {.seed = options.seed}));
}

RandomResult categorical(Operand state, Operand logits, CategoricalOptions options) {
  CompositeScope scope("categorical", {logits});
  const Distribution d(logits, options);
  const RandomResult u = random_uniform(state, d.logits().shape(), {.dtype = d.logits().dtype()});
  return {d.draw(u.values), u.state};
}

}  // namespace weft
