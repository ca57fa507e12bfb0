#include "stitch/lower.h"

#include "stitch/lowering.h"
#include "stitch/split.h"
#include "stitch/tile.h"

#include <weft/error.h>

#include <algorithm>

namespace weft {
namespace kernel {
namespace {

std::string name_of_kernel(const ir::Graph& graph, ir::NodeId root) {
  const ir::Node& node = graph[root];
  std::string name(node.op->name);
  const Shape& shape = node.types[0].shape;
  for (int d = 0; d < shape.rank(); ++d) name += (d == 0 ? "_" : "x") + std::to_string(shape[d]);
  return name + "_" + std::string(name_of(node.types[0].dtype));
}

}  // namespace

ir::Value Lowering::temporary(TensorType type) {
  schedule.temporaries.push_back(type);
  return {-static_cast<ir::NodeId>(schedule.temporaries.size()), 0};
}

void Lowering::finish(Builder& builder, ir::NodeId root) {
  Kernel kernel = std::move(builder.kernel());
  kernel.name = name_of_kernel(graph, root);
  compact(kernel);
  normalise(kernel);
  const auto make = [&](TensorType type) { return temporary(std::move(type)); };
  auto kernels = tile(kernel, make);
  if (kernels.empty()) kernels = split(std::move(kernel), make);
  for (auto& k : kernels) schedule.steps.emplace_back(std::in_place_type<Schedule::KernelStep>, std::move(k));
}

namespace {

std::vector<std::int64_t> sizes_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

void lower_elementwise(Lowering& l, ir::NodeId id) {
  const Shape& shape = l.graph[id].types[0].shape;
  Builder b = l.builder(sizes_of(shape), shape.rank());
  const Map map = b.loops(0, shape.rank());
  b.store({id, 0}, map, b.compute({id, 0}, map));
  l.finish(b, id);
}

void lower_concat(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  auto axis = node.attributes.integer("axis");
  if (axis < 0) axis += node.types[0].shape.rank();
  std::int64_t start = 0;
  for (auto v : node.operands) {
    const Shape& shape = l.graph.type(v).shape;
    Builder b = l.builder(sizes_of(shape), shape.rank());
    const Map map = b.loops(0, shape.rank());
    Map to = map;
    to[static_cast<std::size_t>(axis)].constant += start;
    b.store({id, 0}, to, b.element(v, map));
    l.finish(b, id);
    start += shape[static_cast<int>(axis)];
  }
}

void lower_reduction(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const Shape& shape = l.graph.type(node.operands[0]).shape;
  std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), !node.attributes.has("axes"));
  if (node.attributes.has("axes"))
    for (auto a : node.attributes.integers("axes")) reduced[static_cast<std::size_t>(a < 0 ? a + shape.rank() : a)] = true;

  std::vector<std::int64_t> extents;
  std::vector<int> loop_of(reduced.size());
  for (const bool sequential : {false, true})
    for (std::size_t d = 0; d < reduced.size(); ++d)
      if (reduced[d] == sequential) loop_of[d] = static_cast<int>(extents.size()), extents.push_back(shape[static_cast<int>(d)]);
  const int parallel = static_cast<int>(std::count(reduced.begin(), reduced.end(), false));

  Builder b = l.builder(extents, parallel);
  Map map, result;
  const bool keep = node.attributes.flag("keep");
  Affine place = b.number(0);
  for (std::size_t d = 0; d < reduced.size(); ++d) {
    map.push_back(b.loop(loop_of[d]));
    if (!reduced[d]) result.push_back(map.back());
    else if (keep) result.push_back(b.number(0));
    if (reduced[d]) place = map.back();
  }
  static constexpr std::pair<std::string_view, ReduceOp> names[] = {
      {"reduce_sum", ReduceOp::sum},   {"reduce_prod", ReduceOp::prod}, {"reduce_max", ReduceOp::max}, {"reduce_min", ReduceOp::min},
      {"reduce_fmax", ReduceOp::fmax}, {"reduce_fmin", ReduceOp::fmin}, {"reduce_and", ReduceOp::all}, {"reduce_or", ReduceOp::any},
      {"arg_max", ReduceOp::arg_max},  {"arg_min", ReduceOp::arg_min}};
  const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == node.op->name; });
  const bool arg = found->second == ReduceOp::arg_max || found->second == ReduceOp::arg_min;
  const int value = b.element(node.operands[0], map);
  const int index = arg ? b.index(place) : -1;
  b.store({id, 0}, result, b.cast(b.reduce(found->second, value, index), node.types[0].dtype));
  l.finish(b, id);
}

}  // namespace kernel

Schedule lower(const Program& program, bool stitch_enabled, const std::function<bool(ir::NodeId)>& in_library) {
  using namespace kernel;
  Schedule schedule;
  schedule.regions = stitch(program, stitch_enabled);
  Lowering l(program, schedule);
  const auto live = Rewriter::live(program);

  struct Rule {
    std::string_view prefix;
    void (*lower)(Lowering&, ir::NodeId);
  };
  static constexpr Rule rules[] = {{"concat", lower_concat},    {"reduce_", lower_reduction}, {"arg_", lower_reduction}, {"matmul", lower_matmul},
                                   {"conv", lower_convolution}, {"pool_", lower_pooling},     {"gather", lower_gather},  {"scatter", lower_scatter}};

  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    const ir::Node& node = program.graph[id];
    const auto name = node.op->name;
    if (!live[static_cast<std::size_t>(id)] || schedule.regions.inlined[static_cast<std::size_t>(id)]) continue;
    if (name == "placeholder" || name == "variable" || name == "constant" || name == "run_index") continue;
    if (in_library(id)) {
      schedule.steps.emplace_back(std::in_place_type<Schedule::LibraryStep>, id);
      continue;
    }
    if (name == "reshape" && !schedule.regions.inlined[static_cast<std::size_t>(node.operands[0].node)]) {
      schedule.aliases[{id, 0}] = node.operands[0];
      continue;
    }
    // "complex" and "conj" also begin like a convolution's name.
    const auto rule = node.op->kind == Kind::opaque || name == "concat"
                          ? std::find_if(std::begin(rules), std::end(rules), [&](const Rule& r) { return name.starts_with(r.prefix); })
                          : std::end(rules);
    if (rule != std::end(rules)) rule->lower(l, id);
    else if (node.op->kind == Kind::elementwise || node.op->kind == Kind::movement || node.op->kind == Kind::source) lower_elementwise(l, id);
    else throw InternalError(ir::describe(node) + " has no kernel");
  }
  return schedule;
}

}  // namespace weft
