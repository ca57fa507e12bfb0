// Adding up the parts of a result that blocks of a kernel have computed.
#pragma once

#include "backend/cuda/finish.h"
#include "backend/cuda/gpu.h"
#include "backend/cuda/tiles.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::cuda {

/// In the parts' order; where there are many parts of few elements in as many slices, whose sums are added up in their order.
TilesSource generate_sum_of_parts(DType dtype, int unit, int slices);

/// The kernel, loaded.
class SumOfParts {
 public:
  /// `channels`: as many elements have a bias each.
  SumOfParts(Gpu& gpu, DType dtype, std::int64_t elements, std::int64_t parts, std::int64_t channels);

  std::size_t scratch_bytes() const { return static_cast<std::size_t>(parts_ * elements_) * element_bytes_; }
  /// `operands` are those of the call whose parts they are.
  void start(CUstream stream, const void* parts, const Finish& after, std::span<void* const> operands, void* result, void* positive) const;

 private:
  const Gpu& gpu_;
  std::int64_t elements_, parts_, channels_, unit_ = 1;
  std::size_t element_bytes_;
  int slices_ = 1;
  CUfunction function_ = nullptr;
};

}  // namespace weft::cuda
