// A part of one graph computed in another.
#include "graph/function.h"

#include <weft/control.h>
#include <weft/graph.h>

#include <map>
#include <string>

namespace weft {
namespace {

/// By node of the callee: whether the targets need it.
std::vector<bool> needed(const ir::Graph& graph, std::span<const Tensor> targets) {
  std::vector<bool> list(static_cast<std::size_t>(graph.size()));
  for (auto t : targets) list[static_cast<std::size_t>(t.node())] = true;
  for (ir::NodeId id = graph.size() - 1; id >= 0; --id)
    if (list[static_cast<std::size_t>(id)])
      for (auto v : graph[id].operands) list[static_cast<std::size_t>(v.node)] = true;
  return list;
}

}  // namespace

std::vector<Tensor> call(const Graph& callee, std::span<const Argument> arguments, std::span<const Tensor> targets, std::source_location where) {
  const auto fail = [&](const std::string& what) { fail_graph("call: " + what, ir::Location::of(where)); };
  const ir::Graph& from = callee.state()->ir;
  GraphState* graph = nullptr;
  ir::Function function;
  std::map<ir::Value, ir::Value> map;
  std::vector<Tensor> given;
  for (const auto& [placeholder, value] : arguments) {
    if (placeholder.graph() != callee.state() || from[placeholder.node()].op->name != "placeholder")
      fail(placeholder ? placeholder.name() + " is no placeholder of the graph that is called" : "a placeholder is empty");
    if (!value) fail("the argument for " + placeholder.name() + " is empty");
    if (graph && value.graph() != graph) fail(value.name() + " belongs to another graph than the arguments before it");
    graph = value.graph();
    const TensorType &expected = placeholder.type(), &type = value.type();
    if (type.dtype != expected.dtype || !accepts(expected.shape, type.shape))
      fail("the argument for " + placeholder.name() + " is " + type.str() + ", expects " + expected.str());
    ir::Node node = from[placeholder.node()];
    node.types = {type};
    if (!map.emplace(ir::Value{placeholder.node(), 0}, ir::Value{function.graph.add(std::move(node)), 0}).second)
      fail(placeholder.name() + " is given twice");
    given.push_back(implicitly_read(value));
  }
  if (!graph) fail("there is no argument, which would tell the graph that calls");
  for (auto t : targets)
    if (t.graph() != callee.state()) fail(t ? t.name() + " is no tensor of the graph that is called" : "a target is empty");

  const auto is_needed = needed(from, targets);
  for (ir::NodeId id = 0; id < from.size(); ++id) {
    if (!is_needed[static_cast<std::size_t>(id)] || map.contains({id, 0})) continue;
    ir::Node node = from[id];
    if (node.op->name == "placeholder") fail("there is no argument for " + ir::describe(node));
    if (node.op->kind == Kind::state) fail(ir::describe(node) + " is needed, but variables belong to one graph: make it a placeholder");
    node.control.clear();
    for (auto& v : node.operands) v = map.at(v);
    const auto count = static_cast<std::int32_t>(node.types.size());
    const auto added = function.graph.add(std::move(node));
    for (std::int32_t i = 0; i < count; ++i) map[{id, i}] = {added, i};
  }
  for (auto t : targets) function.results.push_back(map.at({t.node(), t.output()}));
  return instantiate(*graph, function, given);
}

}  // namespace weft
