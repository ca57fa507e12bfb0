// Operations that the CPU backend leaves to a library, or to code written by hand.
#pragma once

#include "graph/ir.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace weft::cpu {

/// A part of a result that is seen as a matrix whose columns are its last dimension.
struct Part {
  std::int64_t row, rows, column, columns;
};

/// One operation made ready in a library: descriptors built, algorithm chosen. It may run in several threads at once, on dense
/// row-major buffers: the node's operands in order, then its results.
class LibraryCall {
 public:
  virtual ~LibraryCall() = default;
  /// Computes the results; where the one result is computed in parts, only what these share.
  virtual void run(std::span<const void* const> operands, std::span<void* const> results, void* scratch) = 0;
  /// Bytes of scratch memory that a run needs, 64-byte aligned.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// The library's kernel, for explanations: "onednn brgemm:avx512_core".
  virtual std::string describe() const = 0;

  /// Parts that make up the result, each computed by one thread, in any order: how the result is cut depends on sizes alone,
  /// so that its bits don't depend on the number of threads. None: the library computes the result as a whole.
  virtual std::span<const Part> parts() const { return {}; }
  /// Computes a part after `run`, whose scratch memory is `shared`. `result` is where the whole result begins, or would begin.
  virtual void run_part(std::size_t, std::span<const void* const> /*operands*/, void* /*result*/, const void* /*shared*/, void* /*scratch*/) const {}
  /// Bytes of scratch memory that a part needs.
  virtual std::size_t part_scratch_bytes() const { return 0; }
};

/// Why a library does not take an operation, when `call` is null.
struct LibraryChoice {
  std::unique_ptr<LibraryCall> call;
  std::string refusal;
};

/// oneDNN, for the matrix products and convolutions that it runs fast. `run` must not be called inside a parallel region: what is
/// made where OpenMP has several threads expects them.
LibraryChoice make_onednn_call(const ir::Graph& graph, const ir::Node& node);

/// Why generated kernels are faster than oneDNN for an operation that it takes; empty when they are not.
std::string faster_generated(const ir::Graph& graph, const ir::Node& node);

/// sort, arg_sort and top_k, by code of our own: they have no form as loops over an expression.
std::unique_ptr<LibraryCall> make_sort_call(const ir::Graph& graph, const ir::Node& node);
/// distance_transform, likewise.
std::unique_ptr<LibraryCall> make_distance_call(const ir::Graph& graph, const ir::Node& node);

}  // namespace weft::cpu
