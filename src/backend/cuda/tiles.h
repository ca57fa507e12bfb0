// Contractions by generated kernels that multiply tiles of windows where they lie: "implicit GEMM" (S. Chetlur et al., "cuDNN: efficient primitives
// for deep learning", 2014), without tensor cores.
#pragma once

#include "backend/cuda/convolution.h"
#include "backend/cuda/divisor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// What a kernel's code depends on besides its tiles; sizes it is given when it runs. Units are elements that lie together and are moved at once.
struct TilesDesc {
  ConvolutionMember member = ConvolutionMember::forward;
  DType dtype = f32;
  int left_unit = 1, right_unit = 1, result_unit = 1;
  int classes = 1;            ///< at most: see TilesArguments
  int dimensions = 3;         ///< in which windows can reach outside the data: all of them, or the last
  int channels_together = 1;  ///< a power of 2: so many terms that follow each other are of one tap

  std::string str() const;
};

/// A block computes `rows` x `columns` of the result, a thread `thread_rows` x `thread_columns`, `depth` terms at a time; tiles of as many
/// terms are under way in `stages` places.
struct TilesConfig {
  int rows, columns, depth, thread_rows, thread_columns, stages;
  int resident;     ///< blocks that a multiprocessor has registers for
  double slowness;  ///< how much longer multiplying takes than instructions that multiply and add would alone, of many blocks

  int threads() const { return rows / thread_rows * (columns / thread_columns); }
  std::string str() const;
};

struct TilesSource {
  std::string text, entry;
  unsigned shared_bytes = 0;  ///< at least
};
TilesSource generate(const TilesDesc& desc, const TilesConfig& config);

/// Tiles that suit the type, all of them.
std::span<const TilesConfig> tiles_for(DType dtype);

// As the source has them ------------------------------------------------------------------------------------------------

/// One spatial dimension of a class of places.
struct TilesAxis {
  std::int32_t places = 1, start = 0, step = 1;            ///< the window of place i begins at start + i * step
  std::int32_t taps = 1, first_delta = 0, delta_step = 0;  ///< tap t of a window reads at first_delta + t * delta_step from there
  std::int32_t first_weight = 0, weight_step = 1;
  std::int32_t first_result = 0, result_step = 1;
  Divisor by_places, by_taps;
};

/// Places whose windows have the same taps. Of the data's elements those that are equally far behind a multiple of the strides form one:
/// only every stride-th place of a result has them in its window.
struct TilesClass {
  TilesAxis axes[3];
  std::int32_t rows = 0, terms = 0;
};

/// Without the classes, whose number is the code's.
struct TilesArguments {
  const void *left = nullptr, *right = nullptr;
  void* result = nullptr;  ///< or the parts of it, unless a cluster adds them up
  const void* bias = nullptr;
  const void* base = nullptr;
  void* positive = nullptr;
  double scale = 1;
  std::int64_t part = 0;  ///< elements of the result
  std::int32_t left_sizes[3] = {1, 1, 1}, left_pitch = 0, left_group = 0;
  std::int32_t channels = 1;  ///< of a tap
  Divisor by_channels;
  std::int32_t right_pitch = 0, right_group = 0, weights_pitch = 0, weights_sizes[2] = {1, 1};
  std::int32_t result_sizes[3] = {1, 1, 1}, result_pitch = 0, result_group = 0;
  std::int32_t columns = 0, column_tiles = 0, splits = 1;
  std::int16_t clustered = 0, relu = 0;
};
static_assert(offsetof(TilesArguments, relu) + sizeof(std::int16_t) == sizeof(TilesArguments), "classes follow without a gap");

/// A problem: what the kernel is given but for the addresses, and its shape for choosing tiles.
struct TilesProblem {
  TilesDesc desc;
  TilesArguments arguments;
  std::vector<TilesClass> classes;
  std::int64_t groups = 1;

  std::int64_t rows() const;   ///< of the largest class
  std::int64_t terms() const;  ///< likewise
  std::int64_t row_tiles(const TilesConfig& config) const { return (rows() + config.rows - 1) / config.rows; }
  std::int64_t column_tiles(const TilesConfig& config) const { return (arguments.columns + config.columns - 1) / config.columns; }
};

/// Empty refusal: it can be done.
std::string describe_problem(ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, TilesProblem& problem);

/// Into how many parts sums are cut, so that there are about as many blocks for each multiprocessor.
std::int64_t splits_for(const TilesProblem& problem, const TilesConfig& config, int blocks_each, int multiprocessors);

}  // namespace weft::cuda
