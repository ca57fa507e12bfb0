#include "apps/studio/worker.h"

#include <exception>
#include <new>

namespace weft::apps::studio {

Worker::Worker(Work work, std::function<void(const std::string&)> failed)
    : work_(std::move(work)), failed_(std::move(failed)), thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wakes_.notify_one();
  thread_.join();
}

void Worker::post(std::function<void()> function) {
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(function));
  }
  wakes_.notify_one();
}

void Worker::run() {
  Duration wait = idle;
  while (true) {
    std::function<void()> next;
    {
      std::unique_lock lock(mutex_);
      const auto called = [&] { return ends_ || !asked_.empty(); };
      if (wait == idle) wakes_.wait(lock, called);
      else wakes_.wait_for(lock, wait, called);
      if (ends_ && asked_.empty()) return;
      if (!asked_.empty()) next = std::move(asked_.front()), asked_.pop_front();
    }
    try {
      if (next) next(), wait = Duration::zero();
      else wait = work_();
    } catch (const std::bad_alloc&) {
      wait = Duration::zero();
      failed_("there is not enough memory");
    } catch (const std::exception& e) {
      wait = Duration::zero();
      failed_(e.what());
    }
  }
}

}  // namespace weft::apps::studio
