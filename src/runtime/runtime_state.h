// What a graph keeps from run to run: its variables' values and its compiled executables.
#pragma once

#include "compile/pipeline.h"
#include "graph/build.h"

#include <weft/executable.h>
#include <weft/ndarray.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

/// On the device where it was last used. A run writes a variable's new value over the present one where that is safe (see
/// CompiledProgram::is_in_place), and otherwise beside it; then the two change places when the run has ended well. A failed run changes nothing
/// either way.
struct VariableValue {
  NDArray current;
  NDArray next;
  bool has_next = false;
  std::optional<ValueRange> range;  ///< of the present value's integers, where it is known
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

/// What a run needs to itself, kept for the next one when it is over, so that a run like one before allocates nothing.
struct RunContext {
  std::unique_ptr<CompiledProgram::Context> code;
  std::vector<const std::byte*> feeds, variables;
  std::vector<std::byte*> targets, updates, present;
  std::vector<Device> feed_devices, target_devices;
  std::vector<std::optional<ValueRange>> feed_ranges, variable_ranges;
  /// Dense stand-ins for feeds and targets that kernels can't use where they are; made when first needed.
  std::vector<std::optional<NDArray>> feed_copies, target_copies;
};

struct ExecutableState {
  GraphState* graph = nullptr;
  Compiled compiled;
  std::vector<FeedType> feeds;
  std::vector<Tensor> targets;
  std::vector<TensorType> output_types;

  /// Values of the program's variables and of those that it updates, found by the first run.
  std::once_flag has_variables;
  std::vector<VariableValue*> variables, updates;

  std::mutex contexts_mutex;
  std::vector<std::unique_ptr<RunContext>> contexts;  ///< null: of a run that goes on
};

/// The cached executable for these feeds, or a new one; feeds then are in its order.
Executable cached_executable(GraphState& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                             const RunOptions& options, std::vector<TensorData>& ordered);

/// Throws RunError unless feeds and results are what the executable was compiled for.
void check_run(const Executable& executable, std::span<const TensorData> feeds, std::span<const TensorData> results);

/// Throws RunError for fewer than one.
void check_steps(int steps_per_launch);

/// Runs with feeds in the order of state.feeds and writes the targets to `results`.
/// `step_seconds` as in RunArrays.
void run_executable(ExecutableState& state, std::span<const TensorData> feeds, std::span<TensorData> results, int steps = 1,
                    std::vector<double>* step_seconds = nullptr);

/// A run to be begun now and ended later.
struct RunRequest {
  Executable executable;
  std::vector<TensorData> feeds, results;
  int steps = 1;
};
/// Begins a run. What it returns waits until the run is done, and must be called once; empty: the run is done. Targets on the host are written
/// by then, those on a GPU in order with what is begun later.
std::function<void()> begin_run(RunRequest run);
/// Why a run can't be begun together with others; empty when it can.
std::string why_alone(const RunRequest& run);
/// Begins runs as one, all of the group's device and none with a reason to be alone; returns as begin_run does. A feed that lies on the host where
/// a result of a run before it goes is taken from there on the device. `is_one_graph` gets whether they were one.
std::function<void()> begin_together(RunGroup& group, std::vector<RunRequest> runs, bool& is_one_graph);

}  // namespace weft
