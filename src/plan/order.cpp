#include "plan/order.h"

#include <algorithm>
#include <tuple>

namespace weft::plan {
namespace {

/// Steps among which one that starts looks for others to take along; late ones among all.
constexpr std::size_t look_ahead = 256;

std::size_t at(int i) { return static_cast<std::size_t>(i); }
bool contains(const std::vector<int>& list, int i) { return std::find(list.begin(), list.end(), i) != list.end(); }

class Orderer {
 public:
  Orderer(const std::vector<Value>& values, const std::vector<Step>& steps)
      : values_(values),
        steps_(steps),
        before_(steps.size()),
        after_(steps.size()),
        is_late_(steps.size()),
        precedes_failure_(steps.size()),
        readers_(values.size()),
        writers_(values.size()) {
    depend_on_data();
    for (int s = count() - 1; s >= 0; --s)
      precedes_failure_[at(s)] =
          std::any_of(after_[at(s)].begin(), after_[at(s)].end(), [&](int a) { return steps_[at(a)].can_fail || precedes_failure_[at(a)]; });
    for (int s = 0; s < count(); ++s)
      is_late_[at(s)] = may_overwrite(s) || std::any_of(before_[at(s)].begin(), before_[at(s)].end(), [&](int b) { return is_late_[at(b)]; });
    is_in_place_.assign(values_.size(), false);
    for (int v = 0; v < static_cast<int>(values_.size()); ++v)
      if (values_[at(v)].replaces >= 0) is_in_place_[at(v)] = read_old_value_first(v);
  }

  Order run() {
    const auto given = sorted(false), thrifty = sorted(true);
    const bool saves = live_maximum(thrifty) < live_maximum(given);
    Order order{launches(saves ? thrifty : given), std::move(is_in_place_)};
    forbid_failures(order);
    return order;
  }

 private:
  int count() const { return static_cast<int>(steps_.size()); }

  void add_edge(int from, int to) {
    if (from == to || contains(before_[at(to)], from)) return;
    before_[at(to)].push_back(from);
    after_[at(from)].push_back(to);
  }

  void depend_on_data() {
    for (int s = 0; s < count(); ++s) {
      for (int v : steps_[at(s)].reads) {
        for (int w : writers_[at(v)]) add_edge(w, s);
        readers_[at(v)].push_back(s);
      }
      for (int v : steps_[at(s)].writes) {
        for (int w : writers_[at(v)]) add_edge(w, s);
        for (int r : readers_[at(v)]) add_edge(r, s);
        writers_[at(v)].push_back(s);
      }
    }
  }

  /// Whether it replaces a variable's value, and nothing that depends on it can fail.
  bool may_overwrite(int s) const {
    const Step& step = steps_[at(s)];
    const bool replaces = std::any_of(step.writes.begin(), step.writes.end(), [&](int v) { return values_[at(v)].replaces >= 0; });
    return replaces && !step.can_fail && !precedes_failure_[at(s)];
  }

  bool reaches(int from, int to) const {
    std::vector<bool> seen(steps_.size());
    std::vector<int> work{from};
    while (!work.empty()) {
      const int s = work.back();
      work.pop_back();
      if (s == to) return true;
      if (seen[at(s)]) continue;
      seen[at(s)] = true;
      work.insert(work.end(), after_[at(s)].begin(), after_[at(s)].end());
    }
    return false;
  }

  /// Has all other steps that read what `v` replaces run before `v` is written; false where they can't.
  bool read_old_value_first(int v) {
    const int old = values_[at(v)].replaces;
    const auto& writers = writers_[at(v)];
    if (writers.empty() || values_[at(old)].is_kept || values_[at(old)].bytes != values_[at(v)].bytes) return false;
    for (int w : writers) {
      const Step& step = steps_[at(w)];
      if (!may_overwrite(w)) return false;
      if (!contains(step.reads, old)) continue;
      const bool overlays = std::any_of(step.overlays.begin(), step.overlays.end(), [&](const auto& o) { return o.read == old && o.written == v; });
      if (w != writers.front() || !overlays) return false;
    }
    for (int r : readers_[at(old)])
      for (int w : writers) {
        if (r == w) continue;
        if (reaches(w, r)) return false;
        add_edge(r, w);
      }
    return true;
  }

