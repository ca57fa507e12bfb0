// Parts and joins: slice, pad, concat, and what their gradients need where sizes are unknown.
#include "graph/build.h"
#include "ops/families.h"
#include "ops/movement.h"
#include "ops/shape_like.h"

#include <weft/movement.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace ops {

Attributes attributes_of(const Range& range) { return {{"start", range.start}, {"size", range.size}, {"stride", range.stride}}; }

namespace {

using Sizes = std::vector<std::int64_t>;

std::size_t at(int axis) { return static_cast<std::size_t>(axis); }

// Slice ---------------------------------------------------------------------------------------------------------------

/// What of a dimension of `size` elements Python's [begin:end:stride] takes; null stands for a bound left out.
void take(Range& range, int axis, std::int64_t size, const std::int64_t* begin, const std::int64_t* end, std::int64_t stride) {
  const std::int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  auto bound = [&](const std::int64_t* given, std::int64_t otherwise) {
    return given ? std::clamp(*given < 0 ? *given + size : *given, low, high) : otherwise;
  };
  const std::int64_t first = bound(begin, stride > 0 ? low : high), last = bound(end, stride > 0 ? high : low);
  const auto distance = static_cast<std::uint64_t>(stride > 0 ? last - first : first - last);
  const auto step = stride > 0 ? static_cast<std::uint64_t>(stride) : 0 - static_cast<std::uint64_t>(stride);
  const bool none = stride > 0 ? last <= first : first <= last;
  range.size[at(axis)] = none ? 0 : static_cast<std::int64_t>((distance - 1) / step + 1);
  range.start[at(axis)] = none ? 0 : first;
  range.stride[at(axis)] = range.size[at(axis)] < 2 ? 1 : stride;
}

/// What a slice takes of operand `source`, whose rank is known. Sizes are `dynamic` where they depend on one that is
/// unknown. The attributes have one of four forms:
///   start, size, stride             lists for all dimensions: the canonical form
///   axes, begin, end, stride, begin_mask, end_mask   as StridedSlice, for the dimensions listed
///   axis, start, length             exactly these elements
///   axis, part, parts               one of the parts of a split
Range range_of(const Inference& c, std::size_t source) {
  const Shape& shape = c.shape(source);
  const Attributes& a = c.attributes;
  const auto rank = static_cast<std::size_t>(shape.rank());
  Range r{Sizes(rank, 0), Sizes(shape.begin(), shape.end()), Sizes(rank, 1)};
  if (a.has("parts")) {
    const auto part = a.integer("part"), parts = a.integer("parts");
    const int axis = c.axis(a.integer("axis"), shape.rank());
    if (part < 0 || part >= parts) c.fail("there is no part " + std::to_string(part) + " of " + std::to_string(parts));
    if (const auto n = shape[axis]; n != dynamic) {
      r.start[at(axis)] = part * (n / parts) + std::min(part, n % parts);
      r.size[at(axis)] = n / parts + (part < n % parts);
    }
  } else if (a.has("length")) {
    const int axis = c.axis(a.integer("axis"), shape.rank());
    const auto start = a.integer("start"), length = a.integer("length"), n = shape[axis];
    const auto first = start < 0 && n != dynamic ? start + n : start;
    if (length < 0 || (n != dynamic ? first < 0 || first > n || length > n - first : start < 0 && length > -start))
      c.fail("operand " + c[source].str() + " has no " + std::to_string(length) + " elements from " + std::to_string(start) + " on along axis " +
             std::to_string(axis));
    r.start[at(axis)] = first;
    r.size[at(axis)] = length;
  } else if (a.has("begin")) {
    const auto &begin = a.integers("begin"), &end = a.integers("end"), &stride = a.integers("stride");
    const auto axes = c.axes(a.integers("axes"), shape.rank());
    if (begin.size() != axes.size() || end.size() != axes.size() || stride.size() != axes.size())
      c.fail("begin, end and stride must have an entry for each of the " + std::to_string(axes.size()) + " axes");
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (stride[i] == 0) c.fail("the stride of axis " + std::to_string(axes[i]) + " is 0");
      const auto n = shape[axes[i]];
      if (n == dynamic) r.size[at(axes[i])] = dynamic;
      else take(r, axes[i], n, a.integer("begin_mask") >> i & 1 ? nullptr : &begin[i], a.integer("end_mask") >> i & 1 ? nullptr : &end[i], stride[i]);
    }
  } else {
    r = {a.integers("start"), a.integers("size"), a.integers("stride")};
    if (r.start.size() != rank || r.size.size() != rank || r.stride.size() != rank)
      c.fail("start, size and stride must have an entry for each dimension of " + c[source].str());
    for (std::size_t d = 0; d < rank; ++d) {
      const auto n = shape[static_cast<int>(d)];
      const __int128 last = r.start[d] + static_cast<__int128>(r.size[d] - 1) * r.stride[d];
      if (r.size[d] < 0 || (r.size[d] > 0 && (r.start[d] < 0 || last < 0 || (n != dynamic && (r.start[d] >= n || last >= n)))))
        c.fail("elements from " + std::to_string(r.start[d]) + " on are outside operand " + c[source].str() + " along axis " + std::to_string(d));
    }
  }
  for (std::size_t d = 0; d < rank; ++d)
    if (r.size[d] == 0) r.start[d] = 0, r.stride[d] = 1;
  return r;
}

