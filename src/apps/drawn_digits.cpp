// Digits as a pen would draw them. Everything here is whole numbers and the exactly rounded + - * / and square root, so that
// every machine draws the same pixels.
#include "apps/digits_data.h"

#include <weft/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace weft::apps {
namespace {

/// SplitMix64. G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  double uniform(double low, double high) { return low + (high - low) * (static_cast<double>(next() >> 11) * 0x1p-53); }
  /// Near enough to normal: four uniforms, with deviation 1.
  double normal() { return (uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1)) * 0.8660254037844386; }
  int below(int n) { return static_cast<int>((next() >> 33) % static_cast<std::uint64_t>(n)); }

 private:
  std::uint64_t state_;
};

struct Point {
  double x, y;
};
/// Points that a pen passes, in a box 100 wide and 100 high with y down, on a smooth curve; one that stands twice is a corner.
using Stroke = std::vector<Point>;
using Form = std::vector<Stroke>;

/// The ways to write each digit.
const std::array<std::vector<Form>, 10>& forms() {
  static const std::array<std::vector<Form>, 10> all = {{
      {{{{52, 2}, {24, 14}, {12, 50}, {24, 88}, {50, 98}, {76, 86}, {86, 50}, {76, 14}, {50, 2}}},
       {{{64, 6}, {34, 8}, {14, 38}, {16, 76}, {42, 98}, {74, 84}, {86, 48}, {74, 14}, {46, 6}, {40, 12}}}},
      {{{{50, 2}, {50, 98}}}, {{{50, 2}, {50, 98}}}, {{{32, 22}, {50, 4}, {50, 4}, {50, 98}}}, {{{54, 2}, {48, 50}, {50, 98}}}},
      {{{{16, 24}, {30, 6}, {58, 2}, {76, 18}, {72, 42}, {46, 70}, {14, 97}, {14, 97}, {50, 94}, {88, 95}}},
       {{{18, 22}, {36, 4}, {64, 4}, {78, 24}, {66, 50}, {36, 82}, {18, 94}, {12, 82}, {28, 76}, {54, 90}, {90, 92}}},
       {{{14, 14}, {50, 4}, {78, 16}, {70, 44}, {40, 72}, {12, 96}, {12, 96}, {86, 98}}}},
      {{{{16, 14}, {42, 2}, {72, 12}, {72, 36}, {42, 48}, {42, 48}, {74, 56}, {82, 78}, {58, 96}, {30, 96}, {12, 84}}},
       {{{14, 4}, {78, 4}, {78, 4}, {44, 42}, {44, 42}, {76, 54}, {82, 76}, {60, 96}, {14, 90}}},
       {{{20, 10}, {54, 2}, {72, 20}, {56, 42}, {38, 48}, {66, 52}, {78, 72}, {58, 96}, {16, 92}}}},
      {{{{22, 4}, {16, 34}, {20, 54}, {48, 56}, {80, 46}}, {{76, 4}, {70, 50}, {66, 98}}},
       {{{60, 2}, {34, 32}, {10, 64}, {10, 64}, {88, 62}}, {{64, 2}, {64, 2}, {62, 98}}},
       {{{26, 8}, {20, 36}, {32, 54}, {60, 50}, {76, 40}}, {{80, 2}, {76, 40}, {70, 72}, {66, 98}}},
       {{{70, 98}, {72, 50}, {74, 4}, {74, 4}, {40, 34}, {14, 60}, {14, 60}, {90, 56}}}},
      {{{{82, 4}, {28, 5}, {28, 5}, {22, 42}, {22, 42}, {52, 36}, {78, 52}, {78, 80}, {50, 97}, {14, 90}}},
       {{{28, 6}, {22, 44}, {22, 44}, {50, 40}, {74, 58}, {70, 86}, {42, 98}, {12, 88}}, {{28, 6}, {52, 7}, {86, 2}}},
       {{{86, 6}, {44, 8}, {30, 30}, {34, 44}, {60, 56}, {72, 74}, {58, 94}, {32, 97}, {12, 88}}}},
      {{{{66, 2}, {38, 20}, {20, 54}, {22, 86}, {48, 98}, {74, 88}, {76, 64}, {54, 54}, {30, 64}, {22, 78}}},
       {{{48, 2}, {26, 34}, {16, 70}, {30, 96}, {60, 96}, {76, 76}, {62, 58}, {38, 62}, {22, 78}}},
       {{{80, 8}, {44, 16}, {20, 50}, {18, 84}, {42, 98}, {72, 88}, {72, 66}, {46, 60}, {24, 74}}}},
      {{{{12, 8}, {80, 6}, {80, 6}, {62, 40}, {44, 98}}},
       {{{14, 22}, {14, 8}, {14, 8}, {82, 5}, {82, 5}, {60, 46}, {50, 98}}},
       {{{12, 8}, {82, 6}, {82, 6}, {56, 48}, {40, 98}}, {{36, 52}, {74, 48}}},
       {{{10, 14}, {40, 8}, {78, 8}, {76, 20}, {58, 56}, {50, 98}}}},
      {{{{72, 16}, {48, 2}, {26, 16}, {34, 38}, {62, 54}, {76, 76}, {52, 98}, {24, 86}, {32, 62}, {60, 42}, {74, 20}, {70, 12}}},
       {{{50, 48}, {26, 34}, {30, 10}, {52, 2}, {74, 12}, {72, 36}, {50, 48}, {22, 66}, {24, 88}, {50, 98}, {76, 88}, {76, 64}, {52, 48}}},
       {{{80, 8}, {48, 4}, {28, 22}, {52, 46}, {70, 70}, {56, 96}, {28, 92}, {30, 68}, {60, 40}, {84, 12}}}},
      {{{{76, 20}, {54, 4}, {26, 14}, {20, 40}, {44, 54}, {70, 40}, {78, 14}, {78, 14}, {76, 56}, {64, 98}}},
       {{{78, 16}, {50, 2}, {24, 18}, {24, 44}, {50, 52}, {74, 36}, {78, 16}, {76, 54}, {60, 86}, {28, 96}}},
       {{{72, 10}, {40, 8}, {20, 30}, {32, 50}, {62, 42}, {78, 10}, {78, 10}, {66, 56}, {56, 98}}}},
  }};
  return all;
}

