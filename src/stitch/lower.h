// From a program to the kernels and library calls that compute it.
#pragma once

#include "compile/program.h"
#include "stitch/kernel.h"
#include "stitch/stitch.h"
#include "stitch/target.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

/// A temporary of the lowering itself is a value with a negative node.
struct Schedule {
  struct KernelStep {
    kernel::Kernel kernel;
  };
  struct LibraryStep {
    ir::NodeId node;
    /// An elementwise kernel whose iterations, in order, are the elements of the node's result. It runs on each part of the
    /// result as soon as that is computed, so what it writes must not lie where the node's operands do.
    std::optional<kernel::Kernel> epilogue = {};
    /// Others than the epilogue need the result, so it has memory of its own.
    bool keeps_result = true;
    std::string refusal = {};  ///< why it has no epilogue
  };
  using Step = std::variant<KernelStep, LibraryStep>;

  std::vector<Step> steps;
  /// Values that are others' memory seen with another shape.
  std::map<ir::Value, ir::Value> aliases;
  std::vector<TensorType> temporaries;  ///< temporary -1 - i has type i
  Regions regions;

  /// The value whose memory holds v.
  ir::Value storage(ir::Value v) const {
    for (auto found = aliases.find(v); found != aliases.end(); found = aliases.find(v)) v = found->second;
    return v;
  }

  TensorType type_of(const ir::Graph& graph, ir::Value v) const {
    return v.node < 0 ? temporaries[static_cast<std::size_t>(-1 - v.node)] : graph.type(v);
  }
};

/// Calls f(value, whether it is written) for everything that a step reads or writes in memory: not for a result that only the
/// epilogue sees.
template <class F> void for_each_use(const ir::Graph& graph, const Schedule::Step& step, F&& f) {
  if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) {
    for (const auto& use : k->kernel.buffers) f(use.value, use.written);
    return;
  }
  const auto& library = std::get<Schedule::LibraryStep>(step);
  for (auto v : graph[library.node].operands) f(v, false);
  if (library.keeps_result)
    for (std::size_t r = 0; r < graph[library.node].types.size(); ++r) f(ir::Value{library.node, static_cast<std::int32_t>(r)}, true);
  if (library.epilogue)
    for (const auto& use : library.epilogue->buffers)
      if (use.value.node != library.node) f(use.value, use.written);
}

/// Bytes that a step moves.
struct Traffic {
  std::int64_t read = 0, written = 0;
};
Traffic traffic_of(const ir::Graph& graph, const Schedule& schedule, const Schedule::Step& step);

/// `in_library` says whether a library computes the node; each is asked about once.
Schedule lower(const Program& program, const StitchRules& rules, const std::function<bool(ir::NodeId)>& in_library,
               const kernel::Target& target = kernel::targets::processor);

}  // namespace weft
