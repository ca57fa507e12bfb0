// From a program to the kernels and library calls that compute it.
#pragma once

#include "compile/program.h"
#include "stitch/kernel.h"
#include "stitch/stitch.h"

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
};

/// `in_library` says whether a library computes the node.
Schedule lower(const Program& program, const StitchRules& rules, const std::function<bool(ir::NodeId)>& in_library);

}  // namespace weft
