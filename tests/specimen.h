// A graph with all that a run of it takes, as a value: printed, parsed, run in every way, and made smaller.
#pragma once

#include "graph/ir.h"
#include "operation.h"

#include <weft/graph.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct Specimen {
  ir::Graph graph;
  std::map<ir::NodeId, NDArray> values;  ///< of placeholders and variables
  std::vector<ir::Value> targets;
  std::vector<ir::NodeId> updates;
  Tolerance tolerance;

  /// The text form of the graph, followed by the rest in comments.
  std::string str() const;
  static Specimen parse(std::string_view text);
  /// Without what targets and updates don't need.
  Specimen pruned() const;
};

struct Outcome {
  std::vector<NDArray> targets, variables;
};

/// A specimen made ready to be run.
class Trial {
 public:
  explicit Trial(const Specimen& specimen);
  Outcome outcome(const RunOptions& options);
  /// What a way of running gives that the reference does not; empty when they agree.
  std::string disagreement(const Way& way);
  /// The values of all single results, by node.
  std::map<ir::NodeId, NDArray> all_values();

 private:
  const Specimen& specimen_;
  Graph graph_;
  Feeds feeds_;
  std::vector<Tensor> targets_;
  std::vector<Operation> updates_;
  std::vector<std::pair<Tensor, NDArray>> variables_;
  Outcome expected_;
};

/// A specimen that still fails, from which nothing can be taken without its ceasing to. At most `tries` are tried.
Specimen shrunk(Specimen specimen, const std::function<bool(const Specimen&)>& fails, int tries = 400);

}  // namespace weft
