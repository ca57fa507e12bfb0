#include <weft/queue.h>

#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <variant>

namespace weft {

// Events --------------------------------------------------------------------------------------------------------------

struct Event::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t value = 0;
  /// The event will have this value when a GPU is done with what it was given before the mark.
  struct Promise {
    std::uint64_t value;
    Device device;
    std::shared_ptr<GpuMark> mark;  ///< null: there is one GPU
  };
  std::vector<Promise> promises;

  void promise(Promise p) {
    {
      const std::lock_guard lock(mutex);
      promises.push_back(std::move(p));
    }
    changed.notify_all();
  }

  /// Has what `device` is given from now on come after the event's having the value, once that is known to come.
  void hold_up(Device device, std::uint64_t least) {
    std::unique_lock lock(mutex);
    const auto suits = [&](const Promise& p) { return p.value >= least; };
    changed.wait(lock, [&] { return value >= least || std::ranges::any_of(promises, suits); });
    if (value >= least) return;
    const Promise promise = *std::ranges::find_if(promises, suits);
    lock.unlock();
    // One GPU does things in the order in which they are begun.
    if (promise.device != device) gpu_follows(device.index(), *promise.mark);
  }
};

Event::Event() : state_(std::make_shared<State>()) {}

void Event::signal(std::uint64_t value) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->value = std::max(state_->value, value);
    std::erase_if(state_->promises, [&](const State::Promise& p) { return p.value <= state_->value; });
  }
  state_->changed.notify_all();
}

void Event::wait(std::uint64_t value) const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->value >= value; });
}

bool Event::wait_for(std::uint64_t value, std::chrono::nanoseconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, timeout, [&] { return state_->value >= value; });
}

std::uint64_t Event::value() const {
  const std::lock_guard lock(state_->mutex);
  return state_->value;
}

// Command buffers -----------------------------------------------------------------------------------------------------

namespace {

struct WaitCommand {
  EventValue until;
};
struct SignalCommand {
  EventValue to;
};
struct CallCommand {
  std::function<void()> f;
};

bool is_on_host(const TensorData& data) { return data.array().device().is_cpu(); }

/// The bytes that an array's elements lie in, from the first to behind the last.
std::pair<const std::byte*, const std::byte*> bytes_of(const NDArray& array) {
  const std::byte *first = array.data(), *last = array.data();
  for (int d = 0; d < array.rank(); ++d) {
    const std::int64_t way = (array.shape()[d] - 1) * array.strides()[static_cast<std::size_t>(d)];
    (way < 0 ? first : last) += way;
  }
  return {first, last + size_of(array.dtype())};
}
bool overlap(std::pair<const std::byte*, const std::byte*> a, std::pair<const std::byte*, const std::byte*> b) {
  const std::less<const std::byte*> before;  // pointers into different blocks have no order of their own
  return before(a.first, b.second) && before(b.first, a.second);
}

Device device_of(const RunRequest& run) { return run.executable.state()->compiled.code->device(); }

/// Whether a run reads what others write, both on the host, and, if `only_in_part`, not as it was written.
bool reads(const RunRequest& run, std::span<const TensorData> written, bool only_in_part = false) {
  return std::ranges::any_of(run.feeds, [&](const TensorData& feed) {
    return is_on_host(feed) && std::ranges::any_of(written, [&](const TensorData& w) {
             const auto read = bytes_of(feed.array()), there = bytes_of(w.array());
             return overlap(read, there) && !(only_in_part && read == there && feed.type() == w.type());
           });
  });
}

/// Why a run can't be begun together with those before it, of which `alone` says why the last could not; empty when it can.
std::string why_apart(const RunRequest& run, std::span<const RunRequest> before, const std::string& alone_before, const std::string& alone) {
  if (!alone.empty()) return alone;
  if (!alone_before.empty()) return "the run before is begun by itself: " + alone_before;
  if (device_of(run) != device_of(before.front())) return "it runs on another device";
  for (const auto& b : before) {
    std::vector<TensorData> written;
    std::ranges::copy_if(b.results, std::back_inserter(written), is_on_host);
    if (reads(run, written, true)) return "it is fed with a part of what another writes on the host";
  }
  return {};
}

}  // namespace

