#include "ops/composite/composite.h"

#include <weft/movement.h>
#include <weft/normalization.h>
#include <weft/reduction.h>

#include <algorithm>

namespace weft {

using ops::require_floating;
using ops::widened;

namespace {

Tensor normalized(Tensor x, Tensor mean, Tensor variance, Tensor gamma, Tensor beta, double epsilon) {
  Tensor y = (x - mean) * rsqrt(variance + epsilon);
  if (gamma) y = y * gamma;
  if (beta) y = y + beta;
  return y;
}

Tensor widened_or_none(Tensor t) { return t ? widened(t) : t; }

/// Where the channels of x are, and how a tensor with one element a channel gets in line with them.
class Channels {
 public:
  Channels(std::string_view op, const Operand& x, int axis) : op_(op), x_(x) {
    require_floating(op, x);
    const Shape& shape = x.tensor().shape();
    if (!shape.ranked()) fail("expects a tensor of known rank, x is " + x.tensor().type().str());
    rank_ = shape.rank();
    axis_ = axis < 0 ? axis + rank_ : axis;
    if (axis_ < 0 || axis_ >= rank_) fail("channel axis " + std::to_string(axis) + " is out of range for x " + x.tensor().type().str());
  }

  int axis() const { return axis_; }
  std::int64_t count() const { return x_.tensor().shape()[axis_]; }
  [[noreturn]] void fail(const std::string& message) const { fail_graph(std::string(op_) + ": " + message, ir::Location::of(x_.where())); }

  /// All dimensions but the channels, from `first` on.
  std::vector<int> others(int first = 0) const {
    std::vector<int> axes;
    for (int i = first; i < rank_; ++i)
      if (i != axis_) axes.push_back(i);
    return axes;
  }

  /// [channels] as [1, ..., channels, ..., 1], in f32 where x is 16 bits wide.
  Tensor aligned(Tensor t, std::string_view role) const {
    if (!t) return t;
    const Shape& shape = t.shape();
    if (shape.ranked() && (shape.rank() != 1 || (shape[0] != count() && shape[0] != dynamic && count() != dynamic)))
      fail(std::string(role) + " is " + t.type().str() + ", expects one element for each channel of x " + x_.tensor().type().str());
    const Tensor wide = widened(t);
    const std::vector<int> rest = others();
    return rest.empty() ? wide : expand_dims(wide, rest);
  }

  Tensor normalize(Tensor x, Tensor mean, Tensor variance, const ChannelNormOptions& options) const {
    return cast(normalized(x, mean, variance, aligned(options.gamma, "gamma"), aligned(options.beta, "beta"), options.epsilon), x_.tensor().dtype());
  }

