#include "stitch/explain.h"

#include "compile/flops.h"
#include "graph/primitive.h"
#include "stitch/classify.h"

#include <algorithm>
#include <set>

namespace weft {
namespace {

using kernel::Kernel;
using stitching::is_source;

class Explainer {
 public:
  Explainer(const Program& program, const Schedule& schedule, const std::function<std::string(ir::NodeId)>& library_kernel)
      : graph_(program.graph), schedule_(schedule), library_kernel_(library_kernel) {}

  Explanation run(std::span<const int> order) {
    describe_operations();
    find_regions(order);
    for (int s : order) describe(schedule_.steps[static_cast<std::size_t>(s)], regions_[static_cast<std::size_t>(s)]);
    place_operations();
    for (const auto& s : schedule_.steps)
      if (const auto* library = std::get_if<Schedule::LibraryStep>(&s); library && !library->refusal.empty())
        result_.refusals.push_back({library->node, -1, "has no epilogue: " + library->refusal});
    for (const auto& r : schedule_.regions.refusals) result_.refusals.push_back({r.producer, r.consumer, std::string(r.why)});
    return std::move(result_);
  }

 private:
  using Set = std::set<int>;

  TensorType type_of(ir::Value v) const { return schedule_.type_of(graph_, v); }

  static const Kernel* kernel_of(const Schedule::Step& step) {
    if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) return &k->kernel;
    const auto& library = std::get<Schedule::LibraryStep>(step);
    return library.epilogue ? &*library.epilogue : nullptr;
  }

  void describe_operations() {
    for (const auto& node : graph_.nodes) {
      Explanation::Operation& o = result_.operations.emplace_back();
      o.name = node.op->name;
      o.label = node.label;
      o.results = node.types;
      std::set<ir::Value> moved;
      for (auto v : node.operands)
        if (o.operands.push_back(v.node); moved.insert(v).second) o.bytes += graph_.type(v).byte_count();
      for (const auto& t : node.types) o.bytes += t.byte_count();
      if (is_source(node) || node.op->name == "reshape") o.bytes = 0;
      o.flops = flops(graph_, node);
    }
  }

  /// Kernels are of the regions whose members they write; one that writes temporaries only is of those that its readers are of.
  void find_regions(std::span<const int> order) {
    regions_.resize(schedule_.steps.size());
    std::map<ir::NodeId, Set> of_temporaries;
    for (auto s = order.rbegin(); s != order.rend(); ++s) {
      Set& regions = regions_[static_cast<std::size_t>(*s)];
      const Kernel* k = kernel_of(schedule_.steps[static_cast<std::size_t>(*s)]);
      if (!k) continue;
      for (const auto& use : k->buffers) {
        if (!use.written) continue;
        if (use.value.node < 0) regions.merge(Set(of_temporaries[use.value.node]));
        else if (const int r = schedule_.regions.region_of[static_cast<std::size_t>(use.value.node)]; r >= 0) regions.insert(r);
      }
      for (const auto& use : k->buffers)
        if (!use.written && use.value.node < 0) of_temporaries[use.value.node].insert(regions.begin(), regions.end());
    }
  }

  /// A region's members and what is computed where they read it, in the graph's order.
  void collect(int region, Set& operations) const {
    std::vector<ir::NodeId> open = schedule_.regions.list[static_cast<std::size_t>(region)].members;
    operations.insert(open.begin(), open.end());
    while (!open.empty()) {
      const ir::Node& node = graph_[open.back()];
      open.pop_back();
      for (auto v : node.operands) {
        const bool is_inlined = schedule_.regions.inlined[static_cast<std::size_t>(v.node)] && !is_source(graph_[v.node]);
        if (is_inlined && operations.insert(v.node).second) open.push_back(v.node);
      }
    }
  }

  void describe(const Schedule::Step& scheduled, const Set& regions) {
    const int index = static_cast<int>(result_.steps.size());
    Explanation::Step step;
    Set operations;
    for (int r : regions) {
      collect(r, operations);
      const auto [first, is_new] = first_step_.try_emplace(r, index);
      if (!is_new) step.continues = first->second;
    }
    const Kernel* k = kernel_of(scheduled);
    if (k) step.code = kernel::print(*k, [&](ir::Value v) { return type_of(v); });
    if (const auto* library = std::get_if<Schedule::LibraryStep>(&scheduled)) {
      step.is_library = true;
      step.name = library_kernel_(library->node);
      operations.insert(library->node);
      if (k) step.epilogue = k->name;
    } else {
      step.name = k->name;
    }
    const Traffic traffic = traffic_of(graph_, schedule_, scheduled);
    step.bytes_read = traffic.read;
    step.bytes_written = traffic.written;
    for (int id : operations) {
      const auto& o = result_.operations[static_cast<std::size_t>(id)];
      step.operations.push_back(id);
      if (step.continues >= 0) continue;
      step.bytes_unstitched += o.bytes;
      step.flops += o.flops;
    }
    result_.steps.push_back(std::move(step));
  }

  void place_operations() {
    for (std::size_t s = 0; s < result_.steps.size(); ++s)
      for (int id : result_.steps[s].operations) {
        auto& o = result_.operations[static_cast<std::size_t>(id)];
        const bool is_member = !schedule_.regions.inlined[static_cast<std::size_t>(id)];
        if (o.place == Explanation::Place::unneeded) o.place = is_member ? Explanation::Place::step : Explanation::Place::readers;
        if (is_member && o.step < 0) o.step = static_cast<int>(s);
      }
    for (ir::NodeId id = 0; id < graph_.size(); ++id) {
      auto& o = result_.operations[static_cast<std::size_t>(id)];
      if (is_source(graph_[id])) o.place = Explanation::Place::source;
      else if (o.place == Explanation::Place::unneeded && schedule_.aliases.contains({id, 0})) o.place = Explanation::Place::view;
    }
  }

  const ir::Graph& graph_;
  const Schedule& schedule_;
  const std::function<std::string(ir::NodeId)>& library_kernel_;
  std::vector<Set> regions_;       ///< by step of the schedule
  std::map<int, int> first_step_;  ///< by region
  Explanation result_;
};

}  // namespace

Explanation explain(const Program& program, const Schedule& schedule, std::span<const int> order,
                    const std::function<std::string(ir::NodeId)>& library_kernel) {
  return Explainer(program, schedule, library_kernel).run(order);
}

}  // namespace weft
