// weft bench
#include "apps/commands.h"

#include "apps/workloads/measure.h"

#include <weft/error.h>
#include <weft/io.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace weft::apps {
namespace {

struct BenchOptions {
  std::vector<std::string> prefixes;
  std::string device = "cpu", json;
  bool list = false;
};

std::vector<Workload> chosen(const std::vector<std::string>& prefixes, bool with_large) {
  std::vector<Workload> all = workloads(), some;
  std::string names;
  for (const auto& w : all) names += (names.empty() ? "" : ", ") + w.name;
  for (const auto& p : prefixes)
    if (std::none_of(all.begin(), all.end(), [&](const Workload& w) { return w.name.starts_with(p); }))
      throw RunError("no row's name begins with \"" + p + "\"; there are " + names);
  for (auto& w : all) {
    const auto is_meant = [&](const std::string& p) { return w.is_large && !with_large ? w.name == p : w.name.starts_with(p); };
    if (prefixes.empty() ? with_large || !w.is_large : std::ranges::any_of(prefixes, is_meant)) some.push_back(std::move(w));
  }
  return some;
}

/// What the row does more of, seen from its floor: bytes or arithmetic a second.
std::string rate(const Measurement& m) {
  char text[40] = "";
  if (m.flops > 8 * m.bytes) std::snprintf(text, sizeof text, "%8.1f GFLOP/s", static_cast<double>(m.flops) / m.us * 1e-3);
  else if (m.bytes > 0) std::snprintf(text, sizeof text, "%8.1f GB/s   ", static_cast<double>(m.bytes) / m.us * 1e-3);
  return text;
}

void bench(const BenchOptions& options) {
  const auto rows = chosen(options.prefixes, options.device == "cuda");
  if (options.list) {
    for (const auto& w : rows) std::printf("%s\n", w.name.c_str());
    return;
  }
  Meter meter(options.device == "cuda" ? Backend::cuda : Backend::cpu);
  auto records = nlohmann::ordered_json::array();
  std::printf("%-36s %12s %12s %6s %16s %8s\n", "", "us", "floor us", "floor", "rate", "first s");
  for (const auto& w : rows) {
    const Measurement m = meter.measure(w);
    const std::string name = w.name;
    if (m.floor_us > 0)
      std::printf("%-36s %12.1f %12.1f %5.0f%% %16s %8.3f\n", name.c_str(), m.us, m.floor_us, 100 * m.floor_us / m.us, rate(m).c_str(), m.first_s);
    else std::printf("%-36s %12.1f %12s %6s %16s %8.3f\n", name.c_str(), m.us, "", "", "", m.first_s);
    std::fflush(stdout);
    records.push_back({{"name", name},
                       {"device", options.device},
                       {"us", m.us},
                       {"first_s", m.first_s},
                       {"floor_us", m.floor_us},
                       {"bytes", m.bytes},
                       {"flops", m.flops}});
  }
  if (!options.json.empty()) io::save_file(options.json, records.dump(1) + "\n");
}

}  // namespace

void add_bench_command(CLI::App& weft) {
  const auto o = std::make_shared<BenchOptions>();
  CLI::App* bench_command = weft.add_subcommand("bench", "Time the workloads of docs/performance.md against their floors");
  bench_command->add_option("--filter", o->prefixes, "Only rows whose names begin so; several separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("PREFIX");
  bench_command->add_option("--device", o->device, "cpu or cuda")->check(quietly(CLI::IsMember({"cpu", "cuda"})))->type_name("NAME");
  bench_command->add_option("--json", o->json, "Write rows of name, device, us, first_s, floor_us, bytes and flops")->type_name("OUT.json");
  bench_command->add_flag("--list", o->list, "Print the rows' names only");
  bench_command->footer(
      "Every row is the median of seven loops of calls, after a first one that compiles and five more; results are written to the\n"
      "caller's arrays. floor us is what the row's bytes (inputs and outputs once) or its arithmetic take at least on this machine,\n"
      "or the library's kernel that it stitches onto; the percentage is how near the row comes to it.");
  bench_command->callback([o] { bench(*o); });
}

}  // namespace weft::apps
