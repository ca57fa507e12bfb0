// Shapes: reshape and its relatives, transpose, broadcast, and the forms that take a shape from another operand.
#include "ops/movement.h"

#include "graph/build.h"
#include "ops/families.h"
#include "ops/shape_like.h"

#include <weft/movement.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace ops {

Shape inferred_shape(const Expansion& e) {
  std::vector<TensorType> types;
  for (auto v : e.node.operands) types.push_back(e.type(v));
  Inference inference(*e.node.op, std::move(types), e.node.attributes, e.node.label);
  e.node.op->infer(inference);
  return inference.results[0].shape;
}

namespace {

using Sizes = std::vector<std::int64_t>;

Attributes with_shape(const Shape& shape) {
  Attributes a;
  a.set_shape(shape);
  return a;
}

// Reshape -------------------------------------------------------------------------------------------------------------

void infer_reshape(Inference& c) {
  const Shape target = c.attributes.shape();
  if (!target.ranked()) c.fail("the shape to take is unranked");
  Sizes sizes(target.begin(), target.end());
  const auto unknown = std::count(sizes.begin(), sizes.end(), dynamic);
  if (unknown > 1) c.fail("shape " + target.str() + " has more than one unknown size");
  if (c.shape(0).is_static()) {
    const std::int64_t count = c.shape(0).element_count();
    if (unknown == 0) {
      if (target.element_count() != count)
        c.fail("operand " + c[0].str() + " has " + std::to_string(count) + " elements, shape " + target.str() + " takes " +
               std::to_string(target.element_count()));
    } else {
      auto& left = *std::find(sizes.begin(), sizes.end(), dynamic);
      left = 1;
      const std::int64_t others = Shape(sizes).element_count();
      if (others == 0 || count % others != 0)
        c.fail("the " + std::to_string(count) + " elements of operand " + c[0].str() + " don't determine the unknown size of shape " + target.str());
      left = count / others;
    }
  }
  c.result(c.dtype(0), Shape(sizes));
}

void evaluate_reshape(Evaluation& e) { e.results[0]->elements = e.operands[0]->elements; }

void gradient_reshape(Gradient& g) { g.set(0, reshape_like(g.cotangent(), g.operand(0))); }

ir::Value expand_to_reshape(Expansion& e) {
  const Shape shape = inferred_shape(e);
  return shape == e.operand_type(0).shape ? e.operand(0) : e.add("reshape", {e.operand(0)}, with_shape(shape));
}

void infer_expand_dims(Inference& c) {
  const auto& axes = c.attributes.integers("axes");
  if (!c.shape(0).ranked()) return c.result(c[0]);
  const int rank = c.shape(0).rank() + static_cast<int>(axes.size());
  if (rank > max_rank) c.fail("operand " + c[0].str() + " can't get " + std::to_string(axes.size()) + " more dimensions; at most 16 are possible");
  Sizes sizes(static_cast<std::size_t>(rank), 0);
  for (int a : c.axes(axes, rank)) sizes[static_cast<std::size_t>(a)] = 1;
  int from = 0;
  for (auto& s : sizes)
    if (s == 0) s = c.shape(0)[from++];
  c.result(c.dtype(0), Shape(sizes));
}

void infer_squeeze(Inference& c) {
  const Shape& shape = c.shape(0);
  const bool all = !c.attributes.has("axes");
  if (!shape.ranked()) return c.result(c[0]);
  // Whether an unknown size is 1, and with it the result's rank, shows only later.
  if (all && !shape.is_static()) return c.result(c.dtype(0), Shape::unranked());
  std::vector<bool> drop(static_cast<std::size_t>(shape.rank()), false);
  if (!all)
    for (int a : c.axes(c.attributes.integers("axes"), shape.rank())) {
      if (shape[a] != 1 && shape[a] != dynamic)
        c.fail("dimension " + std::to_string(a) + " of operand " + c[0].str() + " has size " + std::to_string(shape[a]) + ", only 1 can be left out");
      drop[static_cast<std::size_t>(a)] = true;
    }
  Sizes sizes;
  for (int d = 0; d < shape.rank(); ++d)
    if (all ? shape[d] != 1 : !drop[static_cast<std::size_t>(d)]) sizes.push_back(shape[d]);
  c.result(c.dtype(0), Shape(sizes));
}

std::int64_t merged(const Inference& c, std::span<const std::int64_t> sizes) {
  std::int64_t product = 1;
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return 0;
  if (std::find(sizes.begin(), sizes.end(), dynamic) != sizes.end()) return dynamic;
  for (auto s : sizes)
    if (__builtin_mul_overflow(product, s, &product)) c.fail("the product of sizes of operand " + c[0].str() + " passes 2^63 - 1");
  return product;
}

void infer_flatten(Inference& c) {
  const Shape& shape = c.shape(0);
  if (!shape.ranked()) return c.result(c.dtype(0), {dynamic, dynamic});
  // Unlike other axes this one is a gap between dimensions, and may be the last gap.
  const auto given = c.attributes.integer("axis");
  const auto axis = given < 0 ? given + shape.rank() : given;
  if (axis < 0 || axis > shape.rank()) c.fail("axis " + std::to_string(given) + " is out of range for rank " + std::to_string(shape.rank()));
  const auto cut = static_cast<std::size_t>(axis);
  c.result(c.dtype(0), {merged(c, shape.sizes().first(cut)), merged(c, shape.sizes().subspan(cut))});
}

void infer_merge_dims(Inference& c) {
  const Shape& shape = c.shape(0);
  const auto count = c.attributes.integer("count");
  if (count < 1) c.fail(std::to_string(count) + " dimensions can't be joined");
  if (!shape.ranked()) return c.result(c[0]);
  const auto axis = c.axis(c.attributes.integer("axis"), shape.rank());
  if (axis + count > shape.rank())
    c.fail("operand " + c[0].str() + " has no " + std::to_string(count) + " dimensions from axis " + std::to_string(axis) + " on");
  Sizes sizes(shape.begin(), shape.begin() + axis);
  sizes.push_back(merged(c, shape.sizes().subspan(static_cast<std::size_t>(axis), static_cast<std::size_t>(count))));
  sizes.insert(sizes.end(), shape.begin() + axis + count, shape.end());
  c.result(c.dtype(0), Shape(sizes));
}

void infer_reshape_like(Inference& c) {
  if (c.shape(0).is_static() && c.shape(1).is_static() && c.shape(0).element_count() != c.shape(1).element_count())
    c.fail("operand " + c[0].str() + " can't take the shape of " + c[1].str());
  c.result(c.dtype(0), c.shape(1));
}

// Transpose -----------------------------------------------------------------------------------------------------------

/// The permutation, from either form of the attributes.
std::vector<int> permutation_of(const Inference& c, int rank) {
  if (c.attributes.has("permutation")) {
    const auto& list = c.attributes.integers("permutation");
    if (static_cast<int>(list.size()) != rank)
      c.fail("a permutation of " + std::to_string(list.size()) + " axes was given for operand " + c[0].str());
    return c.axes(list, rank);
  }
  std::vector<int> permutation(static_cast<std::size_t>(rank));
  std::iota(permutation.begin(), permutation.end(), 0);
  const auto& swap = c.attributes.integers("swap");
  if (swap.size() != 2) c.fail("two axes can be exchanged, not " + std::to_string(swap.size()));
  std::swap(permutation[static_cast<std::size_t>(c.axis(swap[0], rank))], permutation[static_cast<std::size_t>(c.axis(swap[1], rank))]);
  return permutation;
}

void infer_transpose(Inference& c) {
  const Shape& shape = c.shape(0);
  if (!shape.ranked()) {
    if (!c.attributes.has("permutation")) return c.result(c[0]);
    const int rank = static_cast<int>(c.attributes.integers("permutation").size());
    permutation_of(c, rank);
    return c.result(c.dtype(0), Shape(Sizes(static_cast<std::size_t>(rank), dynamic)));
  }
  Sizes sizes;
  for (int a : permutation_of(c, shape.rank())) sizes.push_back(shape[a]);
  c.result(c.dtype(0), Shape(sizes));
}

std::vector<int> static_permutation(const ir::Node& node, const TensorType& type) {
  return permutation_of(Inference(*node.op, {type}, node.attributes, node.label), type.shape.rank());
}

ir::Value expand_transpose(Expansion& e) {
  const auto permutation = static_permutation(e.node, e.operand_type(0));
  return e.add("transpose", {e.operand(0)}, {{"permutation", Sizes(permutation.begin(), permutation.end())}});
}

void gradient_transpose(Gradient& g) {
  if (!g.attributes().has("permutation")) {
    const auto& swap = g.attributes().integers("swap");
    return g.set(0, transpose(g.cotangent(), static_cast<int>(swap[0]), static_cast<int>(swap[1])));
  }
  const auto& list = g.attributes().integers("permutation");
  const auto rank = static_cast<std::int64_t>(list.size());
  std::vector<int> inverse(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) inverse[static_cast<std::size_t>(list[i] < 0 ? list[i] + rank : list[i])] = static_cast<int>(i);
  g.set(0, transpose(g.cotangent(), inverse));
}

void evaluate_transpose(Evaluation& e) {
  const auto permutation = static_permutation(e.node, e.operands[0]->type);
  const auto own = reference::strides_of(e.operands[0]->type.shape);
  move_elements(e, [&](auto index) {
    std::int64_t at = 0;
    for (std::size_t d = 0; d < index.size(); ++d) at += index[d] * own[static_cast<std::size_t>(permutation[d])];
    return at;
  });
}

// Broadcast -----------------------------------------------------------------------------------------------------------

void infer_broadcast(Inference& c) {
  const Shape target = c.attributes.shape();
  const Shape& shape = c.shape(0);
  if (!target.ranked()) c.fail("the shape to broadcast to is unranked");
  if (!shape.ranked()) return c.result(c.dtype(0), target);
  auto refuse = [&] { c.fail("operand " + c[0].str() + " does not broadcast to " + target.str()); };
  const int lead = target.rank() - shape.rank();
  if (lead < 0) refuse();
  Sizes sizes(target.begin(), target.end());
  for (int d = 0; d < target.rank(); ++d) {
    auto& size = sizes[static_cast<std::size_t>(d)];
    if (d < lead) {
      if (size == dynamic) refuse();
      continue;
    }
    const std::int64_t own = shape[d - lead];
    if (size == dynamic) size = own;
    else if (own != size && own != 1 && own != dynamic) refuse();
  }
  c.result(c.dtype(0), Shape(sizes));
}

void evaluate_broadcast(Evaluation& e) {
  const auto strides = reference::broadcast_strides(e.operands[0]->type.shape, e.results[0]->type.shape);
  move_elements(e, [&](auto index) { return std::inner_product(index.begin(), index.end(), strides.begin(), std::int64_t{0}); });
}

void infer_broadcast_like(Inference& c) {
  const auto joined = broadcast(c.shape(0), c.shape(1));
  if (!joined || !accepts(*joined, c.shape(1).is_static() ? c.shape(1) : *joined))
    c.fail("operand " + c[0].str() + " does not broadcast to the shape of " + c[1].str());
  c.result(c.dtype(0), c.shape(1));
}

ir::Value expand_broadcast_like(Expansion& e) {
  const Shape& shape = e.operand_type(1).shape;
  return shape == e.operand_type(0).shape ? e.operand(0) : e.add("broadcast", {e.operand(0)}, with_shape(shape));
}

void infer_sum_to_like(Inference& c) {
  const auto joined = broadcast(c.shape(1), c.shape(0));
  if (!joined || !accepts(*joined, c.shape(0).is_static() ? c.shape(0) : *joined))
    c.fail("operand " + c[0].str() + " is no broadcast of the shape of " + c[1].str());
  c.result(c.dtype(0), c.shape(1));
}

ir::Value expand_sum_to_like(Expansion& e) {
  const Shape from = e.operand_type(0).shape, to = e.operand_type(1).shape;
  const int lead = from.rank() - to.rank();
  Sizes axes;
  for (int d = 0; d < from.rank(); ++d)
    if (d < lead || (to[d - lead] == 1 && from[d] != 1)) axes.push_back(d);
  if (axes.empty()) return e.operand(0);
  const auto sum = e.add("reduce_sum", {e.operand(0)}, {{"axes", axes}, {"keep", std::int64_t{0}}});
  return e.type(sum).shape == to ? sum : e.add("reshape", {sum}, with_shape(to));
}

constexpr Primitive row(std::string_view name, int operands, void (*infer)(Inference&), void (*gradient)(Gradient&), void (*evaluate)(Evaluation&),
                        ir::Value (*expand)(Expansion&)) {
  return {.name = name,
          .min_operands = operands,
          .max_operands = operands,
          .kind = Kind::movement,
          .infer = infer,
          .gradient = gradient,
          .evaluate = evaluate,
          .expand = expand,
          .scalar = {},
          .commutative = false};
}

// An operation with `expand` is given its canonical attributes there (axes counted from the front, every size known)
// or becomes another one; what has none needs only its static result type.
const Primitive table[] = {
    row("reshape", 1, infer_reshape, gradient_reshape, evaluate_reshape, nullptr),
    row("expand_dims", 1, infer_expand_dims, gradient_reshape, evaluate_reshape, expand_to_reshape),
    row("squeeze", 1, infer_squeeze, gradient_reshape, evaluate_reshape, expand_to_reshape),
    row("flatten", 1, infer_flatten, gradient_reshape, evaluate_reshape, expand_to_reshape),
    row("merge_dims", 1, infer_merge_dims, gradient_reshape, evaluate_reshape, expand_to_reshape),
    row("reshape_like", 2, infer_reshape_like, gradient_reshape, evaluate_reshape, expand_to_reshape),
    row("transpose", 1, infer_transpose, gradient_transpose, evaluate_transpose, expand_transpose),
    row(
        "broadcast", 1, infer_broadcast, [](Gradient& g) { g.set(0, sum_to_like(g.cotangent(), g.operand(0))); }, evaluate_broadcast, nullptr),
    row(
        "broadcast_like", 2, infer_broadcast_like, [](Gradient& g) { g.set(0, sum_to_like(g.cotangent(), g.operand(0))); }, evaluate_broadcast,
        expand_broadcast_like),
    row(
        "sum_to_like", 2, infer_sum_to_like, [](Gradient& g) { g.set(0, broadcast_like(g.cotangent(), g.operand(0))); }, nullptr, expand_sum_to_like),
};

bool same_static_shape(const Operand& a, const Operand& b) {
  return a.tensor() && b.tensor() && a.tensor().shape().is_static() && a.tensor().shape() == b.tensor().shape();
}

}  // namespace

