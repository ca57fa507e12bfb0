// Running graphs: variables' values and the cache of executables.
#include <weft/graph.h>

#include "runtime/initial_value.h"
#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

namespace weft {

void RuntimeStateDeleter::operator()(RuntimeState* state) const { delete state; }

Graph::Graph() : state_(std::make_unique<GraphState>()) { state_->runtime.reset(new RuntimeState); }
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

RuntimeState& runtime_of(GraphState& graph) { return *graph.runtime; }

/// Of an array on the host.
static std::optional<ValueRange> range_of(const NDArray& array) {
  return range_of_elements(array.dtype(), array.data(), array.type().shape.element_count());
}

VariableValue& variable_value(GraphState& graph, ir::NodeId variable) {
  auto& values = runtime_of(graph).variables;
  if (const auto found = values.find(variable); found != values.end()) return found->second;
  const auto position = std::find(graph.variables.begin(), graph.variables.end(), variable) - graph.variables.begin();
  NDArray first = runtime::initial_value(graph.ir[variable], graph.seed, static_cast<int>(position));
  const auto range = range_of(first);
  return values.emplace(variable, VariableValue{std::move(first), {}, false, range}).first->second;
}

namespace {

ir::NodeId checked_variable(const GraphState& graph, Tensor variable) {
  if (variable.graph() != &graph) throw RunError(variable ? "the variable belongs to another graph" : "an empty tensor is no variable");
  if (variable.operation().name() != "variable") throw RunError(ir::describe(graph.ir[variable.node()]) + " is not a variable");
  return variable.node();
}

template <class T> void append(std::string& key, const T& value) { key.append(reinterpret_cast<const char*>(&value), sizeof value); }

/// Everything that compilation depends on, as bytes. The options are settled.
std::string cache_key(std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                      const RunOptions& options) {
  std::string key;
  append(key, options.backend);
  append(key, options.device);
  append(key, options.stitch);
  append(key, options.simplify);
  append(key, options.tf32);
  append(key, options.measure);
  append(key, options.without.size());
  for (const auto& name : options.without) key.append(name).push_back('\0');
  append(key, feeds.size());
  for (const auto& f : feeds) {
    append(key, f.placeholder.node());
    append(key, f.type.dtype);
    append(key, f.type.shape.rank());
    for (auto s : f.type.shape) append(key, s);
  }
  append(key, targets.size());
  for (const auto& t : targets) {
    append(key, t.node());
    append(key, t.output());
  }
  for (const auto& o : operations) append(key, o.node());
  return key;
}

Executable make_executable(GraphState& graph, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                           const RunOptions& options) {
  auto state = std::make_shared<ExecutableState>();
  state->graph = &graph;
  state->compiled = compile(graph, feeds, targets, operations, options);
  state->targets.assign(targets.begin(), targets.end());
  for (const auto& f : state->compiled.program.feeds)
    for (const auto& given : feeds)
      if (given.placeholder.node() == f.placeholder) state->feeds.push_back(given);
  for (auto v : state->compiled.program.targets) state->output_types.push_back(state->compiled.program.graph.type(v));
  return Executable(std::move(state));
}

}  // namespace

Executable cached_executable(GraphState& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                             const RunOptions& options, std::vector<TensorData>& ordered) {
  std::vector<FeedType> types;
  for (const auto& [placeholder, data] : feeds) {
    if (placeholder.graph() != &graph)
      throw RunError(placeholder ? "run: a feed is for a tensor of another graph" : "run: a feed is for an empty tensor");
    types.push_back({placeholder, data.type()});
  }
  std::sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.placeholder.node() < b.placeholder.node(); });
  for (const auto& t : targets)
    if (t.graph() != &graph) throw RunError(t ? "run: a target belongs to another graph" : "run: a target is empty");
  for (const auto& o : operations)
    if (o.graph() != &graph) throw RunError(o ? "run: a target operation belongs to another graph" : "run: a target operation is empty");

  RuntimeState& runtime = runtime_of(graph);
  const RunOptions decided = settled(options);
  const std::string key = cache_key(types, targets, operations, decided);
  Executable executable;
  {
    const std::lock_guard lock(runtime.cache_mutex);
    if (const auto found = runtime.by_key.find(key); found != runtime.by_key.end()) {
      ++runtime.statistics.hits;
      runtime.cache.splice(runtime.cache.begin(), runtime.cache, found->second);
      executable = found->second->executable;
    }
  }
  if (!executable) {
    executable = make_executable(graph, types, targets, operations, decided);
    const std::lock_guard lock(runtime.cache_mutex);
    ++runtime.statistics.misses;
    if (!runtime.by_key.contains(key)) {
      runtime.cache.push_front({key, executable});
      runtime.by_key[key] = runtime.cache.begin();
    }
    while (runtime.cache.size() > runtime.capacity) {
      runtime.by_key.erase(runtime.cache.back().key);
      runtime.cache.pop_back();
      ++runtime.statistics.evictions;
    }
  }
  for (const auto& f : executable.feeds()) ordered.push_back(feeds.at(f.placeholder));
  return executable;
}

