#include "plan/plan.h"

#include "plan/arena.h"
#include "plan/order.h"

#include <algorithm>

namespace weft::plan {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// When a value is touched for the first and the last time, and by how many steps of those launches.
struct Span {
  int first = -1, last = -1;
  int first_steps = 0, last_steps = 0;

  void touch(int launch) {
    if (first < 0) first = launch;
    first_steps += launch == first;
    last_steps = launch == last ? last_steps + 1 : 1;
    last = launch;
  }
};

}  // namespace

Plan make_plan(const std::vector<Value>& values, const std::vector<Step>& steps) {
  Order order = order_steps(values, steps);
  Plan plan;
  plan.launches = std::move(order.launches);
  plan.is_in_place = std::move(order.is_in_place);
  const int end = static_cast<int>(plan.launches.size());

  std::vector<Span> spans(values.size());
  for (int l = 0; l < end; ++l)
    for (int s : plan.launches[at(l)]) {
      std::vector<int> touched = steps[at(s)].reads;
      touched.insert(touched.end(), steps[at(s)].writes.begin(), steps[at(s)].writes.end());
      std::sort(touched.begin(), touched.end());
      touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
      for (int v : touched) spans[at(v)].touch(l);
    }

  // A value that is written over another shares its memory: the two are one lifetime.
  std::vector<int> life_of(values.size(), -1);
  std::vector<Lifetime> lives;
  std::vector<bool> is_overwritten(values.size());
  auto give_life = [&](int v) {
    if (!values[at(v)].in_arena || life_of[at(v)] >= 0) return;
    const Span& span = spans[at(v)];
    life_of[at(v)] = static_cast<int>(lives.size());
    lives.push_back({values[at(v)].bytes, span.first, values[at(v)].is_kept ? end : span.last});
  };
  std::vector<int> scratch_life(steps.size(), -1);
  for (int l = 0; l < end; ++l)
    for (int s : plan.launches[at(l)]) {
      const Step& step = steps[at(s)];
      for (const auto& o : step.overlays) {
        const Value &read = values[at(o.read)], &written = values[at(o.written)];
        const Span &reads = spans[at(o.read)], &writes = spans[at(o.written)];
        if (!read.in_arena || !written.in_arena || read.is_kept || read.bytes != written.bytes || is_overwritten[at(o.read)] ||
            life_of[at(o.read)] < 0 || life_of[at(o.written)] >= 0)
          continue;
        if (reads.last != l || reads.last_steps != 1 || writes.first != l || writes.first_steps != 1) continue;
        is_overwritten[at(o.read)] = true;
        const int life = life_of[at(o.written)] = life_of[at(o.read)];
        lives[at(life)].last = written.is_kept ? end : writes.last;
      }
      for (int v : step.reads) give_life(v);
      for (int v : step.writes) give_life(v);
      if (step.scratch == 0) continue;
      scratch_life[at(s)] = static_cast<int>(lives.size());
      lives.push_back({step.scratch, l, l});
    }

  const Arena arena = arrange(lives);
  plan.bytes = arena.bytes;
  plan.live_maximum = arena.live_maximum;
  for (int life : life_of) plan.offsets.push_back(life < 0 ? -1 : arena.offsets[at(life)]);
  for (int life : scratch_life) plan.scratch.push_back(life < 0 ? 0 : arena.offsets[at(life)]);
  return plan;
}

}  // namespace weft::plan
