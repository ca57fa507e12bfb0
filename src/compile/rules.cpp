// Algebraic rules: rows of (name, operation, what it is replaced by). Only rewrites that give the same bits for every
// input, NaN and signed zero included.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <cmath>
#include <optional>

namespace weft {
namespace {

using Replacement = std::optional<ir::Value>;

struct Match {
  const ir::Graph& graph;
  const ir::Node& node;

  ir::Value operand(std::size_t i) const { return node.operands[i]; }
  const ir::Node& producer(std::size_t i) const { return graph[node.operands[i].node]; }
  const TensorType& operand_type(std::size_t i) const { return graph.type(node.operands[i]); }
  /// The value of operand i when it is a constant whose elements are all the same.
  std::optional<double> splat(std::size_t i) const {
    const auto& p = producer(i);
    if (p.op->name != "constant") return std::nullopt;
    const Literal& literal = p.attributes.literal("value");
    if ((!literal.splat && literal.type.shape.element_count() != 1) || is_complex(literal.type.dtype)) return std::nullopt;
    return Literal{
        {literal.type.dtype, {}}, false, {literal.bytes.begin(), literal.bytes.begin() + static_cast<std::ptrdiff_t>(size_of(literal.type.dtype))}}
        .array()
        .item();
  }
  /// Operand i, provided that it has the result's type, so that it can stand for the result.
  Replacement whole(std::size_t i) const {
    if (operand_type(i) == node.types[0]) return operand(i);
    return std::nullopt;
  }
  bool is_float() const { return is_floating(node.types[0].dtype); }
};

Replacement times_one(const Match& m) {
  if (m.splat(1) == 1.0) return m.whole(0);
  if (m.splat(0) == 1.0) return m.whole(1);
  return std::nullopt;
}

bool is_negative_zero(std::optional<double> v) { return v && *v == 0 && std::signbit(*v); }
bool is_positive_zero(std::optional<double> v) { return v && *v == 0 && !std::signbit(*v); }

// x + 0.0 is not x where x is -0.0; x + -0.0 is.
Replacement plus_zero(const Match& m) {
  auto neutral = [&](std::size_t i) { return m.is_float() ? is_negative_zero(m.splat(i)) : m.splat(i) == 0.0; };
  if (neutral(1)) return m.whole(0);
  if (neutral(0)) return m.whole(1);
  return std::nullopt;
}

Replacement minus_zero(const Match& m) { return is_positive_zero(m.splat(1)) ? m.whole(0) : std::nullopt; }
Replacement divided_by_one(const Match& m) { return m.splat(1) == 1.0 ? m.whole(0) : std::nullopt; }
Replacement power_of_one(const Match& m) { return m.splat(1) == 1.0 ? m.whole(0) : std::nullopt; }

/// f(f(x)) is x.
Replacement involution(const Match& m) {
  if (m.producer(0).op == m.node.op) return m.producer(0).operands[0];
  return std::nullopt;
}

/// f(f(x)) is f(x).
Replacement idempotent(const Match& m) {
  if (m.producer(0).op == m.node.op) return m.operand(0);
  return std::nullopt;
}

Replacement same_type(const Match& m) { return m.whole(0); }

Replacement identity_permutation(const Match& m) {
  const auto& permutation = m.node.attributes.integers("permutation");
  for (std::size_t i = 0; i < permutation.size(); ++i)
    if (permutation[i] != static_cast<std::int64_t>(i)) return std::nullopt;
  return m.whole(0);
}

Replacement constant_condition(const Match& m) {
  if (const auto condition = m.splat(0)) return m.whole(*condition != 0 ? 1 : 2);
  return std::nullopt;
}

Replacement same_branches(const Match& m) { return m.operand(1) == m.operand(2) ? m.whole(1) : std::nullopt; }

Replacement single_operand(const Match& m) { return m.node.operands.size() == 1 ? m.whole(0) : std::nullopt; }

}  // namespace

std::span<const Rule> rules() {
  // clang-format off: a row a rule
  static constexpr Rule table[] = {
      {"times one", "mul",
       [](const ir::Graph& g, const ir::Node& n) {
         return times_one({g, n});
       }},
      {"plus zero", "add",
       [](const ir::Graph& g, const ir::Node& n) {
         return plus_zero({g, n});
       }},
      {"minus zero", "sub",
       [](const ir::Graph& g, const ir::Node& n) {
         return minus_zero({g, n});
       }},
      {"divided by one", "div",
       [](const ir::Graph& g, const ir::Node& n) {
         return divided_by_one({g, n});
       }},
      {"to the power of one", "pow",
       [](const ir::Graph& g, const ir::Node& n) {
         return power_of_one({g, n});
       }},
      {"negated twice", "neg",
       [](const ir::Graph& g, const ir::Node& n) {
         return involution({g, n});
       }},
      {"conjugated twice", "conj",
       [](const ir::Graph& g, const ir::Node& n) {
         return involution({g, n});
       }},
      {"not twice", "logical_not",
       [](const ir::Graph& g, const ir::Node& n) {
         return involution({g, n});
       }},
      {"bits inverted twice", "bit_not",
       [](const ir::Graph& g, const ir::Node& n) {
         return involution({g, n});
       }},
      {"absolute twice", "abs",
       [](const ir::Graph& g, const ir::Node& n) {
         return idempotent({g, n});
       }},
      {"relu twice", "relu",
       [](const ir::Graph& g, const ir::Node& n) {
         return idempotent({g, n});
       }},
      {"cast to its own type", "cast",
       [](const ir::Graph& g, const ir::Node& n) {
         return same_type({g, n});
       }},
      {"reshape to its own shape", "reshape",
       [](const ir::Graph& g, const ir::Node& n) {
         return same_type({g, n});
       }},
      {"broadcast to its own shape", "broadcast",
       [](const ir::Graph& g, const ir::Node& n) {
         return same_type({g, n});
       }},
      {"transpose of nothing", "transpose",
       [](const ir::Graph& g, const ir::Node& n) {
         return identity_permutation({g, n});
       }},
      {"select by a constant", "select",
       [](const ir::Graph& g, const ir::Node& n) {
         return constant_condition({g, n});
       }},
      {"select of equals", "select",
       [](const ir::Graph& g, const ir::Node& n) {
         return same_branches({g, n});
       }},
      {"concat of one", "concat",
       [](const ir::Graph& g, const ir::Node& n) {
         return single_operand({g, n});
       }},
  };
  // clang-format on
  return table;
}

Program apply_rules(const Program& program) {
  Rewriter r(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    Replacement replacement;
    if (node.types.size() == 1)
      for (const auto& rule : rules())
        if (rule.op == node.op->name && !replacement) replacement = rule.apply(r.graph(), node);
    if (replacement) r.set({id, 0}, *replacement);
    else r.add(id, std::move(node));
  }
  return r.finish();
}

}  // namespace weft
