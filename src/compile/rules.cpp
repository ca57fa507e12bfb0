// How algebraic rules are applied.
#include "compile/rules.h"

#include "compile/switches.h"
#include "graph/primitive.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace weft {

std::span<const Rule* const> RuleSet::of(const Primitive& op) const {
  const auto [at, is_new] = by_op_.try_emplace(&op);
  if (is_new) std::ranges::copy_if(rules_, std::back_inserter(at->second), [&](const Rule* rule) { return rule->is_for(op.name); });
  return at->second;
}

bool Match::is(ir::Value v, std::string_view op) const { return producer(v).op->name == op; }

std::optional<double> Match::splat(ir::Value v) const {
  if (!is(v, "constant")) return std::nullopt;
  const Literal& literal = producer(v).attributes.literal("value");
  const DType dtype = literal.type.dtype;
  if (!literal.splat || is_complex(dtype)) return std::nullopt;
  const auto element = literal.bytes.begin();
  return Literal{{dtype, {}}, false, {element, element + static_cast<std::ptrdiff_t>(size_of(dtype))}}.array().item();
}

ir::Value Match::add(std::string_view op, std::vector<ir::Value> operands, Attributes attributes) {
  ir::Node made = make_node(graph_, op, std::move(operands), std::move(attributes), node);
  if (made.op->expand) {
    Expansion expansion(graph_, made);
    const auto before = graph_.size();
    const auto expanded = made.op->expand(expansion);
    if (expanded.node >= 0 && expanded.node < before) return expanded;
    if (expanded.node >= 0) made = graph_[expanded.node];
  }
  if (const auto simpler = Match(graph_, made, rules_).simplified()) return *simpler;
  return {graph_.add(std::move(made)), 0};
}

ir::Value Match::constant(double value, TensorType type) {
  NDArray element(type.dtype, {});
  element.import_from(&value, f64);
  return add("constant", {}, {{"value", Literal::filled(type, {element.data(), size_of(type.dtype)})}});
}

ir::Value Match::shaped(ir::Value v) {
  if (type(v).shape == shape()) return v;
  Attributes attributes;
  attributes.set_shape(shape());
  return add("broadcast", {v}, std::move(attributes));
}

std::optional<ir::Value> Match::simplified() {
  for (const Rule* rule : rules_.of(*node.op))
    if (auto replacement = rule->apply(*this)) return replacement;
  return std::nullopt;
}

bool Rule::is_for(std::string_view op) const {
  for (auto rest = ops; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    const auto word = rest.substr(0, end);
    if (word.ends_with('*') ? op.starts_with(word.substr(0, end - 1)) : word == op) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::span<const Rule> rules() {
  static const auto all = [] {
    std::vector<Rule> list;
    for (auto family : {arithmetic_rules, logic_rules, movement_rules, reduction_rules, pooling_rules}) {
      const auto rows = family();
      list.insert(list.end(), rows.begin(), rows.end());
    }
    return list;
  }();
  return all;
}

Program apply_rules(const Program& program, const RunOptions& options) {
  std::vector<const Rule*> active;
  for (const auto& rule : rules())
    if (is_on(options, rule.name)) active.push_back(&rule);
  const RuleSet set(std::move(active));
  Rewriter r(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    if (node.types.size() == 1)
      if (const auto replacement = Match(r.graph(), node, set).simplified()) {
        r.set({id, 0}, *replacement);
        continue;
      }
    r.add(id, std::move(node));
  }
  return r.finish();
}

}  // namespace weft
