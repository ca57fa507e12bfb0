#include "apps/plot.h"

#include "apps/canvas.h"

#include <weft/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace weft::apps {
namespace {

constexpr Colour paper = {255, 255, 255}, ink = {40, 44, 52}, grey = {120, 126, 136}, grid = {232, 234, 238};
/// Blue, orange, green, red, violet, brown: told apart also by most people who don't see all colours.
constexpr Colour palette[] = {{38, 96, 190}, {236, 122, 8}, {30, 140, 80}, {206, 44, 60}, {126, 87, 194}, {121, 85, 72}};
constexpr int scale = 2, line_height = 9 * scale;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  /// Never empty, so that it can be mapped to pixels.
  Range widened() const {
    if (!(low <= high)) return {0, 1};
    if (low == high) return low == 0 ? Range{-1, 1} : Range{low - std::abs(low) / 2, high + std::abs(high) / 2};
    return *this;
  }
};

/// A tick's number with as many decimals as its neighbours need.
std::string label_of(double value, double step) {
  char text[40];
  const bool plain = std::abs(value) < 1e6 && step >= 1e-5;
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  const auto end = plain ? std::to_chars(text, text + sizeof text, value == 0 ? 0.0 : value, std::chars_format::fixed, decimals).ptr
                         : std::to_chars(text, text + sizeof text, value, std::chars_format::general, 4).ptr;
  return {text, end};
}

/// The area between the axes, and the numbers beside it.
struct Frame {
  Canvas& canvas;
  int left, top, right, bottom;
  Range x, y;

  Point at(double vx, double vy) const {
    return {left + (vx - x.low) / (x.high - x.low) * (right - left), bottom - (vy - y.low) / (y.high - y.low) * (bottom - top)};
  }

  void draw(std::span<const double> x_ticks, std::span<const double> y_ticks) const {
    const auto step = [](std::span<const double> t) { return t.size() > 1 ? t[1] - t[0] : 1.0; };
    for (const double v : y_ticks) {
      const int row = static_cast<int>(std::lround(at(x.low, v).y));
      canvas.fill(left, row, right - left, 1, grid);
      canvas.text(left - 10, row - 3 * scale, label_of(v, step(y_ticks)), grey, scale, Align::right);
    }
    for (const double v : x_ticks) {
      const int column = static_cast<int>(std::lround(at(v, y.low).x));
      canvas.fill(column, top, 1, bottom - top, grid);
      canvas.fill(column, bottom, 1, 6, grey);
      canvas.text(column, bottom + 12, label_of(v, step(x_ticks)), grey, scale, Align::centre);
    }
    canvas.fill(left, bottom, right - left + 1, 1, grey);
    canvas.fill(left, top, 1, bottom - top, grey);
  }

  void curve(std::span<const double> xs, std::span<const double> ys, double thickness, Colour colour, double opacity) const {
    std::vector<Point> run;
    for (std::size_t i = 0; i <= xs.size(); ++i) {
      if (i < xs.size() && std::isfinite(xs[i]) && std::isfinite(ys[i])) {
        run.push_back(at(xs[i], ys[i]));
        continue;
      }
      canvas.polyline(run, thickness, colour, opacity);
      run.clear();
    }
  }
};

void draw_legend(Canvas& canvas, std::span<const Series> series, int right, int top) {
  int width = 0, rows = 0;
  for (const Series& s : series) {
    width = std::max(width, text_width(s.name, scale));
    rows += !s.name.empty();
  }
  if (rows == 0) return;
  constexpr int swatch = 28, gap = 10;
  const int x = right - width - swatch - 3 * gap, height = rows * (line_height + 6) + gap;
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < right - x; ++column) canvas.blend(x + column, top + row, paper, 0.85);
  int y = top + gap;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i].name.empty()) continue;
    canvas.fill(x + gap, y + 3 * scale - 1, swatch, 4, palette[i % std::size(palette)]);
    canvas.text(x + 2 * gap + swatch, y, series[i].name, ink, scale);
    y += line_height + 6;
  }
}

}  // namespace

