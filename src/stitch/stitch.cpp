#include "stitch/stitch.h"

#include "graph/primitive.h"

#include <algorithm>

namespace weft {
namespace {

/// Expressions in one kernel: beyond this, compiling takes longer than a pass over memory would.
constexpr int largest_kernel = 192;

bool is_splat(const ir::Node& node) { return node.op->name == "constant" && node.attributes.literal("value").splat; }

/// Drops or inserts dimensions of size 1 only.
bool keeps_order(const Shape& a, const Shape& b) {
  std::vector<std::int64_t> x, y;
  std::copy_if(a.begin(), a.end(), std::back_inserter(x), [](auto s) { return s != 1; });
  std::copy_if(b.begin(), b.end(), std::back_inserter(y), [](auto s) { return s != 1; });
  return x == y;
}

class Stitcher {
 public:
  Stitcher(const Program& program, bool enabled) : graph_(program.graph), enabled_(enabled) {
    const auto n = graph_.nodes.size();
    regions_.inlined.resize(n);
    regions_.refusals.resize(n);
    consumers_.resize(n);
    escapes_.resize(n);
    root_.resize(n);
    aligned_.resize(n);
    weight_.assign(n, 1);
    const auto live = Rewriter::live(program);
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (live[at(id)])
        for (std::size_t i = 0; i < graph_[id].operands.size(); ++i) consumers_[at(graph_[id].operands[i].node)].push_back({id, i});
    for (auto v : program.targets) escapes_[at(v.node)] = true;
    for (const auto& u : program.updates) escapes_[at(u.value.node)] = true;
  }

  Regions run() {
    for (ir::NodeId id = graph_.size() - 1; id >= 0; --id) decide(id);
    return std::move(regions_);
  }

 private:
  struct Use {
    ir::NodeId node;
    std::size_t operand;
  };

  static std::size_t at(ir::NodeId id) { return static_cast<std::size_t>(id); }

  bool is_view(const ir::Node& node) const {
    const auto name = node.op->name;
    return name == "transpose" || name == "broadcast" || name == "slice" ||
           (name == "reshape" && keeps_order(graph_.type(node.operands[0]).shape, node.types[0].shape));
  }

  /// Costs nothing to repeat.
  bool is_free(const ir::Node& node) const { return is_splat(node) || node.op->name == "iota"; }

  /// Whether a consumer reads operand `use.operand` through an index map that can be composed with another.
  bool reads_through_map(const Use& use) const {
    const ir::Node& node = graph_[use.node];
    const auto name = node.op->name;
    if (node.op->kind == Kind::elementwise || is_view(node) || name == "concat" || name.starts_with("reduce_") || name == "arg_max" ||
        name == "arg_min")
      return true;
    if (name == "pad") {
      const auto& interior = node.attributes.integers("interior");
      return use.operand == 1 || std::all_of(interior.begin(), interior.end(), [](auto i) { return i == 0; });
    }
    return (name == "gather" || name == "scatter") && use.operand > 0;
  }

  /// Whether a consumer's kernel visits each element of the operand at most once.
  bool visits_once(const Use& use) const {
    const ir::Node& node = graph_[use.node];
    const auto name = node.op->name;
    if (name.starts_with("reduce_") || name == "arg_max" || name == "arg_min" || name == "concat") return true;
    if (name == "gather" || name == "scatter") return false;
    return node.types[0].shape.element_count() <= graph_.type(node.operands[use.operand]).shape.element_count() || name == "pad";
  }

  std::string refusal(ir::NodeId id) {
    const ir::Node& node = graph_[id];
    const bool view = is_view(node);
    const bool stitchable = node.op->kind == Kind::elementwise || view || is_free(node) || node.op->name == "random_bits" || node.op->name == "pad";
    if (!stitchable) return std::string(node.op->name) + " is the root of a kernel of its own";
    if (node.types.size() != 1) return "it has several results";
    if (escapes_[at(id)]) return "it is a result of the run";
    const auto& uses = consumers_[at(id)];
    if (uses.empty()) return "nothing uses it";
    for (const auto& use : uses)
      if (!reads_through_map(use)) return ir::describe(graph_[use.node]) + " reads it from memory";
    if (is_free(node)) return {};
    if (!enabled_) return "stitching is switched off";
    if (view && std::none_of(node.operands.begin(), node.operands.end(), [&](auto v) { return is_computed_inline(v); })) return {};
    for (const auto& use : uses)
      if (!visits_once(use)) return ir::describe(graph_[use.node]) + " would compute it more than once for each element";
    const ir::NodeId root = root_of(uses[0].node);
    if (uses.size() > 1)
      for (const auto& use : uses)
        if (root_of(use.node) != root || !aligned_[at(use.node)] || !same_elements(use)) return "it is used by several kernels";
    int weight = 1;
    for (const auto& use : uses) weight = std::max(weight, weight_[at(root_of(use.node))]);
    if (weight >= largest_kernel) return "the kernel would be too long";
    return {};
  }

  /// An operand that may itself come to be computed in the consumer's kernel; views of those follow its rules.
  bool is_computed_inline(ir::Value v) const {
    const ir::Node& node = graph_[v.node];
    return node.op->kind == Kind::elementwise || node.op->name == "random_bits" || node.op->name == "pad" ||
           (is_view(node) && std::any_of(node.operands.begin(), node.operands.end(), [&](auto o) { return is_computed_inline(o); }));
  }

  ir::NodeId root_of(ir::NodeId id) const { return regions_.inlined[at(id)] ? root_[at(id)] : id; }

  /// The consumer reads the operand's element at its own index.
  bool same_elements(const Use& use) const {
    const ir::Node& node = graph_[use.node];
    const auto& type = graph_.type(node.operands[use.operand]);
    if (node.op->kind == Kind::elementwise) return type.shape == node.types[0].shape;
    return node.op->name.starts_with("reduce_");
  }

  void decide(ir::NodeId id) {
    const ir::Node& node = graph_[id];
    regions_.refusals[at(id)] = refusal(id);
    const bool inlined = regions_.refusals[at(id)].empty();
    regions_.inlined[at(id)] = inlined;
    if (!inlined) {
      root_[at(id)] = id;
      aligned_[at(id)] = node.op->kind == Kind::elementwise || node.op->name.starts_with("reduce_");
      return;
    }
    const auto& uses = consumers_[at(id)];
    root_[at(id)] = root_of(uses[0].node);
    aligned_[at(id)] = std::all_of(uses.begin(), uses.end(), [&](const auto& use) { return aligned_[at(use.node)] && same_elements(use); });
    ++weight_[at(root_[at(id)])];
  }

  const ir::Graph& graph_;
  bool enabled_;
  Regions regions_;
  std::vector<std::vector<Use>> consumers_;
  std::vector<bool> escapes_;
  std::vector<ir::NodeId> root_;
  std::vector<bool> aligned_;  ///< computed at the root's own index, so that one value serves all uses in the kernel
  std::vector<int> weight_;    ///< of a root: operations in its kernel
};

}  // namespace

Regions stitch(const Program& program, bool enabled) { return Stitcher(program, enabled).run(); }

}  // namespace weft
