#include "apps/studio/playground.h"

#include "apps/studio/expression.h"
#include "apps/workloads/timing.h"

#include <weft/weft.h>

#include <cmath>
#include <set>

namespace weft::apps::studio {
namespace {

constexpr std::int64_t points = 401;
/// Elements that are timed: four megabytes.
constexpr std::int64_t elements = 1 << 20;

Device device_of(Backend backend) { return backend == Backend::cuda ? Device::cuda() : Device::cpu(); }

/// JSON has no infinities and no NaN.
Json finite(const NDArray& array) {
  Json list = Json::array();
  for (const float v : array.to(Device::cpu()).elements<float>()) list.push_back(std::isfinite(v) ? Json(v) : Json());
  return list;
}

Setup set_up(const std::string& expression, bool with_gradient) {
  Setup setup;
  const Tensor x = setup.feed({elements}), y = parse_expression(setup.graph, x, expression);
  setup.targets = {y};
  if (with_gradient) setup.targets.push_back(setup.graph.gradients(y, {x})[0]);
  return setup;
}

Json timed(Setup& setup, const RunOptions& options) {
  const Device device = device_of(options.backend);
  const Executable executable = setup.compile(options);
  std::vector<TensorData> feeds, results;
  for (const auto& feed : setup.feeds(executable)) feeds.emplace_back(feed.array().to(device));
  for (const auto& type : executable.output_types()) results.emplace_back(NDArray(type, device));
  const auto run = [&] { executable.run(feeds, results); };
  run();
  device.wait();
  // The shortest, since other work on the machine only ever adds.
  const double seconds = seconds_of_loops(15, 2, run, [&] { device.wait(); }).front();
  const CompileStatistics& s = executable.statistics();
  return {{"kernels", s.kernels + s.library_calls}, {"bytes", s.bytes_read + s.bytes_written}, {"seconds", seconds}};
}

void plot(const std::string& expression, double low, double high, Backend backend, Json& shown) {
  Graph g;
  const Tensor x = g.placeholder({points}, f32, "x"), y = parse_expression(g, x, expression), slope = g.gradients(y, {x})[0];
  NDArray places(f32, {points});
  for (std::int64_t i = 0; i < points; ++i)
    places.elements<float>()[static_cast<std::size_t>(i)] = static_cast<float>(low + (high - low) * static_cast<double>(i) / (points - 1));
  const RunResult result = g.run({{x, places}}, {y, slope}, {}, {.backend = backend});
  shown["x"] = finite(places), shown["y"] = finite(result[0]), shown["slope"] = finite(result[1]);
}

}  // namespace

Playground play(const std::string& expression, double low, double high, Backend backend, const Machine& machine) {
  Playground p;
  plot(expression, low, high, backend, p.shown);
  p.shown["elements"] = elements;
  p.shown["kernels"] = Json::array();
  p.shown["table"] = Json::array();
  if (backend == Backend::reference) return p;
  std::set<std::string> names;
  for (const bool with_gradient : {false, true}) {
    Setup setup = set_up(expression, with_gradient);
    p.shown["table"].push_back({{"what", with_gradient ? "with its gradient" : "the function"},
                                {"stitched", timed(setup, {.backend = backend})},
                                {"unstitched", timed(setup, {.backend = backend, .stitch = false})}});
    const Executable executable = setup.compile({.backend = backend});
    for (const auto& step : executable.explain().steps)
      if (!step.code.empty() && names.insert(step.name).second) p.shown["kernels"].push_back({{"name", step.name}, {"code", step.code}});
    if (with_gradient) p.page = page_of(explained(expression, setup, executable, device_of(backend), machine, true));
  }
  return p;
}

}  // namespace weft::apps::studio
