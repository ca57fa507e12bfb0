// Copies between places of a run.
#pragma once

#include <cstddef>

namespace weft::cpu {

/// Large blocks by all threads, and past the caches when these would not hold them.
void copy_bytes(void* to, const void* from, std::size_t bytes);

}  // namespace weft::cpu
