#include "compile/flops.h"

#include "graph/primitive.h"

#include <functional>
#include <numeric>

namespace weft {
namespace {

std::int64_t elements_of(const ir::Graph& graph, ir::Value v) { return graph.type(v).shape.element_count(); }
std::int64_t operand_elements(const ir::Graph& graph, const ir::Node& node, std::size_t i) { return elements_of(graph, node.operands[i]); }
std::int64_t result_elements(const ir::Node& node) { return node.types[0].shape.element_count(); }

std::int64_t of_matmul(const ir::Graph& graph, const ir::Node& node) {
  const Shape& a = graph.type(node.operands[0]).shape;
  return 2 * result_elements(node) * a[a.rank() - (node.attributes.flag("transpose_a") ? 2 : 1)];
}

/// Each element of the convolution's result is a sum over the weights of one output channel.
std::int64_t of_convolution(const ir::Graph& graph, const ir::Node& node) {
  const bool forward = node.op->name == "conv", of_weights = node.op->name == "conv_weights_gradient";
  const Shape& y = forward ? node.types[0].shape : graph.type(node.operands[of_weights ? 1 : 0]).shape;
  const Shape& w = of_weights ? node.types[0].shape : graph.type(node.operands[1]).shape;
  const auto channels = w[static_cast<int>(node.attributes.text("weights_layout").find('O'))];
  return channels == 0 ? 0 : 2 * y.element_count() * (w.element_count() / channels);
}

std::int64_t of_pooling(const ir::Graph& graph, const ir::Node& node) {
  const auto places = node.op->name.ends_with("_gradient") ? operand_elements(graph, node, 0) : result_elements(node);
  const auto window = node.attributes.integers("window");
  return std::accumulate(window.begin(), window.end(), places, std::multiplies<>());
}

std::int64_t of_reduction(const ir::Graph& graph, const ir::Node& node) { return operand_elements(graph, node, 0); }
std::int64_t of_scatter(const ir::Graph& graph, const ir::Node& node) { return operand_elements(graph, node, 2); }

struct Row {
  std::string_view prefix;
  std::int64_t (*count)(const ir::Graph&, const ir::Node&);
};
constexpr Row rows[] = {{"matmul", of_matmul},  {"conv", of_convolution}, {"pool_", of_pooling},  {"reduce_", of_reduction},
                        {"arg_", of_reduction}, {"scatter", of_scatter},  {"scan_", of_reduction}};

}  // namespace

std::int64_t flops(const ir::Graph& graph, const ir::Node& node) {
  if (node.op->kind == Kind::elementwise) return result_elements(node);
  for (const auto& row : rows)
    if (node.op->name.starts_with(row.prefix)) return row.count(graph, node);
  return 0;
}

void count_work(const Program& program, CompileStatistics& statistics) {
  const ir::Graph& graph = program.graph;
  const auto live = Rewriter::live(program);
  for (ir::NodeId id = 0; id < graph.size(); ++id) {
    if (!live[static_cast<std::size_t>(id)]) continue;
    statistics.flops += flops(graph, graph[id]);
    const auto name = graph[id].op->name;
    if (name == "placeholder" || name == "variable" || name == "constant") statistics.least_read += graph[id].types[0].byte_count();
  }
  for (auto v : program.targets) statistics.least_written += graph.type(v).byte_count();
  for (const auto& u : program.updates) statistics.least_written += graph.type(u.value).byte_count();
}

}  // namespace weft
