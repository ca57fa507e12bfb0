// GELU over 16M floats, stitched and not, against a copy of the same bytes by two threads.
#include <weft/weft.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "timing.h"

using namespace weft;

namespace {

Tensor gelu_chain(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

void bench_gelu() {
  constexpr std::int64_t n = 1 << 24;
  NDArray input(f32, {n}), output(f32, {n});
  for (std::int64_t i = 0; i < n; ++i) input.elements<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % 8191) / 1024.0f - 4.0f;
  const double copy = median_seconds(9, [&] {
    std::thread half([&] { std::memcpy(output.data(), input.data(), n * 2); });
    std::memcpy(output.data() + n * 2, input.data() + n * 2, n * 2);
    half.join();
  });
  std::printf("copy of 16M f32, two threads: %.2f ms, %.1f GB/s\n", copy * 1e3, 8e-9 * n / copy);
  for (const bool stitch : {true, false}) {
    Graph g;
    const Tensor x = g.placeholder({dynamic}, f32, "x");
    const Tensor y = gelu_chain(x);
    const Executable e = g.compile({{x, {f32, {n}}}}, {y}, {}, {.stitch = stitch});
    TensorData result(output);
    const double t = median_seconds(9, [&] { e.run(std::vector<TensorData>{input}, std::span(&result, 1)); });
    const auto& s = e.statistics();
    std::printf("gelu of 16M f32, %s: %.2f ms, %d kernels, %.0f MB read, %.0f MB written, %.2f of the copy's speed\n",
                stitch ? "stitched" : "not stitched", t * 1e3, s.kernels, s.bytes_read / 1e6, s.bytes_written / 1e6, copy / t);
  }
}

}  // namespace

int main() { bench_gelu(); }
