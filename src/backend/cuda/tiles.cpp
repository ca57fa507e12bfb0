#include "backend/cuda/tiles.h"

#include <algorithm>
#include <numeric>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;
using Geometry = ConvolutionGeometry;

// rows, columns, depth, of a thread, stages, resident, slowness
constexpr TilesConfig tiles_f32[] = {
    {128, 128, 16, 8, 8, 3, 2, 1.6}, {256, 64, 16, 8, 8, 3, 2, 1.55}, {128, 64, 16, 8, 8, 3, 3, 1.6},  {64, 64, 32, 8, 4, 3, 4, 1.7},
    {256, 32, 16, 8, 8, 3, 3, 1.85}, {128, 32, 16, 8, 8, 4, 5, 2.25}, {128, 32, 16, 8, 4, 4, 4, 1.75}, {64, 32, 16, 4, 4, 4, 4, 1.8},
    {32, 64, 16, 4, 4, 4, 4, 1.75},  {32, 32, 32, 4, 4, 3, 6, 2.5},   {16, 128, 32, 2, 8, 3, 4, 2.2},  {16, 64, 32, 4, 4, 3, 8, 2.7},
};
constexpr TilesConfig tiles_f64[] = {{64, 64, 16, 4, 4, 3, 2, 1.6}, {32, 32, 16, 2, 4, 3, 4, 2.2}};

std::int32_t narrow(std::int64_t n) { return static_cast<std::int32_t>(n); }

/// The most neighbours that are moved at once, of runs of elements with the given lengths.
int unit_of(DType dtype, std::initializer_list<std::int64_t> lengths) {
  std::int64_t unit = 16 / static_cast<std::int64_t>(size_of(dtype));
  for (auto n : lengths) unit = std::gcd(unit, n);
  return static_cast<int>(unit);
}

struct Sides {
  TilesAxis axis;
  std::int64_t taps;
};

/// An axis of forward convolutions and gradients of weights: windows are at every place of the result.
Sides axis_of_windows(const Geometry& g, std::size_t d) {
  TilesAxis axis;
  axis.places = narrow(g.out[d]);
  axis.start = narrow(-g.low[d]);
  axis.step = narrow(g.strides[d]);
  axis.delta_step = narrow(g.dilations[d]);
  return {axis, g.window[d]};
}

/// An axis of gradients of data: places of the data `behind` a multiple of the stride, and the taps that are a whole number of strides away.
Sides axis_of_data(const Geometry& g, std::size_t d, std::int64_t behind) {
  const std::int64_t stride = g.strides[d], dilation = g.dilations[d], period = stride / std::gcd(stride, dilation);
  TilesAxis axis;
  axis.places = narrow((g.in[d] - behind + stride - 1) / stride);
  axis.first_result = narrow(behind);
  axis.result_step = narrow(stride);
  const auto distance = [&](std::int64_t tap) { return behind + g.low[d] - tap * dilation; };
  std::int64_t first = 0;
  while (first < std::min(period, g.window[d]) && distance(first) % stride != 0) ++first;
  if (first == std::min(period, g.window[d])) return {axis, 0};
  axis.first_weight = narrow(first);
  axis.weight_step = narrow(period);
  axis.first_delta = narrow(distance(first) / stride);
  axis.delta_step = narrow(-period * dilation / stride);
  return {axis, (g.window[d] - first + period - 1) / period};
}

}  // namespace

std::span<const TilesConfig> tiles_for(DType dtype) {
  if (dtype == f64) return tiles_f64;
  return tiles_f32;
}

std::int64_t TilesProblem::rows() const { return std::ranges::max_element(classes, {}, &TilesClass::rows)->rows; }
std::int64_t TilesProblem::terms() const { return std::ranges::max_element(classes, {}, &TilesClass::terms)->terms; }

