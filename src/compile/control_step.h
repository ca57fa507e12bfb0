// Loops and branches between the parts of a program that are without.
#pragma once

#include "compile/backend.h"

#include <weft/ndarray.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft::control {

/// A value that is in memory between parts.
struct Slot {
  enum class Kind : std::uint8_t {
    feed,
    variable,
    memory,  ///< of a run's own
    state,   ///< of the loop that gives it
  };
  Kind kind;
  std::size_t index;  ///< of the feed or variable
  TensorType type;
};

/// Where the slots' values lie in one run.
struct Frame {
  struct Place {
    std::byte* at = nullptr;
    Device device;
    const TensorType* type = nullptr;
    std::optional<NDArray> memory;  ///< of a slot that has its own; of a fed one that was brought to the device
  };
  Device device;
  std::vector<Place> slots;

  /// The slot's value on the program's device.
  const std::byte* bring(std::size_t slot);
};

/// From anywhere to anywhere; returns when the host's memory, if it is part, has been read or written.
void copy_between(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::int64_t bytes);

struct StepContext {
  virtual ~StepContext() = default;
};

class Step {
 public:
  virtual ~Step() = default;
  virtual Device device() const = 0;
  virtual std::unique_ptr<StepContext> make_context() const = 0;
  /// Reads and writes slots. What it gives may from then on lie in the context.
  virtual void run(Frame& frame, StepContext& context, std::uint64_t run_index) const = 0;
  /// "for, 100 iterations".
  virtual std::string describe() const = 0;
  virtual std::vector<const CompiledProgram*> codes() const = 0;
};

/// A loop or branch of the program, with the slots of its operands and of those of its results that are needed.
std::unique_ptr<Step> make_step(const Program& program, ir::NodeId id, const RunOptions& options, std::vector<std::size_t> operands,
                                std::vector<std::optional<std::size_t>> results);

}  // namespace weft::control
