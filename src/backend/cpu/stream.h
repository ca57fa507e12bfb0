// Which results are better written past the caches.
#pragma once

#include "stitch/lower.h"

#include <cstdint>

namespace weft::cpu {

/// Marks stores of results so large, and read again so much later, that they would have left the last cache: written past it they
/// needn't be read first, and drive nothing else out. A variable's next value is first read in the next run.
void choose_streams(const Program& program, Schedule& schedule);

/// Of the last cache, as cores share it.
std::int64_t last_cache_bytes();

}  // namespace weft::cpu
