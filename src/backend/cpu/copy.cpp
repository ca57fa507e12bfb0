#include "backend/cpu/copy.h"

#include "backend/cpu/stream.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weft::cpu {
namespace {

/// Bytes that take one thread longer than it takes to wake another.
constexpr std::size_t bytes_to_share = 1 << 20;
constexpr std::size_t line = 64;

/// Of whole cache lines, `to` at the beginning of one.
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t bytes) {
#if defined(__SSE2__)
  for (std::size_t i = 0; i < bytes; i += line)
    for (std::size_t j = i; j < i + line; j += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + j), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j)));
  _mm_sfence();
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace

void copy_bytes(void* to, const void* from, std::size_t bytes) {
  if (bytes < bytes_to_share) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return;
  }
  auto* const target = static_cast<std::byte*>(to);
  const auto* const source = static_cast<const std::byte*>(from);
  const std::size_t head = -reinterpret_cast<std::uintptr_t>(target) % line, lines = (bytes - head) / line, whole = head + lines * line;
  const bool past_caches = static_cast<std::int64_t>(bytes) >= last_cache_bytes() / 2;
  std::memcpy(target, source, head);
#pragma omp parallel
  {
    const auto threads = static_cast<std::size_t>(omp_get_num_threads()), self = static_cast<std::size_t>(omp_get_thread_num());
    const std::size_t begin = head + lines * self / threads * line, size = head + lines * (self + 1) / threads * line - begin;
    if (past_caches) copy_past_caches(target + begin, source + begin, size);
    else std::memcpy(target + begin, source + begin, size);
  }
  std::memcpy(target + whole, source + whole, bytes - whole);
}

}  // namespace weft::cpu
