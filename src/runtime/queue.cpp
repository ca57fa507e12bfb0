#include <weft/queue.h>

#include "runtime/runtime_state.h"

#include <weft/error.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <variant>

namespace weft {

// Events --------------------------------------------------------------------------------------------------------------

struct Event::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t value = 0;
};

Event::Event() : state_(std::make_shared<State>()) {}

void Event::signal(std::uint64_t value) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->value = std::max(state_->value, value);
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

struct RunCommand {
  Executable executable;
  std::vector<TensorData> feeds, results;
};
struct WaitCommand {
  EventValue until;
};
struct SignalCommand {
  EventValue to;
};

}  // namespace

struct CommandState {
  using Status = CommandBuffer::Status;

  QueueState* queue = nullptr;
  std::vector<std::variant<RunCommand, WaitCommand, SignalCommand>> commands;
  std::vector<std::function<void()>> scheduled;
  std::vector<std::function<void(const CommandBuffer&)>> completed;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  Status status = Status::encoding;
  bool handled = false;  ///< all handlers have returned
  std::exception_ptr error;

  bool is_done() const { return status == Status::completed || status == Status::failed; }
  void change(Status to) {
    {
      const std::lock_guard lock(mutex);
      status = to;
    }
    changed.notify_all();
  }

  /// Carries out the commands. After a run that fails events are still signalled, so that nobody waits for ever.
  void execute() {
    std::exception_ptr failure;
    for (auto& command : commands) {
      if (auto* signal = std::get_if<SignalCommand>(&command)) signal->to.event.signal(signal->to.value);
      if (failure) continue;
      if (auto* wait = std::get_if<WaitCommand>(&command)) wait->until.event.wait(wait->until.value);
      if (auto* run = std::get_if<RunCommand>(&command)) {
        try {
          run->executable.run(run->feeds, run->results);
          // Results that stay on a GPU are written some time after.
          run->executable.state()->compiled.code->device().wait();
        } catch (...) { failure = std::current_exception(); }
      }
    }
    commands.clear();
    {
      const std::lock_guard lock(mutex);
      error = failure;
    }
    change(failure ? Status::failed : Status::completed);
  }
};

// Queues --------------------------------------------------------------------------------------------------------------

struct QueueState {
  QueueState() : worker([this] { work(); }), caller([this] { call(); }) {}

  ~QueueState() {
    {
      // Handlers may commit more.
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return unfinished == 0 && unhandled == 0; });
      is_closing = true;
    }
    changed.notify_all();
    worker.join();
    caller.join();
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
  std::deque<std::function<void()>> calls;
  std::size_t unfinished = 0, unhandled = 0;  ///< buffers
  bool is_closing = false;
  std::exception_ptr handler_error;
  std::thread worker, caller;

 private:
  void post(std::function<void()> f) {
    {
      const std::lock_guard lock(mutex);
      calls.push_back(std::move(f));
    }
    changed.notify_all();
  }

  /// Does what is committed until there is no more and the queue closes.
  void work() {
    for (;;) {
      std::shared_ptr<CommandState> buffer;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return !committed.empty() || is_closing; });
        if (committed.empty()) return;
        buffer = std::move(committed.front());
        committed.pop_front();
      }
      buffer->change(CommandState::Status::scheduled);
      if (!buffer->scheduled.empty())
        post([buffer] {
          for (const auto& f : buffer->scheduled) f();
        });
      buffer->execute();
      {
        const std::lock_guard lock(mutex);
        --unfinished;
      }
      post([this, buffer] { finish(*buffer, buffer); });
    }
  }

  void finish(CommandState& buffer, const std::shared_ptr<CommandState>& shared) {
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

RunResult CommandBuffer::encode(const Executable& executable, std::span<const TensorData> feeds) {
  const auto arrays = arrays_for(executable);
  encode(executable, feeds, std::vector<TensorData>(arrays.begin(), arrays.end()));
  return RunResult({executable.targets().begin(), executable.targets().end()}, arrays);
}

void CommandBuffer::encode(const Executable& executable, std::span<const TensorData> feeds, std::span<const TensorData> results) {
  check_encoding(*state_);
  if (!executable) throw RunError("there is no executable to encode");
  RunCommand command{executable, {feeds.begin(), feeds.end()}, {results.begin(), results.end()}};
  check_run(executable, command.feeds, command.results);
  state_->commands.emplace_back(std::move(command));
}

RunResult CommandBuffer::encode(Graph& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                                const RunOptions& options) {
  check_encoding(*state_);
  std::vector<TensorData> ordered;
  const Executable executable = cached_executable(*graph.state(), feeds, targets, operations, options, ordered);
  return encode(executable, ordered);
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
  RunResult result = buffer.encode(graph, feeds, targets, operations, options.run);
  return commit_run(buffer, std::move(result), options);
}

RunResult run_async(Queue& queue, const Executable& executable, std::span<const TensorData> feeds, const AsyncOptions& options) {
  CommandBuffer buffer = buffer_that_waits(queue, options);
  RunResult result = buffer.encode(executable, feeds);
  return commit_run(buffer, std::move(result), options);
}

}  // namespace weft
