// How gather and scatter find their elements.
#pragma once

#include "graph/primitive.h"

#include <vector>

namespace weft::ops {

/// Which element of data an element of the gathered tensor (gather's result, scatter's updates) goes with. Its dimensions
/// are data's in order, less `axes`, with the `outer` dimensions of indices after the first `batch` standing where `place`
/// is. With attribute `nd` the last dimension of indices, which is none of those, holds the places along the axes;
/// without it there is one axis, and each element of indices is a place along it.
struct IndexMap {
  int batch = 0;          ///< leading dimensions that data, indices and the gathered tensor share
  int outer = 0;          ///< dimensions of indices that stand for the axes
  int place = 0;          ///< the lowest of axes; `batch` when there are none
  std::vector<int> axes;  ///< of data, not below `batch`
};

/// Of an operation whose operands 0 and 1 are data and indices; both ranks, and the last size of indices where the axes
/// are not listed, must be known.
IndexMap index_map(const Inference& c);
IndexMap index_map(const ir::Node& node, const TensorType& data, const TensorType& indices);

}  // namespace weft::ops
