// Algebraic rules as rows, open to tests: each is checked by evaluating both sides.
#pragma once

#include "compile/program.h"

#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft {

struct Primitive;
struct Rule;

/// The rules that are switched on, by operation.
class RuleSet {
 public:
  explicit RuleSet(std::vector<const Rule*> rules) : rules_(std::move(rules)) {}
  std::span<const Rule* const> of(const Primitive& op) const;

 private:
  std::vector<const Rule*> rules_;
  mutable std::unordered_map<const Primitive*, std::vector<const Rule*>> by_op_;
};

/// An operation that rules look at, not yet in the graph that is being built; its operands are there, simplified. A
/// reference to an operand's producer is good until something is added.
class Match {
 public:
  Match(ir::Graph& graph, const ir::Node& node, const RuleSet& rules) : node(node), graph_(graph), rules_(rules) {}

  const ir::Node& node;

  const ir::Graph& graph() const { return graph_; }
  ir::Value operand(std::size_t i) const { return node.operands[i]; }
  const ir::Node& producer(ir::Value v) const { return graph_[v.node]; }
  const ir::Node& producer(std::size_t i) const { return producer(operand(i)); }
  bool is(ir::Value v, std::string_view op) const;
  const TensorType& type() const { return node.types[0]; }
  const TensorType& type(ir::Value v) const { return graph_.type(v); }
  const Shape& shape() const { return node.types[0].shape; }
  DType dtype() const { return node.types[0].dtype; }
  /// The real value of a constant of equal elements. One that stands for a size is none: kernels would differ from size to size.
  std::optional<double> splat(ir::Value v) const;
  std::optional<double> splat(std::size_t i) const { return splat(operand(i)); }

  /// Adds an operation, itself simplified, and gives its first result.
  ir::Value add(std::string_view op, std::vector<ir::Value> operands, Attributes attributes = {});
  /// A constant of this number, exact in the type.
  ir::Value constant(double value, TensorType type);
  /// The value broadcast to the operation's shape, so that it can stand for its result.
  ir::Value shaped(ir::Value v);
  /// What the first active rule that applies makes of the operation.
  std::optional<ir::Value> simplified();

 private:
  ir::Graph& graph_;
  const RuleSet& rules_;
};

using Replacement = std::optional<ir::Value>;

struct Rule {
  std::string_view name;
  std::string_view ops;        ///< the operations that it is tried on, separated by spaces; `reduce_*` for all that begin so
  std::string_view statement;  ///< what is replaced by what
  /// The value that may stand for the operation's result, if the rule applies.
  Replacement (*apply)(Match&);
  /// How far apart both sides may be, in units in the last place; 0: the same bits for all operands, infinities, NaN and
  /// signed zeros included.
  double ulp = 0;
  double scale = 0;  ///< units of epsilon besides: errors of what cancels on the way to the result

  bool is_for(std::string_view op) const;
};

// The families, in the order in which their rules are tried.
std::span<const Rule> arithmetic_rules();
std::span<const Rule> logic_rules();
std::span<const Rule> movement_rules();
std::span<const Rule> reduction_rules();
std::span<const Rule> pooling_rules();

/// All of them.
std::span<const Rule> rules();

}  // namespace weft
