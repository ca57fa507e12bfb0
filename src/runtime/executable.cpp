#include <weft/executable.h>

#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <cstdint>
#include <functional>
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

void check_results(const ExecutableState& state, std::span<const TensorData> results) {
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
void Executable::write_dump(const std::string& directory) const { state_->compiled.write_dump(directory); }
Explanation Executable::explain() const { return state_->compiled.code->explain(); }

void check_run(const Executable& executable, std::span<const TensorData> feeds, std::span<const TensorData> results) {
  check_feeds(*executable.state(), feeds);
  check_results(*executable.state(), results);
}

std::vector<NDArray> Executable::run(std::span<const TensorData> feeds) const {
  std::vector<TensorData> storage;
  std::vector<NDArray> results;
  for (const auto& type : state_->output_types) storage.emplace_back(results.emplace_back(type));
  run_executable(*state_, feeds, storage);
  return results;
}

void Executable::run(std::span<const TensorData> feeds, std::span<TensorData> results, const ExecutionOptions& options) const {
  check_results(*state_, results);
  if (options.steps_per_launch < 1) throw RunError("run: steps_per_launch is " + std::to_string(options.steps_per_launch) + ", expects 1 or more");
  if (!options.stream) return run_executable(*state_, feeds, results, options.steps_per_launch);
  const Device device = state_->compiled.code->device();
  if (device.is_cpu()) throw RunError("run: a stream is for executables that run on a GPU, this one runs on the host");
  gpu_follows_stream(device.index(), *options.stream);
  run_executable(*state_, feeds, results, options.steps_per_launch);
  stream_follows_gpu(device.index(), *options.stream);
}

std::vector<double> Executable::run_timed(std::span<const TensorData> feeds) const {
  std::vector<double> seconds;
  std::vector<TensorData> storage;
  for (const auto& type : state_->output_types) storage.emplace_back(NDArray(type));
  run_executable(*state_, feeds, storage, 1, &seconds);
  return seconds;
}

namespace {

/// A context to itself for as long as a run lasts.
class Lease {
 public:
  explicit Lease(ExecutableState& state) : state_(state) {
    {
      const std::lock_guard lock(state.contexts_mutex);
      if (!state.contexts.empty()) {
        context_ = std::move(state.contexts.back());
        state.contexts.pop_back();
        return;
      }
      state.contexts.reserve(++state.contexts_made);  // so that giving one back can't fail
    }
    const Program& program = state.compiled.program;
    context_ = std::make_unique<RunContext>();
    context_->code = state.compiled.code->make_context();
    context_->feeds.resize(state.feeds.size());
    context_->feed_copies.resize(state.feeds.size());
    context_->feed_devices.resize(state.feeds.size());
    context_->target_devices.resize(state.targets.size());
    context_->targets.resize(state.targets.size());
    context_->target_copies.resize(state.targets.size());
    context_->variables.resize(program.variables.size());
    context_->updates.resize(program.updates.size());
    context_->present.resize(program.updates.size());
  }
  ~Lease() {
    const std::lock_guard lock(state_.contexts_mutex);
    if (context_) state_.contexts.push_back(std::move(context_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  RunContext& operator*() { return *context_; }

 private:
  ExecutableState& state_;
  std::unique_ptr<RunContext> context_;
};

/// Gives every variable that the program touches its first value.
void find_variables(ExecutableState& state) {
  const std::unique_lock lock(runtime_of(*state.graph).variables_mutex);
  const Program& program = state.compiled.program;
  state.variables.clear();
  state.updates.clear();
  for (const auto& v : program.variables) state.variables.push_back(&variable_value(*state.graph, v.variable));
  for (const auto& u : program.updates) state.updates.push_back(&variable_value(*state.graph, u.variable));
}

/// Whether everything that the program reads or replaces lies where it runs.
bool are_in_place(const ExecutableState& state) {
  const auto is_here = [device = state.compiled.code->device()](const VariableValue* v) { return v->current.device() == device; };
  return std::ranges::all_of(state.variables, is_here) && std::ranges::all_of(state.updates, is_here);
}

/// The caller holds variables_mutex exclusively.
void bring_variables(ExecutableState& state) {
  const Device device = state.compiled.code->device();
  for (const auto* list : {&state.variables, &state.updates})
    for (auto* v : *list) v->current = v->current.to(device);
}

/// Memory for each update: the variable's own, or beside it.
void place_updates(ExecutableState& state, RunContext& context) {
  for (std::size_t i = 0; i < state.updates.size(); ++i) {
    VariableValue& value = *state.updates[i];
    const bool in_place = state.compiled.code->is_in_place(i);
    if (!in_place && (!value.has_next || value.next.device() != value.current.device())) {
      value.next = NDArray(value.current.type(), value.current.device());
      value.has_next = true;
    }
    context.updates[i] = (in_place ? value.current : value.next).data();
    context.present[i] = value.current.data();
  }
}

void keep_updates(ExecutableState& state) {
  for (std::size_t i = 0; i < state.updates.size(); ++i)
    if (!state.compiled.code->is_in_place(i)) std::swap(state.updates[i]->current, state.updates[i]->next);
}

/// Whether dense memory shares bytes with other such memory.
bool overlap(const std::byte* a, std::int64_t a_bytes, const std::byte* b, std::int64_t b_bytes) {
  const std::less<const std::byte*> before;  // pointers into different blocks have no order of their own
  return before(a, b + b_bytes) && before(b, a + a_bytes);
}

/// Whether the program's kernels can use an array where it is, or the backend brings it to them by itself.
bool is_usable(const ExecutableState& state, const NDArray& array) {
  constexpr std::uintptr_t gpu_alignment = 16;
  if (!array.is_dense()) return false;
  if (array.device().is_cpu()) return true;
  return array.device() == state.compiled.code->device() && reinterpret_cast<std::uintptr_t>(array.data()) % gpu_alignment == 0;
}

/// The array of a context's own that stands for one of the caller's.
NDArray& stand_in(std::optional<NDArray>& copy, const TensorType& type, Device device) {
  return copy && copy->device() == device ? *copy : copy.emplace(type, device);
}

/// Where a stand-in for the array lies: an array on the host stays there, one on a GPU comes to the program's device.
Device device_of_stand_in(const ExecutableState& state, const NDArray& array) {
  return array.device().is_cpu() ? Device::cpu() : state.compiled.code->device();
}

void place_feeds(const ExecutableState& state, RunContext& context, std::span<const TensorData> feeds) {
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    const NDArray& feed = feeds[i].array();
    const bool direct = is_usable(state, feed);
    context.feed_devices[i] = direct ? feed.device() : device_of_stand_in(state, feed);
    if (direct) {
      context.feeds[i] = feed.data();
    } else {
      NDArray& copy = stand_in(context.feed_copies[i], state.feeds[i].type, context.feed_devices[i]);
      copy.assign(feed);
      context.feeds[i] = copy.data();
    }
  }
}

/// The caller's storage can be written by kernels when it is dense and nothing that is still to be read lies in it.
bool is_writable(const ExecutableState& state, const RunContext& context, const NDArray& storage, std::size_t target) {
  auto apart = [&](const std::byte* other, const TensorType& type) {
    return !overlap(storage.data(), storage.byte_count(), other, type.byte_count());
  };
  for (std::size_t i = 0; i < context.feeds.size(); ++i)
    if (!apart(context.feeds[i], state.feeds[i].type)) return false;
  for (std::size_t i = 0; i < target; ++i)
    if (!apart(context.targets[i], state.output_types[i])) return false;
  return is_usable(state, storage);
}

void place_targets(const ExecutableState& state, RunContext& context, std::span<TensorData> results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    NDArray& storage = results[i].array();
    const bool direct = is_writable(state, context, storage, i);
    context.target_devices[i] = direct ? storage.device() : device_of_stand_in(state, storage);
    context.targets[i] = (direct ? storage : stand_in(context.target_copies[i], state.output_types[i], context.target_devices[i])).data();
  }
}

/// Whether the run goes on and is to be finished: never unless it `may_defer`.
bool execute(ExecutableState& state, RunContext& context, std::span<const TensorData> feeds, std::span<TensorData> results, int steps,
             std::vector<double>* step_seconds, bool may_defer) {
  RuntimeState& runtime = runtime_of(*state.graph);
  std::call_once(state.has_variables, [&] { find_variables(state); });
  place_feeds(state, context, feeds);
  place_targets(state, context, results);
  bool is_direct = true;
  for (std::size_t i = 0; i < results.size(); ++i) is_direct = is_direct && results[i].array().data() == context.targets[i];
  const bool defers = may_defer && is_direct && state.compiled.code->can_defer();

  const int at_once = state.compiled.code->can_repeat() ? steps : 1;
  auto run = [&] {
    for (std::size_t i = 0; i < state.variables.size(); ++i) context.variables[i] = state.variables[i]->current.data();
    state.compiled.code->run(*context.code, {context.feeds, context.variables, context.targets, context.updates,
                                             runtime.runs.fetch_add(static_cast<std::uint64_t>(at_once)), step_seconds, context.feed_devices,
                                             context.target_devices, at_once, context.present, defers});
  };
  auto run_all = [&] {
    for (int done = 0; done < steps; done += at_once) run();
  };
  if (!state.updates.empty()) {
    const std::unique_lock lock(runtime.variables_mutex);
    bring_variables(state);
    for (int done = 0; done < steps; done += at_once) {
      place_updates(state, context);
      run();
      if (at_once % 2 == 1) keep_updates(state);
    }
  } else if (!state.variables.empty()) {
    std::shared_lock lock(runtime.variables_mutex);
    while (!are_in_place(state)) {
      lock.unlock();
      {
        const std::unique_lock alone(runtime.variables_mutex);
        bring_variables(state);
      }
      lock.lock();
    }
    run_all();
  } else {
    run_all();
  }
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i].array().data() != context.targets[i]) results[i].array().assign(*context.target_copies[i]);
  return defers;
}

}  // namespace

void run_executable(ExecutableState& state, std::span<const TensorData> feeds, std::span<TensorData> results, int steps,
                    std::vector<double>* step_seconds) {
  check_feeds(state, feeds);
  Lease lease(state);
  execute(state, *lease, feeds, results, steps, step_seconds, false);
}

std::function<void()> begin_run(const Executable& executable, std::span<const TensorData> feeds, std::span<TensorData> results) {
  ExecutableState& state = *executable.state();
  check_feeds(state, feeds);
  auto lease = std::make_shared<Lease>(state);
  if (!execute(state, **lease, feeds, results, 1, nullptr, true)) return {};
  // Holds what is written until then.
  return [executable, lease, kept = std::vector(results.begin(), results.end())] {
    executable.state()->compiled.code->finish(*(**lease).code, (**lease).targets);
  };
}

}  // namespace weft
