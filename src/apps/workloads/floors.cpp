#include "apps/workloads/floors.h"

#include "apps/workloads/timing.h"
#include "apps/workloads/workload.h"

#include <weft/matmul.h>
#include <weft/ndarray.h>

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weft::apps {
namespace {

constexpr std::size_t line = 64;

// Functions that GCC and Clang make for several processors: `wide` is forced inline into each.
using Lanes = float __attribute__((vector_size(64), aligned(64), may_alias));
#define WEFT_INLINE inline __attribute__((always_inline))

/// Sums of lanes that don't wait for each other; the result only keeps the loads from being dropped.
WEFT_INLINE float read_wide(const std::byte* from, std::size_t bytes) {
  Lanes sums[4] = {};
  for (std::size_t i = 0; i + 4 * line <= bytes; i += 4 * line)
    for (std::size_t j = 0; j < 4; ++j) sums[j] += *reinterpret_cast<const Lanes*>(from + i + j * line);
  const Lanes sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return sum[0];
}

/// So many chains as leave the processor's registers room for the constants and cover the latency of two units of four or
/// five cycles. They start apart, or the compiler would make them one.
template <int chains> WEFT_INLINE float multiply_add_wide(std::int64_t terms) {
  Lanes sums[chains];
  for (int i = 0; i < chains; ++i) sums[i] = Lanes{} + static_cast<float>(i + 2);
  const Lanes factor = Lanes{} + 0.999f, addend = Lanes{} + 1e-3f;
  for (std::int64_t i = 0; i < terms; i += chains)
    for (auto& s : sums) s = s * factor + addend;
  Lanes sum = {};
  for (const auto& s : sums) sum += s;
  return sum[0];
}

struct Loops {
  float (*read)(const std::byte*, std::size_t);
  float (*multiply_add)(std::int64_t);
};

float read_plain(const std::byte* from, std::size_t bytes) { return read_wide(from, bytes); }
float multiply_add_plain(std::int64_t terms) { return multiply_add_wide<3>(terms); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float read_avx2(const std::byte* from, std::size_t bytes) { return read_wide(from, bytes); }
__attribute__((target("avx2,fma"))) float multiply_add_avx2(std::int64_t terms) { return multiply_add_wide<6>(terms); }
__attribute__((target("avx512f"))) float read_avx512(const std::byte* from, std::size_t bytes) { return read_wide(from, bytes); }
__attribute__((target("avx512f"))) float multiply_add_avx512(std::int64_t terms) { return multiply_add_wide<12>(terms); }

Loops fastest_loops() {
  if (__builtin_cpu_supports("avx512f")) return {read_avx512, multiply_add_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {read_avx2, multiply_add_avx2};
  return {read_plain, multiply_add_plain};
}

/// Writes past the caches, without first reading what is overwritten.
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 16) _mm_stream_ps(reinterpret_cast<float*>(to + i), _mm_load_ps(reinterpret_cast<const float*>(from + i)));
  _mm_sfence();
}
void fill_past_caches(std::byte* to, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 16) _mm_stream_ps(reinterpret_cast<float*>(to + i), _mm_setzero_ps());
  _mm_sfence();
}
#else
Loops fastest_loops() { return {read_plain, multiply_add_plain}; }
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
void fill_past_caches(std::byte* to, std::size_t bytes) { std::memset(to, 0, bytes); }
#endif

struct FreeAligned {
  void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(line)); }
};

/// Whole cache lines for each of `threads`.
class Buffer {
 public:
  Buffer(std::int64_t bytes, int threads)
      : share_((static_cast<std::size_t>(bytes) / static_cast<std::size_t>(threads) + line - 1) / line * line),
        memory_(static_cast<std::byte*>(::operator new(std::max(share_* static_cast<std::size_t>(threads), line), std::align_val_t(line)))) {
    std::memset(memory_.get(), 0, share_ * static_cast<std::size_t>(threads));
  }
  std::size_t share() const { return share_; }
  std::byte* of(int thread) { return memory_.get() + share_ * static_cast<std::size_t>(thread); }

 private:
  std::size_t share_;
  std::unique_ptr<std::byte, FreeAligned> memory_;
};

/// What both sides have is copied, what is left read or filled.
double stream_on(int threads, std::int64_t read, std::int64_t written, bool past_caches) {
  Buffer in(read, threads), out(written, threads);
  const Loops loops = fastest_loops();
  const std::size_t copied = std::min(in.share(), out.share());
  const auto pass = [&] {
#pragma omp parallel num_threads(threads)
    {
      const int me = omp_get_thread_num();
      std::byte* to = out.of(me);
      if (past_caches) {
        copy_past_caches(to, in.of(me), copied);
        fill_past_caches(to + copied, out.share() - copied);
      } else {
        std::memcpy(to, in.of(me), copied);
        std::memset(to + copied, 0, out.share() - copied);
      }
      [[maybe_unused]] volatile float kept = loops.read(in.of(me) + copied, in.share() - copied);
    }
  };
  const double once = std::min(seconds_of(pass), seconds_of(pass));
  return seconds_of_loops(25, std::clamp(static_cast<int>(1e-3 / once), 1, 100), pass).front();
}

}  // namespace

double seconds_to_stream(std::int64_t read, std::int64_t written) {
  double best = stream_on(1, read, written, false);
  const int all = omp_get_max_threads();
  for (const auto& [threads, past_caches] : {std::pair{all, false}, std::pair{all, true}})
    best = std::min(best, stream_on(threads, read, written, past_caches));
  return best;
}

double seconds_to_copy(Device gpu, std::int64_t bytes) {
  const NDArray from(u8, {bytes}, gpu);
  NDArray to(u8, {bytes}, gpu);
  const auto pass = [&] { to.assign(from); };
  pass();
  return seconds_of_loops(7, 50, pass, [&] { gpu.wait(); }).front();
}

double peak_flops(Device gpu, DType dtype, bool tf32) {
  constexpr std::int64_t size = 4096;
  Setup setup;
  setup.targets = {matmul(setup.feed({size, size}, dtype), setup.feed({size, size}, dtype))};
  const Executable executable = setup.compile({.backend = Backend::cuda, .device = gpu.index(), .tf32 = tf32});
  std::vector<TensorData> feeds, results{NDArray(dtype, {size, size}, gpu)};
  for (const auto& feed : setup.feeds(executable)) feeds.emplace_back(feed.array().to(gpu));
  const auto pass = [&] { executable.run(feeds, results); };
  pass();
  return 2.0 * size * size * size / seconds_of_loops(5, 10, pass, [&] { gpu.wait(); }).front();
}

double peak_flops() {
  constexpr std::int64_t terms = 3 << 20;  // a multiple of every number of chains
  const Loops loops = fastest_loops();
  const auto pass = [&] {
#pragma omp parallel
    { [[maybe_unused]] volatile float kept = loops.multiply_add(terms); }
  };
  pass();
  // Long enough that the threads are not on the same core all the time.
  const int passes = std::clamp(static_cast<int>(0.5 / seconds_of(pass)), 5, 2000);
  return static_cast<double>(terms * 2 * 16 * omp_get_max_threads()) / seconds_of_loops(passes, 1, pass).front();
}

}  // namespace weft::apps
