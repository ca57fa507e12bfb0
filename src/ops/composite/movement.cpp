#include "graph/build.h"

#include <weft/elementwise.h>
#include <weft/movement.h>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

/// The scope of a composite of several tensors.
CompositeScope scope_of(std::string_view name, std::span<const Tensor> tensors, const std::source_location& where) {
  if (tensors.empty()) fail_graph(std::string(name) + ": there are no tensors to join", ir::Location::of(where));
  return CompositeScope(name, {Operand(tensors[0], where)});
}

}  // namespace

Tensor slice(Operand x, const StridedSlice& range) {
  CompositeScope scope("slice", {x});
  const auto count = range.begin.size();
  if (range.end.size() != count || (!range.stride.empty() && range.stride.size() != count) || count > max_rank)
    fail_graph("slice: begin, end and stride have " + std::to_string(count) + ", " + std::to_string(range.end.size()) + " and " +
                   std::to_string(range.stride.size()) + " entries; expects as many of each, at most 16",
               ir::Location::of(x.where()));
  Sizes axes, begin, end, stride, squeezed;
  std::int64_t begin_mask = 0, end_mask = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (range.squeeze_mask >> i & 1) {
      squeezed.push_back(static_cast<std::int64_t>(i));
      continue;
    }
    begin_mask |= std::int64_t{range.begin_mask >> i & 1} << axes.size();
    end_mask |= std::int64_t{range.end_mask >> i & 1} << axes.size();
    axes.push_back(static_cast<std::int64_t>(i));
    begin.push_back(range.begin[i]);
    end.push_back(range.end[i]);
    stride.push_back(range.stride.empty() ? 1 : range.stride[i]);
  }
  Tensor y = axes.empty()
                 ? implicitly_read(x.tensor())
                 : apply("slice", {x},
                         {{"axes", axes}, {"begin", begin}, {"end", end}, {"stride", stride}, {"begin_mask", begin_mask}, {"end_mask", end_mask}});
  for (auto axis : squeezed) y = slice(y, static_cast<int>(axis), range.begin[static_cast<std::size_t>(axis)], 1);
  return squeezed.empty() ? y : squeeze(y, squeezed);
}

Tensor reverse(Operand x, Axes axes) {
  CompositeScope scope("reverse", {x});
  Sizes list = axes.list();
  if (axes.all()) {
    const int rank = x.tensor().shape().rank();
    if (rank < 0) fail_graph("reverse: all axes of an unranked tensor can't be told; name them", ir::Location::of(x.where()));
    for (int d = 0; d < rank; ++d) list.push_back(d);
  }
  const auto mask = (std::int64_t{1} << list.size()) - 1;
  const Sizes zeros(list.size(), 0), stride(list.size(), -1);
  return apply("slice", {x}, {{"axes", list}, {"begin", zeros}, {"end", zeros}, {"stride", stride}, {"begin_mask", mask}, {"end_mask", mask}});
}

std::vector<Tensor> split(Operand x, int count, int axis) {
  CompositeScope scope("split", {x});
  if (count < 1) fail_graph("split: " + std::to_string(count) + " parts can't be made", ir::Location::of(x.where()));
  std::vector<Tensor> parts;
  for (std::int64_t i = 0; i < count; ++i)
    parts.push_back(apply("slice", {x}, {{"axis", std::int64_t{axis}}, {"part", i}, {"parts", std::int64_t{count}}}));
  return parts;
}

std::vector<Tensor> split(Operand x, std::span<const std::int64_t> sizes, int axis) {
  CompositeScope scope("split", {x});
  std::int64_t total = 0;
  std::vector<Tensor> parts;
  for (auto size : sizes) {
    parts.push_back(slice(x, axis, total, size));
    total += size;
  }
  const Shape& shape = x.tensor().shape();
  if (shape.ranked() && !parts.empty()) {
    const auto size = shape[axis < 0 ? axis + shape.rank() : axis];
    if (size != dynamic && size != total)
      fail_graph("split: parts of " + std::to_string(total) + " elements in all don't make up axis " + std::to_string(axis) + " of operand " +
                     x.tensor().type().str(),
                 ir::Location::of(x.where()));
  }
  return parts;
}
std::vector<Tensor> split(Operand x, std::initializer_list<std::int64_t> sizes, int axis) {
  return split(x, std::span(sizes.begin(), sizes.size()), axis);
}

