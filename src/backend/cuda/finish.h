// What libraries can do to a contraction's result before it reaches memory.
#pragma once

#include "stitch/kernel.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// relu(scale * result + bias + base), or less of it; and, besides, whether that is above zero. So does a step of gradient descent leave the result,
/// base being what is to be updated.
struct Finish {
  int bias = -1;      ///< buffer of the epilogue with a number for each channel, of the result's type; -1: none
  int base = -1;      ///< with a number for each element; -1: none
  double scale = 1;   ///< 1 where there is no base
  int written = -1;   ///< buffer of what it computes, of the result's type
  int positive = -1;  ///< buffer of bools that say so; -1: nobody asks
  bool relu = false;

  bool is_positive_first() const { return positive >= 0 && positive < written; }  ///< of what it writes, by buffer

  // What it reads besides is among a call's operands, in the order of the buffers.
  std::size_t bias_operand() const { return base >= 0 && base < bias ? 3 : 2; }
  std::size_t base_operand() const { return bias >= 0 && bias < base ? 3 : 2; }
  const void* bias_of(std::span<void* const> operands) const { return bias < 0 ? nullptr : operands[bias_operand()]; }
  const void* base_of(std::span<void* const> operands) const { return base < 0 ? nullptr : operands[base_operand()]; }
  /// Adds the bytes of those operands, and of the bools, to those of a contraction that has a result of so many elements and channels.
  void add_bytes(std::int64_t element_count, std::int64_t channels, DType dtype, std::vector<std::size_t>& operands,
                 std::vector<std::size_t>& results) const;

  std::string str() const {
    return std::string(bias < 0 ? "" : " + bias") + (base < 0 ? "" : " + base") + (relu ? ", relu" : "") + (positive < 0 ? "" : ", positive");
  }
};

/// Whether the epilogue of a contraction, a kernel whose iterations are the elements of `result` in order, is one, and which; why it is none.
std::string match(const kernel::Kernel& epilogue, ir::Value result, std::int64_t channels, Finish& found);

}  // namespace weft::cuda