std::string describe_problem(Member member, DType dtype, const Geometry& g, TilesProblem& p) {
  if (dtype != f32 && dtype != f64) return "kernels of tiles are for f32 and f64";
  const std::int64_t all_in = g.in_channels * g.groups, of_group = g.out_channels / g.groups;
  const std::int64_t data = g.images * Geometry::product(g.in) * all_in, result = g.images * g.places() * g.out_channels,
                     weights = g.columns() * g.out_channels;
  constexpr std::int64_t largest = 0x7fffffff - (1 << 16);  // with room for an index past the end by a tile
  if (std::max({data, result, weights}) > largest) return "a size is past 32 bits";
  if (std::min({data, result, weights}) == 0) return "there is nothing to do";
  const auto is_point = [&](std::size_t d) { return g.in[d] == 1 && g.out[d] == 1 && g.window[d] == 1 && g.low[d] == 0; };
  int dimensions = !is_point(0) ? 3 : !is_point(1) ? 2 : 1;
  std::int64_t longest = 0;
  for (std::size_t d = 0; d < 3; ++d) longest = std::max({longest, g.in[d], g.out[d] * g.strides[d], g.window[d] * g.dilations[d], g.low[d]});
  // Coordinates have 32, 16 or 21 bits: see the source. They and differences of them are added.
  if (dimensions == 2 && longest > (1 << 13)) dimensions = 3;
  if (longest > (dimensions == 1 ? 1 << 24 : 1 << 18)) return "an axis is too long";
  const bool is_data = member == Member::data_gradient, is_weights = member == Member::weights_gradient;

  std::int64_t classes = 1;
  for (auto s : g.strides) classes *= is_data ? s : 1;
  if (classes > 16) return "places are in more than 16 classes";
  p.desc = {member, dtype};
  p.desc.classes = classes == 1 ? 1 : classes <= 4 ? 4 : 16;
  p.desc.dimensions = dimensions;
  p.groups = g.groups;
  p.classes.clear();
  const std::int64_t channels = is_data ? of_group : g.in_channels;
  for (std::int64_t i = 0; i < classes; ++i) {
    TilesClass c;
    std::int64_t places = g.images, taps = 1, rest = i;
    for (std::size_t d = 3; d-- > 0;) {
      const auto [axis, count] = is_data ? axis_of_data(g, d, rest % g.strides[d]) : axis_of_windows(g, d);
      if (is_data) rest /= g.strides[d];
      c.axes[d] = axis;
      c.axes[d].by_places = divisor_of(axis.places);
      c.axes[d].by_taps = divisor_of(count);
      c.axes[d].taps = narrow(std::max<std::int64_t>(count, 1));
      places *= axis.places;
      taps *= count;
    }
    c.rows = narrow(is_weights ? taps * channels : places);
    c.terms = narrow(is_weights ? places : taps * channels);
    if (c.rows > 0) p.classes.push_back(c);
  }

  TilesArguments& a = p.arguments = {};
  const auto& left = is_data ? g.out : g.in;
  const auto& written = is_data ? g.in : g.out;
  for (std::size_t d = 0; d < 3; ++d) a.left_sizes[d] = narrow(left[d]), a.result_sizes[d] = narrow(written[d]);
  a.left_pitch = narrow(is_data ? g.out_channels : all_in);
  a.left_group = narrow(channels);
  a.channels = narrow(channels);
  a.by_channels = divisor_of(channels);
  a.right_pitch = narrow(g.out_channels);
  a.right_group = narrow(of_group);
  a.weights_sizes[0] = narrow(g.window[1]);
  a.weights_sizes[1] = narrow(g.window[2]);
  a.weights_pitch = narrow(is_data ? g.in_channels * g.out_channels : 0);
  a.result_pitch = narrow(is_data ? all_in : g.out_channels);
  a.columns = narrow(is_data ? g.in_channels : of_group);
  a.result_group = a.columns;
  a.part = is_data ? data : is_weights ? weights : result;

  constexpr std::int64_t most_together = 32;
  p.desc.channels_together = is_weights ? 1 : static_cast<int>(std::gcd(channels, most_together));
  p.desc.left_unit = unit_of(dtype, {channels, a.left_pitch});
  p.desc.right_unit = unit_of(dtype, {of_group, g.out_channels});
  p.desc.result_unit = is_data ? 1 : unit_of(dtype, {a.columns, a.result_pitch});
  return {};
}

std::int64_t splits_for(const TilesProblem& p, const TilesConfig& c, int blocks_each, int multiprocessors) {
  constexpr std::int64_t least_terms = 64;  // of a part
  const std::int64_t tiles = p.row_tiles(c) * p.column_tiles(c) * p.groups * static_cast<std::int64_t>(p.classes.size());
  const std::int64_t wanted = std::max<std::int64_t>(std::int64_t{blocks_each} * multiprocessors / tiles, 1);
  const std::int64_t deep = (p.terms() + c.depth - 1) / c.depth, most = std::max<std::int64_t>(p.terms() / least_terms, 1);
  // As few parts as make the same number of steps.
  const std::int64_t splits = std::min(wanted, most), steps = (deep + splits - 1) / std::max<std::int64_t>(splits, 1);
  return steps == 0 ? 1 : (deep + steps - 1) / steps;
}

}  // namespace weft::cuda
