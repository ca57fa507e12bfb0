// What the compiler asks of a backend.
#pragma once

#include "compile/program.h"

#include <weft/executable.h>
#include <weft/ndarray.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace weft {

/// Arrays of one run, all dense. Feeds, variables, targets and updates stand in the order of the program's lists; an
/// update's array becomes the variable's value when the run ends well.
struct RunArrays {
  std::span<const NDArray> feeds;
  std::span<const NDArray> variables;
  std::span<NDArray> targets;
  std::span<NDArray> updates;
  std::uint64_t run_index = 0;
};

/// A program that a backend has made ready. `run` may be called from several threads at once.
class CompiledProgram {
 public:
  virtual ~CompiledProgram() = default;
  /// Throws RunError; targets and updates are then undefined.
  virtual void run(const RunArrays& arrays) = 0;
  virtual void describe(CompileStatistics&) const {}
  virtual std::string dump() const { return {}; }
};

bool has_backend(Backend backend);
std::unique_ptr<CompiledProgram> make_code(Backend backend, const Program& program, const RunOptions& options);
/// Generated kernels compiled so far in this process.
std::size_t kernels_compiled();

namespace reference {
std::unique_ptr<CompiledProgram> make_code(const Program& program);
}
namespace cpu {
std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options);
std::size_t kernels_compiled();
}  // namespace cpu

}  // namespace weft
