// Forms of movement operations that take their sizes from another operand's shape. Gradient rules need them where sizes
// are unknown while building; they are rewritten with static sizes before a graph is compiled.
#pragma once

#include <weft/tensor.h>

namespace weft {

/// x broadcast to like's shape.
Tensor broadcast_like(Operand x, Operand like);
/// x's elements in like's shape.
Tensor reshape_like(Operand x, Operand like);
/// The sum over the dimensions along which an operand of like's shape was repeated to get x's shape.
Tensor sum_to_like(Operand x, Operand like);

}  // namespace weft
