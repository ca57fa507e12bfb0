#include "ops/indexing.h"

#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/movement.h"
#include "ops/reduction.h"
#include "ops/shape_like.h"

#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/indexing.h>
#include <weft/movement.h>

#include <algorithm>
#include <numeric>
#include <optional>

namespace weft {
namespace ops {

using reference::complex;
using reference::wide;
using Sizes = std::vector<std::int64_t>;

// Inference -----------------------------------------------------------------------------------------------------------

// Attributes: nd, axes (with nd may be absent: those after the batch dimensions, as many as the last size of indices),
// batch_dims (negative: counted from the rank of indices), out_of_bounds (error or ignore), and of scatter mode. Once
// specialised axes are there, and nothing is negative.
IndexMap index_map(const Inference& c) {
  const Shape &data = c.shape(0), &indices = c.shape(1);
  const bool nd = c.attributes.flag("nd");
  if (nd && indices.rank() == 0) c.fail("indices " + c[1].str() + " have no last dimension to hold places");
  IndexMap m;
  const auto count = nd ? indices[indices.rank() - 1] : 1;
  const auto batch = c.attributes.integer("batch_dims");
  m.batch = static_cast<int>(batch < 0 ? batch + indices.rank() : batch);
  m.outer = indices.rank() - m.batch - (nd ? 1 : 0);
  if (m.batch < 0 || m.outer < 0 || m.batch > data.rank())
    c.fail("data " + c[0].str() + " and indices " + c[1].str() + " can't share " + std::to_string(batch) + " batch dimensions");
  for (int d = 0; d < m.batch; ++d)
    if (data[d] != indices[d] && data[d] != dynamic && indices[d] != dynamic)
      c.fail("batch dimension " + std::to_string(d) + " of data " + c[0].str() + " and of indices " + c[1].str() + " differ");
  if (c.attributes.has("axes")) {
    m.axes = c.axes(c.attributes.integers("axes"), data.rank());
    if (count != dynamic && count != static_cast<std::int64_t>(m.axes.size()))
      c.fail("indices " + c[1].str() + " hold places in " + std::to_string(count) + " dimensions, expects " + std::to_string(m.axes.size()));
  } else {
    if (count > data.rank() - m.batch)
      c.fail("indices " + c[1].str() + " hold places in " + std::to_string(count) + " dimensions, data " + c[0].str() + " has " +
             std::to_string(data.rank() - m.batch) + (m.batch ? " besides the batch dimensions" : ""));
    m.axes.resize(static_cast<std::size_t>(count));
    std::iota(m.axes.begin(), m.axes.end(), m.batch);
  }
  m.place = m.axes.empty() ? m.batch : *std::min_element(m.axes.begin(), m.axes.end());
  if (m.place < m.batch) c.fail("axis " + std::to_string(m.place) + " is one of the " + std::to_string(m.batch) + " batch dimensions");
  return m;
}

IndexMap index_map(const ir::Node& node, const TensorType& data, const TensorType& indices) {
  return index_map(Inference(*node.op, {data, indices}, node.attributes, node.label));
}

namespace {

/// The shape of gather's result and scatter's updates.
Shape gathered_shape(const Inference& c) {
  c.require(is_integer, 1, "an integer");
  const Shape &data = c.shape(0), &indices = c.shape(1);
  if (!data.ranked() || !indices.ranked()) return Shape::unranked();
  if (!c.attributes.has("axes") && indices.rank() > 0 && indices[indices.rank() - 1] == dynamic) return Shape::unranked();
  const IndexMap m = index_map(c);
  Sizes sizes;
  for (int d = 0; d <= data.rank(); ++d) {
    if (d == m.place) sizes.insert(sizes.end(), indices.begin() + m.batch, indices.begin() + m.batch + m.outer);
    if (d == data.rank() || std::find(m.axes.begin(), m.axes.end(), d) != m.axes.end()) continue;
    sizes.push_back(d < m.batch && data[d] == dynamic ? indices[d] : data[d]);
  }
  if (sizes.size() > max_rank)
    c.fail("data " + c[0].str() + " and indices " + c[1].str() + " make " + std::to_string(sizes.size()) + " dimensions; at most 16 are possible");
  return Shape(sizes);
}

void infer_gather(Inference& c) { c.result(c.dtype(0), gathered_shape(c)); }

void infer_scatter(Inference& c) {
  c.require_same_dtype(0, 2);
  const std::string& mode = c.attributes.text("mode");
  if (mode == "min" || mode == "max") c.require(is_real, 0, "a real number");
  else if (mode != "set") c.require(is_number, 0, "a number");
  const Shape expected = gathered_shape(c), &updates = c.shape(2);
  bool fits = !expected.ranked() || !updates.ranked() || expected.rank() == updates.rank();
  for (int d = 0; fits && expected.ranked() && d < updates.rank(); ++d)
    fits = expected[d] == updates[d] || expected[d] == dynamic || updates[d] == dynamic;
  if (!fits)
    c.fail("updates " + c[2].str() + " do not fit; indices " + c[1].str() + " into data " + c[0].str() + " expect " +
           TensorType{c.dtype(0), expected}.str());
  c.result(c[0]);
}

ir::Value expand_indexing(Expansion& e) {
  const IndexMap m = index_map(e.node, e.operand_type(0), e.operand_type(1));
  Attributes attributes = e.node.attributes;
  attributes.set("axes", Sizes(m.axes.begin(), m.axes.end()));
  attributes.set("batch_dims", std::int64_t{m.batch});
  return e.add(e.node.op->name, e.node.operands, std::move(attributes));
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// For every element of the gathered tensor of this shape in row-major order: f(its place, that of data's element, or
/// nothing if an index is out of bounds and that is to be ignored).
template <class F> void for_each_indexed(const Evaluation& e, const Shape& gathered, F&& f) {
  const auto &data = *e.operands[0], &indices = *e.operands[1];
  const IndexMap m = index_map(e.node, data.type, indices.type);
  const auto data_strides = reference::strides_of(data.type.shape), index_strides = reference::strides_of(indices.type.shape);
  const bool ignore = e.node.attributes.text("out_of_bounds") == "ignore";
  reference::for_each_index(gathered.sizes(), [&](std::span<const std::int64_t> index, std::int64_t linear) {
    std::int64_t from = 0, to = 0;
    std::size_t next = 0;
    for (int d = 0; d <= data.type.shape.rank(); ++d) {
      if (d == m.place)
        for (int o = 0; o < m.outer; ++o) from += index[next++] * index_strides[static_cast<std::size_t>(m.batch + o)];
      if (d == data.type.shape.rank() || std::find(m.axes.begin(), m.axes.end(), d) != m.axes.end()) continue;
      if (d < m.batch) from += index[next] * index_strides[static_cast<std::size_t>(d)];
      to += index[next++] * data_strides[static_cast<std::size_t>(d)];
    }
    for (std::size_t k = 0; k < m.axes.size(); ++k) {
      const wide at = indices.as<wide>()[static_cast<std::size_t>(from) + k];
      const auto size = data.type.shape[m.axes[k]];
      if (at < 0 || at >= size) {
        if (ignore) return f(static_cast<std::size_t>(linear), std::optional<std::size_t>());
        const std::string text = at < 0 ? std::to_string(static_cast<std::int64_t>(at)) : std::to_string(static_cast<std::uint64_t>(at));
        throw RunError(ir::describe(e.node) + ": index " + text + " is out of range for axis " + std::to_string(m.axes[k]) + " of size " +
                       std::to_string(size));
      }
      to += static_cast<std::int64_t>(at) * data_strides[static_cast<std::size_t>(m.axes[k])];
    }
    f(static_cast<std::size_t>(linear), std::optional(static_cast<std::size_t>(to)));
  });
}

void evaluate_gather(Evaluation& e) {
  std::visit(
      [&](auto& to) {
        const auto& from = std::get<std::decay_t<decltype(to)>>(e.operands[0]->elements);
        for_each_indexed(e, e.results[0]->type.shape, [&](std::size_t i, std::optional<std::size_t> place) {
          if (place) to[i] = from[*place];
        });
      },
      e.results[0]->elements);
}

void evaluate_scatter(Evaluation& e) {
  const std::string& mode = e.node.attributes.text("mode");
  const ScalarFunctions combine = mode == "set" ? ScalarFunctions{} : primitive(mode).scalar;
  const DType dtype = e.results[0]->type.dtype;
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        to = e.operands[0]->as<Element>();
        const auto& updates = e.operands[2]->as<Element>();
        for_each_indexed(e, e.operands[2]->type.shape, [&](std::size_t i, std::optional<std::size_t> place) {
          if (!place) return;
          Element& element = to[*place];
          if (mode == "set") element = updates[i];
          else if constexpr (std::is_same_v<Element, double>) element = combine.real(element, updates[i], 0);
          else if constexpr (std::is_same_v<Element, wide>) element = reference::wrap(combine.integer(element, updates[i], 0, dtype), dtype);
          else element = combine.complex(element, updates[i], 0);
        });
      },
      e.results[0]->elements);
}

// Gradients -----------------------------------------------------------------------------------------------------------

Tensor gather_as(const Gradient& g, Tensor data) {
  Attributes attributes = g.attributes();
  attributes.erase("mode");
  return apply("gather", {data, g.operand(1)}, std::move(attributes));
}

Tensor scatter_as(const Gradient& g, std::string_view mode, Tensor data, Tensor updates) {
  Attributes attributes = g.attributes();
  attributes.set("mode", std::string(mode));
  return apply("scatter", {data, g.operand(1), updates}, std::move(attributes));
}

void gradient_gather(Gradient& g) {
  if (g.wanted(0)) g.set(0, scatter_as(g, "add", broadcast_like(0, g.operand(0)), g.cotangent()));
}

void gradient_scatter(Gradient& g) {
  const Tensor data = g.operand(0), updates = g.operand(2), dy = g.cotangent();
  const std::string mode = g.attributes().text("mode");
  const auto zeros_like = [](Tensor t) { return broadcast_like(0, t); };
  const auto product = [&](Tensor factors) { return scatter_as(g, "mul", broadcast_like(1, data), factors); };
  if (mode == "add" || mode == "sub") {
    g.set(0, dy);
    if (g.wanted(2)) g.set(2, mode == "add" ? gather_as(g, dy) : -gather_as(g, dy));
  } else if (mode == "set") {
    if (g.wanted(0)) g.set(0, scatter_as(g, "set", dy, zeros_like(updates)));
    if (g.wanted(2)) {
      // Of several updates of one element only the last counts: the one whose number is found there after all numbers
      // were written.
      const Tensor numbers = apply("number_like", {updates});
      const Tensor written = scatter_as(g, "set", cast(zeros_like(data), i64), numbers);
      g.set(2, select(equal(gather_as(g, written), numbers), gather_as(g, dy), 0));
    }
  } else if (mode == "mul") {
    if (g.wanted(0)) g.set(0, dy * product(updates));
    if (g.wanted(2)) {
      const Tensor zero = equal(updates, 0);
      const Tensor zeros = gather_as(g, scatter_as(g, "add", zeros_like(data), cast(zero, updates.dtype())));
      const Tensor zero_sum = gather_as(g, scatter_as(g, "add", zeros_like(data), select(zero, updates, 0)));
      const Tensor nonzero = gather_as(g, dy * scatter_as(g, "mul", data, select(zero, 1, updates)));
      g.set(2, product_of_others(updates, zero, zeros, zero_sum, nonzero));
    }
  } else if (mode == "div") {
    if (g.wanted(0)) g.set(0, dy / product(updates));
    if (g.wanted(2)) g.set(2, -gather_as(g, dy * g.result()) / updates);
  } else {
    const Tensor kept = equal(data, g.result()), won = equal(updates, gather_as(g, g.result()));
    const Tensor count = cast(kept, data.dtype()) + scatter_as(g, "add", zeros_like(data), cast(won, data.dtype()));
    const Tensor share = dy / maximum(count, 1);
    if (g.wanted(0)) g.set(0, select(kept, share, 0));
    if (g.wanted(2)) g.set(2, select(won, gather_as(g, share), 0));
  }
}

/// The elements numbered in row-major order.
ir::Value expand_number_like(Expansion& e) {
  const Shape shape = e.operand_type(0).shape;
  const auto numbers = e.add("iota", {}, {{"shape", Sizes{shape.element_count()}}, {"axis", std::int64_t{0}}, {"dtype", i64}});
  return e.add("reshape", {numbers}, {{"shape", Sizes(shape.begin(), shape.end())}});
}

const Primitive table[] = {
    {.name = "gather",
     .min_operands = 2,
     .max_operands = 2,
     .infer = infer_gather,
     .gradient = gradient_gather,
     .evaluate = evaluate_gather,
     .expand = expand_indexing},
    {.name = "scatter",
     .min_operands = 3,
     .max_operands = 3,
     .infer = infer_scatter,
     .gradient = gradient_scatter,
     .evaluate = evaluate_scatter,
     .expand = expand_indexing},
    {.name = "number_like",
     .min_operands = 1,
     .max_operands = 1,
     .infer = [](Inference& c) { c.result(i64, c.shape(0)); },
     .expand = expand_number_like},
};

}  // namespace

std::span<const Primitive> indexing() { return table; }

}  // namespace ops

