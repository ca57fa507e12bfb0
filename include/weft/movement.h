// Operations that move elements about: shapes, slices, joins; and sources that count.
#pragma once

#include <weft/graph.h>
#include <weft/tensor.h>

#include <source_location>
#include <span>
#include <vector>

namespace weft {

/// 0, 1, 2, ... along `axis`, the same along the others. The shape must be static.
Tensor iota(Graph& graph, Shape shape, int axis = 0, DType dtype = i32, std::source_location where = std::source_location::current());
/// The sizes as i64[rank].
Tensor shape_of(Operand x);
/// The number of elements, as a scalar; along the given axes only in the second form.
Tensor size_of(Operand x, DType dtype);
Tensor size_of(Operand x, std::span<const std::int64_t> axes, DType dtype);

}  // namespace weft
