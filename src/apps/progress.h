// Telling how far a long task is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::apps {

/// A bar that is drawn over on a terminal; elsewhere a line after each tenth of the work.
class Progress {
 public:
  Progress(std::int64_t total, bool terminal);

  /// `note` stands behind the number of steps a second.
  void update(std::int64_t done, const std::string& note);
  /// Ends the bar's line.
  void finish();

  /// Since construction.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }
  /// Steps a second after the first, which has to compile; 0 before the second.
  double steps_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t total_, done_ = 0, tenths_ = 0;
  bool terminal_, bar_on_screen_ = false;
  Clock::time_point started_ = Clock::now(), first_ = started_, last_ = started_, drawn_{};
};

/// "60,000".
std::string with_thousands(std::int64_t count);

}  // namespace weft::apps
