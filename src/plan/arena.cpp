#include "plan/arena.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace weft::plan {
namespace {

constexpr std::int64_t alignment = 64;
/// Placements tried at most, each of which compares all pairs of values: a few milliseconds for 300 of them.
constexpr std::int64_t most_comparisons = 4'000'000, most_attempts = 400;

std::int64_t aligned(std::int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

using Order = std::vector<std::size_t>;

/// Places lifetimes in the given order, each in the smallest gap between those placed before that live at the same time.
Arena place(const std::vector<Lifetime>& lifetimes, const Order& order) {
  Arena arena;
  arena.offsets.assign(lifetimes.size(), 0);
  Order placed;  // by offset
  placed.reserve(order.size());
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

std::int64_t live_maximum_of(const std::vector<Lifetime>& lifetimes) {
  int end = 0;
  for (const auto& life : lifetimes) end = std::max(end, life.last + 1);
  std::vector<std::int64_t> change(static_cast<std::size_t>(end) + 1);
  for (const auto& life : lifetimes)
    change[static_cast<std::size_t>(life.first)] += aligned(life.bytes), change[static_cast<std::size_t>(life.last) + 1] -= aligned(life.bytes);
  std::int64_t live = 0, most = 0;
  for (auto c : change) live += c, most = std::max(most, live);
  return most;
}

}  // namespace

Arena arrange(const std::vector<Lifetime>& lifetimes) {
  const std::int64_t live_maximum = live_maximum_of(lifetimes), good = live_maximum + live_maximum / 50;
  Order given(lifetimes.size()), order;
  std::iota(given.begin(), given.end(), std::size_t{0});
  Arena best;
  auto attempt = [&](const Order& tried) {
    Arena arena = place(lifetimes, tried);
    if (!best.offsets.empty() && arena.bytes >= best.bytes) return;
    best = std::move(arena);
    order = tried;
  };
  auto by = [&](auto key) {
    if (!best.offsets.empty() && best.bytes <= good) return;
    Order sorted = given;
    std::stable_sort(sorted.begin(), sorted.end(), [&](auto a, auto b) { return key(lifetimes[a]) < key(lifetimes[b]); });
    attempt(sorted);
  };
  by([](const Lifetime& l) { return -l.bytes; });
  by([](const Lifetime& l) { return l.first; });
  by([](const Lifetime& l) { return -l.bytes * (l.last - l.first + 1); });
  by([](const Lifetime& l) { return l.first - l.last; });

  // Whatever ends at the top found no room below when its turn came: its turn comes sooner, or two others trade turns.
  const auto pairs = static_cast<std::int64_t>(lifetimes.size() * lifetimes.size());
  std::int64_t attempts = std::min(most_attempts, most_comparisons / std::max<std::int64_t>(pairs, 1));
  std::minstd_rand random;  // the same numbers always
  auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (; best.bytes > good && attempts > 0; --attempts) {
    Order tried = order;
    const auto top = std::find_if(tried.begin(), tried.end(), [&](auto i) { return best.offsets[i] + aligned(lifetimes[i].bytes) == best.bytes; });
    const auto turn = static_cast<std::size_t>(top - tried.begin());
    if (attempts % 2 == 0 && turn > 0) std::rotate(tried.begin() + static_cast<std::ptrdiff_t>(below(turn)), top, top + 1);
    else std::swap(tried[below(tried.size())], tried[below(tried.size())]);
    Arena arena = place(lifetimes, tried);
    if (arena.bytes > best.bytes) continue;
    best = std::move(arena);
    order = std::move(tried);
  }
  best.live_maximum = live_maximum;
  return best;
}

}  // namespace weft::plan