Range static_range(const ir::Node& node, const TensorType& type) { return range_of(Inference(*node.op, {type}, node.attributes, node.label), 0); }

void infer_slice(Inference& c) {
  if (!c.shape(0).ranked()) return c.result(c[0]);
  c.result(c.dtype(0), Shape(range_of(c, 0).size));
}

void evaluate_slice(Evaluation& e) {
  const Range range = static_range(e.node, e.operands[0]->type);
  const auto own = reference::strides_of(e.operands[0]->type.shape);
  move_elements(e, [&](auto index) {
    std::int64_t place = 0;
    for (std::size_t d = 0; d < index.size(); ++d) place += (range.start[d] + index[d] * range.stride[d]) * own[d];
    return place;
  });
}

ir::Value expand_slice(Expansion& e) {
  const TensorType& type = e.operand_type(0);
  const Range range = static_range(e.node, type);
  const bool whole = std::equal(range.size.begin(), range.size.end(), type.shape.begin()) &&
                     std::all_of(range.stride.begin(), range.stride.end(), [](auto s) { return s > 0; });
  return whole ? e.operand(0) : e.add("slice", {e.operand(0)}, attributes_of(range));
}

void infer_unslice_like(Inference& c) {
  if (c.shape(1).ranked() && c.shape(0).is_static()) {
    const Shape taken(range_of(c, 1).size);
    if (!accepts(taken, c.shape(0))) c.fail("operand " + c[0].str() + " is no slice " + taken.str() + " of " + c[1].str());
  }
  c.result(c.dtype(0), c.shape(1));
}

ir::Value expand_unslice_like(Expansion& e) {
  const Shape like = e.operand_type(1).shape;
  const Range range = static_range(e.node, {e.operand_type(0).dtype, like});
  const auto rank = range.size.size();
  // The elements in ascending order, then spread out.
  Range ascending{Sizes(rank, 0), range.size, Sizes(rank, 1)};
  Sizes low(rank), high(rank), interior(rank);
  bool reversed = false;
  for (std::size_t d = 0; d < rank; ++d) {
    const auto n = range.size[d], size = like[static_cast<int>(d)];
    if (n == 0) {
      high[d] = size;
      continue;
    }
    const auto last = range.start[d] + (n - 1) * range.stride[d];
    if (range.stride[d] < 0) ascending.start[d] = n - 1, ascending.stride[d] = -1, reversed = true;
    low[d] = std::min(range.start[d], last);
    high[d] = size - 1 - std::max(range.start[d], last);
    interior[d] = std::abs(range.stride[d]) - 1;
  }
  ir::Value x = e.operand(0);
  if (reversed) x = e.add("slice", {x}, attributes_of(ascending));
  return e.type(x).shape == like ? x : e.add("pad", {x, e.zero(e.type(x).dtype)}, {{"low", low}, {"high", high}, {"interior", interior}});
}

// Pad -----------------------------------------------------------------------------------------------------------------

void infer_pad(Inference& c) {
  const auto &low = c.attributes.integers("low"), &high = c.attributes.integers("high"), &interior = c.attributes.integers("interior");
  const Shape& shape = c.shape(0);
  c.require_same_dtype(0, 1);
  if (c.shape(1).ranked() && c.shape(1).rank() != 0) c.fail("the value to fill with is " + c[1].str() + ", expects a scalar");
  if (low.size() != high.size() || low.size() != interior.size() || (shape.ranked() && static_cast<int>(low.size()) != shape.rank()))
    c.fail("low, high and interior padding have " + std::to_string(low.size()) + ", " + std::to_string(high.size()) + " and " +
           std::to_string(interior.size()) + " entries for operand " + c[0].str() + ", expects one for each dimension");
  Sizes sizes(low.size(), dynamic);
  for (std::size_t d = 0; d < low.size(); ++d) {
    if (low[d] < 0 || high[d] < 0 || interior[d] < 0) c.fail("padding of axis " + std::to_string(d) + " is negative; use slice to remove elements");
    if (!shape.ranked() || shape[static_cast<int>(d)] == dynamic) continue;
    const std::int64_t n = shape[static_cast<int>(d)];
    const __int128 size = static_cast<__int128>(std::max<std::int64_t>(n - 1, 0)) * interior[d] + n + low[d] + high[d];
    if (size > std::numeric_limits<std::int64_t>::max()) c.fail("the padded size of axis " + std::to_string(d) + " passes 2^63 - 1");
    sizes[d] = static_cast<std::int64_t>(size);
  }
  c.result(c.dtype(0), Shape(sizes));
}

