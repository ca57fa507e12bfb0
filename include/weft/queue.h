// Runs that are begun now and end later: queues, command buffers, events.
#pragma once

#include <weft/executable.h>
#include <weft/graph.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weft {

struct QueueState;
struct CommandState;

/// A number that only grows, which queues and the host raise and wait for. Copies are the same event. Members are safe from any thread.
class Event {
 public:
  Event();
  /// Raises the number to `value`; no effect when it is there already.
  void signal(std::uint64_t value = 1);
  /// Returns when the number is `value` or more.
  void wait(std::uint64_t value = 1) const;
  /// As wait, but no longer than `timeout`; whether the number got there.
  bool wait_for(std::uint64_t value, std::chrono::nanoseconds timeout) const;
  std::uint64_t value() const;

 private:
  friend struct CommandState;
  friend struct QueueState;
  struct State;
  std::shared_ptr<State> state_;
};

struct EventValue {
  Event event;
  std::uint64_t value = 1;
};

/// Does what is committed to it in order, one after the other, on a thread of its own; queues don't wait for each other. On a GPU the next
/// runs are begun while the first goes on, up to four buffers ahead. Handlers are called in order too, on another thread of the queue's,
/// where everything of weft may be called.
class Queue {
 public:
  Queue();
  /// Returns when everything that was committed is done.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Returns when everything committed so far is done and its handlers have returned; called from a handler, doesn't wait for handlers.
  /// Throws what a handler of this queue threw, once.
  void wait();

 private:
  friend class CommandBuffer;
  std::unique_ptr<QueueState> state_;
};

/// Several runs, and what they wait for and signal, committed to a queue as one. Copies are the same buffer. For one thread until it is
/// committed; `status`, `wait` and `rethrow` are safe from any thread.
class CommandBuffer {
 public:
  enum class Status : std::uint8_t { encoding, committed, scheduled, completed, failed };

  /// The queue must outlive the buffer's commitment.
  explicit CommandBuffer(Queue& queue);

  // What follows throws RunError once the buffer is committed.
  /// Adds a run, or, as ExecutionOptions has it, several steps. The result's arrays hold the targets when the run is done; runs later in the buffer
  /// may be fed with them. Feeds are read when the run comes: memory of the caller's must stay as it is until then. Throws RunError for feeds that
  /// don't fit.
  RunResult encode(const Executable& executable, std::span<const TensorData> feeds, int steps_per_launch = 1);
  /// With storage of the caller's for the targets.
  void encode(const Executable& executable, std::span<const TensorData> feeds, std::span<const TensorData> results, int steps_per_launch = 1);
  /// Compiled now, unless found in the graph's cache. The graph must outlive the run.
  RunResult encode(Graph& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations = {},
                   const RunOptions& options = {}, int steps_per_launch = 1);
  /// Calls f on a thread of the queue's when all that was encoded before is done; what is encoded after it begins when f has returned. What f throws
  /// is the buffer's failure. f must not wait for the queue or for a buffer of it.
  void encode_call(std::function<void()> f);
  /// What is encoded after this begins when the event has got there. One that never does holds up the queue for good.
  void wait_for(EventValue event);
  /// When what was encoded before this is done, or has failed.
  void signal(EventValue event);
  /// Called when the buffer's turn has come, and when it is done or has failed.
  void on_scheduled(std::function<void()> handler);
  void on_completed(std::function<void(const CommandBuffer&)> handler);
  void commit();

  Status status() const;
  /// Returns when the buffer is done and its handlers have returned; from a handler, doesn't wait for handlers. Throws the error of the run
  /// that failed: what followed that in the buffer was left out, variables are as they were before it.
  void wait() const;
  /// Throws the error of the run that failed, if one has.
  void rethrow() const;

  /// How runs were begun so far. On a GPU those that follow each other in the buffer are begun together; from the second time on that such runs come
  /// with the same arrays on the GPU they are one CUDA graph, whatever arrays on the host they have.
  struct Launches {
    int runs = 0;
    int launches = 0;                ///< runs that were begun together count once
    int graphs = 0;                  ///< of the launches of several runs, those that were one CUDA graph
    std::vector<std::string> apart;  ///< why a run was not begun together with the one before: "run 2: it waits for an event"
  };
  Launches launches() const;

 private:
  friend class Queue;
  explicit CommandBuffer(std::shared_ptr<CommandState> state) : state_(std::move(state)) {}
  friend struct QueueState;
  std::shared_ptr<CommandState> state_;
};

/// How run_async goes about a run.
struct AsyncOptions {
  bool wait_until_completed = false;
  std::function<void()> scheduled = {};
  /// Gets the targets, and the error if the run failed.
  std::function<void(const RunResult&, std::exception_ptr)> completed = {};
  std::vector<EventValue> wait_for = {}, signal = {};
  RunOptions run = {};
  int steps_per_launch = 1;  ///< as ExecutionOptions has it
};

/// Commits one run to the queue. Compiles now, if need be; throws RunError for feeds that don't fit. Other errors go to the handler, and,
/// with wait_until_completed, to the caller.
RunResult run_async(Queue& queue, Graph& graph, const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations = {},
                    const AsyncOptions& options = {});
inline RunResult run_async(Queue& queue, Graph& graph, const Feeds& feeds, std::initializer_list<Tensor> targets,
                           std::span<const Operation> operations = {}, const AsyncOptions& options = {}) {
  return run_async(queue, graph, feeds, std::span(targets.begin(), targets.size()), operations, options);
}
RunResult run_async(Queue& queue, const Executable& executable, std::span<const TensorData> feeds, const AsyncOptions& options = {});

}  // namespace weft
