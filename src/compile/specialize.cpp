#include "compile/program.h"
#include "graph/function.h"
#include "ops/control.h"

#include <weft/error.h>

#include <algorithm>
#include <unordered_map>

namespace weft {
namespace {

// What building could not know is found now: still the user's mistake, but of this run's feeds.

std::string place(const ir::Node& node) { return node.where.line ? " (at " + node.where.str() + ")" : ""; }

void infer(const ir::Graph& graph, ir::Node& node) {
  try {
    infer_types(graph, node);
  } catch (const GraphError& e) { throw RunError(std::string(e.what()) + place(node)); }
  for (const auto& t : node.types)
    if (!t.shape.is_static()) throw InternalError(ir::describe(node) + ": type " + t.str() + " is unknown although all operands' are known");
}

ir::Value expand(const ir::Node& node, Expansion& expansion) {
  try {
    return node.op->expand(expansion);
  } catch (const GraphError& e) { throw RunError(std::string(e.what()) + place(node)); }
}

std::shared_ptr<const ir::Function> specialized(const ir::Function& function, std::span<const TensorType> parameters);

/// Adds an operation whose operands stand in `graph`, or what it expands to; gives its results.
std::vector<ir::Value> add(ir::Graph& graph, ir::Node node) {
  node.control.clear();
  if (const auto functions = ops::functions_of(*node.op); !functions.empty()) {
    std::vector<TensorType> operands;
    for (auto v : node.operands) operands.push_back(graph.type(v));
    const auto parameters = ops::parameter_types(*node.op, node.attributes, operands);
    for (auto name : functions) node.attributes.set(std::string(name), specialized(node.attributes.function(name), parameters));
  }
  infer(graph, node);
  if (node.op->expand) {
    Expansion expansion(graph, node);
    if (const auto replacement = expand(node, expansion); replacement.node >= 0) {
      const auto count = node.types.size();
      if (count == 1 || graph[replacement.node].types.size() != count) return {replacement};
      std::vector<ir::Value> results;
      for (std::size_t i = 0; i < count; ++i) results.push_back({replacement.node, static_cast<std::int32_t>(i)});
      return results;
    }
  }
  return add_node(graph, std::move(node));
}

std::shared_ptr<const ir::Function> specialized(const ir::Function& function, std::span<const TensorType> parameters) {
  auto made = std::make_shared<ir::Function>();
  std::vector<ir::Value> given;
  for (const auto& type : parameters) {
    ir::Node node = function.graph.nodes[given.size()];
    node.types = {type};
    node.attributes.set_shape(type.shape);
    given.push_back({made->graph.add(std::move(node)), 0});
  }
  made->results = put(function, given, [&](ir::Node node) { return add(made->graph, std::move(node)); });
  return made;
}

class Specializer {
 public:
  Specializer(const GraphState& state, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations)
      : state_(state), graph_(state.ir), needed_(graph_.nodes.size()), map_(graph_.nodes.size()) {
    for (const auto& t : targets) need(t.graph(), t.node(), "target");
    for (const auto& o : operations) need(o.graph(), o.node(), "target operation");
    for (auto id = graph_.size() - 1; id >= 0; --id) {
      if (!needed_[static_cast<std::size_t>(id)]) continue;
      for (auto v : graph_[id].operands) needed_[static_cast<std::size_t>(v.node)] = true;
      for (auto c : graph_[id].control) needed_[static_cast<std::size_t>(c)] = true;
    }
    take_feeds(feeds);
    resolve_reads();
  }

  Program run(std::span<const Tensor> targets) {
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (needed_[static_cast<std::size_t>(id)]) visit(id);
    for (const auto& t : targets) program_.targets.push_back(target_value(t));
    for (auto variable : state_.variables)
      if (auto last = last_assign_.find(variable); last != last_assign_.end()) program_.updates.push_back({variable, assigned_[last->second]});
    return std::move(program_);
  }

 private:
  void need(const GraphState* graph, ir::NodeId node, const char* role) {
    if (graph != &state_) throw RunError(std::string("run: a ") + role + (graph ? " belongs to another graph" : " is empty"));
    needed_[static_cast<std::size_t>(node)] = true;
  }

  void take_feeds(std::span<const FeedType> feeds) {
    for (const auto& f : feeds) {
      if (f.placeholder.graph() != &state_)
        throw RunError(f.placeholder ? "run: a feed is for a tensor of another graph" : "run: a feed is for an empty tensor");
      const ir::Node& node = graph_[f.placeholder.node()];
      if (node.op->name != "placeholder") throw RunError("run: " + ir::describe(node) + " is fed but is not a placeholder");
      if (!needed_[static_cast<std::size_t>(f.placeholder.node())])
        throw RunError("run: " + ir::describe(node) + " is fed but neither a target nor a target operation needs it");
      const TensorType& declared = node.types[0];
      if (!f.type.shape.is_static()) throw RunError("run: " + ir::describe(node) + " is fed with " + f.type.str() + "; compile for known sizes");
      if (f.type.dtype != declared.dtype || !accepts(declared.shape, f.type.shape))
        throw RunError("run: " + ir::describe(node) + " expects " + declared.str() + ", is fed with " + f.type.str());
      if (!fed_.emplace(f.placeholder.node(), f.type).second) throw RunError("run: " + ir::describe(node) + " is fed twice");
    }
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (needed_[static_cast<std::size_t>(id)] && graph_[id].op->name == "placeholder" && !fed_.contains(id))
        throw RunError(graph_[id].attributes.flag("parameter")
                           ? "run: a target is computed in the body of a loop or branch; take it from what that gives"
                           : "run: " + ir::describe(graph_[id]) + " of type " + graph_[id].types[0].str() + " is not fed");
  }

