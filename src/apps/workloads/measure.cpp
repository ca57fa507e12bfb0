#include "apps/workloads/measure.h"

#include "apps/workloads/floors.h"
#include "apps/workloads/timing.h"

#include <algorithm>

namespace weft::apps {
namespace {

constexpr int loops = 7, warm_ups = 5;
/// Beyond which a workload gets fewer iterations.
constexpr double longest = 3;

/// Microseconds of a call in each loop, in ascending order.
std::vector<double> us_of_loops(int iterations, Device device, const std::function<void()>& call) {
  const auto finish = [&] { device.wait(); };
  const double warm = seconds_of_loops(1, warm_ups, call, finish)[0];
  const int affordable = static_cast<int>(longest / (loops * warm));
  auto times = seconds_of_loops(loops, std::clamp(affordable, 1, iterations), call, finish);
  for (double& t : times) t *= 1e6;
  return times;
}

}  // namespace

Measurement Meter::measure(const Workload& workload) {
  Measurement m;
  if (workload.timed) {
    m.first_s = workload.timed(options_.backend);
    m.us = m.first_s * 1e6;
    return m;
  }
  Setup setup;
  workload.build(setup);
  RunOptions options = options_;
  options.stitch = workload.stitch;
  options.tf32 = workload.tf32;
  Executable executable;
  std::vector<TensorData> feeds, results;
  m.first_s = seconds_of([&] {
    executable = setup.compile(options);
    for (const auto& feed : setup.feeds(executable)) feeds.emplace_back(feed.array().to(device_));
    for (const auto& type : executable.output_types()) results.emplace_back(NDArray(type, device_));
    executable.run(feeds, results);
    device_.wait();
  });
  const auto times = us_of_loops(workload.iterations, device_, [&] { executable.run(feeds, results); });
  m.us = times[loops / 2];
  const auto& statistics = executable.statistics();
  m.bytes = statistics.least_read + statistics.least_written;
  m.flops = statistics.flops;
  fastest_us_[workload.name] = times.front();
  m.floor_us = floor_us(workload, statistics);
  return m;
}

double Meter::floor_us(const Workload& workload, const CompileStatistics& statistics) {
  const double memory = stream_us(statistics.least_read, statistics.least_written);
  if (workload.bare.empty()) {
    const auto [peak, is_new] = peaks_.try_emplace({workload.dtype, workload.tf32}, 0);
    if (is_new) peak->second = device_.is_cpu() ? peak_flops() : peak_flops(device_, workload.dtype, workload.tf32);
    return std::max(memory, 1e6 * static_cast<double>(statistics.flops) / peak->second);
  }
  if (!fastest_us_.contains(workload.bare)) {
    const auto all = workloads();
    measure(*std::find_if(all.begin(), all.end(), [&](const Workload& w) { return w.name == workload.bare; }));
  }
  return std::max(memory, fastest_us_.at(workload.bare));
}

double Meter::stream_us(std::int64_t read, std::int64_t written) {
  const auto [at, is_new] = streams_.try_emplace({read, written}, 0);
  if (is_new) at->second = 1e6 * (device_.is_cpu() ? seconds_to_stream(read, written) : seconds_to_copy(device_, (read + written) / 2));
  return at->second;
}

}  // namespace weft::apps
