// weft info
#include "apps/commands.h"

#include "compile/backend.h"
#include "compile/pipeline.h"

#include <weft/device.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

#include <sched.h>

namespace weft::apps {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

/// Those that decide how fast tensors are computed.
std::string features() {
  std::string text;
#if defined(__x86_64__)
  const auto add = [&](const char* name, bool has) { text += has ? (text.empty() ? "" : " ") + std::string(name) : ""; };
  add("sse4.2", __builtin_cpu_supports("sse4.2"));
  add("avx", __builtin_cpu_supports("avx"));
  add("avx2", __builtin_cpu_supports("avx2"));
  add("fma", __builtin_cpu_supports("fma"));
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  add("avx512bf16", __builtin_cpu_supports("avx512bf16"));
#endif
  return text.empty() ? "none known" : text;
}

/// The cores that this process may use.
int cores() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void info() {
  std::printf("weft       %s\n", WEFT_VERSION);
  const Backend used = resolve(Backend::automatic);
  std::printf("backends   %s%sreference; used: %s\n", has_backend(Backend::cuda) ? "cuda, " : "", has_backend(Backend::cpu) ? "cpu, " : "",
              used == Backend::cuda  ? "cuda"
              : used == Backend::cpu ? "cpu"
                                     : "reference");
  std::printf("processor  %s\n", processor().c_str());
  std::printf("features   %s\n", features().c_str());
  std::printf("cores      %d\n", cores());
  for (const Device device : Device::all()) {
    if (device.is_cpu()) continue;
    const DeviceProperties p = device.properties();
    std::printf("%-10s %s, %.1f GiB, %.1f GiB free, compute capability %d.%d, %d multiprocessors\n", device.str().c_str(), p.name.c_str(),
                static_cast<double>(p.memory) / (1 << 30), static_cast<double>(p.memory_free) / (1 << 30), p.compute_capability / 10,
                p.compute_capability % 10, p.multiprocessors);
  }
  bool is_first = true;
  for (const auto& library : gpu_libraries()) std::printf("%-10s %s\n", std::exchange(is_first, false) ? "libraries" : "", library.c_str());
  if (const auto why = Device::why_no_gpu(); !why.empty()) std::printf("cuda       not used: %s\n", why.c_str());
}

}  // namespace

void add_info_command(CLI::App& weft) { weft.add_subcommand("info", "Say what this weft was built with and what it runs on")->callback(info); }

}  // namespace weft::apps
