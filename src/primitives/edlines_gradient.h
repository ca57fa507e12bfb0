// Smoothing and gradients as a graph.
#pragma once

#include <weft/graph.h>

namespace weft::edlines {

/// From a picture to its gradients.
struct GradientGraph {
  Graph graph;
  Tensor picture;    ///< as EDLines takes it; no channels: [height, width]
  Tensor gradients;  ///< i32 [height, width], packed as Gradient has it

  GradientGraph(DType dtype, std::int64_t channels, double sigma);
};

}  // namespace weft::edlines
