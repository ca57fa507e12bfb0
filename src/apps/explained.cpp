#include "apps/explained.h"

#include "apps/workloads/floors.h"
#include "apps/workloads/timing.h"
#include "graph/build.h"

#include <weft/error.h>
#include <weft/io.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace weft::apps {
namespace {

constexpr int timed_runs = 21, warm_ups = 3;
/// Seconds after which no more runs are timed.
constexpr double longest = 3;

std::string known_names() {
  std::string names = "digits";
  for (const auto& w : workloads())
    if (w.build) names += ", " + w.name;
  return names;
}

/// The first workload of that name, or with that among the words of its name.
void prepare_workload(std::string& name, Setup& setup, RunOptions& options) {
  if (name == "digits") name = "train_lenet_f32_b16";
  const auto all = workloads();
  const auto has_name = [&](const Workload& w) { return w.build && w.name == name; };
  const auto has_word = [&](const Workload& w) {
    return w.build && !name.empty() && ("_" + w.name + "_").find("_" + name + "_") != std::string::npos;
  };
  auto found = std::ranges::find_if(all, has_name);
  if (found == all.end()) found = std::ranges::find_if(all, has_word);
  if (found == all.end()) throw RunError("\"" + name + "\" is neither a file nor one of the graphs " + known_names());
  name = found->name;
  options.stitch = options.stitch && found->stitch;
  options.tf32 = found->tf32;
  found->build(setup);
}

void prepare_file(const std::string& path, std::map<std::string, Shape> shapes, Setup& setup) {
  std::ifstream file(path, std::ios::binary);
  setup.graph = Graph::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  GraphState* state = setup.graph.state();
  std::set<ir::NodeId> read;
  for (const auto& node : state->ir.nodes)
    for (auto v : node.operands) read.insert(v.node);
  std::string without_shape;
  for (ir::NodeId id = 0; id < state->ir.size(); ++id) {
    const ir::Node& node = state->ir[id];
    if (node.op->name == "assign") setup.operations.emplace_back(state, id);
    if (node.op->name == "placeholder" && read.contains(id)) {
      const std::string number = "%" + std::to_string(id);
      TensorType type = node.types[0];
      for (const auto& key : {node.label, number})
        if (const auto shape = shapes.extract(key)) type.shape = shape.mapped();
      if (type.shape.is_static()) setup.feed({state, id, 0}, type);
      else without_shape += (without_shape.empty() ? "" : ", ") + (node.label.empty() ? number : node.label) + " " + type.str();
    }
    if (read.contains(id) || node.op->kind == Kind::source || node.op->kind == Kind::state) continue;
    for (std::size_t i = 0; i < node.types.size(); ++i) setup.targets.emplace_back(state, id, static_cast<std::int32_t>(i));
  }
  if (!shapes.empty()) throw RunError("--feed " + shapes.begin()->first + ": " + path + " has no placeholder of that name that is read");
  if (!without_shape.empty()) throw RunError(path + ": --feed NAME=SIZExSIZE... must give the shapes of " + without_shape);
  if (setup.targets.empty() && setup.operations.empty()) throw RunError(path + " computes nothing");
}

void measure(const Setup& setup, const Executable& executable, Device device, Explained& e) {
  std::vector<TensorData> feeds, results;
  for (const auto& feed : setup.feeds(executable)) feeds.emplace_back(feed.array().to(device));
  for (const auto& type : executable.output_types()) results.emplace_back(NDArray(type, device));
  for (int i = 0; i < warm_ups; ++i) executable.run(feeds, results);
  std::vector<double> whole;
  std::vector<std::vector<double>> steps(e.explanation.steps.size());
  double spent = 0;
  for (int i = 0; i < timed_runs && spent < longest; ++i) {
    const auto run = [&] {
      executable.run(feeds, results);
      device.wait();
    };
    spent += 2 * whole.emplace_back(seconds_of(run));
    const auto seconds = executable.run_timed(feeds);
    for (std::size_t s = 0; s < steps.size(); ++s) steps[s].push_back(seconds[s]);
  }
  const auto median = [](std::vector<double>& times) {
    std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
    return times[times.size() / 2];
  };
  e.run_seconds = median(whole);
  for (auto& times : steps) e.seconds.push_back(median(times));
}

}  // namespace

Machine Machine::measured(Device device) {
  Machine m;
  for (std::int64_t bytes : {16 << 10, 256 << 10, 2 << 20, 16 << 20, 128 << 20})
    m.streams.push_back({bytes, device.is_cpu() ? seconds_to_stream(bytes / 2, bytes / 2) : seconds_to_copy(device, bytes / 2)});
  m.flops = device.is_cpu() ? peak_flops() : peak_flops(device, f32);
  return m;
}

double Machine::floor(std::int64_t bytes, std::int64_t operations) const {
  Stream below{0, 0}, above = streams.front();
  for (std::size_t i = 1; i < streams.size() && bytes > above.bytes; ++i) below = above, above = streams[i];
  // Beyond the largest at its rate.
  if (bytes > above.bytes) below = {0, 0};
  const double share = static_cast<double>(bytes - below.bytes) / static_cast<double>(above.bytes - below.bytes);
  return std::max(below.seconds + share * (above.seconds - below.seconds), static_cast<double>(operations) / flops);
}

std::int64_t Explained::bytes_unstitched() const {
  std::int64_t bytes = 0;
  for (const auto& o : explanation.operations)
    if (o.place != Explanation::Place::unneeded) bytes += o.bytes;
  return bytes;
}

std::string prepare(const std::string& name, const std::map<std::string, Shape>& shapes, Setup& setup, RunOptions& options) {
  std::string title = name;
  if (std::filesystem::is_regular_file(name)) {
    prepare_file(name, shapes, setup);
  } else {
    prepare_workload(title, setup, options);
    if (!shapes.empty()) throw RunError("--feed is for graphs from files; " + title + " has its shapes");
  }
  return title;
}

Explained explained(std::string title, const Setup& setup, const Executable& executable, Device device, Machine machine, bool measures) {
  Explained e{.title = std::move(title), .explanation = executable.explain(), .statistics = executable.statistics(), .machine = std::move(machine)};
  for (const auto& s : e.explanation.steps) e.floors.push_back(e.machine.floor(s.bytes_read + s.bytes_written, s.flops));
  if (measures) measure(setup, executable, device, e);
  return e;
}

std::string name_of(const Explanation& explanation, int operation) {
  const auto& o = explanation.operations[static_cast<std::size_t>(operation)];
  return "%" + std::to_string(operation) + " " + o.name + (o.label.empty() ? "" : " \"" + o.label + "\"");
}

}  // namespace weft::apps
