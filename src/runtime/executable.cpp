#include <weft/executable.h>

#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>

namespace weft {
namespace {

std::string name_of_feed(const FeedType& feed) { return ir::describe(feed.placeholder.graph()->ir[feed.placeholder.node()]); }

void check_feeds(const ExecutableState& state, std::span<const TensorData> feeds) {
  if (feeds.size() != state.feeds.size())
    throw RunError("run: the executable takes " + std::to_string(state.feeds.size()) + " feeds, got " + std::to_string(feeds.size()));
  for (std::size_t i = 0; i < feeds.size(); ++i)
    if (feeds[i].type() != state.feeds[i].type)
      throw RunError("run: " + name_of_feed(state.feeds[i]) + " was compiled for " + state.feeds[i].type.str() + ", is fed with " +
                     feeds[i].type().str());
}

void check_results(const ExecutableState& state, std::span<TensorData> results) {
  if (results.size() != state.targets.size())
    throw RunError("run: the executable has " + std::to_string(state.targets.size()) + " targets, got storage for " + std::to_string(results.size()));
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i].type() != state.output_types[i])
      throw RunError("run: target " + state.targets[i].name() + " is " + state.output_types[i].str() + ", its storage is " + results[i].type().str());
}

}  // namespace

const NDArray& RunResult::operator[](Tensor target) const {
  for (std::size_t i = 0; i < targets_.size(); ++i)
    if (targets_[i] == target) return arrays_[i];
  throw RunError("the tensor was not a target of this run");
}

std::span<const FeedType> Executable::feeds() const { return state_->feeds; }
std::span<const Tensor> Executable::targets() const { return state_->targets; }
std::span<const TensorType> Executable::output_types() const { return state_->output_types; }
const CompileStatistics& Executable::statistics() const { return state_->compiled.statistics; }
std::string Executable::dump() const { return state_->compiled.dump(); }

std::vector<NDArray> Executable::run(std::span<const TensorData> feeds) const { return run_executable(*state_, feeds, {}); }

void Executable::run(std::span<const TensorData> feeds, std::span<TensorData> results) const {
  check_results(*state_, results);
  run_executable(*state_, feeds, results);
}

namespace {

/// Gives every variable that the program touches its first value.
void initialise_variables(GraphState& graph, const Program& program) {
  RuntimeState& runtime = runtime_of(graph);
  auto is_known = [&](ir::NodeId id) { return runtime.variables.contains(id); };
  {
    const std::shared_lock lock(runtime.variables_mutex);
    if (std::all_of(program.variables.begin(), program.variables.end(), [&](const auto& v) { return is_known(v.variable); }) &&
        std::all_of(program.updates.begin(), program.updates.end(), [&](const auto& u) { return is_known(u.variable); }))
      return;
  }
  const std::unique_lock lock(runtime.variables_mutex);
  for (const auto& v : program.variables) variable_value(graph, v.variable);
  for (const auto& u : program.updates) variable_value(graph, u.variable);
}

std::vector<NDArray> current_values(RuntimeState& runtime, const Program& program) {
  std::vector<NDArray> values;
  for (const auto& v : program.variables) values.push_back(runtime.variables.at(v.variable).current);
  return values;
}

void run_with_updates(const ExecutableState& state, RuntimeState& runtime, RunArrays arrays) {
  const Program& program = state.compiled.program;
  const std::unique_lock lock(runtime.variables_mutex);
  std::vector<NDArray> updates;
  for (const auto& u : program.updates) {
    VariableValue& value = runtime.variables.at(u.variable);
    if (!value.has_next) value.next = NDArray(value.current.type());
    value.has_next = true;
    updates.push_back(value.next);
  }
  const auto variables = current_values(runtime, program);
  arrays.variables = variables;
  arrays.updates = updates;
  state.compiled.code->run(arrays);
  for (const auto& u : program.updates) {
    VariableValue& value = runtime.variables.at(u.variable);
    std::swap(value.current, value.next);
  }
}

}  // namespace

namespace {

/// Whether two dense arrays share memory.
bool overlap(const NDArray& a, const NDArray& b) { return a.data() < b.data() + b.byte_count() && b.data() < a.data() + a.byte_count(); }

/// The caller's storage can be written by kernels when it is dense and nothing that is still to be read lies in it.
bool is_writable(const NDArray& storage, std::span<const NDArray> feeds, std::span<const NDArray> targets) {
  auto apart = [&](const NDArray& other) { return !overlap(storage, other); };
  return storage.is_dense() && std::all_of(feeds.begin(), feeds.end(), apart) && std::all_of(targets.begin(), targets.end(), apart);
}

}  // namespace

std::vector<NDArray> run_executable(const ExecutableState& state, std::span<const TensorData> feeds, std::span<TensorData> results) {
  check_feeds(state, feeds);
  RuntimeState& runtime = runtime_of(*state.graph);
  const Program& program = state.compiled.program;
  initialise_variables(*state.graph, program);

  std::vector<NDArray> feed_arrays, targets;
  for (const auto& f : feeds) feed_arrays.push_back(f.array().dense());
  for (std::size_t i = 0; i < state.output_types.size(); ++i) {
    const bool direct = i < results.size() && is_writable(results[i].array(), feed_arrays, targets);
    targets.push_back(direct ? results[i].array() : NDArray(state.output_types[i]));
  }
  RunArrays arrays{feed_arrays, {}, targets, {}, runtime.runs++};
  if (program.updates.empty()) {
    const std::shared_lock lock(runtime.variables_mutex);
    const auto variables = current_values(runtime, program);
    arrays.variables = variables;
    state.compiled.code->run(arrays);
  } else {
    run_with_updates(state, runtime, arrays);
  }
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i].array().data() != targets[i].data()) results[i].array().assign(targets[i]);
  return targets;
}

}  // namespace weft
