// Rules of what moves elements about: exact for every type, but that zeros are not added to what padding doesn't reach.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

Sizes sizes_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

Attributes with_shape(const Shape& shape) {
  Attributes a;
  a.set_shape(shape);
  return a;
}

Attributes with_range(Sizes start, Sizes size, Sizes stride) {
  return {{"start", std::move(start)}, {"size", std::move(size)}, {"stride", std::move(stride)}};
}

ir::Value reshaped(Match& m, ir::Value v) { return m.type(v).shape == m.shape() ? v : m.add("reshape", {v}, with_shape(m.shape())); }

Replacement to_own_shape(Match& m) { return m.type(m.operand(0)) == m.type() ? Replacement(m.operand(0)) : std::nullopt; }

Replacement reshape_of_reshape(Match& m) {
  return m.is(m.operand(0), "reshape") ? Replacement(reshaped(m, m.producer(0).operands[0])) : std::nullopt;
}

// Transpose -------------------------------------------------------------------------------------------------------------

Replacement transpose_of_nothing(Match& m) {
  const auto& permutation = m.node.attributes.integers("permutation");
  return std::ranges::is_sorted(permutation) ? Replacement(m.operand(0)) : std::nullopt;
}

/// Axes of size 1 may go anywhere without an element changing its place in memory.
Replacement transpose_of_ones(Match& m) {
  const auto& permutation = m.node.attributes.integers("permutation");
  const Shape& shape = m.type(m.operand(0)).shape;
  Sizes moved;
  std::ranges::copy_if(permutation, std::back_inserter(moved), [&](auto axis) { return shape[static_cast<int>(axis)] != 1; });
  return std::ranges::is_sorted(moved) ? Replacement(reshaped(m, m.operand(0))) : std::nullopt;
}

Replacement transpose_of_transpose(Match& m) {
  if (!m.is(m.operand(0), "transpose")) return std::nullopt;
  const auto &outer = m.node.attributes.integers("permutation"), &inner = m.producer(0).attributes.integers("permutation");
  Sizes both;
  for (auto axis : outer) both.push_back(inner[static_cast<std::size_t>(axis)]);
  return m.add("transpose", {m.producer(0).operands[0]}, {{"permutation", both}});
}

// Broadcast -------------------------------------------------------------------------------------------------------------

/// A broadcast that repeats nothing.
Replacement broadcast_of_ones(Match& m) {
  return m.type(m.operand(0)).shape.element_count() == m.shape().element_count() ? Replacement(reshaped(m, m.operand(0))) : std::nullopt;
}

/// A broadcast of a broadcast, or of a reshape that only puts ones in front.
Replacement broadcast_of_broadcast(Match& m) {
  const ir::Node& inner = m.producer(0);
  if (inner.op->name != "broadcast" && inner.op->name != "reshape") return std::nullopt;
  const ir::Value x = inner.operands[0];
  if (inner.op->name == "reshape") {
    Sizes with_lead = sizes_of(m.type(x).shape);
    if (inner.types[0].shape.rank() < m.type(x).shape.rank()) return std::nullopt;
    with_lead.insert(with_lead.begin(), static_cast<std::size_t>(inner.types[0].shape.rank()) - with_lead.size(), 1);
    if (Shape(with_lead) != inner.types[0].shape) return std::nullopt;
  }
  return m.add("broadcast", {x}, with_shape(m.shape()));
}

/// f(x, broadcast(y)) where x alone, or another operand, gives the result its shape; f(broadcast(x), broadcast(y)) as
/// broadcast(f(x, y)).
Replacement elementwise_of_broadcasts(Match& m) {
  if (m.node.op->kind != Kind::elementwise) return std::nullopt;
  std::vector<ir::Value> operands = m.node.operands;
  bool changed = false;
  for (auto& v : operands)
    while (m.is(v, "broadcast")) v = m.producer(v).operands[0], changed = true;
  if (!changed) return std::nullopt;
  // A constant of one repeated value is as good as a scalar.
  Shape small = m.type(operands[0]).shape;
  for (auto v : operands) small = *broadcast(small, m.type(v).shape);
  return m.shaped(m.add(m.node.op->name, std::move(operands), m.node.attributes));
}