  /// Bytes that a step takes, less those that nothing else still to come needs. `reads_left` counts reads by value.
  std::int64_t growth(int s, const std::vector<int>& uses_left) const {
    std::int64_t bytes = 0;
    const Step& step = steps_[at(s)];
    for (int v : step.writes)
      if (values_[at(v)].in_arena && writers_[at(v)].front() == s) bytes += values_[at(v)].bytes;
    for (int v : step.reads)
      if (values_[at(v)].in_arena && !values_[at(v)].is_kept && uses_left[at(v)] == 1) bytes -= values_[at(v)].bytes;
    return bytes;
  }

  std::vector<int> counted_uses() const {
    std::vector<int> uses(values_.size());
    for (std::size_t v = 0; v < values_.size(); ++v) uses[v] = static_cast<int>(readers_[v].size());
    return uses;
  }

  /// In an order in which steps can run: late ones last, otherwise as given or the one first that leaves the least memory taken.
  std::vector<int> sorted(bool by_memory) const {
    std::vector<int> missing(steps_.size()), ready, order;
    auto uses_left = counted_uses();
    for (int s = 0; s < count(); ++s)
      if ((missing[at(s)] = static_cast<int>(before_[at(s)].size())) == 0) ready.push_back(s);
    while (!ready.empty()) {
      auto key = [&](int s) {
        const bool late = is_late_[at(s)];
        return std::tuple(late, by_memory && !late ? growth(s, uses_left) : 0, s);
      };
      auto best = ready.begin();
      for (auto i = ready.begin() + 1; i < ready.end(); ++i)
        if (key(*i) < key(*best)) best = i;
      const int s = *best;
      ready.erase(best);
      order.push_back(s);
      for (int v : steps_[at(s)].reads) --uses_left[at(v)];
      for (int next : after_[at(s)])
        if (--missing[at(next)] == 0) ready.push_back(next);
    }
    return order;
  }

  std::int64_t live_maximum(const std::vector<int>& order) const {
    auto uses_left = counted_uses();
    std::int64_t live = 0, most = 0;
    for (int s : order) {
      const Step& step = steps_[at(s)];
      for (int v : step.writes)
        if (values_[at(v)].in_arena && writers_[at(v)].front() == s) live += values_[at(v)].bytes;
      most = std::max(most, live + step.scratch);
      for (int v : step.reads)
        if (--uses_left[at(v)] == 0 && values_[at(v)].in_arena && !values_[at(v)].is_kept) live -= values_[at(v)].bytes;
    }
    return most;
  }

  /// Each step that can join takes along those after it that can and that wait for nothing in between.
  std::vector<std::vector<int>> launches(const std::vector<int>& order) const {
    std::vector<std::vector<int>> launches;
    std::vector<bool> done(steps_.size()), started(steps_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      const int first = order[i];
      if (done[at(first)]) continue;
      auto& launch = launches.emplace_back(1, first);
      if (steps_[at(first)].can_join)
        for (std::size_t j = i + 1; j < order.size() && (j - i < look_ahead || is_late_[at(first)]); ++j) {
          const int s = order[j];
          if (done[at(s)] || !steps_[at(s)].can_join || is_late_[at(s)] != is_late_[at(first)]) continue;
          const auto& needs = before_[at(s)];
          if (std::all_of(needs.begin(), needs.end(), [&](int b) { return done[at(b)]; })) launch.push_back(s);
        }
      for (int s : launch) done[at(s)] = true;
    }
    return launches;
  }

  /// What would be written in place before something that can fail isn't.
  void forbid_failures(Order& order) const {
    std::vector<int> launch_of(steps_.size());
    int last_failure = -1;
    for (int l = 0; l < static_cast<int>(order.launches.size()); ++l)
      for (int s : order.launches[at(l)]) {
        launch_of[at(s)] = l;
        if (steps_[at(s)].can_fail) last_failure = l;
      }
    for (std::size_t v = 0; v < values_.size(); ++v)
      if (order.is_in_place[v])
        order.is_in_place[v] = std::all_of(writers_[v].begin(), writers_[v].end(), [&](int w) { return launch_of[at(w)] > last_failure; });
  }

  const std::vector<Value>& values_;
  const std::vector<Step>& steps_;
  std::vector<std::vector<int>> before_, after_;  ///< by step: what it waits for, and what waits for it
  std::vector<bool> is_late_, precedes_failure_;
  std::vector<std::vector<int>> readers_, writers_;  ///< by value
  std::vector<bool> is_in_place_;
};

}  // namespace

Order order_steps(const std::vector<Value>& values, const std::vector<Step>& steps) { return Orderer(values, steps).run(); }

}  // namespace weft::plan
