#include "apps/canvas.h"

#include "apps/font.h"

#include <algorithm>
#include <cmath>

namespace weft::apps {
namespace {

constexpr int advance = glyph_width + 1;

/// Calls f(column, row) for every pixel that is set in a line of text, counted in font pixels from its upper left.
template <class F> void for_each_text_pixel(std::string_view text, F&& f) {
  int left = 0;
  for (const char c : text) {
    const Glyph& glyph = glyph_of(c);
    const int top = descends(c) ? descent : 0;
    for (int row = 0; row < glyph_height; ++row)
      for (int column = 0; column < glyph_width; ++column)
        if (glyph[static_cast<std::size_t>(row)] >> (glyph_width - 1 - column) & 1) f(left + column, top + row);
    left += advance;
  }
}

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double t = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0) : 0.0;
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

}  // namespace

int text_width(std::string_view text, int scale) { return text.empty() ? 0 : (static_cast<int>(text.size()) * advance - 1) * scale; }

Canvas::Canvas(int width, int height, Colour background)
    : width_(width), height_(height), image_(u8, {height, width, 3}), pixels_(image_.elements<std::uint8_t>()) {
  fill(0, 0, width, height, background);
}

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
  const int right = std::min(x + width, width_), bottom = std::min(y + height, height_);
  for (int row = std::max(y, 0); row < bottom; ++row)
    for (int column = std::max(x, 0); column < right; ++column) {
      const auto i = (static_cast<std::size_t>(row) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(column)) * 3;
      pixels_[i] = colour.r, pixels_[i + 1] = colour.g, pixels_[i + 2] = colour.b;
    }
}

void Canvas::blend(int x, int y, Colour colour, double opacity) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  const auto i = (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)) * 3;
  const auto mix = [&](std::uint8_t& old, std::uint8_t value) { old = static_cast<std::uint8_t>(std::lround(old + (value - old) * opacity)); };
  mix(pixels_[i], colour.r), mix(pixels_[i + 1], colour.g), mix(pixels_[i + 2], colour.b);
}

void Canvas::polyline(std::span<const Point> points, double thickness, Colour colour, double opacity) {
  if (points.empty()) return;
  coverage_.assign(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_), 0.0f);
  const double reach = thickness / 2 + 0.5;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point a = points[i ? i - 1 : 0], b = points[i];
    const auto low = [&](double u, double v, int) { return std::max(0.0, std::floor(std::min(u, v) - reach)); };
    const auto high = [&](double u, double v, int size) { return std::min(size - 1.0, std::ceil(std::max(u, v) + reach)); };
    for (int y = static_cast<int>(low(a.y, b.y, height_)); y <= static_cast<int>(high(a.y, b.y, height_)); ++y)
      for (int x = static_cast<int>(low(a.x, b.x, width_)); x <= static_cast<int>(high(a.x, b.x, width_)); ++x) {
        const double covered = std::clamp(reach - distance_to_segment({x + 0.5, y + 0.5}, a, b), 0.0, 1.0);
        auto& most = coverage_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)];
        most = std::max(most, static_cast<float>(covered));
      }
  }
  for (int y = 0; y < height_; ++y)
    for (int x = 0; x < width_; ++x) {
      const float covered = coverage_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)];
      if (covered > 0) blend(x, y, colour, covered * opacity);
    }
}

void Canvas::text(int x, int y, std::string_view text, Colour colour, int scale, Align align) {
  if (align != Align::left) x -= text_width(text, scale) / (align == Align::centre ? 2 : 1);
  for_each_text_pixel(text, [&](int column, int row) { fill(x + column * scale, y + row * scale, scale, scale, colour); });
}

void Canvas::text_upwards(int x, int y, std::string_view text, Colour colour, int scale) {
  const int bottom = y + text_width(text, scale) / 2;
  for_each_text_pixel(text, [&](int column, int row) { fill(x + row * scale, bottom - (column + 1) * scale, scale, scale, colour); });
}

}  // namespace weft::apps