// Slice -----------------------------------------------------------------------------------------------------------------

struct Range {
  Sizes start, size, stride;

  explicit Range(const ir::Node& slice)
      : start(slice.attributes.integers("start")), size(slice.attributes.integers("size")), stride(slice.attributes.integers("stride")) {}
  std::size_t rank() const { return size.size(); }
  bool is_empty() const { return std::ranges::find(size, 0) != size.end(); }
  std::int64_t last(std::size_t d) const { return start[d] + (size[d] - 1) * stride[d]; }
  std::int64_t low(std::size_t d) const { return std::min(start[d], last(d)); }
  std::int64_t high(std::size_t d) const { return std::max(start[d], last(d)); }
  /// Takes everything of these dimensions, in order.
  bool is_whole(const Shape& shape, std::size_t d) const {
    return size[d] == shape[static_cast<int>(d)] && start[d] == 0 && (stride[d] == 1 || size[d] < 2);
  }
  Attributes attributes() const { return with_range(start, size, stride); }
};

/// Everything of all dimensions but one.
ir::Value slice_along(Match& m, ir::Value v, std::size_t axis, std::int64_t start, std::int64_t size, std::int64_t stride) {
  Sizes taken = sizes_of(m.type(v).shape), starts(taken.size(), 0), strides(taken.size(), 1);
  starts[axis] = start, taken[axis] = size, strides[axis] = stride;
  return m.add("slice", {v}, with_range(std::move(starts), std::move(taken), std::move(strides)));
}

Replacement slice_of_slice(Match& m) {
  const Range outer(m.node);
  if (!m.is(m.operand(0), "slice") || outer.is_empty()) return std::nullopt;
  Range both(m.producer(0));
  for (std::size_t d = 0; d < outer.rank(); ++d) {
    both.start[d] += outer.start[d] * both.stride[d];
    both.stride[d] = outer.size[d] < 2 ? 1 : both.stride[d] * outer.stride[d];
    both.size[d] = outer.size[d];
  }
  return m.add("slice", {m.producer(0).operands[0]}, both.attributes());
}

Replacement slice_of_broadcast(Match& m) {
  if (!m.is(m.operand(0), "broadcast")) return std::nullopt;
  const ir::Value x = m.producer(0).operands[0];
  const Shape& shape = m.type(x).shape;
  Range range(m.node);
  const auto lead = static_cast<std::ptrdiff_t>(range.rank()) - shape.rank();
  for (auto* list : {&range.start, &range.size, &range.stride}) list->erase(list->begin(), list->begin() + lead);
  for (std::size_t d = 0; d < range.rank(); ++d)
    if (shape[static_cast<int>(d)] == 1) range.start[d] = 0, range.size[d] = 1, range.stride[d] = 1;
  return m.shaped(m.add("slice", {x}, range.attributes()));
}

/// A slice that stays within what was padded, or within the padding.
Replacement slice_of_pad(Match& m) {
  const ir::Node& pad = m.producer(0);
  Range range(m.node);
  if (pad.op->name != "pad" || range.is_empty()) return std::nullopt;
  const auto &low = pad.attributes.integers("low"), &interior = pad.attributes.integers("interior");
  const ir::Value x = pad.operands[0], value = pad.operands[1];
  const Shape& shape = m.type(x).shape;
  bool within = true;
  for (std::size_t d = 0; d < range.rank(); ++d) {
    const auto n = shape[static_cast<int>(d)], end = low[d] + n + std::max<std::int64_t>(n - 1, 0) * interior[d];
    if (range.high(d) < low[d] || range.low(d) >= end) return m.shaped(value);
    const bool is_plain = interior[d] == 0 && range.low(d) >= low[d] && range.high(d) < end;
    const auto step = interior[d] + 1;
    // Every element taken is one that was spread out.
    const bool is_spread = range.low(d) >= low[d] && range.high(d) < end && (range.start[d] - low[d]) % step == 0 && range.stride[d] % step == 0;
    within = within && (is_plain || is_spread);
    range.start[d] = (range.start[d] - low[d]) / step;
    range.stride[d] = range.size[d] < 2 ? 1 : range.stride[d] / step;
  }
  return within ? Replacement(m.add("slice", {x}, range.attributes())) : std::nullopt;
}

