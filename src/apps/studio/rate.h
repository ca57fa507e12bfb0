// How often things happen, and when to tell.
#pragma once

#include <chrono>
#include <cstdint>

namespace weft::apps::studio {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

/// Steps a second over about the last two seconds, pauses left out.
class Rate {
 public:
  /// `steps` have taken this long.
  void add(double steps, double seconds) {
    constexpr double memory = 2;
    const double keep = seconds_ > memory ? memory / seconds_ : 1;
    steps_ = steps_ * keep + steps, seconds_ = seconds_ * keep + seconds;
  }
  double value() const { return seconds_ > 0 ? steps_ / seconds_ : 0; }

 private:
  double steps_ = 0, seconds_ = 0;
};

/// True at most once in each interval.
class Every {
 public:
  explicit Every(std::chrono::milliseconds interval) : interval_(interval) {}
  bool operator()() {
    const auto now = Clock::now();
    if (now - last_ < interval_) return false;
    last_ = now;
    return true;
  }

 private:
  std::chrono::milliseconds interval_;
  Clock::time_point last_{};
};

}  // namespace weft::apps::studio
