#include "stitch/lower.h"

#include "stitch/keep.h"
#include "stitch/lowering.h"
#include "stitch/split.h"
#include "stitch/tile.h"

#include <weft/error.h>

#include <algorithm>
#include <bit>
#include <iterator>

namespace weft {
namespace kernel {
namespace {

/// After its operations, in order, and the type of the last of them: "mul_max_exp_sum_div_2048x2048_f32".
std::string name_of_kernel(const ir::Graph& graph, std::span<const ir::NodeId> members) {
  constexpr std::size_t longest = 60;
  std::string name;
  std::string_view last;
  for (auto id : members) {
    std::string_view op = graph[id].op->name;
    if (op.starts_with("reduce_")) op.remove_prefix(7);
    if (op == last) continue;
    if (name.size() + op.size() > longest) {
      name += "_etc";
      break;
    }
    name += (name.empty() ? "" : "_") + std::string(last = op);
  }
  const TensorType& type = graph[members.back()].types[0];
  for (int d = 0; d < type.shape.rank(); ++d) name += (d == 0 ? "_" : "x") + std::to_string(type.shape[d]);
  return name + "_" + std::string(name_of(type.dtype));
}

}  // namespace

ir::Value Lowering::temporary(TensorType type) {
  schedule.temporaries.push_back(type);
  return {-static_cast<ir::NodeId>(schedule.temporaries.size()), 0};
}

void Lowering::finish(Builder& builder, std::span<const ir::NodeId> members) {
  Kernel kernel = std::move(builder.kernel());
  kernel.name = name_of_kernel(graph, members);
  compact(kernel);
  normalise(kernel);
  const auto make = [&](TensorType type) { return temporary(std::move(type)); };
  auto kernels = target.tiles ? tile(kernel, make) : std::vector<Kernel>{};
  if (kernels.empty()) kernels = split(std::move(kernel), target, make);
  for (auto& k : kernels) {
    if (k.tiling.rows == 0) keep_dear(k);
    schedule.steps.emplace_back(std::in_place_type<Schedule::KernelStep>, std::move(k));
  }
}

namespace {

std::vector<std::int64_t> sizes_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

void lower_space(Lowering& l, int index) {
  const Region& region = l.schedule.regions.list[static_cast<std::size_t>(index)];
  std::vector<ir::NodeId> stored;
  std::ranges::copy_if(region.stored, std::back_inserter(stored), [&](auto id) { return l.graph[id].types[0].shape.element_count() != 0; });
  if (stored.empty()) return;
  std::vector<std::int64_t> extents;
  std::vector<int> place(region.loops.size());
  for (const bool sequential : {false, true})
    for (std::size_t d = 0; d < region.loops.size(); ++d)
      if (((region.reduced >> d & 1) != 0) == sequential) place[d] = static_cast<int>(extents.size()), extents.push_back(region.loops[d]);
  const int parallel = static_cast<int>(region.loops.size()) - std::popcount(region.reduced);
  Builder b = l.builder(std::move(extents), parallel);
  b.enter(index, std::move(place));
  for (auto id : stored) {
    const Map map = b.place_of(id);
    b.store({id, 0}, map, b.element({id, 0}, map));
  }
  l.finish(b, region.members);
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
    l.finish(b, {&id, 1});
    start += shape[static_cast<int>(axis)];
  }
}

}  // namespace kernel

Schedule lower(const Program& program, const StitchRules& stitch_rules, const std::function<bool(ir::NodeId)>& in_library,
               const kernel::Target& target) {
  using namespace kernel;
  Schedule schedule;
  std::map<ir::NodeId, bool> asked;
  const auto is_taken = [&](ir::NodeId id) {
    const auto [answer, is_new] = asked.try_emplace(id);
    if (is_new) answer->second = in_library(id);
    return answer->second;
  };
  schedule.regions = stitch(program, stitch_rules, is_taken);
  Lowering l(program, target, schedule);

  struct Rule {
    std::string_view prefix;
    void (*lower)(Lowering&, ir::NodeId);
  };
  static constexpr Rule rules[] = {
      {"concat", lower_concat}, {"conv", lower_convolution}, {"pool_", lower_pooling}, {"scatter", lower_scatter}, {"scan_", lower_scan}};

  for (int i = 0; i < static_cast<int>(schedule.regions.list.size()); ++i) {
    const Region& region = schedule.regions.list[static_cast<std::size_t>(i)];
    const ir::NodeId id = region.members.front();
    const ir::Node& node = program.graph[id];
    const auto name = node.op->name;
    const bool joined = name == "concat" && region.members.size() == 1;
    if (region.is_space && !joined) {
      lower_space(l, i);
      continue;
    }
    if (is_taken(id)) {
      schedule.steps.emplace_back(std::in_place_type<Schedule::LibraryStep>, id);
      continue;
    }
    if (name == "reshape") {
      schedule.aliases[{id, 0}] = node.operands[0];
      continue;
    }
    const auto rule = std::find_if(std::begin(rules), std::end(rules), [&](const Rule& r) { return name.starts_with(r.prefix); });
    if (rule == std::end(rules)) throw InternalError(ir::describe(node) + " has no kernel");
    rule->lower(l, id);
  }
  return schedule;
}

Traffic traffic_of(const ir::Graph& graph, const Schedule& schedule, const Schedule::Step& step) {
  Traffic t;
  for_each_use(graph, step, [&](ir::Value v, bool written) { (written ? t.written : t.read) += schedule.type_of(graph, v).byte_count(); });
  return t;
}

}  // namespace weft
