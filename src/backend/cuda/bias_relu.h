// What libraries can do to a contraction's result before it reaches memory.
#pragma once

#include "stitch/kernel.h"

#include <string>

namespace weft::cuda {

/// relu(result + bias), or one of the two; and, besides, whether that is above zero.
struct BiasRelu {
  int bias = -1;      ///< buffer of the epilogue with a number for each channel, of the result's type; -1: none
  int written = -1;   ///< buffer of what it computes, of the result's type
  int positive = -1;  ///< buffer of bools that say so; -1: nobody asks
  bool relu = false;

  bool is_positive_first() const { return positive >= 0 && positive < written; }  ///< of what it writes, by buffer

  std::string str() const { return std::string(bias < 0 ? "" : " + bias") + (relu ? ", relu" : "") + (positive < 0 ? "" : ", positive"); }
};

/// Whether the epilogue of a contraction, a kernel whose iterations are the elements of `result` in order, is one, and which; why it is none.
std::string match(const kernel::Kernel& epilogue, ir::Value result, std::int64_t channels, BiasRelu& found);

}  // namespace weft::cuda