std::span<const Primitive> movement() { return table; }

Tensor axis_last(const Operand& x, int axis) {
  const Shape& shape = x.tensor().shape();
  const bool is_last = axis == -1 || (shape.ranked() && axis == shape.rank() - 1);
  return is_last ? implicitly_read(x.tensor()) : transpose(x, axis, -1);
}

}  // namespace ops

Tensor reshape(Operand x, Shape shape) {
  Attributes attributes;
  attributes.set_shape(shape);
  return apply("reshape", {x}, std::move(attributes));
}

Tensor transpose(Operand x, std::span<const int> permutation) {
  return apply("transpose", {x}, {{"permutation", std::vector<std::int64_t>(permutation.begin(), permutation.end())}});
}
Tensor transpose(Operand x, std::initializer_list<int> permutation) { return transpose(x, std::span(permutation.begin(), permutation.size())); }
Tensor transpose(Operand x, int a, int b) { return apply("transpose", {x}, {{"swap", std::vector<std::int64_t>{a, b}}}); }

Tensor broadcast_to(Operand x, Shape shape) {
  Attributes attributes;
  attributes.set_shape(shape);
  return apply("broadcast", {x}, std::move(attributes));
}

Tensor expand_dims(Operand x, Axes axes) { return apply("expand_dims", {x}, {{"axes", axes.list()}}); }

Tensor squeeze(Operand x, Axes axes) {
  Attributes attributes;
  if (!axes.all()) attributes.set("axes", axes.list());
  return apply("squeeze", {x}, std::move(attributes));
}

Tensor flatten(Operand x, int axis) { return apply("flatten", {x}, {{"axis", std::int64_t{axis}}}); }
Tensor merge_dims(Operand x, int axis, int count) { return apply("merge_dims", {x}, {{"axis", std::int64_t{axis}}, {"count", std::int64_t{count}}}); }

Tensor broadcast_like(Operand x, Operand like) {
  return ops::same_static_shape(x, like) ? implicitly_read(x.tensor()) : apply("broadcast_like", {x, like});
}
Tensor reshape_like(Operand x, Operand like) {
  return ops::same_static_shape(x, like) ? implicitly_read(x.tensor()) : apply("reshape_like", {x, like});
}
Tensor sum_to_like(Operand x, Operand like) {
  return ops::same_static_shape(x, like) ? implicitly_read(x.tensor()) : apply("sum_to_like", {x, like});
}

}  // namespace weft
