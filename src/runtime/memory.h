// Memory for elements.
#pragma once

#include <cstddef>
#include <memory>

namespace weft::runtime {

enum class Fill { zero, none };

constexpr std::size_t memory_alignment = 64;

/// Memory aligned to 64 bytes, null when there is none. Large blocks lie in large pages where the system has them: walking through
/// them misses far fewer address translations. Zeros come from pages that the system clears on first use.
std::shared_ptr<std::byte> allocate(std::size_t bytes, Fill fill);

}  // namespace weft::runtime
