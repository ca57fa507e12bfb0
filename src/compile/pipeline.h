// From a graph to something that runs.
#pragma once

#include "compile/backend.h"
#include "compile/program.h"
#include "compile/switches.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft {

struct Compiled {
  Program specialized;  ///< before the other passes
  Program program;      ///< as the backend got it
  RunOptions options;
  std::unique_ptr<CompiledProgram> code;
  CompileStatistics statistics;
  std::vector<std::optional<ValueRange>> update_ranges;  ///< of the values that variables get, as far as they are known

  /// The program after each pass, then the backend's code. Runs the passes again, so that compiling need not keep them.
  std::string dump() const;
  /// Makes the directory and writes what Executable::write_dump says.
  void write_dump(const std::filesystem::path& directory) const;
};

Compiled compile(const GraphState& graph, std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations,
                 const RunOptions& options);

/// The program after all passes.
Program simplified(Program program, const RunOptions& options);
/// Runs a simplified program; the options are settled.
std::unique_ptr<CompiledProgram> make_program(const Program& program, const RunOptions& options);

/// The passes that can be left out.
std::span<const Switch> optional_passes();

/// `automatic` resolved; throws RunError for a backend that was not built or an unknown WEFT_BACKEND.
Backend resolve(Backend backend);

}  // namespace weft
