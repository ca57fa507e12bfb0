// Operations that the CPU backend leaves to a library.
#pragma once

#include "graph/ir.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace weft::cpu {

/// One operation made ready in a library: descriptors built, algorithm chosen. `run` may be called from several threads
/// at once, on dense row-major buffers: the node's operands in order, then its results.
class LibraryCall {
 public:
  virtual ~LibraryCall() = default;
  virtual void run(std::span<const void* const> operands, std::span<void* const> results, void* scratch) = 0;
  /// Bytes of scratch memory that a run needs, 64-byte aligned.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// The library's kernel, for explanations: "onednn brgemm:avx512_core".
  virtual std::string describe() const = 0;
};

/// Why a library does not take an operation, when `call` is null.
struct LibraryChoice {
  std::unique_ptr<LibraryCall> call;
  std::string refusal;
};

/// oneDNN, for the matrix products and convolutions that it runs fast. A call made where OpenMP has several threads must not run
/// inside a parallel region, where it would have one.
LibraryChoice make_onednn_call(const ir::Graph& graph, const ir::Node& node);

}  // namespace weft::cpu
