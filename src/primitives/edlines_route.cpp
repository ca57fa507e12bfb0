#include "primitives/edlines_route.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weft::edlines {
namespace {

enum Direction : std::uint8_t { left, right, up, down };
constexpr std::uint8_t none = 0, edge = 1, border = 2;  // what has been visited

}  // namespace

void Router::run(const GradientMap& map, const RouteOptions& options) {
  pixels.clear();
  offsets.assign(1, 0);
  if (map.width < 3 || map.height < 3) return;
  const auto count = static_cast<std::size_t>(map.width * map.height), width = static_cast<std::size_t>(map.width);
  if (visited_.element_count() < map.width * map.height) visited_ = NDArray(u8, {map.width * map.height});
  visited_at_ = visited_.elements<std::uint8_t>().data();
  std::fill_n(visited_at_, count, none);
  std::fill_n(visited_at_, width, border);
  std::fill_n(visited_at_ + count - width, width, border);
  for (std::size_t row = width; row < count; row += width) visited_at_[row - 1] = visited_at_[row] = border;

  find_anchors(map, options);
  sort_anchors();
  for (std::size_t i = 0; i < anchors_.size(); ++i) {
    const Anchor anchor = anchors_[i];
    if (i + 8 < anchors_.size()) prefetch(map, anchors_[i + 8].pixel);
    const std::int64_t across = map[anchor.pixel].is_upright() ? 1 : map.width, p = anchor.pixel;
    if (is_taken(p, across)) continue;
    follow(map, anchor.pixel, options.least_squared);
    keep_longest(options.least_pixels);
  }
}

/// Neighbouring rows are too far apart for the processor to foresee.
inline void Router::prefetch_pixel(const GradientMap& map, std::int64_t pixel) const {
  __builtin_prefetch(map.bits + pixel);
  __builtin_prefetch(visited_at_ + pixel);
}
inline void Router::prefetch(const GradientMap& map, std::int64_t pixel) const {
  for (const std::int64_t p : {pixel - map.width, pixel, pixel + map.width}) prefetch_pixel(map, p);
}

/// At the border, or of an edge, which may be one that comes by a pixel beside.
inline bool Router::is_taken(std::int64_t pixel, std::int64_t across) const {
  const auto* v = visited_at_ + pixel;
  return v[0] != none || v[-across] == edge || v[across] == edge;
}

void Router::find_anchors(const GradientMap& map, const RouteOptions& options) {
  anchors_.clear();
  const auto look_at = [&](std::int64_t p) {
    const Gradient g = map[p];
    const std::int32_t squared = g.squared();
    if (squared < options.least_squared) return;
    const std::int64_t across = g.is_upright() ? 1 : map.width;
    if (squared >= map[p - across].squared() && squared >= map[p + across].squared()) anchors_.push_back({squared, static_cast<std::int32_t>(p)});
  };
  for (std::int64_t y = 1; y < map.height - 1; ++y) {
    const bool is_whole = y % options.detail_ratio == 0;
    const std::int64_t step = is_whole ? 1 : options.detail_ratio;
    for (std::int64_t x = step; x < map.width - 1; x += step) look_at(y * map.width + x);
  }
}

/// By falling gradient; those of equal ones keep their order. A radix sort.
void Router::sort_anchors() {
  constexpr int bits = 11;
  constexpr std::uint32_t mask = (1u << bits) - 1;
  sorted_.resize(anchors_.size());
  for (int shift = 0; shift < 31; shift += bits) {
    const auto digit = [&](Anchor a) { return (~static_cast<std::uint32_t>(a.squared) & 0x7fffffffu) >> shift & mask; };
    std::array<std::uint32_t, mask + 2> starts{};
    for (const Anchor a : anchors_) ++starts[digit(a) + 1];
    for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    for (const Anchor a : anchors_) sorted_[starts[digit(a)]++] = a;
    std::swap(anchors_, sorted_);
  }
}

