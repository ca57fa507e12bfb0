// Forms of movement operations that take their sizes from another operand's shape. Gradient rules need them where sizes
// are unknown while building; they are rewritten with static sizes before a graph is compiled.
#pragma once

#include "graph/attributes.h"

#include <weft/tensor.h>

#include <span>

namespace weft {

/// x broadcast to like's shape.
Tensor broadcast_like(Operand x, Operand like);
/// x's elements in like's shape.
Tensor reshape_like(Operand x, Operand like);
/// The sum over the dimensions along which an operand of like's shape was repeated to get x's shape.
Tensor sum_to_like(Operand x, Operand like);
/// Zeros of like's shape, with x where the slice that these attributes of a `slice` describe would be.
Tensor unslice_like(Operand x, Operand like, Attributes slice);
/// The part of x where `parts[index]` stands when x has the shape of the parts' concatenation along `axis`.
Tensor split_like(Operand x, std::span<const Tensor> parts, std::size_t index, std::int64_t axis);

}  // namespace weft
