#include "primitives/edlines_fit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace weft::edlines {
namespace {

/// A line ends where so many pixels in a row are too far away.
constexpr int most_bad = 5;
/// The mean square of what is left of a straight edge's distances when it is rounded to whole pixels: uniform within half a pixel.
constexpr double rounding = 1 / 12.0;
/// A line is a chord of a curve, not a straight edge, when its peaks have a larger mean square of distances than this.
constexpr double most_of_straight = 0.01;

/// Where across the edge the gradient's own part is largest, by a parabola through a pixel and its neighbours.
Position peak(const GradientMap& map, std::int32_t pixel, Position at) {
  const Gradient g = map[pixel];
  const bool is_upright = g.is_upright();
  const std::int64_t across = is_upright ? 1 : map.width;
  const auto part = [&](Gradient v) { return is_upright ? v.x() : v.y(); };
  const std::int32_t sign = part(g) < 0 ? -1 : 1;
  const std::int32_t middle = sign * part(g), before = sign * part(map[pixel - across]), after = sign * part(map[pixel + across]);
  const std::int32_t bend = 2 * middle - before - after, slope = after - before;
  // Beside a peak the parabola says little: then half a pixel towards it.
  const double offset = bend > std::abs(slope) ? 0.5 * slope / bend : slope == 0 ? 0 : slope > 0 ? 0.5 : -0.5;
  return is_upright ? Position{at.x + offset, at.y} : Position{at.x, at.y + offset};
}

double dot(Position a, Position b) { return a.x * b.x + a.y * b.y; }
Position difference(Position a, Position b) { return {a.x - b.x, a.y - b.y}; }
double square(Position a) { return dot(a, a); }

/// Whether the smaller eigenvalue of the covariances, which is the mean square of distances from the line, is no more than this: the matrix less that
/// much of the identity isn't positive definite.
bool is_straight(const Moments& m, double most_square) {
  const double xx = m.n * m.xx - m.x * m.x, xy = m.n * m.xy - m.x * m.y, yy = m.n * m.yy - m.y * m.y, most = m.n * m.n * most_square;
  return xx <= most || (xx - most) * (yy - most) <= xy * xy;
}

/// Finds the lines of one chain, in its order. Which pixels belong to a line is decided by whole pixels, as EDLines has it (section 2.2); the line
/// then goes through the gradient's peaks.
class ChainFit {
 public:
  ChainFit(const GradientMap& map, std::span<const std::int32_t> chain, const FitOptions& options, FitRoom& room, std::vector<Segment>& segments)
      : map_(map), chain_(chain), options_(options), pixels_(room.pixels), peaks_(room.peaks), segments_(segments) {
    pixels_.clear();
    const auto width = static_cast<std::int32_t>(map.width);
    const double rows_per_pixel = 1 / static_cast<double>(width);
    for (const auto pixel : chain) {
      // The middle of the pixel's column is far enough from where the row changes for any rounding.
      const auto row = static_cast<std::int32_t>((pixel + 0.5) * rows_per_pixel);
      pixels_.push_back({static_cast<double>(pixel - row * width), static_cast<double>(row)});
    }
  }

  void run() {
    // Off by half the error in the mean, as in the authors' program. What is shorter may only be a straight edge.
    const double window_square = std::max(rounding, options_.tolerance * options_.tolerance / 4);
    const auto find_short = [&](Range in) {
      if (options_.least_pixels >= options_.window) return;
      find(in, options_.least_pixels, rounding, [&](Range line) { add(line, false); });
    };
    Range left = {0, std::ssize(chain_)};
    find(left, options_.window, window_square, [&](Range line) {
      find_short({left.begin, line.begin});
      add(line, true);
      left.begin = line.end;
    });
    find_short(left);
  }

 private:
  /// Pixels of the chain.
  struct Range {
    std::int64_t begin, end;
    std::int64_t size() const { return end - begin; }
  };
  static Position at(const std::vector<Position>& positions, std::int64_t i) { return positions[static_cast<std::size_t>(i)]; }
  static Moments sum(const std::vector<Position>& positions, Range of) {
    Moments m;
    for (auto i = of.begin; i < of.end; ++i) m.add(at(positions, i));
    return m;
  }

  /// Calls f for lines that begin with the first so many pixels whose mean square of distances is no more than this, in their order.
  template <class F> void find(Range in, std::int64_t window, double most_square, F&& f) const {
    while (in.size() >= window) {
      Range line = {in.begin, in.begin + window};
      Moments m = sum(pixels_, line);
      for (; !is_straight(m, most_square); ++line.begin, ++line.end) {
        if (line.end == in.end) return;
        m.add(at(pixels_, line.begin), -1);
        m.add(at(pixels_, line.end));
      }
      line = extended(line, m, in.end);
      f(line);
      in.begin = line.end;
    }
  }

