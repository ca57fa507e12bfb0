// Which results are better written past the caches.
#pragma once

#include "stitch/lower.h"

namespace weft::cpu {

/// Marks stores of results so large, and read again so much later, that they would have left the last cache: written past it they
/// needn't be read first, and drive nothing else out. A variable's next value is first read in the next run.
void choose_streams(const Program& program, Schedule& schedule);

}  // namespace weft::cpu
