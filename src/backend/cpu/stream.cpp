#include "backend/cpu/stream.h"

#include <algorithm>
#include <fstream>
#include <map>

namespace weft::cpu {
namespace {

/// Smaller values of variables come and go with others.
constexpr std::int64_t least_streamed = 1 << 20;

/// What the steps of a run move.
struct Moved {
  std::vector<std::int64_t> until;  ///< bytes by the steps before it; one more for the whole run
  std::map<ir::Value, std::vector<std::size_t>> readers;

  Moved(const Program& program, const Schedule& schedule) {
    until.push_back(0);
    for (std::size_t s = 0; s < schedule.steps.size(); ++s) {
      const Traffic step = traffic_of(program.graph, schedule, schedule.steps[s]);
      until.push_back(until.back() + step.read + step.written);
      for_each_use(program.graph, schedule.steps[s], [&](ir::Value v, bool written) {
        if (!written) readers[schedule.storage(v)].push_back(s);
      });
    }
  }
};

}  // namespace

// As the kernel tells it: the C library counts a whole socket's.
std::int64_t last_cache_bytes() {
  static const std::int64_t bytes = [] {
    std::int64_t kilobytes = 0;
    std::ifstream("/sys/devices/system/cpu/cpu0/cache/index3/size") >> kilobytes;
    return (kilobytes > 0 ? kilobytes : std::int64_t{32} << 10) << 10;
  }();
  return bytes;
}

void choose_streams(const Program& program, Schedule& schedule) {
  const Moved moved(program, schedule);
  if (moved.until.back() < last_cache_bytes()) return;
  // By value that becomes a variable's: what a run moves before it first reads that variable.
  std::map<ir::Value, std::int64_t> next_run;
  for (const auto& u : program.updates) {
    std::int64_t first = moved.until.back();
    for (const auto& v : program.variables)
      if (v.variable == u.variable)
        if (const auto found = moved.readers.find({v.node, 0}); found != moved.readers.end()) first = moved.until[found->second.front()];
    next_run[schedule.storage(u.value)] = first;
  }
  for (std::size_t s = 0; s < schedule.steps.size(); ++s) {
    auto* step = std::get_if<Schedule::KernelStep>(&schedule.steps[s]);
    if (!step || step->kernel.vector_loop < 0) continue;
    for (auto& store : step->kernel.stores) {
      const ir::Value v = step->kernel.buffers[static_cast<std::size_t>(store.access.buffer)].value;
      const std::int64_t own = v.node < 0 ? 0 : program.graph.type(v).byte_count();
      const auto next = next_run.find(v);
      if (own < (next != next_run.end() ? least_streamed : last_cache_bytes() / 2)) continue;
      std::int64_t distance = moved.until.back() - moved.until[s + 1] + own;
      if (next != next_run.end()) distance += next->second;
      if (const auto found = moved.readers.find(v); found != moved.readers.end())
        for (auto r : found->second)
          if (r > s) distance = std::min(distance, moved.until[r] - moved.until[s + 1] + own);
      store.streams = distance >= last_cache_bytes();
    }
  }
}

}  // namespace weft::cpu
