// weft explain
#include "apps/commands.h"

#include "apps/explained.h"
#include "compile/backend.h"
#include "compile/pipeline.h"

#include <weft/error.h>
#include <weft/io.h>

#include <charconv>
#include <cstdio>
#include <memory>

namespace weft::apps {
namespace {

struct ExplainOptions {
  std::string graph, html, dump;
  std::vector<std::string> feeds;
  std::string device;
  bool measures = false;
};

/// "name=16x28x28x1"; nothing after the sign is a scalar.
std::pair<std::string, Shape> shape_of(const std::string& feed) {
  const auto sign = feed.rfind('=');
  if (sign == std::string::npos || sign == 0) throw CLI::ValidationError("--feed", feed + " is not NAME=SIZExSIZE...");
  std::vector<std::int64_t> sizes;
  const char *at = feed.data() + sign + 1, *const end = feed.data() + feed.size();
  while (at != end) {
    const auto [next, error] = std::from_chars(at, end, sizes.emplace_back());
    const bool goes_on = next != end && *next == 'x' && next + 1 != end;
    if (error != std::errc{} || sizes.back() < 0 || (next != end && !goes_on))
      throw CLI::ValidationError("--feed", feed + " is not NAME=SIZExSIZE...");
    at = goes_on ? next + 1 : next;
  }
  return {feed.substr(0, sign), Shape(std::span<const std::int64_t>(sizes))};
}

void explain(const ExplainOptions& o) {
  std::map<std::string, Shape> shapes;
  for (const auto& f : o.feeds) shapes.insert(shape_of(f));
  Setup setup;
  RunOptions options{.backend = o.device == "cuda" ? Backend::cuda : o.device == "cpu" ? Backend::cpu : resolve(Backend::automatic)};
  if (options.backend == Backend::reference) throw RunError("explain needs a backend that compiles: " + why_not(Backend::cpu));
  std::string title = prepare(o.graph, shapes, setup, options);
  const Executable executable = setup.compile(options);
  if (!o.dump.empty()) executable.write_dump(o.dump);
  const Device device = options.backend == Backend::cuda ? Device::cuda() : Device::cpu();
  const Explained e = explained(std::move(title), setup, executable, device, Machine::measured(device), o.measures);
  std::fputs(text_of(e).c_str(), stdout);
  if (!o.html.empty()) io::save_file(o.html, page_of(e));
}

}  // namespace

void add_explain_command(CLI::App& weft) {
  const auto o = std::make_shared<ExplainOptions>();
  CLI::App* command = weft.add_subcommand("explain", "Say what a graph is compiled to, what each step moves, and what was not stitched");
  command->add_option("graph", o->graph, "A file with a graph's text form, digits, or a row of weft bench")->required()->type_name("GRAPH");
  command->add_option("--feed", o->feeds, "Shape of a placeholder, by its label or number: x=16x28x28x1")
      ->allow_extra_args(false)
      ->type_name("NAME=SHAPE");
  command->add_option("--device", o->device, "cuda or cpu; the fastest that there is if not given")
      ->check(quietly(CLI::IsMember({"cuda", "cpu"})))
      ->type_name("NAME");
  command->add_flag("--measure", o->measures, "Run it, and print the median time of each step");
  command->add_option("--html", o->html, "Write a page that draws the graph")->type_name("OUT.html");
  command->add_option("--dump", o->dump, "Write the graph after each pass, kernels, LLVM IR and assembly")->type_name("FOLDER");
  command->footer(
      "A step is a generated kernel or a library's. unstitched is what its operations would move if each read its operands from\n"
      "memory and wrote its results there; floor us is what the step's own bytes or its arithmetic take at least on this machine.");
  command->callback([o] { explain(*o); });
}

}  // namespace weft::apps
