// Numbers that kernels divide by, known before they start.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace weft::cuda {

/// As sources have it (`divided` in emit_library.cpp). T. Granlund, P. Montgomery, "Division by invariant integers using multiplication", 1994.
struct Divisor {
  std::uint32_t multiplier = 1, shift = 0;
};

inline Divisor divisor_of(std::int64_t by) {
  // ceiling(2^(32 + shift) / by) - 2^32, where 2^shift is the least power of 2 not below it.
  const auto divisor = static_cast<std::uint64_t>(std::max<std::int64_t>(by, 1));
  const auto shift = static_cast<std::uint32_t>(std::bit_width(divisor - 1));
  return {static_cast<std::uint32_t>(((((std::uint64_t{1} << shift) - divisor) << 32) / divisor) + 1), shift};
}

}  // namespace weft::cuda