/// Parts that a slice of a concatenation takes nothing of are left out.
Replacement slice_of_concat(Match& m) {
  const ir::Node concat = m.producer(0);
  Range range(m.node);
  if (concat.op->name != "concat" || range.is_empty()) return std::nullopt;
  const auto axis = static_cast<std::size_t>(concat.attributes.integer("axis"));
  std::vector<ir::Value> taken;
  std::int64_t at = 0, dropped = 0;
  for (auto part : concat.operands) {
    const auto size = m.type(part).shape[static_cast<int>(axis)];
    if (range.low(axis) < at + size && range.high(axis) >= at) taken.push_back(part);
    else if (taken.empty()) dropped += size;
    at += size;
  }
  if (taken.size() == concat.operands.size()) return std::nullopt;
  range.start[axis] -= dropped;
  const ir::Value whole = taken.size() == 1 ? taken[0] : m.add("concat", std::move(taken), concat.attributes);
  return m.add("slice", {whole}, range.attributes());
}

/// Sums in a row of a product of which a slice is looked for.
constexpr int most_sums = 4;

/// Whether the value is the product of one row and a matrix, or a sum of such and others.
bool has_row_product(const Match& m, ir::Value v, int sums) {
  if (m.is(v, "matmul")) return m.type(v).shape.element_count() == m.type(v).shape[m.type(v).shape.rank() - 1];
  return m.is(v, "add") && sums < most_sums &&
         std::ranges::any_of(m.producer(v).operands, [&](ir::Value operand) { return has_row_product(m, operand, sums + 1); });
}

/// What the range, which is whole but for the last dimension, takes of an operand that may lack dimensions in front or be broadcast.
ir::Value columns_of(Match& m, ir::Value v, const Range& range, int sums) {
  const auto of = [&](ir::Value whole, std::int64_t axis) {
    return slice_along(m, whole, static_cast<std::size_t>(axis), range.start.back(), range.size.back(), range.stride.back());
  };
  if (!has_row_product(m, v, sums)) {
    const Shape& shape = m.type(v).shape;
    return shape.rank() == 0 || shape[shape.rank() - 1] == 1 ? v : of(v, shape.rank() - 1);
  }
  const ir::Node node = m.producer(v);
  if (node.op->name == "add") {
    const ir::Value x = columns_of(m, node.operands[0], range, sums + 1), y = columns_of(m, node.operands[1], range, sums + 1);
    return m.add("add", {x, y}, node.attributes);
  }
  const ir::Value columns = of(node.operands[1], m.type(node.operands[1]).shape.rank() - (node.attributes.flag("transpose_b") ? 2 : 1));
  return m.add("matmul", {node.operands[0], columns}, node.attributes);
}

/// A product of a row is a reduction like any other, so that what reads parts of it can be computed with it.
Replacement slice_of_row_product(Match& m) {
  const Range range(m.node);
  if (range.is_empty() || !has_row_product(m, m.operand(0), 0)) return std::nullopt;
  const Shape& shape = m.type(m.operand(0)).shape;
  for (std::size_t d = 0; d + 1 < range.rank(); ++d)
    if (!range.is_whole(shape, d)) return std::nullopt;
  return columns_of(m, m.operand(0), range, 0);
}

// Pad, concat and gather ------------------------------------------------------------------------------------------------

Replacement pad_of_nothing(Match& m) { return m.type(m.operand(0)) == m.type() ? Replacement(m.operand(0)) : std::nullopt; }

Replacement pad_of_pad(Match& m) {
  const ir::Node& inner = m.producer(0);
  if (inner.op->name != "pad" || inner.operands[1] != m.operand(1)) return std::nullopt;
  auto none = [](const Sizes& list) { return std::ranges::all_of(list, [](auto i) { return i == 0; }); };
  if (!none(inner.attributes.integers("interior")) || !none(m.node.attributes.integers("interior"))) return std::nullopt;
  Attributes sum = m.node.attributes;
  for (const char* side : {"low", "high"}) {
    Sizes list = m.node.attributes.integers(side);
    std::ranges::transform(list, inner.attributes.integers(side), list.begin(), std::plus<>());
    sum.set(side, std::move(list));
  }
  return m.add("pad", {inner.operands[0], m.operand(1)}, std::move(sum));
}

