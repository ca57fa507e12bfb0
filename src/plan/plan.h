// Where intermediate values live: offsets in one arena, from when each is first written to when it is last read.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::plan {

struct Lifetime {
  std::int64_t bytes = 0;
  int first = 0;  ///< the step that writes it
  int last = 0;   ///< the last step that reads it
};

struct Arena {
  std::vector<std::int64_t> offsets;  ///< 64-byte aligned, one for each lifetime
  std::int64_t bytes = 0;
  std::int64_t live_maximum = 0;  ///< the most bytes alive at any one step: no plan can need less
};

/// Best fit, by size and by time; the smaller of the two. E. Pisarchyk and J. Lee, "Efficient memory management for deep
/// neural net inference", 2020, section 5.
Arena arrange(const std::vector<Lifetime>& lifetimes);

}  // namespace weft::plan
