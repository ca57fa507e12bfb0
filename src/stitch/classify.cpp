#include "stitch/classify.h"

#include "graph/primitive.h"
#include "ops/indexing.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace weft::stitching {
namespace {

/// Operands of a concatenation beyond which choosing between them costs more than a pass over memory.
constexpr std::size_t most_joined = 4;

/// Drops or inserts dimensions of size 1 only.
bool keeps_order(const Shape& a, const Shape& b) {
  std::vector<std::int64_t> x, y;
  std::copy_if(a.begin(), a.end(), std::back_inserter(x), [](auto s) { return s != 1; });
  std::copy_if(b.begin(), b.end(), std::back_inserter(y), [](auto s) { return s != 1; });
  return x == y;
}

}  // namespace

bool is_source(const ir::Node& node) {
  const auto name = node.op->name;
  return name == "placeholder" || name == "variable" || name == "constant" || name == "run_index";
}

bool is_free(const ir::Node& node) { return (node.op->name == "constant" && node.attributes.literal("value").splat) || node.op->name == "iota"; }

bool is_reduction(const ir::Node& node) {
  const auto name = node.op->name;
  return name.starts_with("reduce_") || name == "arg_max" || name == "arg_min";
}

bool is_product(const ir::Node& node) { return node.op->name == "matmul"; }

bool widens(const ir::Graph& graph, const ir::Node& node) {
  return node.op->name == "cast" && size_of(node.types[0].dtype) > size_of(graph.type(node.operands[0]).dtype);
}

bool is_view(const ir::Graph& graph, const ir::Node& node) {
  const auto name = node.op->name;
  return name == "transpose" || name == "broadcast" || name == "slice" ||
         (name == "reshape" && keeps_order(graph.type(node.operands[0]).shape, node.types[0].shape));
}

bool takes_one_place(const ir::Graph& graph, const ir::Node& node) {
  if (node.op->name != "gather" || !is_source(graph[node.operands[0].node]) || !is_source(graph[node.operands[1].node])) return false;
  const Shape& indices = graph.type(node.operands[1]).shape;
  return indices.element_count() == (node.attributes.flag("nd") ? indices[indices.rank() - 1] : 1);
}

bool is_pointwise(const ir::Graph& graph, const ir::Node& node) {
  const auto name = node.op->name;
  return node.op->kind == Kind::elementwise || is_view(graph, node) || name == "random_bits" || name == "pad" || name == "iota" || name == "gather" ||
         (name == "concat" && node.operands.size() <= most_joined);
}

bool is_cheap(const ir::Node& node) {
  static constexpr std::array<std::string_view, 27> names = {
      "add",     "sub",    "mul",     "neg",       "abs",  "max",        "min",     "fmax",          "fmin",
      "relu",    "select", "equal",   "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_not",
      "bit_and", "bit_or", "bit_xor", "bit_not",   "real", "imag",       "conj",    "complex",       "bitcast"};
  if (node.op->name == "cast") return node.types[0].dtype != f16 && node.types[0].dtype != bf16;
  return std::find(names.begin(), names.end(), node.op->name) != names.end();
}

bool reads_through_map(const ir::Graph& graph, const ir::Node& node, std::size_t operand) {
  const auto name = node.op->name;
  if (node.op->kind == Kind::elementwise || is_view(graph, node) || name == "concat" || is_reduction(node) || name.starts_with("scan_")) return true;
  if (name == "pad") {
    const auto& interior = node.attributes.integers("interior");
    return operand == 1 || std::all_of(interior.begin(), interior.end(), [](auto i) { return i == 0; });
  }
  return (name == "gather" || name == "scatter") && operand > 0;
}

std::int64_t elements_read(const ir::Graph& graph, const ir::Node& node, std::size_t operand) {
  const auto name = node.op->name;
  if (name == "gather" || name == "scatter" || !reads_through_map(graph, node, operand)) return -1;
  const std::int64_t own = graph.type(node.operands[operand]).shape.element_count();
  if (is_reduction(node) || name == "concat" || name == "pad") return own;
  return node.types[0].shape.element_count();
}

std::vector<std::int64_t> space_of(const ir::Graph& graph, const ir::Node& node) {
  const Shape& shape = is_reduction(node) ? graph.type(node.operands[0]).shape : node.types[0].shape;
  std::vector<std::int64_t> sizes(shape.begin(), shape.end());
  if (is_product(node)) {
    const Shape& a = graph.type(node.operands[0]).shape;
    sizes.push_back(a[a.rank() - (node.attributes.flag("transpose_a") ? 2 : 1)]);
  }
  return sizes;
}

std::vector<int> product_dimensions(const ir::Graph& graph, const ir::Node& node, std::size_t operand) {
  const int own = graph.type(node.operands[operand]).shape.rank(), rank = node.types[0].shape.rank();
  std::vector<int> dims;
  for (int d = 0; d + 2 < own; ++d) dims.push_back(rank - own + d);
  int first = operand == 0 ? rank - 2 : rank, second = operand == 0 ? rank : rank - 1;
  if (node.attributes.flag(operand == 0 ? "transpose_a" : "transpose_b")) std::swap(first, second);
  dims.push_back(first);
  dims.push_back(second);
  return dims;
}

std::vector<bool> reduced_dimensions(const ir::Graph& graph, const ir::Node& node) {
  if (is_product(node)) {
    std::vector<bool> reduced(static_cast<std::size_t>(node.types[0].shape.rank()) + 1);
    reduced.back() = true;
    return reduced;
  }
  const int rank = graph.type(node.operands[0]).shape.rank();
  std::vector<bool> reduced(static_cast<std::size_t>(rank), !node.attributes.has("axes"));
  if (node.attributes.has("axes"))
    for (auto a : node.attributes.integers("axes")) reduced[static_cast<std::size_t>(a < 0 ? a + rank : a)] = true;
  return reduced;
}

std::vector<IndexedDimension> indexed_dimensions(const ir::Graph& graph, const ir::Node& node) {
  const TensorType &data = graph.type(node.operands[0]), &indices = graph.type(node.operands[1]);
  const auto m = ops::index_map(node, data, indices);
  std::vector<IndexedDimension> list;
  for (int d = 0; d <= data.shape.rank(); ++d) {
    if (d == m.place)
      for (int o = 0; o < m.outer; ++o) list.push_back({-1, m.batch + o, indices.shape[m.batch + o]});
    if (d == data.shape.rank() || std::find(m.axes.begin(), m.axes.end(), d) != m.axes.end()) continue;
    list.push_back({d, d < m.batch ? d : -1, data.shape[d]});
  }
  return list;
}

}  // namespace weft::stitching