using ops::axis_last;

namespace {

void require_batch_dims(std::string_view op, int batch_dims, const Operand& data) {
  if (batch_dims < 0) fail_graph(std::string(op) + ": " + std::to_string(batch_dims) + " batch dimensions", ir::Location::of(data.where()));
}

Attributes lookup(bool nd, int batch_dims, OutOfBounds out_of_bounds) {
  return {{"nd", std::int64_t{nd}},
          {"batch_dims", std::int64_t{batch_dims}},
          {"out_of_bounds", std::string(out_of_bounds == OutOfBounds::error ? "error" : "ignore")}};
}

std::string name_of(ScatterMode mode) {
  constexpr const char* names[] = {"add", "sub", "mul", "div", "min", "max", "set"};
  return names[static_cast<int>(mode)];
}

void require_same_rank(std::string_view op, const Operand& data, const Operand& indices) {
  const Shape &a = data.tensor().shape(), &b = indices.tensor().shape();
  if (a.ranked() && b.ranked() && a.rank() != b.rank())
    fail_graph(std::string(op) + ": data " + data.tensor().type().str() + " and indices " + indices.tensor().type().str() + " have different ranks",
               ir::Location::of(data.where()));
}

/// With the axis at the back every other dimension is a batch dimension, whatever the rank.
Attributes along_last_axis() {
  Attributes attributes = lookup(false, -1, OutOfBounds::ignore);
  attributes.set("axes", std::vector<std::int64_t>{-1});
  return attributes;
}

}  // namespace