Tensor pad(Operand x, std::span<const std::int64_t> low, std::span<const std::int64_t> high, const PadOptions& options) {
  CompositeScope scope("pad", {x});
  if (options.mode == PadMode::constant) {
    const Sizes interior = options.interior.empty() ? Sizes(low.size(), 0) : options.interior;
    return apply("pad", {x, options.value},
                 {{"low", Sizes(low.begin(), low.end())}, {"high", Sizes(high.begin(), high.end())}, {"interior", interior}}, 0);
  }
  const Shape& shape = x.tensor().shape();
  if (low.size() != high.size() || (shape.ranked() && static_cast<std::size_t>(shape.rank()) != low.size()) || !options.interior.empty())
    fail_graph("pad: low and high padding have " + std::to_string(low.size()) + " and " + std::to_string(high.size()) + " entries for operand " +
                   x.tensor().type().str() + ", expects one for each dimension, and no interior padding in this mode",
               ir::Location::of(x.where()));
  Tensor y = implicitly_read(x.tensor());
  for (std::size_t d = 0; d < low.size(); ++d) {
    const int axis = static_cast<int>(d);
    if (low[d] < 0 || high[d] < 0)
      fail_graph("pad: padding of axis " + std::to_string(d) + " is negative; use slice to remove elements", ir::Location::of(x.where()));
    auto edge = [&](std::int64_t from, std::int64_t count) {
      Sizes sizes(low.size(), dynamic);
      sizes[d] = count;
      return broadcast_to(slice(y, axis, from, 1), Shape(sizes));
    };
    auto outside = [&](bool before, std::int64_t count) -> Tensor {
      switch (options.mode) {
        case PadMode::reflect: return reverse(slice(y, axis, before ? 1 : -1 - count, count), axis);
        case PadMode::symmetric: return reverse(slice(y, axis, before ? 0 : -count, count), axis);
        case PadMode::edge: return edge(before ? 0 : -1, count);
        case PadMode::periodic: return slice(y, axis, before ? -count : 0, count);
        default: return -slice(y, axis, before ? -count : 0, count);
      }
    };
    std::vector<Tensor> parts;
    if (low[d] > 0) parts.push_back(outside(true, low[d]));
    parts.push_back(y);
    if (high[d] > 0) parts.push_back(outside(false, high[d]));
    if (parts.size() > 1) y = concat(parts, axis);
  }
  return y;
}
Tensor pad(Operand x, std::initializer_list<std::int64_t> low, std::initializer_list<std::int64_t> high, const PadOptions& options) {
  return pad(x, std::span(low.begin(), low.size()), std::span(high.begin(), high.size()), options);
}

Tensor concat(std::span<const Tensor> tensors, int axis, ConcatOptions options, std::source_location where) {
  const auto scope = scope_of("concat", tensors, where);
  if (options.interleave) {
    // Counted from the back the new dimension shifts the old one: [.., n] stacks to [.., n, k], with n at axis - 1.
    return merge_dims(stack(tensors, axis < 0 ? axis : axis + 1, where), axis < 0 ? axis - 1 : axis, 2);
  }
  const std::vector<Operand> operands(tensors.begin(), tensors.end());
  return apply_all("concat", operands, {{"axis", std::int64_t{axis}}})[0];
}
Tensor concat(std::initializer_list<Tensor> tensors, int axis, ConcatOptions options, std::source_location where) {
  return concat(std::span(tensors.begin(), tensors.size()), axis, options, where);
}

Tensor stack(std::span<const Tensor> tensors, int axis, std::source_location where) {
  const auto scope = scope_of("stack", tensors, where);
  std::vector<Tensor> layers;
  for (auto t : tensors) {
    layers.push_back(expand_dims(t, axis));
    if (!broadcast(layers[0].shape(), layers.back().shape()) ||
        (layers[0].shape().ranked() && layers.back().shape().ranked() && layers[0].shape().rank() != layers.back().shape().rank()))
      fail_graph("stack: operands " + tensors[0].type().str() + " and " + t.type().str() + " have different shapes", ir::Location::of(where));
  }
  return concat(layers, axis, {}, where);
}
Tensor stack(std::initializer_list<Tensor> tensors, int axis, std::source_location where) {
  return stack(std::span(tensors.begin(), tensors.size()), axis, where);
}

Tensor tile(Operand x, std::span<const std::int64_t> repeats) {
  CompositeScope scope("tile", {x});
  const Shape& shape = x.tensor().shape();
  if (shape.ranked() && static_cast<std::size_t>(shape.rank()) != repeats.size())
    fail_graph("tile: " + std::to_string(repeats.size()) + " repeats for operand " + x.tensor().type().str() + ", expects one for each dimension",
               ir::Location::of(x.where()));
  Tensor y = implicitly_read(x.tensor());
  for (std::size_t d = 0; d < repeats.size(); ++d) {
    if (repeats[d] < 0)
      fail_graph("tile: dimension " + std::to_string(d) + " can't be repeated " + std::to_string(repeats[d]) + " times", ir::Location::of(x.where()));
    if (repeats[d] == 1) continue;
    const int axis = static_cast<int>(d);
    if (repeats.size() == max_rank && repeats[d] > 0) {
      // There is no room for one more dimension.
      y = concat(std::vector<Tensor>(static_cast<std::size_t>(repeats[d]), y), axis);
      continue;
    }
    Sizes sizes(repeats.size() + 1, dynamic);
    sizes[d] = repeats[d];
    y = merge_dims(broadcast_to(expand_dims(y, axis), Shape(sizes)), axis, 2);
  }
  return y;
}
Tensor tile(Operand x, std::initializer_list<std::int64_t> repeats) { return tile(x, std::span(repeats.begin(), repeats.size())); }

}  // namespace weft
