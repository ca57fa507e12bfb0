// Times that can be compared: medians of several runs after one that is not counted.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

inline double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median_seconds(int runs, const std::function<void()>& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(seconds_of(f));
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[static_cast<std::size_t>(runs / 2)];
}