RunResult Graph::run(const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations, const RunOptions& options) {
  std::vector<TensorData> ordered;
  const Executable executable = cached_executable(*state_, feeds, targets, operations, options, ordered);
  return RunResult({targets.begin(), targets.end()}, executable.run(ordered));
}

void Graph::run(const Feeds& feeds, Results& results, std::span<const Operation> operations, const RunOptions& options) {
  std::vector<Tensor> targets;
  for (const auto& [t, storage] : results) targets.push_back(t);
  std::sort(targets.begin(), targets.end(), [](Tensor a, Tensor b) { return std::pair(a.node(), a.output()) < std::pair(b.node(), b.output()); });
  std::vector<TensorData> ordered, storage;
  const Executable executable = cached_executable(*state_, feeds, targets, operations, options, ordered);
  for (const auto& t : targets) storage.push_back(results.at(t));
  executable.run(ordered, storage);
}

Executable Graph::compile(std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                          const RunOptions& options) {
  return make_executable(*state_, feeds, targets, operations, options);
}

NDArray Graph::value(Tensor variable) const {
  const auto id = checked_variable(*state_, variable);
  const std::unique_lock lock(state_->runtime->variables_mutex);
  const NDArray& value = variable_value(*state_, id).current;
  return value.device().is_cpu() ? value.copy() : value.to(Device::cpu());
}

void Graph::set_value(Tensor variable, const NDArray& value) {
  const auto id = checked_variable(*state_, variable);
  const auto& type = state_->ir[id].types[0];
  if (value.type() != type) throw RunError(ir::describe(state_->ir[id]) + " is " + type.str() + ", can't take " + value.type().str());
  const std::unique_lock lock(state_->runtime->variables_mutex);
  VariableValue& own = state_->runtime->variables[id];
  own.current = value.copy();
  own.range = own.current.device().is_cpu() ? range_of(own.current) : std::nullopt;
}

void Graph::set_seed(std::uint64_t seed) { state_->seed = seed; }

CacheStatistics Graph::cache_statistics() const {
  const std::lock_guard lock(state_->runtime->cache_mutex);
  CacheStatistics statistics = state_->runtime->statistics;
  statistics.executables = state_->runtime->cache.size();
  statistics.kernels_compiled = kernels_compiled();
  return statistics;
}

void Graph::clear_cache() {
  const std::lock_guard lock(state_->runtime->cache_mutex);
  state_->runtime->cache.clear();
  state_->runtime->by_key.clear();
}

void Graph::set_cache_capacity(std::size_t executables) {
  const std::lock_guard lock(state_->runtime->cache_mutex);
  state_->runtime->capacity = std::max<std::size_t>(executables, 1);
  while (state_->runtime->cache.size() > state_->runtime->capacity) {
    state_->runtime->by_key.erase(state_->runtime->cache.back().key);
    state_->runtime->cache.pop_back();
    ++state_->runtime->statistics.evictions;
  }
}

}  // namespace weft