struct CommandState {
  using Status = CommandBuffer::Status;

  QueueState* queue = nullptr;
  std::vector<std::variant<RunRequest, WaitCommand, SignalCommand, CallCommand>> commands;
  std::vector<std::function<void()>> scheduled;
  std::vector<std::function<void(const CommandBuffer&)>> completed;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  Status status = Status::encoding;
  bool handled = false;  ///< all handlers have returned
  std::exception_ptr error;
  CommandBuffer::Launches launches;

  bool is_done() const { return status == Status::completed || status == Status::failed; }
  void change(Status to) {
    {
      const std::lock_guard lock(mutex);
      status = to;
    }
    changed.notify_all();
  }
  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex);
    if (!error) error = std::move(failure);
  }
  bool has_failed() const {
    const std::lock_guard lock(mutex);
    return error != nullptr;
  }
};

// Queues --------------------------------------------------------------------------------------------------------------

/// One thread begins what is committed, one ends it in the same order, which is where runs on a GPU are waited for, and one calls handlers.
struct QueueState {
  QueueState() : beginner([this] { begin_all(); }), ender([this] { end_all(); }), caller([this] { call(); }) {}

  ~QueueState() {
    {
      // Handlers may commit more.
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return unfinished == 0 && unhandled == 0; });
      is_closing = true;
    }
    changed.notify_all();
    for (auto* thread : {&beginner, &ender, &caller}) thread->join();
  }

  void commit(std::shared_ptr<CommandState> buffer) {
    {
      const std::lock_guard lock(mutex);
      committed.push_back(std::move(buffer));
      ++unfinished;
      ++unhandled;
    }
    changed.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex);
    const bool in_handler = std::this_thread::get_id() == caller.get_id();
    changed.wait(lock, [&] { return unfinished == 0 && (in_handler || unhandled == 0); });
    if (auto thrown = std::exchange(handler_error, nullptr)) std::rethrow_exception(thrown);
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<CommandState>> committed;
  std::deque<std::function<void()>> ends;  ///< what ends runs, signals events and ends buffers; the first of them is under way
  std::deque<std::function<void()>> calls;
  std::size_t unfinished = 0, unhandled = 0, ahead = 0;  ///< buffers; of the unfinished, those that have begun
  bool is_closing = false;
  std::exception_ptr handler_error;
  // Of the thread that begins.
  Device device;                    ///< of the last run
  std::vector<TensorData> written;  ///< on the host, by runs that may not have ended
  std::vector<EventValue> held_up;  ///< events that runs on the GPU wait for, but the host has not
  std::unique_ptr<RunGroup> group;  ///< of the device, once runs were begun together

  std::thread beginner, ender, caller;  ///< the last to be made, since they use the others

 private:
  /// Each takes memory for feeds and results of its own.
  static constexpr std::size_t most_ahead = 4;

  void post(std::function<void()> f) {
    {
      const std::lock_guard lock(mutex);
      calls.push_back(std::move(f));
    }
    changed.notify_all();
  }

  // Beginning -----------------------------------------------------------------------------------------------------------

  /// Does what is committed until there is no more and the queue closes.
  void begin_all() {
    for (;;) {
      std::shared_ptr<CommandState> buffer;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return (!committed.empty() && ahead < most_ahead) || is_closing; });
        if (committed.empty()) return;
        buffer = std::move(committed.front());
        committed.pop_front();
        ++ahead;
      }
      buffer->change(CommandState::Status::scheduled);
      if (!buffer->scheduled.empty())
        post([buffer] {
          for (const auto& f : buffer->scheduled) f();
        });
      begin(buffer);
      in_turn([this, buffer] { end(buffer); });
    }
  }

  bool is_idle() {
    const std::lock_guard lock(mutex);
    return ends.empty();
  }
  /// Returns when all that has begun is done.
  void drain() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ends.empty(); });
    written.clear();
  }
  /// Calls f when all that has begun is done: now, if it is.
  void in_turn(std::function<void()> f) {
    {
      const std::lock_guard lock(mutex);
      if (!ends.empty()) {
        ends.push_back(std::move(f));
        f = nullptr;
      }
    }
    if (f) f();
    else changed.notify_all();
  }

  void signal_in_turn(EventValue to) {
    try {
      if (!is_idle()) to.event.state_->promise({to.value, device, gpu_count() > 1 ? mark_gpu(device.index()) : nullptr});
    } catch (const RunError&) {
      // Who waits for the event does so on the host.
    }
    in_turn([to]() mutable { to.event.signal(to.value); });
  }

  void call_in_turn(const std::function<void()>& f, const std::vector<EventValue>& awaited, CommandState& buffer) {
    if (!buffer.has_failed())
      for (const auto& e : awaited) e.event.wait(e.value);
    drain();
    if (!buffer.has_failed()) try {
        f();
      } catch (...) { buffer.fail(std::current_exception()); }
  }

  /// Runs that follow each other without anything between them are begun together, where they can be. After a run that fails events are still
  /// signalled, so that nobody waits for ever.
  void begin(const std::shared_ptr<CommandState>& buffer) {
    std::vector<EventValue> awaited;
    std::vector<RunRequest> together;
    std::string alone_before;
    int runs = 0;
    const auto flush = [&] {
      if (!together.empty() && !buffer->has_failed()) try {
          begin(std::exchange(together, {}), std::exchange(awaited, {}), buffer);
        } catch (...) { buffer->fail(std::current_exception()); }
    };
    const auto say = [&](const std::string& why) {
      if (runs == 0) return;
      const std::lock_guard lock(buffer->mutex);
      buffer->launches.apart.push_back("run " + std::to_string(runs) + ": " + why);
    };
    std::string between;
    for (auto& command : buffer->commands) {
      if (auto* signal = std::get_if<SignalCommand>(&command)) {
        flush();
        signal_in_turn(signal->to);
        between = "an event is signalled before it";
      } else if (auto* wait = std::get_if<WaitCommand>(&command)) {
        flush();
        awaited.push_back(wait->until);
        between = "it waits for an event";
      } else if (auto* call = std::get_if<CallCommand>(&command)) {
        flush();
        call_in_turn(call->f, std::exchange(awaited, {}), *buffer);
        between = "a function is called before it";
      } else {
        auto& run = std::get<RunRequest>(command);
        std::string alone = why_alone(run);
        const std::string why = !between.empty() || together.empty() ? between : why_apart(run, together, alone_before, alone);
        if (!why.empty()) {
          flush();
          say(why);
        }
        together.push_back(std::move(run));
        alone_before = std::move(alone);
        between.clear();
        ++runs;
      }
    }
    flush();
    if (!buffer->has_failed())
      for (const auto& e : awaited) e.event.wait(e.value);
    buffer->commands.clear();
  }

  void begin(std::vector<RunRequest> runs, const std::vector<EventValue>& awaited, const std::shared_ptr<CommandState>& buffer) {
    const Device where = device_of(runs.front());
    const auto any = [&](auto&& is) { return std::ranges::any_of(runs, is); };
    const bool reads_host = where.is_cpu() || any([](const RunRequest& r) { return std::ranges::any_of(r.feeds, is_on_host); });
    std::erase_if(held_up, [](const EventValue& e) { return e.event.value() >= e.value; });
    held_up.insert(held_up.end(), awaited.begin(), awaited.end());
    if (reads_host) {
      for (const auto& e : std::exchange(held_up, {})) e.event.wait(e.value);
    } else {
      for (const auto& e : awaited) e.event.state_->hold_up(where, e.value);
    }
    if (is_idle()) written.clear();
    else if (where != device || any([&](const RunRequest& r) { return reads(r, written); })) drain();
    if (where != device) group = nullptr;
    device = where;
    for (const auto& r : runs) std::ranges::copy_if(r.results, std::back_inserter(written), is_on_host);
    const int count = static_cast<int>(runs.size());
    bool is_one_graph = false;
    std::function<void()> finish;
    if (count == 1) {
      finish = begin_run(std::move(runs.front()));
    } else {
      if (!group) group = runs.front().executable.state()->compiled.code->make_group();
      finish = begin_together(*group, std::move(runs), is_one_graph);
    }
    {
      const std::lock_guard lock(buffer->mutex);
      auto& l = buffer->launches;
      l.runs += count;
      ++l.launches;
      l.graphs += is_one_graph;
    }
    if (!finish) return;
    {
      const std::lock_guard lock(mutex);
      ends.push_back([buffer, finish = std::move(finish)] {
        try {
          finish();
        } catch (...) { buffer->fail(std::current_exception()); }
      });
    }
    changed.notify_all();
  }

  // Ending --------------------------------------------------------------------------------------------------------------

  void end_all() {
    for (;;) {
      std::function<void()>* f = nullptr;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return !ends.empty() || is_closing; });
        if (ends.empty()) return;
        f = &ends.front();
      }
      (*f)();
      std::function<void()> done;  // lets go of arrays, whose owners may do anything
      {
        const std::lock_guard lock(mutex);
        done = std::move(ends.front());
        ends.pop_front();
      }
      changed.notify_all();
    }
  }

  void end(const std::shared_ptr<CommandState>& buffer) {
    buffer->change(buffer->has_failed() ? CommandState::Status::failed : CommandState::Status::completed);
    {
      const std::lock_guard lock(mutex);
      --unfinished;
      --ahead;
    }
    post([this, buffer] { handle(*buffer, buffer); });
  }

  // Handlers ------------------------------------------------------------------------------------------------------------

  void handle(CommandState& buffer, const std::shared_ptr<CommandState>& shared) {
    auto leave = [&] {
      {
        const std::lock_guard lock(buffer.mutex);
        buffer.handled = true;
      }
      buffer.changed.notify_all();
      const std::lock_guard lock(mutex);
      --unhandled;
    };
    try {
      for (const auto& f : buffer.completed) f(CommandBuffer(shared));
    } catch (...) {
      leave();
      throw;
    }
    leave();
  }

  void call() {
    for (;;) {
      std::function<void()> f;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return !calls.empty() || is_closing; });
        if (calls.empty()) return;
        f = std::move(calls.front());
        calls.pop_front();
      }
      try {
        f();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!handler_error) handler_error = std::current_exception();
      }
      changed.notify_all();
    }
  }
};

