// Times of calls.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace weft::apps {

template <class F> double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of one call in each of `loops` loops of `iterations` calls, in ascending order. `finish` waits for what the calls began.
template <class F, class G> std::vector<double> seconds_of_loops(int loops, int iterations, F&& f, G&& finish) {
  const auto loop = [&] {
    for (int i = 0; i < iterations; ++i) f();
    finish();
  };
  std::vector<double> times;
  for (int i = 0; i < loops; ++i) times.push_back(seconds_of(loop) / iterations);
  std::sort(times.begin(), times.end());
  return times;
}
template <class F> std::vector<double> seconds_of_loops(int loops, int iterations, F&& f) {
  return seconds_of_loops(loops, iterations, f, [] {});
}

}  // namespace weft::apps
