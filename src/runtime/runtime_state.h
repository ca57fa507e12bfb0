// What a graph keeps from run to run: its variables' values and its compiled executables.
#pragma once

#include "compile/pipeline.h"
#include "graph/build.h"

#include <weft/executable.h>
#include <weft/ndarray.h>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

/// A run writes a variable's new value beside the present one; the two change places when the run has ended well, so
/// that a failed run changes nothing.
struct VariableValue {
  NDArray current;
  NDArray next;
  bool has_next = false;
};

struct RuntimeState {
  /// Held shared while a run reads variables, exclusively while one assigns them.
  std::shared_mutex variables_mutex;
  std::unordered_map<ir::NodeId, VariableValue> variables;
  std::atomic<std::uint64_t> runs = 0;

  std::mutex cache_mutex;
  struct CacheEntry {
    std::string key;
    Executable executable;
  };
  std::list<CacheEntry> cache;  ///< the most recently used first
  std::unordered_map<std::string, std::list<CacheEntry>::iterator> by_key;
  std::size_t capacity = 64;
  CacheStatistics statistics;
};

RuntimeState& runtime_of(GraphState& graph);
/// The value of a variable, initialised when this is the first use. The caller holds variables_mutex exclusively.
VariableValue& variable_value(GraphState& graph, ir::NodeId variable);

struct ExecutableState {
  GraphState* graph = nullptr;
  Compiled compiled;
  std::vector<FeedType> feeds;
  std::vector<Tensor> targets;
  std::vector<TensorType> output_types;
};

/// Runs with feeds in the order of state.feeds. Targets without storage are allocated.
std::vector<NDArray> run_executable(const ExecutableState& state, std::span<const TensorData> feeds, std::span<TensorData> results);

}  // namespace weft