Queue::Queue() : state_(std::make_unique<QueueState>()) {}
Queue::~Queue() = default;
void Queue::wait() { state_->wait(); }

CommandBuffer::CommandBuffer(Queue& queue) : state_(std::make_shared<CommandState>()) { state_->queue = queue.state_.get(); }

namespace {

void check_encoding(const CommandState& state) {
  const std::lock_guard lock(state.mutex);
  if (state.status != CommandState::Status::encoding) throw RunError("the command buffer is committed: it takes no more");
}

/// Arrays for an executable's targets, where it leaves them.
std::vector<NDArray> arrays_for(const Executable& executable) {
  std::vector<NDArray> arrays;
  for (const auto& type : executable.output_types()) arrays.emplace_back(type);
  return arrays;
}

}  // namespace

RunResult CommandBuffer::encode(const Executable& executable, std::span<const TensorData> feeds, int steps_per_launch) {
  const auto arrays = arrays_for(executable);
  encode(executable, feeds, std::vector<TensorData>(arrays.begin(), arrays.end()), steps_per_launch);
  return RunResult({executable.targets().begin(), executable.targets().end()}, arrays);
}

void CommandBuffer::encode(const Executable& executable, std::span<const TensorData> feeds, std::span<const TensorData> results,
                           int steps_per_launch) {
  check_encoding(*state_);
  if (!executable) throw RunError("there is no executable to encode");
  check_steps(steps_per_launch);
  RunRequest run{executable, {feeds.begin(), feeds.end()}, {results.begin(), results.end()}, steps_per_launch};
  check_run(executable, run.feeds, run.results);
  state_->commands.emplace_back(std::move(run));
}