void evaluate_pad(Evaluation& e) {
  const auto &low = e.node.attributes.integers("low"), &interior = e.node.attributes.integers("interior");
  const auto strides = reference::strides_of(e.results[0]->type.shape);
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        std::fill(to.begin(), to.end(), e.operands[1]->as<Element>()[0]);
        reference::for_each_index(e.operands[0]->type.shape.sizes(), [&](auto index, std::int64_t linear) {
          std::int64_t place = 0;
          for (std::size_t d = 0; d < index.size(); ++d) place += (low[d] + index[d] * (interior[d] + 1)) * strides[d];
          to[static_cast<std::size_t>(place)] = e.operands[0]->as<Element>()[static_cast<std::size_t>(linear)];
        });
      },
      e.results[0]->elements);
}

void gradient_pad(Gradient& g) {
  const Sizes low = g.attributes().integers("low"), high = g.attributes().integers("high"), interior = g.attributes().integers("interior");
  Sizes axes(low.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (g.wanted(0)) {
    Sizes end(low.size()), stride(low.size());
    std::int64_t end_mask = 0;
    for (std::size_t d = 0; d < low.size(); ++d) {
      end[d] = -high[d];
      stride[d] = interior[d] + 1;
      if (high[d] == 0) end_mask |= std::int64_t{1} << d;
    }
    g.set(0, apply("slice", {g.cotangent()},
                   {{"axes", axes}, {"begin", low}, {"end", end}, {"stride", stride}, {"begin_mask", std::int64_t{0}}, {"end_mask", end_mask}}));
  }
  if (g.wanted(1)) {
    const Tensor zeros = broadcast_like(0, g.operand(0));
    const Tensor filled = apply("pad", {zeros, 1}, g.attributes());
    g.set(1, apply("reduce_sum", {apply("mul", {g.cotangent(), filled})}, {{"axes", axes}, {"keep", std::int64_t{0}}}));
  }
}

// Concat --------------------------------------------------------------------------------------------------------------

void infer_concat(Inference& c) {
  Shape joined = Shape::unranked();
  int axis = 0;
  std::int64_t length = 0;
  for (std::size_t i = 0; i < c.count(); ++i) {
    c.require_same_dtype(0, i);
    const Shape& shape = c.shape(i);
    if (!shape.ranked()) {
      length = dynamic;
      continue;
    }
    if (!joined.ranked()) {
      axis = c.axis(c.attributes.integer("axis"), shape.rank());
      joined = shape;
    }
    auto refuse = [&] {
      c.fail("operand " + c[i].str() + " does not fit " + TensorType{c.dtype(i), joined.with(axis, dynamic)}.str() + "; only axis " +
             std::to_string(axis) + " may differ");
    };
    if (shape.rank() != joined.rank()) refuse();
    for (int d = 0; d < shape.rank(); ++d) {
      if (d == axis || shape[d] == dynamic) continue;
      if (joined[d] == dynamic) joined = joined.with(d, shape[d]);
      else if (joined[d] != shape[d]) refuse();
    }
    if (shape[axis] == dynamic) length = dynamic;
    else if (length != dynamic && __builtin_add_overflow(length, shape[axis], &length))
      c.fail("the joined size of axis " + std::to_string(axis) + " passes 2^63 - 1");
  }
  c.result(c.dtype(0), joined.ranked() ? joined.with(axis, length) : joined);
}

int static_axis(const Attributes& attributes, const Shape& shape) {
  const auto axis = attributes.integer("axis");
  return static_cast<int>(axis < 0 ? axis + shape.rank() : axis);
}

ir::Value expand_concat(Expansion& e) {
  const int axis = static_axis(e.node.attributes, e.operand_type(0).shape);
  std::vector<ir::Value> parts;
  for (auto v : e.node.operands)
    if (e.type(v).shape[axis] != 0) parts.push_back(v);
  if (parts.empty()) parts.push_back(e.operand(0));
  return parts.size() == 1 ? parts[0] : e.add("concat", std::move(parts), {{"axis", std::int64_t{axis}}});
}

void evaluate_concat(Evaluation& e) {
  const int axis = static_axis(e.node.attributes, e.results[0]->type.shape);
  const auto strides = reference::strides_of(e.results[0]->type.shape);
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        std::int64_t before = 0;
        for (const auto* part : e.operands) {
          reference::for_each_index(part->type.shape.sizes(), [&](auto index, std::int64_t linear) {
            const auto place = std::inner_product(index.begin(), index.end(), strides.begin(), before * strides[at(axis)]);
            to[static_cast<std::size_t>(place)] = part->template as<Element>()[static_cast<std::size_t>(linear)];
          });
          before += part->type.shape[axis];
        }
      },
      e.results[0]->elements);
}

