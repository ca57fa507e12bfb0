#include "graph/function.h"

#include <algorithm>
#include <map>

namespace weft {

std::vector<TensorType> ir::Function::parameter_types() const {
  std::vector<TensorType> types;
  for (const auto& node : graph.nodes) {
    if (node.op->name != "placeholder") break;
    types.push_back(node.types[0]);
  }
  return types;
}

std::vector<TensorType> ir::Function::result_types() const {
  std::vector<TensorType> types;
  for (auto v : results) types.push_back(graph.type(v));
  return types;
}

namespace {

ir::Node parameter_node(const TensorType& type) {
  ir::Node node;
  node.op = &primitive("placeholder");
  node.attributes.set("dtype", type.dtype);
  node.attributes.set_shape(type.shape);
  node.types = {type};
  return node;
}

}  // namespace

Tensor Trace::parameter(const TensorType& type) {
  ir::Node node = parameter_node(type);
  node.attributes.set("parameter", std::int64_t{1});
  node.where = where_;
  parameters_.push_back(graph_.ir.add(std::move(node)));
  return Tensor(&graph_, parameters_.back(), 0);
}

void Trace::finish(std::span<const Tensor> results) {
  for (auto t : results) {
    if (t.graph() != &graph_) fail_graph(std::string(op_) + ": the body gives " + (t ? "a tensor of another graph" : "an empty tensor"), where_);
    t = implicitly_read(t);
    results_.push_back({t.node(), t.output()});
  }
  last_ = graph_.ir.size();
  std::vector<bool> reached(static_cast<std::size_t>(last_ - first_));
  inside_.resize(reached.size());
  const auto at = [&](ir::NodeId id) { return static_cast<std::size_t>(id - first_); };
  for (ir::NodeId id = first_; id < last_; ++id) {
    const ir::Node& node = graph_.ir[id];
    if (node.op->name == "assign")
      fail_graph(std::string(op_) + ": " + ir::describe(graph_.ir[node.operands[0].node]) +
                     " is assigned in the body; make it a state and assign what the loop or branch gives",
                 node.where);
    const bool is_parameter = std::ranges::find(parameters_, id) != parameters_.end();
    const bool is_given = node.op->kind == Kind::state || (node.op->name == "placeholder" && !is_parameter);
    const bool depends = std::ranges::any_of(node.operands, [&](ir::Value v) { return is_inside(v.node); });
    inside_[at(id)] = is_parameter || (!is_given && (of_ == Of::branch || depends || node.operands.empty()));
  }
  for (auto v : results_)
    if (v.node >= first_) reached[at(v.node)] = true;
  for (ir::NodeId id = last_ - 1; id >= first_; --id) {
    if (!reached[at(id)]) continue;
    const ir::Node& node = graph_.ir[id];
    if (of_ == Of::loop && node.op->name == "run_index")
      fail_graph(std::string(op_) + ": random numbers would be the same in all iterations; make a random state one of the loop's states", where_);
    for (auto v : node.operands)
      if (v.node >= first_) reached[at(v.node)] = true;
  }
}

std::vector<ir::NodeId> Trace::needed() const {
  std::vector<bool> wanted(inside_.size());
  const auto want = [&](ir::Value v) {
    if (is_inside(v.node)) wanted[static_cast<std::size_t>(v.node - first_)] = true;
  };
  for (auto v : results_) want(v);
  for (ir::NodeId id = last_ - 1; id >= first_; --id)
    if (wanted[static_cast<std::size_t>(id - first_)])
      for (auto v : graph_.ir[id].operands) want(v);
  std::vector<ir::NodeId> list;
  for (ir::NodeId id = first_; id < last_; ++id)
    if (wanted[static_cast<std::size_t>(id - first_)]) list.push_back(id);
  return list;
}

void Trace::collect(std::vector<ir::Value>& captures) const {
  const auto look = [&](ir::Value v) {
    if (!is_inside(v.node) && std::ranges::find(captures, v) == captures.end()) captures.push_back(v);
  };
  for (auto id : needed())
    for (auto v : graph_.ir[id].operands) look(v);
  for (auto v : results_) look(v);
}

std::shared_ptr<const ir::Function> Trace::function(std::span<const ir::Value> captures) const {
  auto made = std::make_shared<ir::Function>();
  std::map<ir::Value, ir::Value> map;
  for (auto id : parameters_) map[{id, 0}] = {made->graph.add(parameter_node(graph_.ir[id].types[0])), 0};
  for (auto v : captures) map[v] = {made->graph.add(parameter_node(graph_.ir.type(v))), 0};
  for (auto id : needed()) {
    if (map.contains({id, 0})) continue;
    ir::Node node = graph_.ir[id];
    node.control.clear();
    for (auto& v : node.operands) v = map.at(v);
    const auto count = static_cast<std::int32_t>(node.types.size());
    const auto added = made->graph.add(std::move(node));
    for (std::int32_t i = 0; i < count; ++i) map[{id, i}] = {added, i};
  }
  for (auto v : results_) made->results.push_back(map.at(v));
  return made;
}

std::vector<ir::Value> add_node(ir::Graph& graph, ir::Node node) {
  const auto count = static_cast<std::int32_t>(node.types.size());
  const auto id = graph.add(std::move(node));
  std::vector<ir::Value> results;
  for (std::int32_t i = 0; i < count; ++i) results.push_back({id, i});
  return results;
}

std::vector<Tensor> instantiate(GraphState& graph, const ir::Function& function, std::span<const Tensor> arguments) {
  std::vector<ir::Value> given;
  for (auto t : arguments) given.push_back({t.node(), t.output()});
  const auto values = put(function, given, [&](ir::Node node) {
    node.control = graph.control;
    if (graph.user_call) node.where = *graph.user_call;
    infer_types(graph.ir, node);
    return add_node(graph.ir, std::move(node));
  });
  std::vector<Tensor> results;
  for (auto v : values) results.emplace_back(&graph, v.node, v.output);
  return results;
}

}  // namespace weft