RunResult CommandBuffer::encode(Graph& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                                const RunOptions& options, int steps_per_launch) {
  check_encoding(*state_);
  std::vector<TensorData> ordered;
  const Executable executable = cached_executable(*graph.state(), feeds, targets, operations, options, ordered);
  return encode(executable, ordered, steps_per_launch);
}

void CommandBuffer::encode_call(std::function<void()> f) {
  check_encoding(*state_);
  state_->commands.emplace_back(CallCommand{std::move(f)});
}

void CommandBuffer::wait_for(EventValue event) {
  check_encoding(*state_);
  state_->commands.emplace_back(WaitCommand{std::move(event)});
}

void CommandBuffer::signal(EventValue event) {
  check_encoding(*state_);
  state_->commands.emplace_back(SignalCommand{std::move(event)});
}

void CommandBuffer::on_scheduled(std::function<void()> handler) {
  check_encoding(*state_);
  state_->scheduled.push_back(std::move(handler));
}

void CommandBuffer::on_completed(std::function<void(const CommandBuffer&)> handler) {
  check_encoding(*state_);
  state_->completed.push_back(std::move(handler));
}

void CommandBuffer::commit() {
  check_encoding(*state_);
  state_->change(Status::committed);
  state_->queue->commit(state_);
}

CommandBuffer::Status CommandBuffer::status() const {
  const std::lock_guard lock(state_->mutex);
  return state_->status;
}