std::vector<double> smoothed(std::span<const double> y, double keep) {
  const auto pass = [keep](auto first, auto last) {
    double sum = 0, weight = 0;
    for (; first != last; ++first) {
      if (!std::isfinite(*first)) continue;
      sum = keep * sum + (1 - keep) * *first;
      weight = keep * weight + (1 - keep);
      *first = sum / weight;
    }
  };
  std::vector<double> forward(y.begin(), y.end()), backward = forward;
  pass(forward.begin(), forward.end());
  pass(backward.rbegin(), backward.rend());
  std::ranges::transform(forward, backward, forward.begin(), [](double a, double b) { return (a + b) / 2; });
  return forward;
}

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1), power = std::pow(10.0, std::floor(std::log10(rough)));
  const double step = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
  std::vector<double> values;
  // Counted by whole numbers, so that rounding errors don't add up to a lost or crooked last tick.
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) values.push_back(k * step);
  return values;
}

NDArray plot(std::span<const Series> series, const PlotOptions& options) {
  if (options.width < 160 || options.height < 120) throw RunError("plot: the picture must have 160 x 120 pixels or more");
  Range x, y;
  for (const Series& s : series) {
    if (s.x.size() != s.y.size())
      throw RunError("plot: series \"" + s.name + "\" has " + std::to_string(s.x.size()) + " x and " + std::to_string(s.y.size()) + " y");
    for (std::size_t i = 0; i < s.x.size(); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(s.y[i])) {
        x.include(s.x[i]);
        y.include(s.y[i]);
      }
  }
  x = x.widened();
  y = y.widened();
  // Losses and rates start at zero; other curves get some air below.
  if (y.low > 0 && y.low < 0.5 * y.high) y.low = 0;
  else y.low -= 0.04 * (y.high - y.low);
  y.high += 0.04 * (y.high - y.low);

  Canvas canvas(options.width, options.height, paper);
  const auto x_ticks = ticks(x.low, x.high, std::max(2, options.width / 110)), y_ticks = ticks(y.low, y.high, std::max(2, options.height / 70));
  int label_width = 0;
  const double y_step = y_ticks.size() > 1 ? y_ticks[1] - y_ticks[0] : 1;
  for (const double v : y_ticks) label_width = std::max(label_width, text_width(label_of(v, y_step), scale));
  const Frame frame{.canvas = canvas,
                    .left = 20 + label_width + (options.y_label.empty() ? 0 : line_height + 12),
                    .top = options.title.empty() ? 24 : 24 + line_height + 14,
                    .right = options.width - 28,
                    .bottom = options.height - 20 - line_height - (options.x_label.empty() ? 0 : line_height + 8),
                    .x = x,
                    .y = y};
  frame.draw(x_ticks, y_ticks);
  canvas.text((frame.left + frame.right) / 2, 22, options.title, ink, scale, Align::centre);
  canvas.text((frame.left + frame.right) / 2, options.height - line_height - 8, options.x_label, ink, scale, Align::centre);
  if (!options.y_label.empty()) canvas.text_upwards(12, (frame.top + frame.bottom) / 2, options.y_label, ink, scale);

  const auto smooth = [&](const Series& s) { return s.smooth && options.smoothing > 0; };
  for (std::size_t i = 0; i < series.size(); ++i)
    if (smooth(series[i])) frame.curve(series[i].x, series[i].y, 1.2, palette[i % std::size(palette)], 0.28);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const Series& s = series[i];
    frame.curve(s.x, smooth(s) ? smoothed(s.y, options.smoothing) : s.y, 2.4, palette[i % std::size(palette)], 1);
  }
  draw_legend(canvas, series, frame.right, frame.top + 8);
  return canvas.image();
}

}  // namespace weft::apps
