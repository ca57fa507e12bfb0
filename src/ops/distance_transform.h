// What a distance transform asks for, once sizes are known.
#pragma once

#include "graph/ir.h"

namespace weft::ops {

struct DistanceProblem {
  /// Images are dense [images, height, width, channels].
  std::int64_t images = 1, height = 1, width = 1, channels = 1;
  /// The greatest squared distance that counts.
  std::int64_t most_squared = 0;
  /// Whether there is a second result with the sites' places.
  bool has_indices = false;

  std::int64_t element_count() const { return images * height * width * channels; }
};

DistanceProblem distance_problem_of(const TensorType& images, const Attributes& attributes);

}  // namespace weft::ops