 private:
  std::string_view op_;
  const Operand& x_;
  int rank_ = 0, axis_ = 0;
};

}  // namespace

Tensor normalize(Operand x, Operand mean, Operand variance, NormalizeOptions options) {
  CompositeScope scope("normalize", {x, mean, variance});
  require_floating("normalize", x);
  const Tensor y = normalized(widened(x), widened(scope.tensor(mean)), widened(scope.tensor(variance)), widened_or_none(options.gamma),
                              widened_or_none(options.beta), options.epsilon);
  return cast(y, x.tensor().dtype());
}

Tensor layer_norm(Operand x, Axes axes, NormalizeOptions options) {
  CompositeScope scope("layer_norm", {x});
  require_floating("layer_norm", x);
  const Tensor wide = widened(x), m = mean(wide, axes, {.keep = true}), v = variance(wide, axes, {.keep = true, .mean = m});
  return cast(normalized(wide, m, v, widened_or_none(options.gamma), widened_or_none(options.beta), options.epsilon), x.tensor().dtype());
}

Tensor rms_norm(Operand x, Axes axes, NormalizeOptions options) {
  CompositeScope scope("rms_norm", {x});
  require_floating("rms_norm", x);
  const Tensor wide = widened(x);
  Tensor y = wide * rsqrt(mean(square(wide), axes, {.keep = true}) + options.epsilon);
  if (options.gamma) y = y * widened(options.gamma);
  if (options.beta) y = y + widened(options.beta);
  return cast(y, x.tensor().dtype());
}

Tensor l2_normalize(Operand x, Axes axes, double epsilon) {
  CompositeScope scope("l2_normalize", {x});
  require_floating("l2_normalize", x);
  const Tensor wide = widened(x);
  return cast(wide * rsqrt(maximum(sum(square(wide), axes, {.keep = true}), epsilon)), x.tensor().dtype());
}

BatchNorm batch_norm(Operand x, ChannelNormOptions options) {
  CompositeScope scope("batch_norm", {x});
  const Channels channels("batch_norm", x, options.axis);
  const Tensor wide = widened(x), m = mean(wide, channels.others());
  const Tensor aligned = channels.aligned(m, "mean"), v = variance(wide, channels.others(), {.mean = aligned});
  return {channels.normalize(wide, aligned, channels.aligned(v, "variance"), options), m, v};
}

Tensor batch_norm(Operand x, Operand mean, Operand variance, ChannelNormOptions options) {
  CompositeScope scope("batch_norm", {x, mean, variance});
  const Channels channels("batch_norm", x, options.axis);
  const Tensor m = channels.aligned(scope.tensor(mean), "mean"), v = channels.aligned(scope.tensor(variance), "variance");
  return channels.normalize(widened(x), m, v, options);
}

std::vector<Operation> update_running_statistics(Tensor running_mean, Tensor running_variance, const BatchNorm& batch, double momentum,
                                                 std::source_location where) {
  CompositeScope scope("update_running_statistics", {Operand(running_mean, where)});
  auto update = [&](Tensor running, Tensor now) {
    const Tensor value = momentum * widened(running) + (1 - momentum) * now;
    return add_assign(running, Operand(cast(value, running.dtype()), where));
  };
  return {update(running_mean, batch.mean), update(running_variance, batch.variance)};
}

Tensor instance_norm(Operand x, ChannelNormOptions options) {
  CompositeScope scope("instance_norm", {x});
  const Channels channels("instance_norm", x, options.axis);
  if (channels.axis() == 0) channels.fail("the first dimension is the batch, it can't be the channels");
  const Tensor wide = widened(x), m = mean(wide, channels.others(1), {.keep = true});
  return channels.normalize(wide, m, variance(wide, channels.others(1), {.keep = true, .mean = m}), options);
}

Tensor group_norm(Operand x, int groups, ChannelNormOptions options) {
  CompositeScope scope("group_norm", {x});
  const Channels channels("group_norm", x, options.axis);
  if (channels.axis() == 0) channels.fail("the first dimension is the batch, it can't be the channels");
  const std::int64_t count = channels.count();
  if (groups < 1 || count == dynamic || count % groups != 0)
    channels.fail("the channels of x " + x.tensor().type().str() + " can't be divided into " + std::to_string(groups) + " groups");
  // From the channels' statistics, [batch, channels], rather than from x in another shape, which would stand in the way of
  // stitching and need all sizes. A group's variance is the mean of its channels' variances and that of their means.
  const std::vector<int> places = channels.others(1);
  const Shape grouped{dynamic, groups, count / groups};
  auto spread = [&](Tensor statistic) {
    const Tensor flat = reshape(broadcast_to(statistic, grouped), {dynamic, count});
    return places.empty() ? flat : expand_dims(flat, places);
  };
  const Tensor wide = widened(x), m = mean(wide, places, {.keep = true}), v = variance(wide, places, {.keep = true, .mean = m});
  const Tensor channel_mean = reshape(m, grouped), channel_variance = reshape(v, grouped);
  const Tensor group_mean = mean(channel_mean, 2, {.keep = true});
  const Tensor group_variance = mean(channel_variance + square(channel_mean - group_mean), 2, {.keep = true});
  return channels.normalize(wide, spread(group_mean), spread(group_variance), options);
}

}  // namespace weft