  /// With the pixels that follow, up to but without `end`, fitted again as long as two or more are near; ends with pixels that are.
  Range extended(Range r, Moments m, std::int64_t end) const {
    Line line(m);
    const auto is_near = [&](std::int64_t i) { return line.distance(at(pixels_, i)) <= options_.tolerance; };
    while (r.end < end) {
      const std::int64_t begin = r.end;
      std::int64_t good = 0;
      for (std::int64_t i = begin, bad = 0; i < end && bad < most_bad; ++i) {
        ++bad;
        if (!is_near(i)) continue;
        bad = 0;
        ++good;
        r.end = i + 1;
      }
      if (good < 2) break;
      for (auto i = begin; i < r.end; ++i) m.add(at(pixels_, i));
      line = Line(m);
    }
    while (r.size() > 1 && !is_near(r.begin)) ++r.begin;
    while (r.size() > 1 && !is_near(r.end - 1)) --r.end;
    return r;
  }

  /// Adds the line, unless it is a chord of a curve and may not be.
  void add(Range pixels, bool may_be_chord) {
    if (pixels.size() < options_.least_pixels) return;
    peaks_.clear();
    std::int64_t gx = 0, gy = 0;
    for (auto i = pixels.begin; i < pixels.end; ++i) {
      const std::int32_t pixel = chain_[static_cast<std::size_t>(i)];
      peaks_.push_back(peak(map_, pixel, at(pixels_, i)));
      gx += map_[pixel].x();
      gy += map_[pixel].y();
    }
    // Half a pixel may lie between a pixel and its peak.
    const double far = options_.tolerance + 0.5;
    Range r = {0, pixels.size()};
    Moments all;
    // What begins at a corner pulls a straight edge's line: without the ends, and without what is then too far away.
    for (bool goes_on = true; goes_on;) {
      const std::int64_t cut = std::min(options_.blurred_ends, std::max<std::int64_t>(0, (r.size() - options_.least_pixels) / 2));
      const Range inner = {r.begin + cut, r.end - cut};
      all = sum(peaks_, inner);
      Line line(all);
      const auto is_far = [&](std::int64_t i) { return line.distance(at(peaks_, i)) > far; };
      // If one is, the sum of squares says so.
      if (line.mean_square * all.n > 0.99 * far * far) {
        for (auto i = inner.begin; i < inner.end; ++i)
          if (all.n > 2 && is_far(i)) all.add(at(peaks_, i), -1);
        line = Line(all);
      }
      if (line.mean_square > most_of_straight) {
        if (!may_be_chord) return;
        all = sum(peaks_, r);
        break;
      }
      goes_on = false;
      for (; r.size() > options_.least_pixels && is_far(r.begin); goes_on = true) ++r.begin;
      for (; r.size() > options_.least_pixels && is_far(r.end - 1); goes_on = true) --r.end;
    }
    const Line line(all);
    Segment s = {line.foot(at(peaks_, r.begin)), line.foot(at(peaks_, r.end - 1)), all};
    // Gradients point to the brighter side.
    const Position along = difference(s.to, s.from);
    if (along.x * static_cast<double>(gy) - along.y * static_cast<double>(gx) < 0) std::swap(s.from, s.to);
    segments_.push_back(s);
  }

  const GradientMap& map_;
  std::span<const std::int32_t> chain_;
  const FitOptions& options_;
  std::vector<Position>&pixels_, &peaks_;
  std::vector<Segment>& segments_;
};

}  // namespace

double length(const Segment& s) { return std::sqrt(square(difference(s.to, s.from))); }

bool cut_at_border(Segment& s, std::int64_t width, std::int64_t height) {
  double first = 0, last = 1;
  const auto cut = [&](double from, double to, double most) {
    const double way = to - from;
    if (way == 0) return from >= 0 && from <= most;
    const double at_low = -from / way, at_high = (most - from) / way;
    first = std::max(first, std::min(at_low, at_high));
    last = std::min(last, std::max(at_low, at_high));
    return first < last;
  };
  const double right = static_cast<double>(width - 1), bottom = static_cast<double>(height - 1);
  const Position a = s.from, b = s.to;
  if (!cut(a.x, b.x, right) || !cut(a.y, b.y, bottom)) return false;
  const auto at = [&](double t) { return Position{std::clamp(a.x + t * (b.x - a.x), 0.0, right), std::clamp(a.y + t * (b.y - a.y), 0.0, bottom)}; };
  if (first > 0) s.from = at(first);
  if (last < 1) s.to = at(last);
  return true;
}

void fit_chain(const GradientMap& map, std::span<const std::int32_t> chain, const FitOptions& options, FitRoom& room,
               std::vector<Segment>& segments) {
  ChainFit(map, chain, options, room, segments).run();
}

