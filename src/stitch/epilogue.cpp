#include "stitch/epilogue.h"

#include "graph/primitive.h"

#include <algorithm>

namespace weft {
namespace {

using kernel::Affine;
using kernel::ExprKind;
using kernel::Kernel;

/// Whether the form counts the iterations of the loops, outermost first: the address of a dense array of their extents.
bool counts_iterations(const Kernel& k, const Affine& a) {
  std::int64_t stride = 1;
  for (int d = k.loops() - 1; d >= 0; --d) {
    const auto extent = k.extents[static_cast<std::size_t>(d)];
    if (extent != 1 && a.coefficients[static_cast<std::size_t>(d)] != stride) return false;
    stride *= extent;
  }
  return a.constant == 0;
}

bool reads(const Kernel& k, ir::Value v) {
  return std::any_of(k.buffers.begin(), k.buffers.end(), [&](const auto& use) { return use.value == v; });
}

class Epilogues {
 public:
  Epilogues(const Program& program, Schedule& schedule, const FitEpilogue& fit)
      : program_(program), graph_(program.graph), schedule_(schedule), fit_(fit) {}

  void run() {
    // Later steps first: of two products that are added, the later one can take the sum along.
    std::vector<ir::NodeId> nodes;
    for (const auto& step : schedule_.steps)
      if (const auto* library = std::get_if<Schedule::LibraryStep>(&step)) nodes.push_back(library->node);
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) attach(*node);
  }

 private:
  using Steps = std::vector<Schedule::Step>;

  std::size_t place_of(ir::NodeId node) const {
    const auto found = std::find_if(schedule_.steps.begin(), schedule_.steps.end(), [&](const auto& s) {
      const auto* library = std::get_if<Schedule::LibraryStep>(&s);
      return library && library->node == node;
    });
    return static_cast<std::size_t>(found - schedule_.steps.begin());
  }

  bool reads(const Schedule::Step& step, ir::Value v) const {
    if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) return weft::reads(k->kernel, v);
    const auto& library = std::get<Schedule::LibraryStep>(step);
    const auto& operands = graph_[library.node].operands;
    return (library.epilogue && weft::reads(*library.epilogue, v)) ||
           std::any_of(operands.begin(), operands.end(), [&](auto o) { return schedule_.storage(o) == v; });
  }

  bool writes(const Schedule::Step& step, ir::Value v) const {
    const Kernel* k = nullptr;
    if (const auto* own = std::get_if<Schedule::KernelStep>(&step)) k = &own->kernel;
    else {
      const auto& library = std::get<Schedule::LibraryStep>(step);
      if (library.node == v.node) return true;
      if (library.epilogue) k = &*library.epilogue;
    }
    return k && std::any_of(k->buffers.begin(), k->buffers.end(), [&](const auto& use) { return use.written && use.value == v; });
  }

  /// Why the kernel, a reader of v, doesn't compute one element of its own from each element of v.
  std::string refusal(const Kernel& k, ir::Value v) const {
    if (!k.reductions.empty() || k.scatters || k.parallel != k.loops()) return k.name + " reduces it";
    std::int64_t iterations = 1;
    for (auto e : k.extents) iterations *= e;
    if (iterations != graph_.type(v).shape.element_count()) return k.name + " doesn't read each element once";
    for (const auto& e : k.exprs) {
      if (e.kind != ExprKind::load || k.buffers[static_cast<std::size_t>(e.access.buffer)].value != v) continue;
      if (!e.access.terms.empty() || !counts_iterations(k, e.access.address)) return k.name + " reads it in another order";
    }
    for (const auto& s : k.stores)
      if (s.combine != kernel::Combine::set || !s.access.terms.empty()) return k.name + " scatters";
    return {};
  }

  bool leaves_the_run(ir::Value v) const {
    return std::any_of(program_.targets.begin(), program_.targets.end(), [&](auto t) { return schedule_.storage(t) == v; }) ||
           std::any_of(program_.updates.begin(), program_.updates.end(), [&](const auto& u) { return schedule_.storage(u.value) == v; });
  }

  void attach(ir::NodeId node) {
    Steps& steps = schedule_.steps;
    const std::size_t own = place_of(node);
    auto& library = std::get<Schedule::LibraryStep>(steps[own]);
    const ir::Value v{node, 0};
    std::vector<std::size_t> readers;
    for (std::size_t s = own + 1; s < steps.size(); ++s)
      if (reads(steps[s], v)) readers.push_back(s);
    library.refusal = "no kernel reads it";
    for (const auto reader : readers) {
      const auto* step = std::get_if<Schedule::KernelStep>(&steps[reader]);
      if (!step) {
        library.refusal = "a library reads it from memory";
        continue;
      }
      library.refusal = refusal(step->kernel, v);
      // What it reads must be there when the first reader runs.
      for (const auto& use : step->kernel.buffers)
        for (std::size_t s = readers[0]; s < reader && library.refusal.empty(); ++s)
          if (writes(steps[s], use.value)) library.refusal = step->kernel.name + " needs what is computed later";
      Kernel epilogue = step->kernel;
      const bool keeps_result = readers.size() > 1 || leaves_the_run(v);
      if (library.refusal.empty()) library.refusal = fit_(node, epilogue, keeps_result);
      if (!library.refusal.empty()) continue;

      Schedule::LibraryStep joined{node, std::move(epilogue), keeps_result, {}};
      steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(reader));
      steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(readers[0]), std::move(joined));
      steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(own));
      return;
    }
  }

  const Program& program_;
  const ir::Graph& graph_;
  Schedule& schedule_;
  const FitEpilogue& fit_;
};

}  // namespace

void attach_epilogues(const Program& program, Schedule& schedule, const FitEpilogue& fit) { Epilogues(program, schedule, fit).run(); }

void split_last_loop(Kernel& kernel, std::int64_t inner) {
  if (kernel.vector_loop == kernel.loops() - 1) ++kernel.vector_loop;
  if (kernel.parallel == kernel.loops()) ++kernel.parallel;
  for_each_affine(kernel, [&](Affine& a) {
    const auto step = a.coefficients.back();
    a.coefficients.back() *= inner;
    a.coefficients.push_back(step);
  });
  kernel.extents.back() /= inner;
  kernel.extents.push_back(inner);
}

}  // namespace weft
