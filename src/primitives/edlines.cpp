#include <weft/primitives/edlines.h>

#include "primitives/edlines_validate.h"

#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/movement.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace weft {
namespace {

using namespace edlines;

void check(const EDLinesOptions& o) {
  const auto need = [](bool holds, const std::string& what) {
    if (!holds) throw GraphError("edlines: " + what);
  };
  const auto number = [](double v) { return std::to_string(v); };
  need(o.gaussian_sigma >= 0 && o.gaussian_sigma <= 64, "gaussian_sigma is " + number(o.gaussian_sigma) + ", expects 0 to 64 pixels");
  need(o.min_line_length >= 0, "min_line_length is " + std::to_string(o.min_line_length) + ", expects 0 or more pixels");
  need(o.max_lines >= 0, "max_lines is " + std::to_string(o.max_lines) + ", expects 0 or more");
  need(o.detail_ratio >= 1, "detail_ratio is " + std::to_string(o.detail_ratio) + ", expects 1 or more pixels");
  need(o.gradient_threshold >= 0, "gradient_threshold is " + number(o.gradient_threshold) + ", expects 0 or more");
  need(o.line_error_threshold >= 0, "line_error_threshold is " + number(o.line_error_threshold) + ", expects 0 or more");
  need(o.merge_locality_threshold >= 0, "merge_locality_threshold is " + number(o.merge_locality_threshold) + ", expects 0 or more");
  if (o.clip)
    need(o.clip->width >= 0 && o.clip->height >= 0,
         "the clip rectangle is " + std::to_string(o.clip->width) + " x " + std::to_string(o.clip->height) + " pixels, expects 0 or more");
}

/// Half of a symmetric window, from the middle on, that sums up to 1.
std::vector<double> gaussian(double sigma) {
  // Weights from 1 % of the middle one on.
  const int radius = static_cast<int>(std::floor(sigma * std::sqrt(2 * std::log(100.0))));
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i <= radius; ++i) {
    weights.push_back(i == 0 ? 1 : std::exp(-i * i / (2 * sigma * sigma)));
    sum += (i == 0 ? 1 : 2) * weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

/// All but so many rows (axis 0) or columns (axis 1) before and after.
Tensor without(Tensor x, int axis, std::int64_t before, std::int64_t after) {
  StridedSlice s = {.begin = {0, 0}, .end = {0, 0}, .begin_mask = 3, .end_mask = 3};
  const auto bit = 1u << axis;
  s.begin[static_cast<std::size_t>(axis)] = before;
  s.end[static_cast<std::size_t>(axis)] = -after;
  s.begin_mask &= ~bit;
  if (after > 0) s.end_mask &= ~bit;
  return slice(x, s);
}

/// Smoothing along an axis, times a number. The result is shorter by the window's radius at both ends.
Tensor smoothed(Tensor x, int axis, const std::vector<double>& weights, double scale) {
  const auto radius = static_cast<std::int64_t>(weights.size()) - 1;
  const auto tap = [&](std::int64_t i) { return cast(without(x, axis, radius + i, radius - i), f32); };
  Tensor sum = tap(0) * (weights[0] * scale);
  for (std::int64_t i = 1; i <= radius; ++i) sum = sum + (tap(i) + tap(-i)) * (weights[static_cast<std::size_t>(i)] * scale);
  return sum;
}

/// From a picture to its gradients, packed as edlines::Gradient has it.
struct GradientGraph {
  Graph graph;
  Tensor picture, gradients;

  GradientGraph(DType dtype, std::int64_t channels, double sigma) {
    picture = graph.placeholder(channels == 0 ? Shape{dynamic, dynamic} : Shape{dynamic, dynamic, channels}, dtype, "picture");
    const std::vector<double> weights = gaussian(sigma);
    Tensor grey = picture;
    double scale = dtype == u8 ? 1 / 255.0 : dtype == u16 ? 1 / 65535.0 : 1;
    const auto cut_off = [&](Tensor v) {
      v = cast(v, f32);
      return is_floating(dtype) ? select(greater(v, 0), minimum(v, 1), 0) : v;
    };
    const auto channel = [&](std::int64_t c) { return squeeze(slice(picture, 2, c, 1), {2}); };
    if (channels == 1 || channels == 2) grey = channel(0);
    if (channels >= 3) grey = cut_off(channel(0)) * 0.299 + cut_off(channel(1)) * 0.587 + cut_off(channel(2)) * 0.114;
    else if (is_floating(dtype)) grey = cut_off(grey);
    const auto margin = static_cast<std::int64_t>(weights.size());  // the window's radius, and a pixel for the Sobel operator
    const Tensor padded = pad(grey, {margin, margin}, {margin, margin}, {.mode = PadMode::edge});
    const Tensor smooth = smoothed(smoothed(padded, 0, weights, scale), 1, weights, gradient_scale).named("smooth");
    const auto at = [&](int dx, int dy) { return without(without(smooth, 0, 1 + dy, 1 - dy), 1, 1 + dx, 1 - dx); };
    const Tensor gx = (at(1, 0) - at(-1, 0)) * 2 + ((at(1, -1) - at(-1, -1)) + (at(1, 1) - at(-1, 1)));
    const Tensor gy = (at(0, 1) - at(0, -1)) * 2 + ((at(-1, 1) - at(-1, -1)) + (at(1, 1) - at(1, -1)));
    // Added to 1.5 * 2^23 a number of this size is rounded to a whole one, whose two's complement are the lower bits.
    const auto whole = [](Tensor v) { return bitcast(v + 12582912, i32); };
    gradients = bit_or(bit_and(whole(gx), 0xffff), shift_left(whole(gy), 16)).named("gradients");
  }
};

/// What one call needs to itself, kept for the next one.
struct Workspace {
  NDArray gradients{i32, {0, 0}};
  Router router;
  std::vector<Position> positions;
  std::vector<Segment> segments;
};

}  // namespace

struct EDLines::State {
  EDLinesOptions options;
  RunOptions run;
  std::mutex mutex;
  std::map<std::pair<DType, std::int64_t>, std::unique_ptr<GradientGraph>> graphs;  ///< by element type and channels
  std::vector<std::unique_ptr<Workspace>> workspaces;                               ///< that no call uses

