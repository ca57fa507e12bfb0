// Convolutions of data of few channels: a block copies the part of the data that its windows cover to shared memory, once, and reads windows there.
#pragma once

#include "backend/cuda/tiles.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace weft::cuda {

/// What a kernel's code depends on: forward, or the gradient of the weights.
struct PatchesDesc {
  ConvolutionMember member = ConvolutionMember::forward;
  int window[2] = {1, 1}, strides[2] = {1, 1}, dilations[2] = {1, 1};
  int channels = 1;
  int line = 32;     ///< elements of a row of a patch: at least as many as the windows of a row of places cover
  int columns = 32;  ///< of the result, that a block computes
  int unit = 1;      ///< columns that lie together and are moved at once: 1 or 4

  static constexpr int most_thread_terms = 32;  ///< rows of a gradient of weights that a thread sums up
  static constexpr int forward_rows = 256, forward_thread_rows = 8, forward_thread_columns = 8;

  int threads() const { return member == ConvolutionMember::forward ? forward_rows / forward_thread_rows * (columns / forward_thread_columns) : 256; }
  /// Lines of taps of which a thread sums up the gradient.
  int thread_taps() const { return std::min(most_thread_terms / (window[1] * channels), window[0]); }
  /// Of a gradient of weights, that warps leave to be added up.
  std::int64_t sums_bytes() const { return std::int64_t{4} * threads() / 32 * thread_taps() * window[1] * channels * columns; }
  std::int64_t weights_bytes() const { return std::int64_t{4} * terms() * columns; }
  static constexpr std::int64_t most_patch_bytes = 48 << 10;
  int terms() const { return window[0] * window[1] * channels; }
  std::string str() const;
};

/// With the most shared memory that launches may give it.
TilesSource generate(const PatchesDesc& desc);

/// As the source has them.
struct PatchesArguments {
  const void *data = nullptr, *right = nullptr;  ///< the weights, or the gradient of the result
  void* result = nullptr;                        ///< or parts of it
  const void* bias = nullptr;
  const void* base = nullptr;
  void* positive = nullptr;
  double scale = 1;
  std::int32_t images = 0, sizes[2] = {1, 1}, start[2] = {0, 0}, places[2] = {1, 1};
  std::int32_t image_lines = 1;  ///< that windows of an image cover
  std::int32_t rows = 0;         ///< places
  std::int32_t columns = 0, block_rows = 0, patch_lines = 0;
  Divisor by_places[2], by_image_lines;
  std::int32_t relu = 0;
};

/// A problem: how blocks share it, too.
struct PatchesProblem {
  PatchesDesc desc;
  PatchesArguments arguments;
  std::int64_t row_blocks = 1, column_blocks = 1;
  unsigned shared_bytes = 0;

  /// Gradients of weights: each block has a part of the sums.
  bool has_parts() const { return desc.member == ConvolutionMember::weights_gradient && row_blocks > 1; }
  std::int64_t result_elements() const;
};

/// Empty refusal: it can be done.
std::string describe_problem(ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, int multiprocessors,
                             PatchesProblem& problem);

}  // namespace weft::cuda
