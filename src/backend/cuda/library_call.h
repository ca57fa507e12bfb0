// Operations that the CUDA backend leaves to a library, or to code written by hand.
#pragma once

#include "backend/cuda/gpu.h"
#include "graph/ir.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace weft::cuda {

/// One operation made ready: descriptors built, algorithm chosen. Its buffers are dense and row-major: the node's operands in order,
/// then its results.
class LibraryCall {
 public:
  virtual ~LibraryCall() = default;
  /// Puts the work into the stream, which may be being captured. May be called from several threads at once.
  virtual void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const = 0;
  /// Bytes of scratch memory that a run needs.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// The library's kernel, for explanations.
  virtual std::string describe() const = 0;
};

/// How far libraries may go.
struct LibraryOptions {
  bool tf32 = false;           ///< f32 may be rounded to TF32 before it is multiplied
  bool measures = true;        ///< the fastest way is found by trying
  bool only_compiles = false;  ///< nothing is chosen: what will be tried is compiled, in any thread
};

/// Why a library does not take an operation, when `call` is null.
struct LibraryChoice {
  std::unique_ptr<LibraryCall> call;
  std::string refusal;
  double seconds = 0;  ///< that a call takes; 0 if it was not measured
};

}  // namespace weft::cuda
