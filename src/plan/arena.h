// Offsets in one block of memory for values that live for a while.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::plan {

struct Lifetime {
  std::int64_t bytes = 0;
  int first = 0;  ///< the launch that writes it
  int last = 0;   ///< the last launch that reads it
};

struct Arena {
  std::vector<std::int64_t> offsets;  ///< 64-byte aligned, one for each lifetime
  std::int64_t bytes = 0;
  std::int64_t live_maximum = 0;  ///< the most bytes alive at any one time: no arena can be smaller
};

/// Best fit, in several orders: by size, by time, by both (E. Pisarchyk and J. Lee, "Efficient memory management for deep
/// neural net inference", 2020, section 5). Where none comes within 2 % of the live maximum, what lies at the top is placed
/// earlier, a bounded number of times.
Arena arrange(const std::vector<Lifetime>& lifetimes);

}  // namespace weft::plan