void Router::follow(const GradientMap& map, std::int32_t anchor, std::int32_t least_squared) {
  const auto width = static_cast<std::int32_t>(map.width);
  const std::array<std::int32_t, 4> ahead = {-1, 1, -width, width}, aside = {width, width, 1, 1};
  walked_.assign(1, anchor);
  walks_.assign(1, {0, 1, {-1, -1}, 1});
  visited_at_[anchor] = edge;
  starts_.clear();
  const auto turn = [&](std::int32_t pixel, std::int32_t from) {
    const std::uint8_t first = map[pixel].is_upright() ? up : left;
    starts_.push_back({pixel, static_cast<std::uint8_t>(first + 1), 1, from});
    starts_.push_back({pixel, first, 0, from});
  };
  turn(anchor, 0);
  while (!starts_.empty()) {
    const Start start = starts_.back();
    starts_.pop_back();
    const bool is_upright = start.direction >= up;
    const std::int32_t straight = ahead[start.direction], side = aside[start.direction];
    const auto begin = static_cast<std::int64_t>(walked_.size());
    const auto walk = static_cast<std::int32_t>(walks_.size());
    bool has_turned = false;
    for (std::int32_t p = start.pixel;;) {
      const std::int32_t next = p + straight;
      if (is_upright) prefetch_pixel(map, p + 8 * straight);
      else prefetch(map, p + 16 * straight);
      const std::int32_t a = map[next - side].squared(), b = map[next].squared(), c = map[next + side].squared();
      std::int32_t best = b;
      p = next;
      if (b < a || b < c) {
        best = a < c ? c : a;
        p = a < c ? next + side : next - side;
      }
      if (best < least_squared || is_taken(p, side)) break;
      visited_at_[p] = edge;
      walked_.push_back(p);
      if (map[p].is_upright() != is_upright) {
        has_turned = true;
        break;
      }
    }
    const auto end = static_cast<std::int64_t>(walked_.size());
    if (begin == end) continue;
    walks_.push_back({begin, end, {-1, -1}, end - begin});
    walks_[static_cast<std::size_t>(start.from)].next[start.which] = walk;
    if (has_turned) turn(walked_.back(), walk);
  }
}

/// Makes chains of the walks from one anchor.
void Router::keep_longest(std::int64_t least_pixels) {
  // A walk comes after the one from which it goes on.
  for (auto w = walks_.rbegin(); w + 1 != walks_.rend(); ++w) {
    std::int64_t rest = 0;
    for (const auto n : w->next)
      if (n >= 0) rest = std::max(rest, walks_[static_cast<std::size_t>(n)].longest);
    w->longest += rest;
  }
  left_.clear();
  const Walk& anchor = walks_.front();
  std::int64_t whole = 1;
  for (const auto n : anchor.next)
    if (n >= 0) whole += walks_[static_cast<std::size_t>(n)].longest;
  if (whole < least_pixels) return;  // nothing else is longer
  const auto close = [&] { offsets.push_back(static_cast<std::int64_t>(pixels.size())); };
  // From where the way down or to the right ends: which chords of a curve become lines depends on where it begins.
  if (anchor.next[1] >= 0) append_way(anchor.next[1], true, least_pixels);
  pixels.push_back(walked_.front());
  if (anchor.next[0] >= 0) append_way(anchor.next[0], false, least_pixels);
  close();
  while (!left_.empty()) {
    const auto walk = left_.back();
    left_.pop_back();
    append_way(walk, false, least_pixels);
    close();
  }
}

/// Appends the longest way from a walk on to `pixels`, and what leaves it to left_ where that is long enough.
void Router::append_way(std::int32_t walk, bool backwards, std::int64_t least_pixels) {
  const auto first = static_cast<std::ptrdiff_t>(pixels.size());
  while (walk >= 0) {
    const Walk& w = walks_[static_cast<std::size_t>(walk)];
    pixels.insert(pixels.end(), walked_.begin() + w.begin, walked_.begin() + w.end);
    const auto longest = [&](std::int32_t n) { return n < 0 ? 0 : walks_[static_cast<std::size_t>(n)].longest; };
    const int on = longest(w.next[1]) > longest(w.next[0]) ? 1 : 0;
    if (longest(w.next[1 - on]) >= least_pixels) left_.push_back(w.next[1 - on]);
    walk = w.next[on];
  }
  if (backwards) std::reverse(pixels.begin() + first, pixels.end());
}

}  // namespace weft::edlines
