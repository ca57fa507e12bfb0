// Loops of few iterations laid out one after the other, so that they are stitched like anything else.
#include "compile/program.h"
#include "graph/function.h"
#include "ops/control.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace weft {
namespace {

/// Operations that a loop may become.
constexpr std::int64_t most_operations = 16384;

std::vector<TensorType> operand_types(const ir::Graph& graph, const ir::Node& node) {
  std::vector<TensorType> types;
  for (auto v : node.operands) types.push_back(graph.type(v));
  return types;
}

/// Operations that the function becomes with its loops laid out; never more than `most_operations` + 1.
std::int64_t weight(const ir::Function& function);

std::int64_t weight(const ir::Graph& graph, const ir::Node& node) {
  if (node.op->name != "for") return 1;
  const auto count = ops::iterations(node.attributes, operand_types(graph, node));
  if (count == dynamic || count > most_operations) return most_operations + 1;
  return count * weight(node.attributes.function("body"));
}

std::int64_t weight(const ir::Function& function) {
  std::int64_t sum = 1;
  for (const auto& node : function.graph.nodes) sum = std::min(sum + std::min(weight(function.graph, node), most_operations), most_operations + 1);
  return sum;
}

std::vector<ir::Value> laid_out(ir::Graph& to, const ir::Node& node);

std::vector<ir::Value> append(ir::Graph& to, const ir::Function& function, std::span<const ir::Value> arguments) {
  return put(function, arguments, [&](const ir::Node& node) { return laid_out(to, node); });
}

ir::Value add(ir::Graph& to, std::string_view op, std::vector<ir::Value> operands, Attributes attributes, const ir::Node& like) {
  ir::Node made = make_node(to, op, std::move(operands), std::move(attributes), like);
  return {to.add(std::move(made)), 0};
}

ir::Value reshaped(ir::Graph& to, ir::Value v, const Shape& shape, const ir::Node& like) {
  return add(to, "reshape", {v}, {{"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}}, like);
}

/// Element i along the first axis.
ir::Value element(ir::Graph& to, ir::Value sequence, std::int64_t i, const ir::Node& like) {
  const Shape shape = to.type(sequence).shape;
  std::vector<std::int64_t> start(static_cast<std::size_t>(shape.rank()), 0), size(shape.begin(), shape.end()), stride(start.size(), 1);
  start[0] = i;
  size[0] = 1;
  const ir::Value part = add(to, "slice", {sequence}, {{"start", start}, {"size", size}, {"stride", stride}}, like);
  return reshaped(to, part, Shape(shape.sizes().subspan(1)), like);
}

ir::Value stacked(ir::Graph& to, const std::vector<ir::Value>& elements, const TensorType& type, const ir::Node& like) {
  if (elements.empty()) {
    static constexpr std::byte zeros[8] = {};
    return add(to, "constant", {}, {{"value", Literal::filled(type, std::span(zeros).first(size_of(type.dtype)))}}, like);
  }
  std::vector<ir::Value> rows;
  for (auto v : elements) rows.push_back(reshaped(to, v, type.shape.with(0, 1), like));
  return rows.size() == 1 ? rows[0] : add(to, "concat", rows, {{"axis", std::int64_t{0}}}, like);
}

std::vector<ir::Value> iterated(ir::Graph& to, const ir::Node& node, std::int64_t count) {
  const ops::ForOperands o(node.attributes);
  const ir::Function& body = node.attributes.function("body");
  const auto operand = node.operands.begin();
  std::vector<ir::Value> states(operand + static_cast<std::ptrdiff_t>(o.first_state), operand + static_cast<std::ptrdiff_t>(o.first_sequence));
  std::vector<std::vector<ir::Value>> outputs(body.results.size() - o.states);
  for (auto& list : outputs) list.resize(static_cast<std::size_t>(count));
  for (std::int64_t step = 0; step < count; ++step) {
    const std::int64_t i = o.reverse ? count - 1 - step : step;
    std::vector<ir::Value> arguments{add(to, "constant", {}, {{"value", Literal::of(NDArray::of<std::int64_t>({}, {i}))}}, node)};
    arguments.insert(arguments.end(), states.begin(), states.end());
    for (std::size_t s = 0; s < o.sequences; ++s) arguments.push_back(element(to, node.operands[o.first_sequence + s], i, node));
    arguments.insert(arguments.end(), operand + static_cast<std::ptrdiff_t>(o.first_capture), node.operands.end());
    const auto next = append(to, body, arguments);
    for (std::size_t s = 0; s < o.states; ++s) states[s] = next[s];
    for (std::size_t s = 0; s < outputs.size(); ++s) outputs[s][static_cast<std::size_t>(i)] = next[o.states + s];
  }
  for (std::size_t s = 0; s < outputs.size(); ++s) states.push_back(stacked(to, outputs[s], node.types[o.states + s], node));
  return states;
}

/// What a branch whose predicate is a constant takes.
std::optional<std::string_view> taken(const ir::Graph& graph, const ir::Node& node) {
  const ir::Node& predicate = graph[node.operands[0].node];
  if (predicate.op->name != "constant") return {};
  return predicate.attributes.literal("value").bytes[0] != std::byte{0} ? "then" : "otherwise";
}

/// Adds the node, whose operands stand in `to`, or what it is laid out as; gives its results.
std::vector<ir::Value> laid_out(ir::Graph& to, const ir::Node& node) {
  if (node.op->name == "for" && weight(to, node) <= most_operations)
    return iterated(to, node, ops::iterations(node.attributes, operand_types(to, node)));
  if (node.op->name == "if")
    if (const auto branch = taken(to, node)) return append(to, node.attributes.function(*branch), std::span(node.operands).subspan(1));
  return add_node(to, node);
}

}  // namespace

Program unroll_loops(const Program& program, const RunOptions&) {
  Rewriter r(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    if (program.graph[id].op->kind != Kind::control) {
      r.copy(id);
      continue;
    }
    const ir::Node node = r.mapped_node(id);
    const auto values = laid_out(r.graph(), node);
    for (std::size_t i = 0; i < values.size(); ++i) r.set({id, static_cast<std::int32_t>(i)}, values[i]);
  }
  return r.finish();
}

}  // namespace weft
