#include "compile/value_range.h"

#include "compile/program.h"
#include "graph/primitive.h"
#include "ops/indexing.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>

namespace weft {
namespace {

using Wide = ValueRange::Wide;

template <class T> ValueRange range_of(const std::byte* bytes, std::int64_t count) {
  const std::span elements(reinterpret_cast<const T*>(bytes), static_cast<std::size_t>(count));
  T least = elements[0], most = elements[0];
  for (const T x : elements) least = std::min(least, x), most = std::max(most, x);
  return {least, most};
}

template <class F> auto with_integer(DType dtype, F&& f) -> std::optional<ValueRange> {
  switch (dtype) {
    case boolean: return f.template operator()<bool>();
    case i8: return f.template operator()<std::int8_t>();
    case i16: return f.template operator()<std::int16_t>();
    case i32: return f.template operator()<std::int32_t>();
    case i64: return f.template operator()<std::int64_t>();
    case u8: return f.template operator()<std::uint8_t>();
    case u16: return f.template operator()<std::uint16_t>();
    case u32: return f.template operator()<std::uint32_t>();
    case u64: return f.template operator()<std::uint64_t>();
    default: return {};
  }
}

ValueRange both(const ValueRange& a, const ValueRange& b) { return {std::min(a.least, b.least), std::max(a.most, b.most)}; }

/// Of f at the ends, for an f that is monotonic in each operand.
template <class F> ValueRange at_ends(const ValueRange& a, const ValueRange& b, F&& f) {
  const auto [least, most] = std::minmax({Wide(f(a.least, b.least)), Wide(f(a.least, b.most)), Wide(f(a.most, b.least)), Wide(f(a.most, b.most))});
  return {least, most};
}

bool is_small(const ValueRange& a) {
  constexpr Wide most = std::numeric_limits<std::uint64_t>::max();
  return -most <= a.least && a.most <= most;
}

/// Of places along something of this size; 0 where there is nothing.
ValueRange places(std::int64_t size) { return {0, std::max<Wide>(size - 1, 0)}; }

/// Of an operation on two integers; none: nothing is known.
std::optional<ValueRange> combined(std::string_view op, const ValueRange& a, const ValueRange& b) {
  if (op == "add") return ValueRange{a.least + b.least, a.most + b.most};
  if (op == "sub") return ValueRange{a.least - b.most, a.most - b.least};
  if (op == "min" || op == "fmin") return ValueRange{std::min(a.least, b.least), std::min(a.most, b.most)};
  if (op == "max" || op == "fmax") return ValueRange{std::max(a.least, b.least), std::max(a.most, b.most)};
  // Products of numbers of 64 bits fit but for one, which is larger than all of 64 bits anyway.
  if (op == "mul" && std::max(a.most, -a.least) <= std::numeric_limits<std::int64_t>::max())
    return at_ends(a, b, [](Wide x, Wide y) { return x * y; });
  if (op == "div" && b.least > 0) return at_ends(a, b, [](Wide x, Wide y) { return x / y; });
  if (op == "rem" && b.least > 0)  // the sign is the dividend's
    return ValueRange{a.least < 0 ? std::max(a.least, 1 - b.most) : 0, a.most > 0 ? std::min(a.most, b.most - 1) : 0};
  if (op == "bit_and" && (a.least >= 0 || b.least >= 0)) return ValueRange{0, a.least < 0 ? b.most : b.least < 0 ? a.most : std::min(a.most, b.most)};
  if (op == "shift_right" && a.least >= 0) return ValueRange{0, a.most};
  return {};
}

bool is_any(std::string_view name, std::initializer_list<std::string_view> names) { return std::ranges::find(names, name) != names.end(); }

/// Whether the operation's elements are elements of its first operand.
bool only_moves(const ir::Node& node) {
  return is_any(node.op->name, {"reshape", "transpose", "broadcast", "slice", "stop_gradient"}) ||
         (node.op->name == "gather" && node.attributes.text("out_of_bounds") != "ignore");
}

}  // namespace

std::optional<ValueRange> range_of_type(DType dtype) {
  return with_integer(dtype, []<class T>() { return ValueRange{std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()}; });
}

std::optional<ValueRange> range_of_elements(DType dtype, const std::byte* elements, std::int64_t count) {
  if (count == 0) return {};
  return with_integer(dtype, [&]<class T>() { return range_of<T>(elements, count); });
}

ValueRanges::ValueRanges(const ir::Graph& graph) : graph_(graph) {
  for (const auto& node : graph.nodes) {
    auto& ranges = ranges_.emplace_back();
    for (std::size_t i = 0; i < node.types.size(); ++i) {
      const auto all = range_of_type(node.types[i].dtype);
      const auto range = all ? result(node, i) : std::nullopt;
      // What doesn't fit wraps around.
      ranges.push_back(range && range->within(*all) ? range : all);
    }
  }
}

std::optional<ValueRange> ValueRanges::result(const ir::Node& node, std::size_t output) const {
  const auto name = node.op->name;
  const TensorType& type = node.types[output];
  const auto operand = [&](std::size_t i) { return (*this)[node.operands[i]]; };
  const auto united = [&](std::size_t first, std::size_t end) {
    auto all = operand(first);
    for (std::size_t i = first + 1; i < end && all; ++i) all = operand(i) ? std::optional(both(*all, *operand(i))) : std::nullopt;
    return all;
  };
  if (name == "constant") {
    const Literal& literal = node.attributes.literal("value");
    return range_of_elements(type.dtype, literal.bytes.data(),
                             literal.splat ? std::min<std::int64_t>(type.shape.element_count(), 1) : type.shape.element_count());
  }
  if (name == "iota") {
    const auto axis = node.attributes.integer("axis");
    return places(type.shape[static_cast<int>(axis < 0 ? axis + type.shape.rank() : axis)]);
  }
  if (node.operands.empty()) return {};
  const Shape& shape = graph_.type(node.operands[0]).shape;
  if (name == "arg_max" || name == "arg_min") return places(type.shape.element_count() == 0 ? 0 : shape.element_count() / type.shape.element_count());
  if (name == "arg_sort" || (name == "top_k" && output == 1)) return places(shape.rank() == 0 ? 1 : shape[shape.rank() - 1]);
  if (only_moves(node) || name == "cast" || name == "top_k") return operand(0);
  if (name == "gather") return operand(0) ? std::optional(both(*operand(0), {0, 0})) : std::nullopt;  // 0 where an index is out of bounds
  if (name == "sort") return operand(output);
  if (is_any(name, {"reduce_max", "reduce_min", "reduce_fmax", "reduce_fmin"}) && shape.element_count() > 0) return operand(0);
  if (name == "concat") return united(0, node.operands.size());
  if (name == "pad") return united(0, 2);
  if (name == "select") return united(1, 3);
  if (name == "scatter" && node.attributes.text("mode") == "set")
    return operand(0) && operand(2) ? std::optional(both(*operand(0), *operand(2))) : std::nullopt;
  if (name == "neg" && operand(0)) return ValueRange{-operand(0)->most, -operand(0)->least};
  if (name == "abs" && operand(0)) {
    const auto [least, most] = *operand(0);
    return ValueRange{std::max<Wide>({least, -most, 0}), std::max(-least, most)};
  }
  if (node.op->kind == Kind::elementwise && node.operands.size() == 2 && operand(0) && operand(1) && is_small(*operand(0)) && is_small(*operand(1)))
    return combined(name, *operand(0), *operand(1));
  return {};
}

ir::NodeId ValueRanges::source(ir::Value v) const {
  for (;;) {
    const ir::Node& node = graph_[v.node];
    if (is_any(node.op->name, {"placeholder", "variable"})) return v.node;
    if (node.op->name == "cast") {
      const auto from = range_of_type(graph_.type(node.operands[0]).dtype);
      if (!from || !from->within(*range_of_type(node.types[0].dtype))) return -1;
    } else if (!only_moves(node)) {
      return -1;
    }
    v = node.operands[0];
  }
}

std::optional<ValueRange> checked_range(const ir::Graph& graph, const ir::Node& node) {
  if (!is_any(node.op->name, {"gather", "scatter"}) || node.attributes.text("out_of_bounds") == "ignore") return {};
  const TensorType& data = graph.type(node.operands[0]);
  std::int64_t size = std::numeric_limits<std::int64_t>::max();
  for (int axis : ops::index_map(node, data, graph.type(node.operands[1])).axes) size = std::min(size, data.shape[axis]);
  return ValueRange{0, Wide(size) - 1};
}

Program trust_indices(const Program& program, const RunOptions&) {
  const ValueRanges ranges(program.graph);
  Rewriter r(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    if (const auto allowed = checked_range(program.graph, program.graph[id]); allowed && ranges[program.graph[id].operands[1]]->within(*allowed))
      node.attributes.set("out_of_bounds", std::string("ignore"));
    r.add(id, std::move(node));
  }
  return r.finish();
}

}  // namespace weft
