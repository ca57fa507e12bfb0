// Passes that make a program smaller without changing what it computes.
#include "compile/program.h"
#include "graph/primitive.h"
#include "ops/reference_array.h"

#include <algorithm>
#include <unordered_map>

namespace weft {
namespace {

/// Larger results are left to be computed: folding them would only trade a kernel for memory.
constexpr std::int64_t fold_limit_bytes = 1 << 18;

const Literal* constant_of(const ir::Graph& graph, ir::Value v) {
  const auto& node = graph[v.node];
  return node.op->name == "constant" ? &node.attributes.literal("value") : nullptr;
}

ir::Node constant_node(const ir::Node& like, std::shared_ptr<const Literal> literal) {
  ir::Node node;
  node.op = &primitive("constant");
  node.types = {literal->type};
  node.attributes.set("value", std::move(literal));
  node.label = like.label;
  node.where = like.where;
  return node;
}

/// Evaluates an operation whose operands are all constants, on one element each when all are splats.
std::shared_ptr<const Literal> evaluate(const ir::Graph& graph, const ir::Node& node) {
  const bool splats = std::all_of(node.operands.begin(), node.operands.end(), [&](auto v) { return constant_of(graph, v)->splat; });
  const bool per_element =
      splats && (node.op->kind == Kind::elementwise || node.op->name == "broadcast" || node.op->name == "reshape" || node.op->name == "transpose");
  // A broadcast costs nothing where it is read, its elements would.
  if (!per_element && (node.op->name == "broadcast" || node.types[0].byte_count() > fold_limit_bytes)) return nullptr;

  std::vector<reference::Array> operands;
  for (auto v : node.operands) {
    const Literal& literal = *constant_of(graph, v);
    if (per_element) operands.push_back(reference::from_ndarray(Literal{{literal.type.dtype, {}}, false, literal.bytes}.array()));
    else operands.push_back(reference::from_ndarray(literal.array()));
  }
  reference::Array result(per_element ? TensorType{node.types[0].dtype, {}} : node.types[0]);
  if (per_element && node.op->kind != Kind::elementwise) {
    result.elements = operands[0].elements;
  } else {
    Evaluation evaluation{node, {}, {&result}, 0};
    for (const auto& a : operands) evaluation.operands.push_back(&a);
    node.op->evaluate(evaluation);
  }
  const NDArray value = reference::to_ndarray(result);
  if (!per_element) return Literal::of(value);
  return Literal::filled(node.types[0], {value.data(), size_of(value.dtype())});
}

bool is_foldable(const ir::Graph& graph, const ir::Node& node) {
  return !node.operands.empty() && node.types.size() == 1 && node.op->is_pure() && node.op->evaluate &&
         std::all_of(node.operands.begin(), node.operands.end(), [&](auto v) { return constant_of(graph, v) != nullptr; }) &&
         node.op->kind != Kind::control &&
         // These can fail at run time, which is where the failure belongs.
         node.op->name != "gather" && node.op->name != "scatter";
}

std::size_t hash_of(const ir::Node& node) {
  std::size_t h = std::hash<const void*>{}(node.op) ^ hash_of(node.attributes);
  for (auto v : node.operands) h = h * 1099511628211ull + static_cast<std::size_t>(v.node) * 31 + static_cast<std::size_t>(v.output);
  return h;
}

}  // namespace

Program drop_unused(const Program& program, const RunOptions&) {
  Rewriter r(program);
  const auto live = Rewriter::live(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id)
    // Placeholders stay: they are what the caller feeds.
    if (live[static_cast<std::size_t>(id)] || program.graph[id].op->name == "placeholder") r.copy(id);
  return r.finish();
}

Program fold_constants(const Program& program, const RunOptions&) {
  Rewriter r(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    if (is_foldable(r.graph(), node))
      if (auto literal = evaluate(r.graph(), node)) node = constant_node(node, std::move(literal));
    r.add(id, std::move(node));
  }
  return r.finish();
}

Program merge_identical(const Program& program, const RunOptions&) {
  Rewriter r(program);
  std::unordered_multimap<std::size_t, ir::NodeId> seen;
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    if (node.op->commutative) std::sort(node.operands.begin(), node.operands.end());
    const bool merges = node.op->name != "placeholder" && node.op->name != "variable";
    ir::NodeId twin = -1;
    const auto hash = hash_of(node);
    if (merges)
      for (auto [at, end] = seen.equal_range(hash); at != end && twin < 0; ++at) {
        const auto& other = r.graph()[at->second];
        if (other.op == node.op && other.operands == node.operands && other.types == node.types && other.attributes == node.attributes)
          twin = at->second;
      }
    if (twin >= 0) {
      for (std::size_t i = 0; i < node.types.size(); ++i) r.set({id, static_cast<std::int32_t>(i)}, {twin, static_cast<std::int32_t>(i)});
    } else {
      const auto made = r.add(id, std::move(node));
      if (merges) seen.emplace(hash, made);
    }
  }
  return r.finish();
}

}  // namespace weft