  GradientGraph& graph_for(const NDArray& picture) {
    const std::int64_t channels = picture.rank() == 3 ? picture.shape()[2] : 0;
    const std::lock_guard lock(mutex);
    auto& graph = graphs[{picture.dtype(), channels}];
    if (!graph) graph = std::make_unique<GradientGraph>(picture.dtype(), channels, options.gaussian_sigma);
    return *graph;
  }

  std::unique_ptr<Workspace> take_workspace() {
    const std::lock_guard lock(mutex);
    if (workspaces.empty()) return std::make_unique<Workspace>();
    auto w = std::move(workspaces.back());
    workspaces.pop_back();
    return w;
  }
  void give_back(std::unique_ptr<Workspace> w) {
    const std::lock_guard lock(mutex);
    workspaces.push_back(std::move(w));
  }

  void find(const NDArray& picture, Workspace& w, EDLinesResult& result, std::int64_t x0, std::int64_t y0);
};

namespace {

/// The part of a picture to look at, and where it begins.
struct Part {
  NDArray picture;
  std::int64_t x = 0, y = 0;
};

Part clipped(const NDArray& picture, const std::optional<PixelRectangle>& clip) {
  if (!clip) return {picture};
  const auto range = [](std::int64_t begin, std::int64_t size, std::int64_t bound) {
    const std::int64_t first = std::clamp<std::int64_t>(begin, 0, bound);
    const std::int64_t left = bound - first, skipped = first - begin;  // of the rectangle, what lies before the picture
    return std::pair{first, first + (begin > bound || skipped >= size ? 0 : std::min(left, size - skipped))};
  };
  const auto [y, bottom] = range(clip->y, clip->height, picture.shape()[0]);
  const auto [x, right] = range(clip->x, clip->width, picture.shape()[1]);
  return {picture.slice(0, y, bottom).slice(1, x, right), x, y};
}

void check(const NDArray& picture) {
  const auto d = picture.dtype();
  const bool fits = (picture.rank() == 2 || (picture.rank() == 3 && picture.shape()[2] >= 1 && picture.shape()[2] <= 4)) &&
                    (d == u8 || d == u16 || d == f16 || d == f32);
  if (!fits)
    throw RunError("edlines: the picture is " + picture.type().str() + ", expects u8, u16, f16 or f32 [height, width] or [height, width, 1..4]");
  const std::int64_t pixels = picture.shape()[0] * picture.shape()[1];
  if (pixels > std::numeric_limits<std::int32_t>::max())
    throw RunError("edlines: the picture " + picture.type().str() + " has more than 2^31 - 1 pixels; give parts of it");
}

}  // namespace

EDLines::EDLines(EDLinesOptions options, RunOptions run) : state_(std::make_unique<State>()) {
  check(options);
  state_->options = options;
  state_->run = std::move(run);
}
EDLines::~EDLines() = default;
EDLines::EDLines(EDLines&&) noexcept = default;
EDLines& EDLines::operator=(EDLines&&) noexcept = default;
const EDLinesOptions& EDLines::options() const { return state_->options; }

EDLinesResult EDLines::operator()(const NDArray& picture) const {
  check(picture);
  EDLinesResult result;
  if (options().edges) result.edges = NDArray(u8, {picture.shape()[0], picture.shape()[1]});
  const Part part = clipped(picture, options().clip);
  // Smaller ones are all border.
  if (part.picture.shape()[0] < 3 || part.picture.shape()[1] < 3) return result;
  auto workspace = state_->take_workspace();
  state_->find(part.picture, *workspace, result, part.x, part.y);
  state_->give_back(std::move(workspace));
  return result;
}

void EDLines::State::find(const NDArray& picture, Workspace& w, EDLinesResult& result, std::int64_t x0, std::int64_t y0) {
  const Shape size = {picture.shape()[0], picture.shape()[1]};
  const std::int64_t height = size[0], width = size[1];
  if (!(w.gradients.shape() == size)) w.gradients = NDArray(i32, size);
  GradientGraph& g = graph_for(picture);
  Results results = {{g.gradients, w.gradients}};
  RunOptions where = run;
  if (!picture.device().is_cpu()) {
    where.backend = Backend::cuda;
    where.device = picture.device().index();
  }
  g.graph.run({{g.picture, picture}}, results, {}, where);

  const GradientMap map = {w.gradients.elements<std::int32_t>().data(), width, height};
  const double log_pixels = std::log10(static_cast<double>(width)) + std::log10(static_cast<double>(height));
  const std::int64_t meaningful = std::max<std::int64_t>(9, std::llround(log_pixels / std::log10(8.0)));
  const double shortest = static_cast<double>(options.min_line_length == 0 ? meaningful : options.min_line_length);
  const FitOptions fit = {
      .least_pixels = meaningful,
      .tolerance = 20 * options.line_error_threshold,
      .blurred_ends = std::llround(2 * options.gaussian_sigma),
      .most_apart = std::max(2.0, options.merge_locality_threshold * std::hypot(static_cast<double>(width), static_cast<double>(height)))};
  const double least = std::ceil(std::pow(options.gradient_threshold * gradient_scale, 2));
  w.router.run(map,
               {.detail_ratio = options.detail_ratio,
                .least_squared = static_cast<std::int32_t>(std::clamp(least, 1.0, static_cast<double>(std::numeric_limits<std::int32_t>::max()))),
                .least_pixels = meaningful});

  w.segments.clear();
  for (std::size_t i = 0; i + 1 < w.router.offsets.size(); ++i) {
    const auto begin = w.router.offsets[i], end = w.router.offsets[i + 1];
    const auto chain = std::span(w.router.pixels).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    fit_chain(map, chain, fit, w.positions, w.segments);
  }
  join(map, fit, w.segments);

  std::optional<Validation> validation;
  if (options.validate) validation.emplace(picture);
  const double dx = static_cast<double>(x0), dy = static_cast<double>(y0);
  for (Segment& s : w.segments) {
    if (!cut_at_border(s, width, height) || length(s) < shortest || (validation && !validation->accepts(s))) continue;
    result.lines.push_back({s.from.x + dx, s.from.y + dy, s.to.x + dx, s.to.y + dy, strength(map, s)});
  }
  std::ranges::sort(result.lines, [](const LineSegment& a, const LineSegment& b) {
    return std::tuple(-a.strength, a.y0, a.x0, a.y1, a.x1) < std::tuple(-b.strength, b.y0, b.x0, b.y1, b.x1);
  });
  if (static_cast<std::uint64_t>(options.max_lines) < result.lines.size()) result.lines.resize(static_cast<std::size_t>(options.max_lines));

  if (options.edges) {
    const auto edges = result.edges.elements<std::uint8_t>();
    const std::int64_t whole_width = result.edges.shape()[1];
    for (const std::int64_t p : w.router.pixels) edges[static_cast<std::size_t>((p / width + y0) * whole_width + p % width + x0)] = 255;
  }
}

LineSegment::Pixels LineSegment::pixels() const {
  const auto pixel = [](double v) { return static_cast<std::int32_t>(std::lround(v)); };
  return {pixel(x0), pixel(y0), pixel(x1), pixel(y1)};
}

double LineSegment::length() const { return std::hypot(x1 - x0, y1 - y0); }

NDArray EDLinesResult::endpoints() const {
  NDArray a(i32, {static_cast<std::int64_t>(lines.size()), 4});
  auto* to = a.elements<std::int32_t>().data();
  for (const auto& line : lines) {
    const auto p = line.pixels();
    for (const auto v : {p.x0, p.y0, p.x1, p.y1}) *to++ = v;
  }
  return a;
}

}  // namespace weft
