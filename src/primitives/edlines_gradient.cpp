#include "primitives/edlines_gradient.h"

#include "primitives/edlines_route.h"

#include <weft/elementwise.h>
#include <weft/movement.h>

#include <cmath>
#include <vector>

namespace weft::edlines {
namespace {

/// Half of a symmetric window, from the middle on, that sums up to 1.
std::vector<double> gaussian(double sigma) {
  // Weights from 1 % of the middle one on.
  const int radius = static_cast<int>(std::floor(sigma * std::sqrt(2 * std::log(100.0))));
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i <= radius; ++i) {
    weights.push_back(i == 0 ? 1 : std::exp(-i * i / (2 * sigma * sigma)));
    sum += (i == 0 ? 1 : 2) * weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

/// All but so many rows (axis 0) or columns (axis 1) before and after.
Tensor without(Tensor x, int axis, std::int64_t before, std::int64_t after) {
  StridedSlice s = {.begin = {0, 0}, .end = {0, 0}, .begin_mask = 3, .end_mask = 3};
  const auto bit = 1u << axis;
  s.begin[static_cast<std::size_t>(axis)] = before;
  s.end[static_cast<std::size_t>(axis)] = -after;
  s.begin_mask &= ~bit;
  if (after > 0) s.end_mask &= ~bit;
  return slice(x, s);
}

/// Smoothing along an axis, times a number. The result is shorter by the window's radius at both ends.
Tensor smoothed(Tensor x, int axis, const std::vector<double>& weights, double scale) {
  const auto radius = static_cast<std::int64_t>(weights.size()) - 1;
  const auto tap = [&](std::int64_t i) { return cast(without(x, axis, radius + i, radius - i), f32); };
  Tensor sum = tap(0) * (weights[0] * scale);
  for (std::int64_t i = 1; i <= radius; ++i) sum = sum + (tap(i) + tap(-i)) * (weights[static_cast<std::size_t>(i)] * scale);
  return sum;
}

}  // namespace

GradientGraph::GradientGraph(DType dtype, std::int64_t channels, double sigma) {
  picture = graph.placeholder(channels == 0 ? Shape{dynamic, dynamic} : Shape{dynamic, dynamic, channels}, dtype, "picture");
  const std::vector<double> weights = gaussian(sigma);
  Tensor grey = picture;
  double scale = dtype == u8 ? 1 / 255.0 : dtype == u16 ? 1 / 65535.0 : 1;
  const auto cut_off = [&](Tensor v) {
    v = cast(v, f32);
    return is_floating(dtype) ? select(greater(v, 0), minimum(v, 1), 0) : v;
  };
  const auto channel = [&](std::int64_t c) { return squeeze(slice(picture, 2, c, 1), {2}); };
  if (channels == 1 || channels == 2) grey = channel(0);
  if (channels >= 3) grey = cut_off(channel(0)) * 0.299 + cut_off(channel(1)) * 0.587 + cut_off(channel(2)) * 0.114;
  else if (is_floating(dtype)) grey = cut_off(grey);
  const auto margin = static_cast<std::int64_t>(weights.size());  // the window's radius, and a pixel for the Sobel operator
  const Tensor padded = pad(grey, {margin, margin}, {margin, margin}, {.mode = PadMode::edge});
  const Tensor smooth = smoothed(smoothed(padded, 0, weights, scale), 1, weights, gradient_scale).named("smooth");
  const auto at = [&](int dx, int dy) { return without(without(smooth, 0, 1 + dy, 1 - dy), 1, 1 + dx, 1 - dx); };
  const Tensor gx = (at(1, 0) - at(-1, 0)) * 2 + ((at(1, -1) - at(-1, -1)) + (at(1, 1) - at(-1, 1)));
  const Tensor gy = (at(0, 1) - at(0, -1)) * 2 + ((at(-1, 1) - at(-1, -1)) + (at(1, 1) - at(1, -1)));
  // Added to 1.5 * 2^23 a number of this size is rounded to a whole one, whose two's complement are the lower bits.
  const auto whole = [](Tensor v) { return bitcast(v + 12582912, i32); };
  gradients = bit_or(bit_and(whole(gx), 0xffff), shift_left(whole(gy), 16)).named("gradients");
}

}  // namespace weft::edlines
