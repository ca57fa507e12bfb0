#include "primitives/edlines_fit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace weft::edlines {
namespace {

/// A line ends where so many pixels in a row are too far away (EDLines, section 2.2).
constexpr int most_bad = 5;

/// Where across the edge the gradient's own part is largest, by a parabola through a pixel and its neighbours.
Position peak(const GradientMap& map, std::int32_t pixel) {
  const auto width = static_cast<std::int32_t>(map.width);
  const Gradient g = map[pixel];
  const bool is_upright = g.is_upright();
  const std::int32_t across = is_upright ? 1 : width;
  const auto part = [&](Gradient v) { return is_upright ? v.x() : v.y(); };
  const std::int32_t sign = part(g) < 0 ? -1 : 1;
  const std::int32_t middle = sign * part(g), before = sign * part(map[pixel - across]), after = sign * part(map[pixel + across]);
  const std::int32_t bend = 2 * middle - before - after, slope = after - before;
  // Beside a peak the parabola says little: then half a pixel towards it.
  const double offset = bend > std::abs(slope) ? 0.5 * slope / bend : slope == 0 ? 0 : slope > 0 ? 0.5 : -0.5;
  const Position p = {static_cast<double>(pixel % width), static_cast<double>(pixel / width)};
  return is_upright ? Position{p.x + offset, p.y} : Position{p.x, p.y + offset};
}

double dot(Position a, Position b) { return a.x * b.x + a.y * b.y; }
Position difference(Position a, Position b) { return {a.x - b.x, a.y - b.y}; }
double distance(Position a, Position b) { return std::hypot(a.x - b.x, a.y - b.y); }

/// Finds the lines of one chain, in its order.
class ChainFit {
 public:
  ChainFit(const GradientMap& map, std::span<const std::int32_t> chain, const FitOptions& options, std::span<const Position> positions,
           std::vector<Segment>& segments)
      : map_(map), chain_(chain), options_(options), positions_(positions), segments_(segments) {}

  void run() {
    const auto count = static_cast<std::int64_t>(positions_.size()), least = options_.least_pixels;
    const double most_square = options_.tolerance * options_.tolerance;
    for (std::int64_t begin = 0, done = 0; count - begin >= least;) {
      Moments window = sum(begin, begin + least);
      while (Line(window).mean_square > most_square) {
        if (begin + least == count) return;
        window.add(at(begin), -1);
        window.add(at(begin + least));
        ++begin;
      }
      const std::int64_t end = extended(window, begin + least, count, 1);
      const std::int64_t first = extended(window, begin - 1, done - 1, -1) + 1;
      add(first, end);
      begin = done = end;
    }
  }

 private:
  Position at(std::int64_t i) const { return positions_[static_cast<std::size_t>(i)]; }
  Moments sum(std::int64_t begin, std::int64_t end) const {
    Moments m;
    for (auto i = begin; i < end; ++i) m.add(at(i));
    return m;
  }

  /// Adds positions from `i` on, up to but without `end`, while they are near the line; gives what comes after the last that is.
  std::int64_t extended(Moments& m, std::int64_t i, std::int64_t end, int step) const {
    Line line(m);
    double known = m.n;
    std::int64_t after = i;
    for (int bad = 0; i != end && bad < most_bad; i += step) {
      if (line.distance(at(i)) > options_.tolerance) {
        ++bad;
        continue;
      }
      bad = 0;
      m.add(at(i));
      after = i + step;
      if (m.n >= known + 4 + known / 8) {
        line = Line(m);
        known = m.n;
      }
    }
    return after;
  }

  void add(std::int64_t begin, std::int64_t end) {
    // What begins at a corner pulls the line: without the ends, and without what is then too far away.
    Moments all;
    for (int round = 0; round < 2; ++round) {
      const std::int64_t cut = std::min(options_.blurred_ends, std::max<std::int64_t>(0, (end - begin - options_.least_pixels) / 2));
      all = sum(begin + cut, end - cut);
      const Line line(all);
      const auto is_far = [&](std::int64_t i) { return line.distance(at(i)) > options_.tolerance; };
      while (end - begin > options_.least_pixels && is_far(begin)) ++begin;
      while (end - begin > options_.least_pixels && is_far(end - 1)) --end;
      Moments near;
      for (auto i = begin + cut; i < end - cut; ++i)
        if (!is_far(i)) near.add(at(i));
      if (near.n >= 2) all = near;
    }
    const Line line(all);
    Segment s = {line.foot(at(begin)), line.foot(at(end - 1)), all};
    // Gradients point to the brighter side.
    double gx = 0, gy = 0;
    for (auto i = begin; i < end; ++i) {
      const Gradient g = map_[chain_[static_cast<std::size_t>(i)]];
      gx += g.x();
      gy += g.y();
    }
    const Position along = difference(s.to, s.from);
    if (along.x * gy - along.y * gx < 0) std::swap(s.from, s.to);
    segments_.push_back(s);
  }

