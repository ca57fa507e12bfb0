// The thread of a demonstration.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace weft::apps::studio {

/// Does a demonstration's work piece by piece and, between the pieces, what is asked of it, so that its models are used by one thread only and
/// nobody waits longer than a piece takes.
class Worker {
 public:
  using Duration = std::chrono::milliseconds;
  /// Does a piece and says how long to wait before the next: zero while there is more to do, `idle` when there is nothing.
  using Work = std::function<Duration()>;
  static constexpr Duration idle = Duration::max();

  /// `failed` is told what a piece has thrown; it should see to it that the next one doesn't.
  Worker(Work work, std::function<void(const std::string&)> failed);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Calls a function in the thread; gives what it gives and throws what it throws. The thread looks for work afterwards.
  template <class F> auto ask(F function) {
    std::packaged_task<std::invoke_result_t<F>()> task(std::move(function));
    auto answer = task.get_future();
    post([&task] { task(); });
    return answer.get();
  }
  /// The same without waiting for it. What it throws goes to `failed`.
  void post(std::function<void()> function);

 private:
  void run();

  Work work_;
  std::function<void(const std::string&)> failed_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  std::deque<std::function<void()>> asked_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace weft::apps::studio