void gradient_concat(Gradient& g) {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < g.operand_count(); ++i) parts.push_back(g.operand(i));
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (g.wanted(i)) g.set(i, split_like(g.cotangent(), parts, i, g.attributes().integer("axis")));
}

/// Operand 0 is the whole, the others are the parts.
void infer_split_like(Inference& c) {
  const auto index = static_cast<std::size_t>(c.attributes.integer("index"));
  if (index >= c.count() - 1) c.fail("there is no part " + std::to_string(index) + " of " + std::to_string(c.count() - 1));
  c.result(c.dtype(0), c.shape(index + 1));
}

ir::Value expand_split_like(Expansion& e) {
  const Shape& whole = e.operand_type(0).shape;
  const int axis = static_axis(e.node.attributes, whole);
  const auto index = static_cast<std::size_t>(e.node.attributes.integer("index"));
  const auto rank = static_cast<std::size_t>(whole.rank());
  Range range{Sizes(rank, 0), Sizes(whole.begin(), whole.end()), Sizes(rank, 1)};
  range.size[at(axis)] = e.operand_type(index + 1).shape[axis];
  for (std::size_t i = 0; i < index; ++i) range.start[at(axis)] += e.operand_type(i + 1).shape[axis];
  if (range.size[at(axis)] == 0) range.start[at(axis)] = 0;
  return range.size[at(axis)] == whole[axis] ? e.operand(0) : e.add("slice", {e.operand(0)}, attributes_of(range));
}

void gradient_split_like(Gradient& g) {
  const auto index = static_cast<std::size_t>(g.attributes().integer("index"));
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i + 1 < g.operand_count(); ++i) parts.push_back(i == index ? g.cotangent() : broadcast_like(0, g.operand(i + 1)));
  g.set(0, concat(parts, static_cast<int>(g.attributes().integer("axis"))));
}

const Primitive table[] = {
    {.name = "slice",
     .min_operands = 1,
     .max_operands = 1,
     .kind = Kind::movement,
     .infer = infer_slice,
     .gradient = [](Gradient& g) { g.set(0, unslice_like(g.cotangent(), g.operand(0), g.attributes())); },
     .evaluate = evaluate_slice,
     .expand = expand_slice},
    {.name = "unslice_like",
     .min_operands = 2,
     .max_operands = 2,
     .kind = Kind::movement,
     .infer = infer_unslice_like,
     .gradient = [](Gradient& g) { g.set(0, apply("slice", {g.cotangent()}, g.attributes())); },
     .expand = expand_unslice_like},
    {.name = "pad",
     .min_operands = 2,
     .max_operands = 2,
     .kind = Kind::movement,
     .infer = infer_pad,
     .gradient = gradient_pad,
     .evaluate = evaluate_pad},
    {.name = "concat",
     .min_operands = 1,
     .max_operands = -1,
     .kind = Kind::movement,
     .infer = infer_concat,
     .gradient = gradient_concat,
     .evaluate = evaluate_concat,
     .expand = expand_concat},
    {.name = "split_like",
     .min_operands = 2,
     .max_operands = -1,
     .kind = Kind::movement,
     .infer = infer_split_like,
     .gradient = gradient_split_like,
     .expand = expand_split_like},
};

}  // namespace

std::span<const Primitive> slices() { return table; }

}  // namespace ops

Tensor slice(Operand x, int axis, std::int64_t start, std::int64_t length) {
  return apply("slice", {x}, {{"axis", std::int64_t{axis}}, {"start", start}, {"length", length}});
}

Tensor unslice_like(Operand x, Operand like, Attributes slice) { return apply("unslice_like", {x, like}, std::move(slice)); }

Tensor split_like(Operand x, std::span<const Tensor> parts, std::size_t index, std::int64_t axis) {
  std::vector<Operand> operands{x};
  for (auto t : parts) operands.emplace_back(t, x.where());
  return apply_all("split_like", operands, {{"axis", axis}, {"index", static_cast<std::int64_t>(index)}})[0];
}

}  // namespace weft