/// A smooth curve through the points: the Catmull-Rom spline, cut into straight pieces.
void flatten(const Stroke& stroke, std::vector<std::array<Point, 2>>& segments) {
  constexpr int pieces = 5;
  const auto n = static_cast<int>(stroke.size());
  const auto at = [&](int i) { return stroke[static_cast<std::size_t>(std::clamp(i, 0, n - 1))]; };
  const auto same = [](Point a, Point b) { return a.x == b.x && a.y == b.y; };
  for (int i = 0; i + 1 < n; ++i) {
    const Point b = at(i), c = at(i + 1);
    if (same(b, c)) continue;
    // At a corner or an end the curve leaves straight towards the next point.
    const Point a = same(at(i - 1), b) ? b : at(i - 1), d = same(at(i + 2), c) ? c : at(i + 2);
    Point previous = b;
    for (int k = 1; k <= pieces; ++k) {
      const double t = static_cast<double>(k) / pieces;
      const auto blend = [t](double p, double q, double r, double s) {
        return q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
      };
      const Point next{blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)};
      segments.push_back({previous, next});
      previous = next;
    }
  }
}

constexpr int side = 28;

/// How wide each digit is usually written, for its height.
constexpr std::array<double, 10> usual_width = {0.85, 0.9, 0.92, 0.85, 0.85, 0.92, 0.75, 0.8, 0.75, 0.72};

