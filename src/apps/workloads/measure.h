// Timing workloads against their floors.
#pragma once

#include "apps/workloads/workload.h"

#include <map>
#include <utility>

namespace weft::apps {

struct Measurement {
  double us = 0;        ///< of one call: the median of seven loops
  double first_s = 0;   ///< of compiling and the first call
  double floor_us = 0;  ///< 0 where there is none
  /// What the workload has to move at least and to compute, from CompileStatistics.
  std::int64_t bytes = 0, flops = 0;
};

/// Measures one workload after another and remembers what floors it has measured.
class Meter {
 public:
  /// On a GPU, feeds and results lie there, and calls follow each other without waiting.
  explicit Meter(Backend backend) : options_{.backend = backend}, device_(backend == Backend::cuda ? Device::cuda() : Device::cpu()) {}
  Measurement measure(const Workload& workload);

 private:
  double floor_us(const Workload& workload, const CompileStatistics& statistics);
  double stream_us(std::int64_t read, std::int64_t written);

  RunOptions options_;
  Device device_;
  std::map<std::pair<std::int64_t, std::int64_t>, double> streams_;
  std::map<std::string, double> fastest_us_;
  std::map<std::pair<DType, bool>, double> peaks_;  ///< operations a second, by type and whether it may be TF32
};

}  // namespace weft::apps
