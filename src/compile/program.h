// A graph specialised for one set of feed types, targets and operations: pure data flow with static types.
#pragma once

#include "graph/ir.h"

#include <weft/executable.h>

#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weft {

struct GraphState;

/// Placeholders and variables are sources: a `variable` node stands for its value at the start of the run. There are no
/// reads, assignments or control dependencies left; what a run assigns stands in `updates`.
struct Program {
  ir::Graph graph;

  struct Feed {
    ir::NodeId placeholder;  ///< in the user's graph
    ir::NodeId node;         ///< in this one
  };
  struct Variable {
    ir::NodeId variable;
    ir::NodeId node;
  };
  struct Update {
    ir::NodeId variable;
    ir::Value value;
  };
  std::vector<Feed> feeds;
  std::vector<Variable> variables;
  std::vector<ir::Value> targets;
  std::vector<Update> updates;
  /// Whether a run that fails must leave variables as they were. The states of a loop are lost then anyway.
  bool keeps_variables = true;

  /// The graph and its results as text, for dumps.
  std::string str() const;
};

/// Copies a program's graph node by node into a new one; what isn't copied is dropped.
class Rewriter {
 public:
  explicit Rewriter(const Program& from) : from_(from), map_(from.graph.nodes.size()) {}

  const Program& from() const { return from_; }
  ir::Graph& graph() { return to_.graph; }
  ir::Value mapped(ir::Value old) const { return map_[static_cast<std::size_t>(old.node)][static_cast<std::size_t>(old.output)]; }
  /// Replaces result `output` of an old node by a value of the new graph.
  void set(ir::Value old, ir::Value replacement);
  /// Adds the old node with its operands mapped.
  ir::NodeId copy(ir::NodeId old);
  /// The old node with its operands mapped, not yet added.
  ir::Node mapped_node(ir::NodeId old) const;
  ir::NodeId add(ir::NodeId old, ir::Node node);
  /// Nodes that targets and updates need.
  static std::vector<bool> live(const Program& program);
  /// How often live nodes, targets and updates name each node.
  static std::vector<int> uses(const Program& program);
  Program finish();

 private:
  const Program& from_;
  Program to_;
  std::vector<std::vector<ir::Value>> map_;
};

/// Resolves reads and assignments, drops what targets and operations don't need, takes placeholders' types from the
/// feeds and expands shape-dependent operations. Throws RunError for missing, surplus or unfitting feeds.
Program specialize(const GraphState& graph, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations);

/// Loops of few iterations are laid out; of branches whose predicate is a constant the one that is taken is left.
Program unroll_loops(const Program& program, const RunOptions& options);
/// Operations on constants become constants.
Program fold_constants(const Program& program, const RunOptions& options);
/// Algebraic rules; see rules.cpp.
Program apply_rules(const Program& program, const RunOptions& options);
/// Convolutions have their channels last.
Program channels_last(const Program& program, const RunOptions& options);
/// Products read their operands from before transposes and repetitions of matrices, and give their result transposed.
Program fold_transposes(const Program& program, const RunOptions& options);
/// A matrix that several products of few rows read across its rows is transposed once for all of them. For processors: the memory
/// that such a product walks through is far apart.
Program lay_out_matrices(const Program& program, const RunOptions& options);
/// Sums of products of few terms become one product of all their terms: the gradient of a weight that each step of a loop uses.
Program join_products(const Program& program, const RunOptions& options);
/// Identical operations become one.
Program merge_identical(const Program& program, const RunOptions& options);
/// Indices that can't be out of range are not checked; see value_range.h.
Program trust_indices(const Program& program, const RunOptions& options);
/// Drops what nothing needs.
Program drop_unused(const Program& program, const RunOptions& options);

}  // namespace weft