Tensor gather(Operand data, Operand indices, int axis, GatherOptions options) {
  require_batch_dims("gather", options.batch_dims, data);
  Attributes attributes = lookup(false, options.batch_dims, options.out_of_bounds);
  attributes.set("axes", std::vector<std::int64_t>{axis});
  return apply("gather", {data, indices}, std::move(attributes));
}

Tensor gather_nd(Operand data, Operand indices, GatherOptions options) {
  require_batch_dims("gather_nd", options.batch_dims, data);
  return apply("gather", {data, indices}, lookup(true, options.batch_dims, options.out_of_bounds));
}

Tensor scatter(Operand data, Operand indices, Operand updates, int axis, ScatterOptions options) {
  require_batch_dims("scatter", options.batch_dims, data);
  Attributes attributes = lookup(false, options.batch_dims, options.out_of_bounds);
  attributes.set("axes", std::vector<std::int64_t>{axis});
  attributes.set("mode", name_of(options.mode));
  return apply("scatter", {data, indices, updates}, std::move(attributes), 0);
}

Tensor scatter_nd(Operand data, Operand indices, Operand updates, ScatterOptions options) {
  require_batch_dims("scatter_nd", options.batch_dims, data);
  Attributes attributes = lookup(true, options.batch_dims, options.out_of_bounds);
  attributes.set("mode", name_of(options.mode));
  return apply("scatter", {data, indices, updates}, std::move(attributes), 0);
}

Tensor gather_along_axis(Operand data, Operand indices, int axis) {
  CompositeScope scope("gather_along_axis", {data, indices});
  require_same_rank("gather_along_axis", data, indices);
  const Tensor places = axis_last(indices, axis);
  return axis_last(apply("gather", {axis_last(data, axis), places}, along_last_axis()), axis);
}

Tensor scatter_along_axis(Operand data, Operand indices, Operand updates, int axis, ScatterMode mode) {
  CompositeScope scope("scatter_along_axis", {data, indices, updates});
  require_same_rank("scatter_along_axis", data, indices);
  const Tensor places = axis_last(indices, axis);
  Attributes attributes = along_last_axis();
  attributes.set("mode", name_of(mode));
  return axis_last(apply("scatter", {axis_last(data, axis), places, axis_last(updates, axis)}, std::move(attributes)), axis);
}

}  // namespace weft
