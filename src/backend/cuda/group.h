// Runs of several programs on a GPU, begun as one.
#pragma once

#include "backend/cuda/gpu.h"
#include "compile/backend.h"

#include <memory>
#include <vector>

namespace weft::cuda {

/// What a group asks of its programs, which are all of them.
class GpuProgram : public CompiledProgram {
 public:
  /// Makes a run ready: the context has its feeds and addresses.
  virtual void take(Context& context, const RunArrays& arrays) const = 0;
  /// Adds what tells runs apart whose work is not the same.
  virtual void add_key(const Context& context, const RunArrays& arrays, std::vector<void*>& key) const = 0;
  /// Where a target that goes to the host lies before.
  virtual std::byte* staged_target(const Context& context, std::size_t target) const = 0;
  /// Puts the work of a run that is ready into a stream.
  virtual void enqueue(Context& context, const RunArrays& arrays, CUstream stream) const = 0;
  /// After its work was begun: `finish` waits for it.
  virtual void leave(Context& context) const = 0;
};

std::unique_ptr<RunGroup> make_group(Gpu& gpu);

}  // namespace weft::cuda
