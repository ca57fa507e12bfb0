// Functions, which loops and branches run: taken out of the graph in which their caller built them, and put into one.
#pragma once

#include "graph/build.h"

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace weft {

/// What a caller builds in a graph between this object's making and `finish` becomes a function. The operations stay in the graph, where
/// nothing needs them; the function has copies.
class Trace {
 public:
  /// What a branch makes is computed in the branch. A loop leaves outside what doesn't change from iteration to iteration.
  enum class Of { branch, loop };

  Trace(GraphState& graph, std::string_view op, Of of, ir::Location where)
      : graph_(graph), op_(op), of_(of), where_(where), first_(graph.ir.size()) {}

  Tensor parameter(const TensorType& type);
  /// Throws GraphError for what can't be in a function.
  void finish(std::span<const Tensor> results);
  /// Adds to the list what the function uses of the graph around it.
  void collect(std::vector<ir::Value>& captures) const;
  /// With a parameter for each of `captures` after its own.
  std::shared_ptr<const ir::Function> function(std::span<const ir::Value> captures) const;

 private:
  bool is_inside(ir::NodeId id) const { return id >= first_ && id < last_ && inside_[static_cast<std::size_t>(id - first_)]; }
  /// Inside nodes that the results need, in order.
  std::vector<ir::NodeId> needed() const;

  GraphState& graph_;
  std::string_view op_;
  Of of_;
  ir::Location where_;
  ir::NodeId first_, last_ = -1;
  std::vector<ir::NodeId> parameters_;
  std::vector<bool> inside_;
  std::vector<ir::Value> results_;
};

/// Passes the function's operations, whose operands are then values of wherever the arguments stand, to `add`, which gives their results; gives
/// the function's results.
template <class Add> std::vector<ir::Value> put(const ir::Function& function, std::span<const ir::Value> arguments, Add&& add) {
  std::vector<std::vector<ir::Value>> map;
  const auto mapped = [&](ir::Value v) { return map[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)]; };
  for (auto v : arguments) map.push_back({v});
  for (std::size_t id = arguments.size(); id < function.graph.nodes.size(); ++id) {
    ir::Node node = function.graph.nodes[id];
    for (auto& v : node.operands) v = mapped(v);
    map.push_back(add(std::move(node)));
  }
  std::vector<ir::Value> results;
  for (auto v : function.results) results.push_back(mapped(v));
  return results;
}
/// Adds an operation; gives its results.
std::vector<ir::Value> add_node(ir::Graph& graph, ir::Node node);

/// Adds what the function computes of the arguments to a user's graph, and gives its results.
std::vector<Tensor> instantiate(GraphState& graph, const ir::Function& function, std::span<const Tensor> arguments);

}  // namespace weft
