// Operations without operands, and those that need only an operand's type.
#include "graph/build.h"
#include "ops/families.h"
#include "ops/reference_array.h"

#include <weft/graph.h>
#include <weft/movement.h>

namespace weft {
namespace ops {
namespace {

using reference::wide;

void infer_placeholder(Inference& c) { c.result(c.attributes.dtype("dtype"), c.attributes.shape()); }

void infer_constant(Inference& c) { c.result(c.attributes.literal("value").type); }

void evaluate_constant(Evaluation& e) { *e.results[0] = reference::from_ndarray(e.node.attributes.literal("value").array()); }

void infer_iota(Inference& c) {
  const Shape shape = c.attributes.shape();
  if (c.attributes.dtype("dtype") == boolean || c.attributes.dtype("dtype") == c64)
    c.fail("elements of " + std::string(name_of(c.attributes.dtype("dtype"))) + " can't count");
  c.axis(c.attributes.integer("axis"), shape.rank());
  c.result(c.attributes.dtype("dtype"), shape);
}

void evaluate_iota(Evaluation& e) {
  auto& out = *e.results[0];
  const int rank = out.type.shape.rank();
  const auto axis = e.node.attributes.integer("axis");
  const auto d = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  reference::for_each_index(out.type.shape.sizes(), [&](auto index, std::int64_t linear) {
    const auto i = static_cast<std::size_t>(linear);
    if (is_floating(out.type.dtype)) out.as<double>()[i] = static_cast<double>(index[d]);
    else out.as<wide>()[i] = reference::wrap(index[d], out.type.dtype);
  });
}

void evaluate_run_index(Evaluation& e) { e.results[0]->as<wide>()[0] = static_cast<wide>(e.run_index); }

void infer_shape_of(Inference& c) {
  const Shape& s = c.shape(0);
  c.result(i64, s.ranked() ? Shape{s.rank()} : Shape{dynamic});
}

ir::Value expand_shape_of(Expansion& e) { return e.constant(e.operand_type(0).shape.sizes()); }

void infer_size_of(Inference& c) {
  const Shape& s = c.shape(0);
  if (s.ranked()) c.axes(c.attributes.integers("axes"), s.rank());
  c.result(c.attributes.dtype("dtype"), {});
}

ir::Value expand_size_of(Expansion& e) {
  const Shape& s = e.operand_type(0).shape;
  double count = 1;
  if (e.node.attributes.flag("all")) count = static_cast<double>(s.element_count());
  for (auto a : e.node.attributes.integers("axes")) count *= static_cast<double>(s[static_cast<int>(a < 0 ? a + s.rank() : a)]);
  return e.constant(count, e.node.attributes.dtype("dtype"));
}

const Primitive table[] = {
    {.name = "placeholder", .kind = Kind::source, .infer = infer_placeholder},
    {.name = "constant", .kind = Kind::source, .infer = infer_constant, .evaluate = evaluate_constant},
    {.name = "iota", .kind = Kind::source, .infer = infer_iota, .evaluate = evaluate_iota},
    // How many runs of this graph came before; random operations without a seed count on from it.
    {.name = "run_index", .kind = Kind::source, .infer = [](Inference& c) { c.result(u64, {}); }, .evaluate = evaluate_run_index},
    {.name = "shape_of", .min_operands = 1, .max_operands = 1, .infer = infer_shape_of, .gradient = [](Gradient&) {}, .expand = expand_shape_of},
    {.name = "size_of", .min_operands = 1, .max_operands = 1, .infer = infer_size_of, .gradient = [](Gradient&) {}, .expand = expand_size_of},
};

}  // namespace

std::span<const Primitive> sources() { return table; }

}  // namespace ops

Tensor Graph::placeholder(Shape shape, DType dtype, std::string_view label, std::source_location where) {
  Attributes attributes{{"dtype", dtype}};
  attributes.set_shape(shape);
  return apply_source(*state_, "placeholder", std::move(attributes), where, label);
}

Tensor Graph::constant(const NDArray& value, std::source_location where) {
  return apply_source(*state_, "constant", {{"value", Literal::of(value)}}, where);
}

Tensor Graph::constant(Scalar value, Shape shape, DType dtype, std::source_location where) {
  if (!shape.is_static()) fail_graph("constant: shape " + shape.str() + " has unknown sizes", ir::Location::of(where));
  const Tensor scalar = scalar_constant(*state_, value, dtype, where);
  if (shape.rank() == 0) return scalar;
  // The scalar just made becomes the whole constant.
  ir::Node& node = state_->ir[scalar.node()];
  node.attributes.set("value", Literal::filled({dtype, shape}, node.attributes.literal("value").bytes));
  node.types = {{dtype, shape}};
  node.label = state_->scope;
  return scalar;
}

Tensor iota(Graph& graph, Shape shape, int axis, DType dtype, std::source_location where) {
  if (!shape.is_static()) fail_graph("iota: shape " + shape.str() + " has unknown sizes", ir::Location::of(where));
  Attributes attributes{{"dtype", dtype}, {"axis", std::int64_t{axis}}};
  attributes.set_shape(shape);
  return apply_source(*graph.state(), "iota", std::move(attributes), where);
}

Tensor shape_of(Operand x) { return apply("shape_of", {x}); }

Tensor size_of(Operand x, DType dtype) {
  return apply("size_of", {x}, {{"axes", std::vector<std::int64_t>{}}, {"all", std::int64_t{1}}, {"dtype", dtype}});
}

Tensor size_of(Operand x, std::span<const std::int64_t> axes, DType dtype) {
  return apply("size_of", {x}, {{"axes", std::vector<std::int64_t>(axes.begin(), axes.end())}, {"dtype", dtype}});
}

}  // namespace weft
