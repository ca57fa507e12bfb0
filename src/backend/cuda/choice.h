// Which of several ways to compute something takes a GPU the least time.
#pragma once

#include "backend/cuda/library_call.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft::cuda {

struct Alternatives {
  /// What is computed and all that the ways depend on besides the GPU and `sizes`: types, versions of libraries. The first line says what it is.
  std::string problem;
  std::vector<std::int64_t> sizes;
  /// Names of the ways, the likeliest to be fast first. A name says all that `make` needs.
  std::function<std::vector<std::string>()> names;
  /// Null for a way that turns out not to work.
  std::function<std::unique_ptr<LibraryCall>(const std::string& name)> make;
  /// Compiles what ways of our own need; safe from any thread.
  std::function<void()> compile;
  std::vector<std::size_t> operand_bytes, result_bytes;
  /// A way of our own, against whose first result another's is held before it is taken; nothing is taken where it doesn't work. Empty when there
  /// is none.
  std::string trusted = {};
  DType result_dtype = f32;
  double most_difference = 0;  ///< from the trusted result, as a part of its largest element
  /// What worked with these sizes is not made to see that it does: in a new process that would take a library most of its start.
  bool believes_tried = false;
};

struct Choice {
  std::string name;        ///< empty when no way works
  double seconds = 0;      ///< that it took; 0 if it was not measured
  bool was_tried = false;  ///< with these very sizes, by this process or another
};

/// Each way is tried once for a problem, a GPU and a driver; the fastest is kept for the process and on disk, so that what shares the cache computes
/// the same bits. Where one of the sizes is up to four times that of a problem that was tried, its choice serves, if it works: another batch takes no
/// trying. Without measuring, the trusted way or, where none is named, the first that works. Thread-safe.
/// With `only_compiles`, what would be tried is compiled, and no way is named.
Choice fastest(Gpu& gpu, const Alternatives& alternatives, const LibraryOptions& options);

}  // namespace weft::cuda
