#include <weft/executable.h>

#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
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

void check_steps(int steps_per_launch) {
  if (steps_per_launch < 1) throw RunError("run: steps_per_launch is " + std::to_string(steps_per_launch) + ", expects 1 or more");
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
  check_steps(options.steps_per_launch);
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
      // The first that is free: runs that follow each other in the same way get the same ones.
      const auto free = std::ranges::find_if(state.contexts, [](const auto& c) { return c != nullptr; });
      slot_ = static_cast<std::size_t>(free - state.contexts.begin());
      if (free != state.contexts.end()) {
        context_ = std::move(*free);
        return;
      }
      state.contexts.emplace_back();
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
    context_->feed_ranges.resize(state.feeds.size());
    context_->variable_ranges.resize(program.variables.size());
    context_->updates.resize(program.updates.size());
    context_->present.resize(program.updates.size());
  }
  ~Lease() {
    const std::lock_guard lock(state_.contexts_mutex);
    state_.contexts[slot_] = std::move(context_);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  RunContext& operator*() { return *context_; }

 private:
  ExecutableState& state_;
  std::size_t slot_ = 0;
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

void keep_updates(ExecutableState& state, int steps) {
  for (std::size_t i = 0; i < state.updates.size(); ++i) {
    if (steps % 2 == 1 && !state.compiled.code->is_in_place(i)) std::swap(state.updates[i]->current, state.updates[i]->next);
    state.updates[i]->range = state.compiled.update_ranges[i];
  }
}

void undo_updates(ExecutableState& state, int steps) {
  keep_updates(state, steps);
  for (auto* v : state.updates) v->range.reset();
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

void place_feeds(const ExecutableState& state, RunContext& context, std::span<const TensorData> feeds, const RunGroup* group) {
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    const NDArray& feed = feeds[i].array();
    if (const std::byte* staged = group && feed.device().is_cpu() ? group->staged(feed.data()) : nullptr) {
      context.feed_devices[i] = state.compiled.code->device();
      context.feeds[i] = staged;
      continue;
    }
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

/// What is known of feeds that lie on the host, unless looking takes longer than a run can wait, and of variables.
KnownRanges known_ranges(const ExecutableState& state, RunContext& context) {
  for (std::size_t i = 0; i < state.feeds.size(); ++i) {
    const TensorType& type = state.feeds[i].type;
    constexpr std::int64_t most_bytes = 1 << 20;
    const bool looks = context.feed_devices[i].is_cpu() && type.byte_count() <= most_bytes && state.compiled.code->asks_for_range(i);
    context.feed_ranges[i] = looks ? range_of_elements(type.dtype, context.feeds[i], type.shape.element_count()) : std::nullopt;
  }
  for (std::size_t i = 0; i < state.variables.size(); ++i) context.variable_ranges[i] = state.variables[i]->range;
  return {context.feed_ranges, context.variable_ranges};
}

/// How a run is begun.
struct Beginning {
  int steps = 1;
  std::vector<double>* step_seconds = nullptr;
  bool may_defer = false;
  /// Together with others: the caller holds variables_mutex exclusively and begins the group.
  RunGroup* group = nullptr;
};

/// Whether the run goes on and is to be finished: never unless it may defer.
bool execute(ExecutableState& state, RunContext& context, std::span<const TensorData> feeds, std::span<TensorData> results,
             const Beginning& beginning) {
  RuntimeState& runtime = runtime_of(*state.graph);
  std::call_once(state.has_variables, [&] { find_variables(state); });
  place_feeds(state, context, feeds, beginning.group);
  place_targets(state, context, results);
  bool is_direct = true;
  for (std::size_t i = 0; i < results.size(); ++i) is_direct = is_direct && results[i].array().data() == context.targets[i];
  const CompiledProgram& code = *state.compiled.code;
  bool defers = false;
  // Gives how many it begins, of so many.
  auto run = [&](int left) {
    const bool goes_on = code.goes_on(left, known_ranges(state, context));
    const int steps = goes_on ? left : 1;
    defers = beginning.may_defer && is_direct && goes_on;
    for (std::size_t i = 0; i < state.variables.size(); ++i) context.variables[i] = state.variables[i]->current.data();
    const RunArrays arrays{.feeds = context.feeds,
                           .variables = context.variables,
                           .targets = context.targets,
                           .updates = context.updates,
                           .run_index = runtime.runs.fetch_add(static_cast<std::uint64_t>(steps)),
                           .step_seconds = beginning.step_seconds,
                           .feed_devices = context.feed_devices,
                           .target_devices = context.target_devices,
                           .steps = steps,
                           .present = context.present,
                           .defers = defers,
                           .goes_on = goes_on};
    if (beginning.group) beginning.group->add(code, *context.code, arrays);
    else code.run(*context.code, arrays);
    return steps;
  };
  auto run_all = [&] {
    for (int done = 0; done < beginning.steps;) done += run(beginning.steps - done);
  };
  auto update_all = [&] {
    bring_variables(state);
    for (int done = 0; done < beginning.steps;) {
      place_updates(state, context);
      const int steps = run(beginning.steps - done);
      keep_updates(state, steps);
      done += steps;
    }
  };
  if (beginning.group) {
    update_all();
  } else if (!state.updates.empty()) {
    const std::unique_lock lock(runtime.variables_mutex);
    update_all();
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

/// The mutexes of variables that runs touch, each once, in an order that all threads keep to.
std::vector<std::unique_lock<std::shared_mutex>> lock_variables(std::span<const RunRequest> runs) {
  std::vector<std::shared_mutex*> mutexes;
  for (const auto& run : runs) mutexes.push_back(&runtime_of(*run.executable.state()->graph).variables_mutex);
  std::ranges::sort(mutexes, std::less<std::shared_mutex*>());
  const auto repeated = std::ranges::unique(mutexes);
  mutexes.erase(repeated.begin(), repeated.end());
  std::vector<std::unique_lock<std::shared_mutex>> locks;
  for (auto* mutex : mutexes) locks.emplace_back(*mutex);
  return locks;
}

}  // namespace

void run_executable(ExecutableState& state, std::span<const TensorData> feeds, std::span<TensorData> results, int steps,
                    std::vector<double>* step_seconds) {
  check_feeds(state, feeds);
  Lease lease(state);
  execute(state, *lease, feeds, results, {.steps = steps, .step_seconds = step_seconds});
}

std::function<void()> begin_run(RunRequest run) {
  ExecutableState& state = *run.executable.state();
  check_feeds(state, run.feeds);
  auto lease = std::make_shared<Lease>(state);
  if (!execute(state, **lease, run.feeds, run.results, {.steps = run.steps, .may_defer = true})) return {};
  // Holds what is written until then.
  return [executable = run.executable, lease, kept = run.results] { executable.state()->compiled.code->finish(*(**lease).code, (**lease).targets); };
}

std::string why_alone(const RunRequest& run) {
  const ExecutableState& state = *run.executable.state();
  const CompiledProgram& code = *state.compiled.code;
  if (code.device().is_cpu()) return "it runs on the host";
  if (!code.goes_on(run.steps, {})) return "it checks indices, and may fail on the way";
  for (const auto& feed : run.feeds)
    if (!is_usable(state, feed.array())) return "a feed has to be copied before";
  for (const auto& result : run.results)
    if (!is_usable(state, result.array())) return "a result has to be copied behind";
  for (std::size_t i = 0; i < run.results.size(); ++i) {
    const NDArray& storage = run.results[i].array();
    const auto covers = [&](const TensorData& other) {
      return overlap(storage.data(), storage.byte_count(), other.array().data(), other.array().byte_count());
    };
    if (std::ranges::any_of(run.feeds, covers) || std::any_of(run.results.begin(), run.results.begin() + static_cast<std::ptrdiff_t>(i), covers))
      return "a result is written where something else lies";
  }
  return {};
}

std::function<void()> begin_together(RunGroup& group, std::vector<RunRequest> runs, bool& is_one_graph) {
  for (const auto& run : runs) {
    ExecutableState& state = *run.executable.state();
    std::call_once(state.has_variables, [&] { find_variables(state); });
  }
  auto leases = std::make_shared<std::vector<std::unique_ptr<Lease>>>();
  // Between the runs nobody reads a variable that has changed places with its next value, which isn't there yet.
  const auto locks = lock_variables(runs);
  std::size_t kept = 0;
  try {
    group.clear();
    for (auto& run : runs) {
      Lease& lease = *leases->emplace_back(std::make_unique<Lease>(*run.executable.state()));
      execute(*run.executable.state(), *lease, run.feeds, run.results, {.steps = run.steps, .may_defer = true, .group = &group});
      ++kept;
    }
    is_one_graph = group.begin();
  } catch (...) {
    while (kept-- > 0) undo_updates(*runs[kept].executable.state(), runs[kept].steps);
    throw;
  }
  return [leases, runs = std::move(runs)] {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      RunContext& context = **(*leases)[i];
      runs[i].executable.state()->compiled.code->finish(*context.code, context.targets);
    }
    leases->clear();  // all at once, so that the next runs like these find the same ones
  };
}

}  // namespace weft
