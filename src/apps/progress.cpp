#include "apps/progress.h"

#include <cstdio>

namespace weft::apps {

Progress::Progress(std::int64_t total, bool terminal) : total_(total), terminal_(terminal) {}

double Progress::steps_per_second() const {
  const double seconds = std::chrono::duration<double>(last_ - first_).count();
  return done_ > 1 && seconds > 0 ? static_cast<double>(done_ - 1) / seconds : 0;
}

void Progress::update(std::int64_t done, const std::string& note) {
  last_ = Clock::now();
  if (done_ == 0) first_ = last_;
  done_ = done;
  const bool complete = done == total_;
  const std::string count = std::to_string(total_);
  if (terminal_) {
    if (!complete && last_ - drawn_ < std::chrono::milliseconds(50)) return;
    drawn_ = last_;
    bar_on_screen_ = true;
    constexpr int width = 30;
    const auto filled = static_cast<std::size_t>(width * done / total_);
    const std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
    std::printf("\r[%s] %*lld/%s  %6.1f steps/s  %s\x1b[K", bar.c_str(), static_cast<int>(count.size()), static_cast<long long>(done), count.c_str(),
                steps_per_second(), note.c_str());
  } else {
    if (done * 10 / total_ == tenths_) return;
    tenths_ = done * 10 / total_;
    std::printf("step %*lld of %s  %6.1f steps/s  %s\n", static_cast<int>(count.size()), static_cast<long long>(done), count.c_str(),
                steps_per_second(), note.c_str());
  }
  std::fflush(stdout);
}

void Progress::finish() {
  if (bar_on_screen_) std::printf("\n");
  bar_on_screen_ = false;
}

std::string with_thousands(std::int64_t count) {
  std::string text = std::to_string(count);
  for (std::ptrdiff_t i = std::ssize(text) - 3; i > (count < 0 ? 1 : 0); i -= 3) text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

}  // namespace weft::apps
