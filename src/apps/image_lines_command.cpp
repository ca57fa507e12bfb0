// weft image lines
#include "apps/commands.h"

#include "apps/canvas.h"
#include "apps/command_support.h"
#include "apps/workloads/timing.h"

#include <weft/error.h>
#include <weft/image_file.h>
#include <weft/io.h>
#include <weft/primitives/edlines.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace weft::apps {
namespace {

struct ImageLinesOptions {
  std::string in, out, json, edges;
  std::vector<std::int64_t> clip;
  bool no_validation = false, measure = false;
  EDLinesOptions lines;
  Backend backend = Backend::automatic;
};

/// The picture, paler, with the lines on it: red, and a dot at each end.
NDArray drawn(const NDArray& picture, const std::vector<LineSegment>& lines) {
  const auto height = static_cast<int>(picture.shape()[0]), width = static_cast<int>(picture.shape()[1]);
  const std::int64_t channels = picture.shape()[2];
  Canvas canvas(width, height, {255, 255, 255});
  const auto* pixel = picture.elements<std::uint8_t>().data();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x, pixel += channels) {
      const std::uint8_t *green = channels >= 3 ? pixel + 1 : pixel, *blue = channels >= 3 ? pixel + 2 : pixel;
      canvas.blend(x, y, {pixel[0], *green, *blue}, 0.6);
    }
  constexpr Colour red = {214, 39, 40}, dark = {60, 10, 10};
  for (const LineSegment& l : lines) {
    // The canvas has its origin at the corner of a pixel.
    const Point from = {l.x0 + 0.5, l.y0 + 0.5}, to = {l.x1 + 0.5, l.y1 + 0.5};
    canvas.polyline(std::array{from, to}, 1.5, red);
    for (const Point p : {from, to}) canvas.polyline(std::array{Point{p.x - 1, p.y}, Point{p.x + 1, p.y}}, 2, dark);
  }
  return canvas.image();
}

nlohmann::ordered_json record_of(const NDArray& picture, const EDLinesResult& found) {
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const LineSegment& l : found.lines) {
    const auto p = l.pixels();
    lines.push_back({{"pixels", {p.x0, p.y0, p.x1, p.y1}}, {"ends", {l.x0, l.y0, l.x1, l.y1}}, {"length", l.length()}, {"strength", l.strength}});
  }
  return {{"height", picture.shape()[0]}, {"width", picture.shape()[1]}, {"lines", lines}};
}

/// The median of many calls.
double measured_seconds(const EDLines& find, const NDArray& picture) {
  const auto call = [&] { find(picture); };
  const double once = seconds_of_loops(1, 1, call, [] {})[0];
  const auto times = seconds_of_loops(std::clamp(static_cast<int>(1 / once), 5, 200), 1, call, [] {});
  return times[times.size() / 2];
}

void image_lines(ImageLinesOptions options) {
  check_writable({options.out, options.edges, options.json == "-" ? "" : options.json});
  const NDArray picture = io::load_image(options.in);
  options.lines.validate = !options.no_validation;
  options.lines.edges = !options.edges.empty();
  if (!options.clip.empty()) options.lines.clip = {options.clip[0], options.clip[1], options.clip[2], options.clip[3]};
  const EDLines find(options.lines, {.backend = options.backend});
  const EDLinesResult found = find(picture);
  if (!options.out.empty()) io::save_image(options.out, drawn(picture, found.lines));
  if (!options.edges.empty()) io::save_image(options.edges, found.edges);

  nlohmann::ordered_json record = record_of(picture, found);
  if (options.measure) record["ms"] = 1e3 * measured_seconds(find, picture);
  if (!options.json.empty()) {
    const std::string text = record.dump() + "\n";
    if (options.json == "-") std::fputs(text.c_str(), stdout);
    else io::save_file(options.json, text);
    if (options.json == "-") return;
  }
  double length = 0;
  for (const LineSegment& l : found.lines) length += l.length();
  std::printf("%lld x %lld pixels, %zu lines of %.0f pixels in all\n", static_cast<long long>(picture.shape()[1]),
              static_cast<long long>(picture.shape()[0]), found.lines.size(), length);
  if (options.measure) std::printf("%.3f ms\n", record["ms"].get<double>());
}

}  // namespace

void add_image_lines_command(CLI::App& image) {
  const auto o = std::make_shared<ImageLinesOptions>();
  EDLinesOptions& lines = o->lines;
  CLI::App* command = image.add_subcommand("lines", "Straight line segments, by EDLines");
  command->add_option("in", o->in, "The picture")->required()->type_name("IN");
  command->add_option("out", o->out, "The picture with its lines drawn over it")->type_name("OUT.png|jpg|ppm");
  command->add_option("--json", o->json, "Write the lines as JSON, the strongest first; without a file, print them")
      ->expected(0, 1)
      ->default_str("-")
      ->type_name("[FILE]");
  command->add_option("--edges", o->edges, "Write the edges: white on black")->type_name("OUT.png|jpg|ppm");
  command->add_option("--sigma", lines.gaussian_sigma, "Smooth by a Gaussian so many pixels wide; 2 if not given")->type_name("PIXELS");
  command->add_option("--min-length", lines.min_line_length, "Leave out shorter lines; 32 if not given, 0: whatever validation can accept")
      ->type_name("PIXELS");
  command->add_option("--max-lines", lines.max_lines, "Keep so many of the strongest; 256 if not given")->type_name("COUNT");
  command->add_option("--detail", lines.detail_ratio, "Look for edges on every so many-th row and column; 32 if not given")->type_name("PIXELS");
  command->add_option("--gradient", lines.gradient_threshold, "The least gradient of an edge, white being 1; 0.2 if not given")
      ->type_name("GRADIENT");
  command->add_option("--error", lines.line_error_threshold, "How far an edge may be from its line, in 20 pixels; 0.05 if not given")
      ->type_name("FRACTION");
  command
      ->add_option("--merge", lines.merge_locality_threshold, "Join lines whose ends are so near, in diagonals of the picture; 0.0025 if not given")
      ->type_name("FRACTION");
  command->add_option("--clip", o->clip, "Look at this part only")->expected(4)->type_name("X Y WIDTH HEIGHT");
  command->add_flag("--no-validation", o->no_validation, "Keep lines that may be chance");
  command->add_flag("--measure", o->measure, "Say how long it takes");
  add_backend_option(*command, o->backend);
  command->callback([o] { image_lines(*o); });
}

}  // namespace weft::apps