  /// A read sees the last assignment to its variable among everything that it depends on.
  void resolve_reads() {
    std::vector<ir::NodeId> read_variables;
    for (ir::NodeId id = 0; id < graph_.size(); ++id) {
      if (!needed_[static_cast<std::size_t>(id)]) continue;
      const auto& node = graph_[id];
      if (node.op->name == "assign") last_assign_[node.operands[0].node] = id;
      if (node.op->name == "read" && !node.attributes.flag("implicit")) read_variables.push_back(node.operands[0].node);
    }
    std::sort(read_variables.begin(), read_variables.end());
    read_variables.erase(std::unique(read_variables.begin(), read_variables.end()), read_variables.end());
    for (auto variable : read_variables) {
      if (!last_assign_.contains(variable)) continue;
      std::vector<ir::NodeId> seen(graph_.nodes.size(), -1);
      for (ir::NodeId id = 0; id < graph_.size(); ++id) {
        if (!needed_[static_cast<std::size_t>(id)]) continue;
        const auto& node = graph_[id];
        auto& last = seen[static_cast<std::size_t>(id)];
        auto look = [&](ir::NodeId from) {
          const bool assigns = graph_[from].op->name == "assign" && graph_[from].operands[0].node == variable;
          last = std::max(last, assigns ? from : seen[static_cast<std::size_t>(from)]);
        };
        for (auto v : node.operands) look(v.node);
        for (auto c : node.control) look(c);
        if (node.op->name == "read" && node.operands[0].node == variable) sees_[id] = last;
      }
    }
  }

  ir::Value variable_value(ir::NodeId variable) {
    auto& slots = map_[static_cast<std::size_t>(variable)];
    if (slots.empty()) {
      ir::Node node = graph_[variable];
      node.control.clear();
      const auto id = program_.graph.add(std::move(node));
      program_.variables.push_back({variable, id});
      slots = {{id, 0}};
    }
    return slots[0];
  }

  ir::Value target_value(Tensor t) {
    if (graph_[t.node()].op->name == "variable") return variable_value(t.node());
    return map_[static_cast<std::size_t>(t.node())][static_cast<std::size_t>(t.output())];
  }

  void visit(ir::NodeId id) {
    const ir::Node& node = graph_[id];
    auto& slots = map_[static_cast<std::size_t>(id)];
    if (node.op->name == "variable") return;  // appears when it is read
    if (node.op->name == "read") {
      const auto seen = sees_.find(id);
      slots = {seen == sees_.end() || seen->second < 0 ? variable_value(node.operands[0].node) : assigned_[seen->second]};
      return;
    }
    if (node.op->name == "assign") {
      const auto v = node.operands[1];
      const auto value = map_[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)];
      const auto& declared = graph_[node.operands[0].node].types[0];
      if (program_.graph.type(value) != declared)
        throw RunError("run: " + ir::describe(node) + ": value " + program_.graph.type(value).str() + " can't be assigned to a variable of type " +
                       declared.str());
      assigned_[id] = value;
      return;
    }
    ir::Node made = node;
    for (auto& v : made.operands) v = map_[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)];
    if (node.op->name == "placeholder") {
      made.control.clear();
      made.types = {fed_.at(id)};
      made.attributes.set_shape(made.types[0].shape);
      program_.feeds.push_back({id, program_.graph.add(std::move(made))});
      slots = {{program_.feeds.back().node, 0}};
    } else {
      slots = add(program_.graph, std::move(made));
    }
  }

  const GraphState& state_;
  const ir::Graph& graph_;
  std::vector<bool> needed_;
  std::vector<std::vector<ir::Value>> map_;
  std::unordered_map<ir::NodeId, TensorType> fed_;
  std::unordered_map<ir::NodeId, ir::NodeId> last_assign_;  ///< variable -> assign
  std::unordered_map<ir::NodeId, ir::NodeId> sees_;         ///< read -> assign, -1 for the value at the start
  std::unordered_map<ir::NodeId, ir::Value> assigned_;      ///< assign -> value
  Program program_;
};

}  // namespace

Program specialize(const GraphState& graph, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations) {
  return Specializer(graph, feeds, targets, operations).run(targets);
}

}  // namespace weft
