// x1 y1 + x2 y2 is [x1 x2] [y1; y2]: one product instead of several, and no sum of their results.
#include "compile/program.h"
#include "graph/primitive.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace weft {
namespace {

/// The operand's dimension along which a product sums.
std::int64_t axis_of_terms(const ir::Node& product, std::size_t operand) {
  return operand == 0 ? !product.attributes.flag("transpose_a") : product.attributes.flag("transpose_b");
}

class Joiner {
 public:
  explicit Joiner(const Program& program)
      : graph_(program.graph), uses_(Rewriter::uses(program)), is_part_(program.graph.nodes.size()), rewriter_(program) {
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (graph_[id].op->name == "add" && uses_[at(id)] > 0)
        for (auto v : graph_[id].operands)
          if (graph_[v.node].op->name == "add" && uses_[at(v.node)] == 1 && graph_.type(v) == graph_[id].types[0]) is_part_[at(v.node)] = true;
  }

  Program run() {
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (graph_[id].op->name != "add" || is_part_[at(id)] || !join(id)) rewriter_.copy(id);
    return rewriter_.finish();
  }

 private:
  static std::size_t at(ir::NodeId id) { return static_cast<std::size_t>(id); }

  /// What the sum adds up, through sums that only it reads.
  std::vector<ir::Value> addends(ir::NodeId sum) const {
    std::vector<ir::Value> found, open{{sum, 0}};
    while (!open.empty()) {
      const ir::Value v = open.back();
      open.pop_back();
      if (v.node != sum && !is_part_[at(v.node)]) found.push_back(v);
      else open.insert(open.end(), graph_[v.node].operands.rbegin(), graph_[v.node].operands.rend());
    }
    return found;
  }

  /// Whether laying the operands beside others moves fewer bytes than adding the result to others would.
  bool is_joinable(ir::Value v, const TensorType& sum) const {
    const ir::Node& node = graph_[v.node];
    if (node.op->name != "matmul" || uses_[at(v.node)] != 1 || node.types[0] != sum || sum.shape.rank() != 2) return false;
    std::int64_t operands = 0;
    for (auto o : node.operands) {
      if (graph_.type(o).shape.rank() != 2) return false;
      operands += graph_.type(o).shape.element_count();
    }
    return 2 * operands <= sum.shape.element_count();
  }

  bool join(ir::NodeId sum) {
    const TensorType& type = graph_[sum].types[0];
    std::map<std::pair<bool, bool>, std::vector<ir::NodeId>> groups;  // by which operands are transposed
    std::vector<ir::Value> rest;
    for (auto v : addends(sum)) {
      const Attributes& a = graph_[v.node].attributes;
      if (is_joinable(v, type)) groups[{a.flag("transpose_a"), a.flag("transpose_b")}].push_back(v.node);
      else rest.push_back(rewriter_.mapped(v));
    }
    if (std::none_of(groups.begin(), groups.end(), [](const auto& g) { return g.second.size() > 1; })) return false;
    for (auto& [flags, products] : groups) rest.push_back(products.size() > 1 ? joined(products) : rewriter_.mapped({products[0], 0}));
    ir::Value total = rest[0];
    for (std::size_t i = 1; i < rest.size(); ++i) {
      ir::Node node = graph_[sum];
      node.operands = {total, rest[i]};
      total = {rewriter_.graph().add(std::move(node)), 0};
    }
    rewriter_.set({sum, 0}, total);
    return true;
  }

  /// In the order in which the first operands are computed: that of a loop's steps, in which others may want them beside each other.
  ir::Value joined(std::vector<ir::NodeId>& products) {
    std::sort(products.begin(), products.end(), [&](auto a, auto b) { return graph_[a].operands[0] < graph_[b].operands[0]; });
    ir::Node product = graph_[products[0]];
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<ir::Value> parts;
      for (auto p : products) parts.push_back(rewriter_.mapped(graph_[p].operands[i]));
      ir::Node all = make_node(rewriter_.graph(), "concat", std::move(parts), {{"axis", axis_of_terms(product, i)}}, product);
      product.operands[i] = {rewriter_.graph().add(std::move(all)), 0};
    }
    return {rewriter_.graph().add(std::move(product)), 0};
  }

  const ir::Graph& graph_;
  std::vector<int> uses_;
  std::vector<bool> is_part_;  ///< by node: a sum that only another sum reads
  Rewriter rewriter_;
};

}  // namespace

Program join_products(const Program& program, const RunOptions&) { return Joiner(program).run(); }

}  // namespace weft