namespace {

/// The line that two make together, if they are one; b is no longer than a.
bool is_one(const Segment& a, const Segment& b, double tolerance, Segment& both) {
  const Position da = difference(a.to, a.from), db = difference(b.to, b.from);
  if (dot(da, db) <= 0) return false;
  // A line no farther from a's ends than that is, at p, no farther from the line through them than twice that times (|da| + |p - a.to|) / |da|.
  const auto may_be = [&](Position p) {
    const Position from = difference(p, a.from);
    const double cross = da.x * from.y - da.y * from.x;
    return cross * cross <= 12 * tolerance * tolerance * (square(da) + square(difference(p, a.to)));
  };
  if (!may_be(b.from) || !may_be(b.to)) return false;
  both.moments = a.moments + b.moments;
  const Line line(both.moments);
  if (line.mean_square > tolerance * tolerance) return false;
  for (const Position p : {a.from, a.to, b.from, b.to})
    if (line.distance(p) > tolerance) return false;
  const double sign = dot(da, line.along) < 0 ? -1 : 1;
  const auto is_before = [&](Position p, Position q) { return sign * dot(p, line.along) < sign * dot(q, line.along); };
  both.from = line.foot(std::min(a.from, b.from, is_before));
  both.to = line.foot(std::max(a.to, b.to, is_before));
  return true;
}

}  // namespace

/// The longest first; of equals, in their order.
void Joiner::sort_by_length(std::vector<Segment>& segments) {
  keys_.resize(segments.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = {square(difference(segments[i].to, segments[i].from)), i};
  std::ranges::sort(keys_, [](Key a, Key b) { return a.square > b.square || (a.square == b.square && a.index < b.index); });
  sorted_.clear();
  for (const Key key : keys_) sorted_.push_back(segments[key.index]);
  segments.swap(sorted_);
}

void Joiner::find_ends(const GradientMap& map, double most_apart, const std::vector<Segment>& segments) {
  cell_ = std::max(most_apart, 8.0);
  columns_ = static_cast<std::int64_t>(static_cast<double>(map.width) / cell_) + 1;
  rows_ = static_cast<std::int64_t>(static_cast<double>(map.height) / cell_) + 1;
  const auto for_each_end = [&](auto&& f) {
    for (std::size_t i = 0; i < segments.size(); ++i) {
      f(segments[i].from, 2 * static_cast<std::int32_t>(i));
      f(segments[i].to, 2 * static_cast<std::int32_t>(i) + 1);
    }
  };
  starts_.assign(static_cast<std::size_t>(columns_ * rows_) + 2, 0);
  ends_.resize(2 * segments.size());
  for_each_end([&](Position p, std::int32_t) { ++starts_[cell_of(p) + 2]; });
  std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
  for_each_end([&](Position p, std::int32_t end) { ends_[static_cast<std::size_t>(starts_[cell_of(p) + 1]++)] = end; });
}

template <class F> void Joiner::for_each_end_near(Position p, F&& f) const {
  const auto column = cell_of(p.x, columns_), row = cell_of(p.y, rows_);
  for (auto r = std::max<std::int64_t>(row - 1, 0); r <= std::min(row + 1, rows_ - 1); ++r) {
    const auto first = static_cast<std::size_t>(r * columns_ + std::max<std::int64_t>(column - 1, 0));
    const auto last = static_cast<std::size_t>(r * columns_ + std::min(column + 1, columns_ - 1));
    for (auto e = starts_[first]; e < starts_[last + 1]; ++e) f(ends_[static_cast<std::size_t>(e)]);
  }
}

void Joiner::run(const GradientMap& map, const FitOptions& options, std::vector<Segment>& segments) {
  sort_by_length(segments);
  find_ends(map, options.most_apart, segments);
  is_joined_.assign(segments.size(), 0);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (is_joined_[i]) continue;
    for (;;) {
      double nearest = options.most_apart * options.most_apart;
      std::size_t other = i;
      Segment found;
      // The end of one and the beginning of the other. Of equally near ones the longest.
      for (const bool at_end : {false, true}) {
        const Position p = at_end ? segments[i].to : segments[i].from;
        for_each_end_near(p, [&](std::int32_t end) {
          const auto j = static_cast<std::size_t>(end / 2);
          if ((end % 2 == 1) == at_end || j <= i || is_joined_[j]) return;
          const double apart = square(difference(p, at_end ? segments[j].from : segments[j].to));
          Segment both;
          if (apart > nearest || (apart == nearest && other != i && other <= j) || !is_one(segments[i], segments[j], options.tolerance, both)) return;
          nearest = apart;
          other = j;
          found = both;
        });
      }
      if (other == i) break;
      is_joined_[other] = 1;
      segments[i] = found;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (!is_joined_[i]) segments[kept++] = segments[i];
  segments.resize(kept);
}

}  // namespace weft::edlines