/// The sum of two pads with zeros whose operands lie side by side: what the gradients of slices add up to.
Replacement sum_of_pads(Match& m) {
  auto is_plain = [&](std::size_t i) {
    return m.is(m.operand(i), "pad") && m.splat(m.producer(i).operands[1]) == 0.0 &&
           std::ranges::all_of(m.producer(i).attributes.integers("interior"), [](auto n) { return n == 0; });
  };
  if (!is_plain(0) || !is_plain(1) || m.type(m.operand(0)) != m.type(m.operand(1))) return std::nullopt;
  for (const std::size_t first : {0u, 1u}) {
    const ir::Value x = m.producer(first).operands[0], y = m.producer(1 - first).operands[0], zero = m.producer(first).operands[1];
    const auto &low = m.producer(first).attributes.integers("low"), &y_low = m.producer(1 - first).attributes.integers("low");
    const auto axis = static_cast<std::size_t>(std::ranges::mismatch(low, y_low).in1 - low.begin());
    if (axis == low.size() || y_low[axis] != low[axis] + m.type(x).shape[static_cast<int>(axis)]) continue;
    auto beside = [&](std::size_t d) { return low[d] == y_low[d] && m.type(x).shape[static_cast<int>(d)] == m.type(y).shape[static_cast<int>(d)]; };
    bool fits = true;
    for (std::size_t d = 0; d < low.size(); ++d) fits = fits && (d == axis || beside(d));
    if (!fits) continue;
    Attributes around = m.producer(first).attributes;
    around.set("high", m.producer(1 - first).attributes.integers("high"));
    const ir::Value both = m.add("concat", {x, y}, {{"axis", static_cast<std::int64_t>(axis)}});
    return m.add("pad", {both, zero}, std::move(around));
  }
  return std::nullopt;
}

/// Parts that are concatenations along the same axis give way to their own parts.
Replacement concat_of_concats(Match& m) {
  std::vector<ir::Value> parts;
  for (auto v : m.node.operands) {
    const ir::Node& part = m.producer(v);
    if (part.op->name == "concat" && part.attributes.integer("axis") == m.node.attributes.integer("axis"))
      parts.insert(parts.end(), part.operands.begin(), part.operands.end());
    else parts.push_back(v);
  }
  if (parts.size() == m.node.operands.size()) return std::nullopt;
  return m.add("concat", std::move(parts), m.node.attributes);
}

/// slice(x, 0, 3) beside slice(x, 3, 7) is slice(x, 0, 7).
Replacement concat_of_neighbours(Match& m) {
  const auto axis = static_cast<std::size_t>(m.node.attributes.integer("axis"));
  /// The slice that both are together.
  auto joined = [&](ir::Value a, ir::Value b) -> std::optional<Range> {
    if (!m.is(a, "slice") || !m.is(b, "slice") || m.producer(a).operands != m.producer(b).operands) return std::nullopt;
    Range left(m.producer(a)), right(m.producer(b));
    if (left.is_empty() || right.is_empty()) return std::nullopt;
    for (std::size_t d = 0; d < left.rank(); ++d)
      if (d != axis && (left.start[d] != right.start[d] || left.stride[d] != right.stride[d])) return std::nullopt;
    const auto step = left.size[axis] > 1 ? left.stride[axis] : right.size[axis] > 1 ? right.stride[axis] : right.start[axis] - left.start[axis];
    const bool continues = right.start[axis] == left.start[axis] + left.size[axis] * step && step != 0;
    if (!continues || (right.size[axis] > 1 && right.stride[axis] != step)) return std::nullopt;
    left.size[axis] += right.size[axis];
    left.stride[axis] = step;
    return left;
  };
  std::vector<ir::Value> parts;
  for (auto v : m.node.operands) {
    const auto range = parts.empty() ? std::nullopt : joined(parts.back(), v);
    if (range) parts.back() = m.add("slice", {m.producer(v).operands[0]}, range->attributes());
    else parts.push_back(v);
  }
  if (parts.size() == m.node.operands.size()) return std::nullopt;
  return parts.size() == 1 ? parts[0] : m.add("concat", std::move(parts), m.node.attributes);
}

