// Runs library calls whose results come in parts, with a kernel behind each part.
#pragma once

#include "backend/cpu/jit.h"
#include "backend/cpu/library_call.h"

#include <optional>
#include <span>
#include <string>

namespace weft::cpu {

/// An elementwise kernel whose iterations, in order, are a result's elements, cut as the result is cut into parts.
class Epilogue {
 public:
  /// `input` is the kernel's buffer of the result, `columns` the result's last size.
  Epilogue(const kernel::Kernel& kernel, KernelCode code, std::size_t input, std::span<const Part> parts, std::int64_t columns);

  /// Why the kernel can't run on parts of a result; empty when it can, with loops that can be cut as the parts are.
  static std::string fit(kernel::Kernel& kernel, std::span<const Part> parts, std::int64_t columns);

  void run(const Part& part, void* const* buffers, IndexFault& fault) const;

  std::size_t input() const { return input_; }
  bool was_compiled() const { return code_.was_compiled; }

 private:
  KernelCode code_;
  std::size_t input_;
  std::int64_t columns_;  ///< of the result
  std::int64_t extent_;   ///< of the kernel's vector loop
  std::int64_t chunk_;    ///< iterations of that in a tile
};

/// How a call in parts runs: on how many threads, and whether each holds the part that it is at in memory of its own, because
/// only the epilogue reads the result.
class PartedRun {
 public:
  /// `buffers` are the epilogue's; `element_bytes` is the size of the result's elements when it has no memory of its own.
  PartedRun(const LibraryCall& call, std::size_t buffers, std::int64_t columns, std::optional<std::size_t> element_bytes);

  /// Whether a part is a piece of the result's memory without gaps, so that a thread can hold it.
  static bool are_whole_rows(std::span<const Part> parts, std::int64_t columns);

  bool holds_parts() const { return row_bytes_ > 0; }
  std::size_t scratch_bytes() const { return shared_ + static_cast<std::size_t>(threads_) * own_; }
  /// `result` is null when it has no memory of its own; `buffers` are the epilogue's.
  void run(LibraryCall& call, std::span<const void* const> operands, void* result, void* scratch, const Epilogue* epilogue,
           std::span<void* const> buffers, IndexFault& fault) const;

 private:
  int threads_;
  std::int64_t row_bytes_ = 0;  ///< of the result when threads hold its parts
  std::size_t shared_, part_, pointers_, own_;
};

}  // namespace weft::cpu
