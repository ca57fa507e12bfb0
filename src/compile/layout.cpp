// How operands lie where products read them: what moves elements about is left to the product where its attributes say it.
#include "compile/backend.h"
#include "compile/program.h"
#include "graph/primitive.h"

#include <algorithm>
#include <map>

namespace weft {
namespace {

const char* side_of(std::size_t operand) { return operand == 0 ? "transpose_a" : "transpose_b"; }

void flip(ir::Node& product, std::size_t operand) {
  product.attributes.set(side_of(operand), std::int64_t{!product.attributes.flag(side_of(operand))});
}

/// Whether the last two dimensions change places and the others stay.
bool swaps_rows_and_columns(const ir::Node& node) {
  if (node.op->name != "transpose") return false;
  auto permutation = node.attributes.integers("permutation");
  const auto n = permutation.size();
  if (n < 2) return false;
  std::swap(permutation[n - 2], permutation[n - 1]);
  return std::is_sorted(permutation.begin(), permutation.end());
}

/// Reads operand `i` from before a transpose of its matrices or a repetition of them.
bool read_through(const ir::Graph& graph, ir::Node& product, std::size_t i) {
  const ir::Node& producer = graph[product.operands[i].node];
  if (swaps_rows_and_columns(producer)) {
    product.operands[i] = producer.operands[0];
    flip(product, i);
    return true;
  }
  if (producer.op->name != "broadcast") return false;
  const Shape &from = graph.type(producer.operands[0]).shape, &to = producer.types[0].shape;
  if (from.rank() < 2 || from[from.rank() - 1] != to[to.rank() - 1] || from[from.rank() - 2] != to[to.rank() - 2]) return false;
  ir::Node without = product;
  without.operands[i] = producer.operands[0];
  infer_types(graph, without);
  if (without.types != product.types) return false;
  product = std::move(without);
  return true;
}

/// Rows from which a library lays out what it multiplies them with, below which generated code reads it as it lies.
constexpr std::int64_t fewest_rows = 9, most_rows = 127;
/// Terms whose columns lie so far apart that reading them takes longer than multiplying.
constexpr std::int64_t least_terms = 512, least_columns = 128;

/// Whether the product reads a matrix across its rows, and each of these for few results.
bool reads_across(const ir::Graph& graph, const ir::Node& node) {
  if (node.op->name != "matmul" || !node.attributes.flag("transpose_b")) return false;
  const Shape &b = graph.type(node.operands[1]).shape, &result = node.types[0].shape;
  if (b.rank() != 2 || result.rank() != 2) return false;
  return result[0] >= fewest_rows && result[0] <= most_rows && b[1] >= least_terms && b[0] >= least_columns;
}

}  // namespace

Program lay_out_matrices(const Program& program, const RunOptions& options) {
  Rewriter r(program);
  std::map<ir::Value, int> readers;
  std::map<ir::Value, ir::Value> laid_out;
  if (wants_rows_laid_out(options.backend))
    for (const auto& node : program.graph.nodes)
      if (reads_across(program.graph, node)) ++readers[node.operands[1]];
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    const ir::Value matrix = node.operands.size() < 2 ? ir::Value{} : program.graph[id].operands[1];
    if (readers.contains(matrix) && readers[matrix] > 1 && reads_across(r.graph(), node)) {
      auto& transposed = laid_out[matrix];
      if (transposed.node < 0) {
        Attributes swapped{{"permutation", std::vector<std::int64_t>{1, 0}}};
        transposed = {r.graph().add(make_node(r.graph(), "transpose", {node.operands[1]}, std::move(swapped), node)), 0};
      }
      node.operands[1] = transposed;
      flip(node, 1);
    }
    r.add(id, std::move(node));
  }
  return r.finish();
}

Program fold_transposes(const Program& program, const RunOptions&) {
  Rewriter r(program);
  const auto uses = Rewriter::uses(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    ir::Node node = r.mapped_node(id);
    // (a b)' is b' a'.
    if (swaps_rows_and_columns(node)) {
      const ir::Value product = program.graph[id].operands[0];
      const ir::Node& made = r.graph()[node.operands[0].node];
      if (made.op->name == "matmul" && uses[static_cast<std::size_t>(product.node)] == 1) {
        ir::Node transposed = made;
        std::swap(transposed.operands[0], transposed.operands[1]);
        transposed.attributes.set("transpose_a", std::int64_t{!made.attributes.flag("transpose_b")});
        transposed.attributes.set("transpose_b", std::int64_t{!made.attributes.flag("transpose_a")});
        transposed.types = node.types;
        node = std::move(transposed);
      }
    }
    if (node.op->name == "matmul")
      for (std::size_t i : {0u, 1u})
        while (read_through(r.graph(), node, i)) {}
    r.add(id, std::move(node));
  }
  return r.finish();
}

}  // namespace weft