  const GradientMap& map_;
  std::span<const std::int32_t> chain_;
  const FitOptions& options_;
  std::span<const Position> positions_;
  std::vector<Segment>& segments_;
};

}  // namespace

Line::Line(const Moments& m) : at{m.x / m.n, m.y / m.n}, along{1, 0} {
  const double xx = m.xx / m.n - at.x * at.x, xy = m.xy / m.n - at.x * at.y, yy = m.yy / m.n - at.y * at.y;
  // The larger eigenvalue of the covariances is their mean plus `radius`; its eigenvector by whichever row doesn't cancel.
  const double half = (xx - yy) / 2, radius = std::sqrt(half * half + xy * xy);
  mean_square = std::max(0.0, (xx + yy) / 2 - radius);
  const Position v = half >= 0 ? Position{half + radius, xy} : Position{xy, radius - half};
  const double size = std::sqrt(v.x * v.x + v.y * v.y);
  if (size > 0) along = {v.x / size, v.y / size};
}

double Line::distance(Position p) const { return std::abs((p.x - at.x) * along.y - (p.y - at.y) * along.x); }

Position Line::foot(Position p) const {
  const double t = dot(difference(p, at), along);
  return {at.x + t * along.x, at.y + t * along.y};
}

double length(const Segment& s) { return distance(s.from, s.to); }

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

void fit_chain(const GradientMap& map, std::span<const std::int32_t> chain, const FitOptions& options, std::vector<Position>& positions,
               std::vector<Segment>& segments) {
  positions.clear();
  for (const auto pixel : chain) positions.push_back(peak(map, pixel));
  ChainFit(map, chain, options, positions, segments).run();
}

void join(std::vector<Segment>& segments, const FitOptions& options) {
  std::ranges::stable_sort(segments, std::greater{}, length);
  // Ends by the cell of a grid in which they lie.
  const double cell = std::max(options.most_apart, 16.0);
  struct End {
    std::int64_t row, column;
    std::int32_t segment;
    auto operator<=>(const End&) const = default;
  };
  const auto cell_of = [&](double v) { return static_cast<std::int64_t>(std::floor(v / cell)); };
  std::vector<End> ends;
  for (std::size_t i = 0; i < segments.size(); ++i)
    for (const Position p : {segments[i].from, segments[i].to}) ends.push_back({cell_of(p.y), cell_of(p.x), static_cast<std::int32_t>(i)});
  std::ranges::sort(ends);

  std::vector<std::int32_t> owner(segments.size());  // of a segment, once joined: the longer one
  std::iota(owner.begin(), owner.end(), 0);
  const auto joined = [&](const Segment& a, const Segment& b, Segment& both) {
    const Position da = difference(a.to, a.from), db = difference(b.to, b.from);
    if (dot(da, db) <= 0) return false;
    const Moments m = a.moments + b.moments;
    const Line line(m);
    for (const Position p : {a.from, a.to, b.from, b.to})
      if (line.distance(p) > options.tolerance) return false;
    if (line.mean_square > options.tolerance * options.tolerance) return false;
    const double sign = dot(da, line.along) < 0 ? -1 : 1;
    const auto along = [&](Position p) { return sign * dot(p, line.along); };
    const auto nearer = [&](Position p, Position q) { return along(p) < along(q); };
    both = {line.foot(std::min(a.from, b.from, nearer)), line.foot(std::max(a.to, b.to, nearer)), m};
    return true;
  };
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto self = static_cast<std::int32_t>(i);
    if (owner[i] != self) continue;
    for (;;) {
      double nearest = options.most_apart;
      std::int32_t other = -1;
      Segment both;
      for (const bool at_end : {false, true}) {
        const Position p = at_end ? segments[i].to : segments[i].from;
        for (auto row = cell_of(p.y) - 1; row <= cell_of(p.y) + 1; ++row) {
          const auto first = std::ranges::lower_bound(ends, End{row, cell_of(p.x) - 1, -1});
          for (auto e = first; e != ends.end() && e->row == row && e->column <= cell_of(p.x) + 1; ++e) {
            const auto j = static_cast<std::size_t>(e->segment);
            if (e->segment == self || owner[j] != e->segment) continue;
            const Segment& s = segments[j];
            const double apart = distance(p, at_end ? s.from : s.to);
            Segment candidate;
            if (apart > nearest || (apart == nearest && other >= 0 && other <= e->segment) || !joined(segments[i], s, candidate)) continue;
            nearest = apart;
            other = e->segment;
            both = candidate;
          }
        }
      }
      if (other < 0) break;
      owner[static_cast<std::size_t>(other)] = self;
      segments[i] = both;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (owner[i] == static_cast<std::int32_t>(i)) segments[kept++] = segments[i];
  segments.resize(kept);
}

}  // namespace weft::edlines