/// Draws one digit into 28 x 28 pixels.
void draw(int digit, Random& random, std::span<std::uint8_t> pixels) {
  const auto& choices = forms()[static_cast<std::size_t>(digit)];
  Form form = choices[static_cast<std::size_t>(random.below(static_cast<int>(choices.size())))];

  // Points tremble, but the two of a corner together.
  for (Stroke& stroke : form) {
    Point before{-1, -1}, moved{};
    for (Point& p : stroke) {
      const Point original = p;
      if (original.x == before.x && original.y == before.y) p = moved;
      else p = {p.x + 4 * random.normal(), p.y + 4 * random.normal()};
      before = original;
      moved = p;
    }
  }

  // Slant, turn and proportions. A turn by 2 atan(t) has the rational cosine and sine below.
  const double slant = 0.18 + 0.2 * random.normal(), t = 0.055 * random.normal();
  const double cosine = (1 - t * t) / (1 + t * t), sine = 2 * t / (1 + t * t);
  const double width = usual_width[static_cast<std::size_t>(digit)] * (1 + 0.18 * random.normal());
  std::vector<std::array<Point, 2>> segments;
  for (Stroke& stroke : form) {
    for (Point& p : stroke) {
      const double y = p.y - 50, x = (p.x - 50) * width - slant * y;
      p = {cosine * x - sine * y, sine * x + cosine * y};
    }
    flatten(stroke, segments);
  }

  // The ink fits 20 x 20, as MNIST's does.
  const double radius = std::clamp(1.36 + 0.38 * random.normal(), 0.65, 2.4), soft = random.uniform(0.45, 0.75);
  Point low{1e9, 1e9}, high{-1e9, -1e9};
  for (const auto& s : segments)
    for (const Point& p : s) {
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
  const double reach = radius + soft, scale = (20 - 2 * reach) / std::max({high.x - low.x, high.y - low.y, 1.0});
  const double left = 4 + reach - scale * low.x, top = 4 + reach - scale * low.y;

  std::array<double, side * side> ink{};
  for (auto [a, b] : segments) {
    a = {left + scale * a.x, top + scale * a.y};
    b = {left + scale * b.x, top + scale * b.y};
    const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    const auto first = [&](double u, double v) { return std::max(0, static_cast<int>(std::min(u, v) - reach - 0.5)); };
    const auto last = [&](double u, double v) { return std::min(side - 1, static_cast<int>(std::max(u, v) + reach + 0.5)); };
    for (int y = first(a.y, b.y); y <= last(a.y, b.y); ++y)
      for (int x = first(a.x, b.x); x <= last(a.x, b.x); ++x) {
        const double px = x + 0.5 - a.x, py = y + 0.5 - a.y;
        const double along = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0.0;
        const double ex = px - along * dx, ey = py - along * dy, distance = std::sqrt(ex * ex + ey * ey);
        auto& most = ink[static_cast<std::size_t>(y * side + x)];
        most = std::max(most, std::clamp((reach - distance) / (2 * soft), 0.0, 1.0));
      }
  }

  // The centre of mass goes to the centre of pixel 14, by whole pixels; that is where MNIST's images have it.
  constexpr double middle = 14.5;
  double mass = 0, mass_x = 0, mass_y = 0;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const double v = ink[static_cast<std::size_t>(y * side + x)];
      mass += v, mass_x += v * (x + 0.5), mass_y += v * (y + 0.5);
    }
  const int shift_x = static_cast<int>(std::floor(middle - mass_x / mass + 0.5)),
            shift_y = static_cast<int>(std::floor(middle - mass_y / mass + 0.5));
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const int from_y = y - shift_y, from_x = x - shift_x;
      const bool inside = from_y >= 0 && from_y < side && from_x >= 0 && from_x < side;
      const double v = inside ? ink[static_cast<std::size_t>(from_y * side + from_x)] : 0;
      pixels[static_cast<std::size_t>(y * side + x)] = static_cast<std::uint8_t>(v * 255 + 0.5);
    }
}

}  // namespace

Digits draw_digits(std::int64_t count, std::uint64_t seed) {
  if (count < 0) throw RunError("drawn digits: a count of " + std::to_string(count) + " is negative");
  Digits digits{NDArray(u8, {count, side, side}), NDArray(u8, {count})};
  const auto pixels = digits.images.elements<std::uint8_t>();
  const auto labels = digits.labels.elements<std::uint8_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    Random random(Random(seed ^ (i * 0xd1342543de82ef95ull)).next());
    labels[i] = static_cast<std::uint8_t>(random.below(10));
    draw(labels[i], random, pixels.subspan(i * side * side, side * side));
  }
  return digits;
}

}  // namespace weft::apps
