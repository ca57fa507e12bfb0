#include <weft/primitives/edlines.h>

#include "primitives/edlines_gradient.h"
#include "primitives/edlines_validate.h"
#include "primitives/parallel.h"
#include "primitives/run_beside.h"

#include <weft/error.h>
#include <weft/queue.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <span>
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

/// The part of a picture to look at, and where it begins.
struct Part {
  NDArray picture;
  std::int64_t x = 0, y = 0;

  bool is_all_border() const { return picture.shape()[0] < 3 || picture.shape()[1] < 3; }
};

Part clipped(const NDArray& picture, const std::optional<PixelRectangle>& clip) {
  if (!clip) return {picture};
  const auto range = [](std::int64_t begin, std::int64_t size, std::int64_t bound) {
    const std::int64_t first = std::clamp<std::int64_t>(begin, 0, bound);
    const std::int64_t left = bound - first,
                       skipped =
                           first - std::max(begin, -std::numeric_limits<std::int64_t>::max());  // of the rectangle, what lies before the picture
    return std::pair{first, first + (begin > bound || skipped >= size ? 0 : std::min(left, size - skipped))};
  };
  const auto [y, bottom] = range(clip->y, clip->height, picture.shape()[0]);
  const auto [x, right] = range(clip->x, clip->width, picture.shape()[1]);
  return {picture.slice(0, y, bottom).slice(1, x, right), x, y};
}

/// No lines yet, and no edges. Throws RunError for what is no picture.
EDLinesResult result_for(const NDArray& picture, const EDLinesOptions& options) {
  const auto d = picture.dtype();
  const bool fits = (picture.rank() == 2 || (picture.rank() == 3 && picture.shape()[2] >= 1 && picture.shape()[2] <= 4)) &&
                    (d == u8 || d == u16 || d == f16 || d == f32);
  if (!fits)
    throw RunError("edlines: the picture is " + picture.type().str() + ", expects u8, u16, f16 or f32 [height, width] or [height, width, 1..4]");
  const std::int64_t pixels = picture.shape()[0] * picture.shape()[1];
  if (pixels > std::numeric_limits<std::int32_t>::max())
    throw RunError("edlines: the picture " + picture.type().str() + " has more than 2^31 - 1 pixels; give parts of it");
  EDLinesResult result;
  if (options.edges) result.edges = NDArray(u8, {picture.shape()[0], picture.shape()[1]});
  return result;
}

/// What one call needs to itself, kept for the next one.
struct Workspace {
  NDArray gradients{i32, {0, 0}};
  Router router;
  /// Chains are fitted in parts, which are the same for any number of threads.
  struct Part {
    FitRoom room;
    std::vector<Segment> segments;
  };
  std::vector<Part> parts;
  std::vector<Segment> segments;
  Joiner joiner;
  std::vector<std::uint8_t> accepted;
};

/// Fits lines to all chains, in their order.
void fit(const GradientMap& map, const FitOptions& options, Workspace& w) {
  constexpr std::int64_t pixels_per_part = 4096;
  const auto& offsets = w.router.offsets;
  const auto pixels = static_cast<std::int64_t>(w.router.pixels.size()), parts = (pixels + pixels_per_part - 1) / pixels_per_part;
  if (w.parts.size() < static_cast<std::size_t>(parts)) w.parts.resize(static_cast<std::size_t>(parts));
  parallel_for(parts, [&](std::int64_t i) {
    auto& part = w.parts[static_cast<std::size_t>(i)];
    part.segments.clear();
    // The chains that begin there.
    auto chain = std::ranges::lower_bound(offsets, i * pixels_per_part);
    for (; chain + 1 < offsets.end() && *chain < (i + 1) * pixels_per_part; ++chain)
      fit_chain(map, std::span(w.router.pixels).subspan(static_cast<std::size_t>(*chain), static_cast<std::size_t>(chain[1] - *chain)), options,
                part.room, part.segments);
  });
  w.segments.clear();
  for (const auto& part : std::span(w.parts).first(static_cast<std::size_t>(parts)))
    w.segments.insert(w.segments.end(), part.segments.begin(), part.segments.end());
}

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

  /// Computes gradients, to go with the buffer or at once if there is none.
  void compute_gradients(CommandBuffer* buffer, const NDArray& picture, Workspace& w);
  /// When gradients are there.
  void find_lines(const Part& part, Workspace& w, EDLinesResult& result) const;
};

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
  EDLinesResult result = result_for(picture, options());
  const Part part = clipped(picture, options().clip);
  if (part.is_all_border()) return result;
  auto workspace = state_->take_workspace();
  state_->compute_gradients(nullptr, part.picture, *workspace);
  state_->find_lines(part, *workspace, result);
  state_->give_back(std::move(workspace));
  return result;
}

