// The table of contents of the compiler: every pass, in order.
#include "compile/pipeline.h"

#include "compile/control.h"
#include "compile/flops.h"
#include "compile/verify.h"
#include "graph/build.h"

#include <weft/error.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <system_error>

namespace weft {
namespace {

struct Pass {
  const char* name;
  Program (*run)(const Program&, const RunOptions&);
};

constexpr Pass simplifications[] = {
    {"unroll loops", unroll_loops},
    {"fold constants", fold_constants},
    {"channels last", channels_last},
    // Rules look for one value used twice.
    {"merge identical", merge_identical},
    {"apply rules", apply_rules},
    {"fold constants", fold_constants},
    {"fold transposes", fold_transposes},
    {"join products", join_products},
    {"merge identical", merge_identical},
    {"lay out matrices", lay_out_matrices},
    {"trust indices", trust_indices},
    {"drop unused", drop_unused},
};

constexpr Switch optional[] = {
    {"channels last", "convolutions are computed with channels last; transposes move on to where they are needed"},
    {"fold constants", "operations on constants become constants"},
    {"fold transposes", "products read transposed and repeated matrices as they lie"},
    {"join products", "a sum of products of few terms is one product of all their terms"},
    {"lay out matrices", "a transposed matrix that several products of few rows read is laid out for them once"},
    {"merge identical", "identical operations become one"},
    {"trust indices", "an index that can't be out of range isn't checked"},
    {"unroll loops", "loops of few iterations are laid out one after the other; a branch whose predicate is a constant is taken"},
};

bool is_wanted(const Pass& pass, const RunOptions& options) {
  const bool is_optional = std::ranges::find(optional, pass.name, &Switch::name) != std::end(optional);
  return options.simplify && (!is_optional || is_on(options, pass.name));
}

class Timer {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// The first of DIRECTORY/0, DIRECTORY/1, ... that isn't there, made.
std::filesystem::path unused_folder(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  for (int i = 0;; ++i)
    if (const auto folder = directory / std::to_string(i); std::filesystem::create_directory(folder, error)) return folder;
    else if (error) throw RunError(folder.string() + ": " + error.message());
}

void write(const std::filesystem::path& path, const std::string& text) {
  if (!(std::ofstream(path, std::ios::binary) << text).flush()) throw RunError(path.string() + " can't be written");
}

/// The program after each pass.
std::string passes_of(const Compiled& compiled) {
  Program p = compiled.specialized;
  std::string text = "== specialize\n" + p.str();
  for (const auto& pass : simplifications)
    if (is_wanted(pass, compiled.options)) {
      p = pass.run(p, compiled.options);
      text += std::string("== ") + pass.name + "\n" + p.str();
    }
  return text;
}

/// What the kernel computes, with the user's labels, as comments of the listing's language.
std::string operations_of(const Explanation& explanation, const Listing& listing) {
  const auto dot = listing.name.rfind('.'), underscore = listing.name.find('_');
  const std::string_view kind = std::string_view(listing.name).substr(dot),
                         kernel = std::string_view(listing.name).substr(underscore + 1, dot - underscore - 1);
  const char* comment = kind == ".ll" ? "; " : kind == ".s" ? "# " : "// ";
  std::string text;
  for (const auto& step : explanation.steps) {
    if (step.name != kernel && step.epilogue != kernel) continue;
    for (int id : step.operations) {
      const auto& o = explanation.operations[static_cast<std::size_t>(id)];
      std::string label = o.label.empty() ? "" : " \"" + o.label + "\"";
      std::ranges::replace(label, '\n', ' ');
      text += comment + ("%" + std::to_string(id)) + " " + o.name + label;
      for (std::size_t i = 0; i < o.results.size(); ++i) text += (i == 0 ? " : " : ", ") + o.results[i].str();
      text += "\n";
    }
    break;
  }
  return text;
}

}  // namespace

std::span<const Switch> optional_passes() { return optional; }

Program simplified(Program program, const RunOptions& options) {
  for (const auto& pass : simplifications)
    if (is_wanted(pass, options)) program = pass.run(program, options);
  return program;
}

std::unique_ptr<CompiledProgram> make_program(const Program& program, const RunOptions& options) {
  return options.backend != Backend::reference && has_control(program) ? make_controlled(program, options)
                                                                       : make_code(options.backend, program, options);
}

Backend resolve(Backend backend) {
  struct Named {
    std::string_view name;
    Backend backend;
  };
  /// The fastest first.
  static constexpr Named backends[] = {{"cuda", Backend::cuda}, {"cpu", Backend::cpu}, {"reference", Backend::reference}};
  if (backend == Backend::automatic) {
    const char* wish = std::getenv("WEFT_BACKEND");
    const std::string_view name = wish ? wish : "";
    const auto found = std::ranges::find_if(backends, [&](const Named& b) { return name.empty() ? has_backend(b.backend) : b.name == name; });
    if (found == std::end(backends)) throw RunError("WEFT_BACKEND is \"" + std::string(name) + "\", expects cuda, cpu or reference");
    backend = found->backend;
  }
  if (const auto why = why_not(backend); !why.empty()) throw RunError(why);
  return backend;
}

Compiled compile(const GraphState& graph, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                 const RunOptions& options) {
  Compiled compiled;
  compiled.options = settled(options);
  Timer whole, timer;
  const bool verifies = std::getenv("WEFT_VERIFY") != nullptr;
  auto finished = [&](const char* pass) {
    compiled.statistics.passes.emplace_back(pass, timer.lap());
    if (verifies) verify(compiled.program, pass);
  };

  compiled.specialized = specialize(graph, feeds, targets, operations);
  compiled.program = compiled.specialized;
  finished("specialize");
  for (const auto& pass : simplifications)
    if (is_wanted(pass, compiled.options)) {
      compiled.program = pass.run(compiled.program, compiled.options);
      finished(pass.name);
    }
  const ValueRanges ranges(compiled.program.graph);
  for (const auto& u : compiled.program.updates) compiled.update_ranges.push_back(ranges[u.value]);
  compiled.code = make_program(compiled.program, compiled.options);
  compiled.statistics.passes.emplace_back("generate code", timer.lap());
  compiled.code->describe(compiled.statistics);
  count_work(compiled.program, compiled.statistics);
  compiled.statistics.seconds = whole.lap();
  if (const char* directory = std::getenv("WEFT_DUMP")) compiled.write_dump(unused_folder(directory));
  return compiled;
}

std::string Compiled::dump() const { return passes_of(*this) + code->dump(); }

void Compiled::write_dump(const std::filesystem::path& directory) const {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw RunError(directory.string() + ": " + error.message());
  write(directory / "passes.txt", passes_of(*this));
  write(directory / "kernels.txt", code->dump());
  const Explanation explanation = code->explain();
  for (const auto& l : code->listings()) write(directory / l.name, operations_of(explanation, l) + l.text);
}

}  // namespace weft