/// Constant indices a, a + s, a + 2 s, ...
Replacement gather_of_range(Match& m) {
  const Attributes& a = m.node.attributes;
  if (a.flag("nd") || a.integer("batch_dims") != 0 || a.integers("axes").size() != 1) return std::nullopt;
  const auto axis = static_cast<std::size_t>(a.integers("axes")[0]);
  const Shape data = m.type(m.operand(0)).shape, indices = m.type(m.operand(1)).shape;
  const auto count = indices.element_count(), size = data[static_cast<int>(axis)];
  if (count == 0) return std::nullopt;
  std::int64_t first = 0, step = 1;
  const ir::Node& source = m.producer(1);
  if (source.op->name == "constant") {
    const NDArray list = source.attributes.literal("value").array().cast(i64);
    const auto places = list.elements<std::int64_t>();
    first = places[0];
    if (count > 1) step = places[1] - first;
    for (std::size_t i = 0; i < places.size(); ++i)
      if (places[i] != first + static_cast<std::int64_t>(i) * step) return std::nullopt;
  } else if (source.op->name != "iota" || indices.rank() != 1) {
    return std::nullopt;
  }
  const auto last = first + (count - 1) * step;
  if (step == 0 || std::min(first, last) < 0 || std::max(first, last) >= size) return std::nullopt;
  return reshaped(m, slice_along(m, m.operand(0), axis, first, count, step));
}

constexpr Rule table[] = {
    {"to its own shape", "reshape broadcast", "a reshape or broadcast to the shape that there is, is nothing", to_own_shape},
    {"reshape of a reshape", "reshape", "the last shape counts", reshape_of_reshape},
    {"transpose of nothing", "transpose", "a transpose that leaves all axes in place is nothing", transpose_of_nothing},
    {"transpose of ones", "transpose", "a transpose that moves axes of size 1 is a reshape", transpose_of_ones},
    {"transpose of a transpose", "transpose", "two transposes are one", transpose_of_transpose},
    {"broadcast of ones", "broadcast", "a broadcast that repeats nothing is a reshape", broadcast_of_ones},
    {"broadcast of a broadcast", "broadcast", "two broadcasts are one, as is one of a reshape that puts ones in front", broadcast_of_broadcast},
    {"elementwise of broadcasts", "*", "f(x, broadcast(y)) is f(x, y), f(broadcast(x)) is broadcast(f(x))", elementwise_of_broadcasts},
    {"slice of a slice", "slice", "two slices are one", slice_of_slice},
    {"slice of a broadcast", "slice", "slice(broadcast(x)) is broadcast(slice(x))", slice_of_broadcast},
    {"slice of a pad", "slice", "a slice within what was padded is one of it, a slice within the padding is its value", slice_of_pad},
    {"slice of a concat", "slice", "parts that the slice takes nothing of are left out", slice_of_concat},
    {"slice of a product of a row", "slice", "slice(x w + b) is x slice(w) + slice(b) where x is one row", slice_of_row_product},
    {"pad of nothing", "pad", "a pad of no width is nothing", pad_of_nothing},
    {"pad of a pad", "pad", "two pads with one value are one", pad_of_pad},
    {"sum of pads", "add", "the sum of two pads with zeros whose operands lie side by side is a pad of their concatenation", sum_of_pads, 0, 1},
    {"concat of concats", "concat", "parts that are concatenations give way to their parts", concat_of_concats},
    {"concat of neighbours", "concat", "slices that continue each other are one slice", concat_of_neighbours},
    {"gather of a range", "gather", "a gather at constant places that are evenly spaced is a slice", gather_of_range},
};

}  // namespace

std::span<const Rule> movement_rules() { return table; }

}  // namespace weft