std::shared_ptr<const EDLinesResult> EDLines::encode(CommandBuffer& buffer, const NDArray& picture) const {
  auto result = std::make_shared<EDLinesResult>(result_for(picture, options()));
  const Part part = clipped(picture, options().clip);
  if (part.is_all_border()) return result;
  const auto workspace = std::make_shared<std::unique_ptr<Workspace>>(state_->take_workspace());
  state_->compute_gradients(&buffer, part.picture, **workspace);
  buffer.encode_call([state = state_.get(), part, workspace, result] {
    state->find_lines(part, **workspace, *result);
    state->give_back(std::move(*workspace));
  });
  return result;
}

void EDLines::State::compute_gradients(CommandBuffer* buffer, const NDArray& picture, Workspace& w) {
  const Shape size = {picture.shape()[0], picture.shape()[1]};
  if (!(w.gradients.shape() == size)) w.gradients = NDArray(i32, size);
  GradientGraph& g = graph_for(picture);
  const Tensor targets[] = {g.gradients};
  TensorData results[] = {w.gradients};
  run_beside(buffer, g.graph, g.picture, picture, targets, results, run);
}

void EDLines::State::find_lines(const Part& part, Workspace& w, EDLinesResult& result) const {
  const std::int64_t height = part.picture.shape()[0], width = part.picture.shape()[1];
  const GradientMap map = {w.gradients.elements<std::int32_t>().data(), width, height};
  const double log_pixels = std::log10(static_cast<double>(width)) + std::log10(static_cast<double>(height));
  const std::int64_t meaningful = std::max<std::int64_t>(9, std::llround(log_pixels / std::log10(8.0)));
  const double shortest = static_cast<double>(options.min_line_length == 0 ? meaningful : options.min_line_length);
  const FitOptions options_of_fit = {
      .window = std::max(meaningful, options.min_line_length),
      .least_pixels = meaningful,
      .tolerance = std::max(0.5, 20 * options.line_error_threshold),
      .blurred_ends = std::llround(2 * options.gaussian_sigma),
      .most_apart = std::max(2.0, options.merge_locality_threshold * std::hypot(static_cast<double>(width), static_cast<double>(height)))};
  const double least = std::ceil(std::pow(options.gradient_threshold * gradient_scale, 2));
  w.router.run(map,
               {.detail_ratio = options.detail_ratio,
                .least_squared = static_cast<std::int32_t>(std::clamp(least, 1.0, static_cast<double>(std::numeric_limits<std::int32_t>::max()))),
                .least_pixels = options_of_fit.least_pixels});

  fit(map, options_of_fit, w);
  w.joiner.run(map, options_of_fit, w.segments);
  std::erase_if(w.segments, [&](Segment& s) { return !cut_at_border(s, width, height) || length(s) < shortest; });
  w.accepted.assign(w.segments.size(), 1);
  if (options.validate) {
    const Validation validation(part.picture);
    constexpr std::int64_t lines_per_part = 32;
    const auto lines = static_cast<std::int64_t>(w.segments.size());
    parallel_for((lines + lines_per_part - 1) / lines_per_part, [&](std::int64_t part) {
      for (auto i = part * lines_per_part; i < std::min(lines, (part + 1) * lines_per_part); ++i)
        w.accepted[static_cast<std::size_t>(i)] = validation.accepts(w.segments[static_cast<std::size_t>(i)]);
    });
  }
  const double dx = static_cast<double>(part.x), dy = static_cast<double>(part.y);
  for (std::size_t i = 0; i < w.segments.size(); ++i) {
    const Segment& s = w.segments[i];
    if (w.accepted[i]) result.lines.push_back({s.from.x + dx, s.from.y + dy, s.to.x + dx, s.to.y + dy, strength(map, s)});
  }
  std::ranges::sort(result.lines, [](const LineSegment& a, const LineSegment& b) {
    return std::tuple(-a.strength, a.y0, a.x0, a.y1, a.x1) < std::tuple(-b.strength, b.y0, b.x0, b.y1, b.x1);
  });
  if (static_cast<std::uint64_t>(options.max_lines) < result.lines.size()) result.lines.resize(static_cast<std::size_t>(options.max_lines));

  if (options.edges) {
    const auto edges = result.edges.elements<std::uint8_t>();
    const std::int64_t whole_width = result.edges.shape()[1];
    for (const std::int64_t p : w.router.pixels) edges[static_cast<std::size_t>((p / width + part.y) * whole_width + p % width + part.x)] = 255;
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
