// What compiling takes: the first training step of the process, and the same network at a batch size not yet seen.
#include "apps/workloads/workload.h"

#include <chrono>

namespace weft::apps {
namespace {

double seconds_to_compile(std::int64_t batch, Backend backend) {
  Setup setup;
  build_lenet(setup, batch);
  const auto start = std::chrono::steady_clock::now();
  setup.compile({.backend = backend});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<Workload> compile_workloads() {
  const auto cold = [](Backend backend) { return seconds_to_compile(16, backend); };
  const auto second_size = [](Backend backend) {
    seconds_to_compile(16, backend);
    return seconds_to_compile(48, backend);
  };
  return {{.name = "digits_compile_cold", .build = {}, .timed = cold},
          {.name = "digits_compile_second_batch_size", .build = {}, .timed = second_size}};
}

}  // namespace weft::apps
