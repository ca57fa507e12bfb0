#include "runtime/memory.h"

#include <cstdint>
#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace weft::runtime {
namespace {

std::byte* aligned(void* memory, std::size_t alignment) {
  const auto place = reinterpret_cast<std::uintptr_t>(memory);
  return static_cast<std::byte*>(memory) + (alignment - place % alignment) % alignment;
}

#if defined(__linux__)
constexpr std::size_t large_page = std::size_t{2} << 20;

std::shared_ptr<std::byte> large_block(std::size_t bytes) {
  const std::size_t reserved = (bytes + large_page - 1) / large_page * large_page + large_page;
  void* memory = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  std::byte* start = aligned(memory, large_page);
  madvise(start, reserved - large_page, MADV_HUGEPAGE);  // a wish: without, pages are small
  return {start, [memory, reserved](std::byte*) { munmap(memory, reserved); }};
}
#endif

}  // namespace

std::shared_ptr<std::byte> allocate(std::size_t bytes, Fill fill) {
#if defined(__linux__)
  if (bytes >= 2 * large_page) return large_block(bytes);
#endif
  const std::size_t reserved = bytes + memory_alignment;
  void* memory = fill == Fill::zero ? std::calloc(reserved, 1) : std::malloc(reserved);
  if (!memory) return nullptr;
  return {aligned(memory, memory_alignment), [memory](std::byte*) { std::free(memory); }};
}

}  // namespace weft::runtime