CommandBuffer::Launches CommandBuffer::launches() const {
  const std::lock_guard lock(state_->mutex);
  return state_->launches;
}

void CommandBuffer::wait() const {
  {
    std::unique_lock lock(state_->mutex);
    if (state_->status == Status::encoding) throw RunError("the command buffer is not committed: there is nothing to wait for");
    // A finished buffer's queue may be gone.
    state_->changed.wait(lock, [&] { return state_->is_done(); });
    if (!state_->handled) {
      const bool in_handler = std::this_thread::get_id() == state_->queue->caller.get_id();
      state_->changed.wait(lock, [&] { return in_handler || state_->handled; });
    }
  }
  rethrow();
}

void CommandBuffer::rethrow() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->error) std::rethrow_exception(state_->error);
}

// Single runs ---------------------------------------------------------------------------------------------------------

namespace {

RunResult commit_run(CommandBuffer& buffer, RunResult result, const AsyncOptions& options) {
  for (const auto& e : options.signal) buffer.signal(e);
  if (options.scheduled) buffer.on_scheduled(options.scheduled);
  if (options.completed)
    buffer.on_completed([result, handler = options.completed](const CommandBuffer& done) {
      std::exception_ptr error;
      try {
        done.rethrow();
      } catch (...) { error = std::current_exception(); }
      handler(result, error);
    });
  buffer.commit();
  if (options.wait_until_completed) buffer.wait();
  return result;
}

CommandBuffer buffer_that_waits(Queue& queue, const AsyncOptions& options) {
  CommandBuffer buffer(queue);
  for (const auto& e : options.wait_for) buffer.wait_for(e);
  return buffer;
}

}  // namespace

RunResult run_async(Queue& queue, Graph& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                    const AsyncOptions& options) {
  CommandBuffer buffer = buffer_that_waits(queue, options);
  RunResult result = buffer.encode(graph, feeds, targets, operations, options.run, options.steps_per_launch);
  return commit_run(buffer, std::move(result), options);
}

RunResult run_async(Queue& queue, const Executable& executable, std::span<const TensorData> feeds, const AsyncOptions& options) {
  CommandBuffer buffer = buffer_that_waits(queue, options);
  RunResult result = buffer.encode(executable, feeds, options.steps_per_launch);
  return commit_run(buffer, std::move(result), options);
}

}  // namespace weft
