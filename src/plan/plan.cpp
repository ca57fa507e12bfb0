#include "plan/plan.h"

#include <algorithm>
#include <numeric>

namespace weft::plan {
namespace {

constexpr std::int64_t alignment = 64;

std::int64_t aligned(std::int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Places lifetimes in the given order, each in the smallest gap between those placed before that live at the same time.
Arena place(const std::vector<Lifetime>& lifetimes, const std::vector<std::size_t>& order) {
  Arena arena;
  arena.offsets.assign(lifetimes.size(), 0);
  std::vector<std::size_t> placed;  // by offset
  for (auto i : order) {
    const auto& life = lifetimes[i];
    const auto bytes = aligned(life.bytes);
    std::int64_t best = -1, best_gap = 0, end = 0;
    for (auto j : placed) {
      const auto& other = lifetimes[j];
      if (other.last < life.first || other.first > life.last) continue;
      const auto gap = arena.offsets[j] - end;
      if (gap >= bytes && (best < 0 || gap < best_gap)) best = end, best_gap = gap;
      end = std::max(end, arena.offsets[j] + aligned(other.bytes));
    }
    arena.offsets[i] = best < 0 ? end : best;
    arena.bytes = std::max(arena.bytes, arena.offsets[i] + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i, [&](auto a, auto b) { return arena.offsets[a] < arena.offsets[b]; }), i);
  }
  return arena;
}

}  // namespace

Arena arrange(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> by_size(lifetimes.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  auto by_time = by_size;
  std::stable_sort(by_size.begin(), by_size.end(), [&](auto a, auto b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::stable_sort(by_time.begin(), by_time.end(), [&](auto a, auto b) { return lifetimes[a].first < lifetimes[b].first; });
  Arena a = place(lifetimes, by_size), b = place(lifetimes, by_time);
  Arena& best = a.bytes <= b.bytes ? a : b;
  int steps = 0;
  for (const auto& life : lifetimes) steps = std::max(steps, life.last + 1);
  std::vector<std::int64_t> change(static_cast<std::size_t>(steps) + 1);
  for (const auto& life : lifetimes)
    change[static_cast<std::size_t>(life.first)] += aligned(life.bytes), change[static_cast<std::size_t>(life.last) + 1] -= aligned(life.bytes);
  std::int64_t live = 0;
  for (auto c : change) live += c, best.live_maximum = std::max(best.live_maximum, live);
  return std::move(best);
}

}  // namespace weft::plan
