// Elements chosen by index tensors, read (gather) and written (scatter). Indices are of any integer type and count from
// 0; a negative one is out of bounds.
#pragma once

#include <weft/tensor.h>

namespace weft {

enum class OutOfBounds {
  error,   ///< the run fails with a RunError that names the operation, the index and the size
  ignore,  ///< gather gives 0, scatter leaves the update out
};

struct GatherOptions {
  int batch_dims = 0;  ///< this many leading dimensions of data and indices go together and have the same sizes
  OutOfBounds out_of_bounds = OutOfBounds::error;
};
/// result[b.., i.., j.., k..] = data[b.., i.., indices[b.., j..], k..], where the index stands for dimension `axis` of data
/// and b are the batch dimensions. As tf.gather.
Tensor gather(Operand data, Operand indices, int axis = 0, GatherOptions options = {});
/// The last dimension of indices holds places in as many dimensions of data, those after the batch dimensions:
/// result[b.., j.., k..] = data[b.., indices[b.., j.., 0], indices[b.., j.., 1], .., k..]. As tf.gather_nd.
Tensor gather_nd(Operand data, Operand indices, GatherOptions options = {});
/// result[i.., j, k..] = data[i.., indices[i.., j, k..], k..]: indices has data's rank, and its sizes but for `axis`. 0
/// where an index is out of bounds.
Tensor gather_along_axis(Operand data, Operand indices, int axis);

enum class ScatterMode { add, sub, mul, div, min, max, set };
struct ScatterOptions {
  ScatterMode mode = ScatterMode::add;
  int batch_dims = 0;
  OutOfBounds out_of_bounds = OutOfBounds::error;
};
/// data with each update combined into the element that gather, given the same indices, would read for it:
/// data = mode(data, update). Updates of the same element are combined in row-major order of the indices, so that of
/// several `set` the last one stays. Updates have gather's shape. The derivative of `min` and `max` is shared by ties.
Tensor scatter(Operand data, Operand indices, Operand updates, int axis = 0, ScatterOptions options = {});
Tensor scatter_nd(Operand data, Operand indices, Operand updates, ScatterOptions options = {});
/// Updates and indices have the same shape. Updates that are out of bounds are left out.
Tensor scatter_along_axis(Operand data, Operand indices, Operand updates, int axis, ScatterMode mode = ScatterMode::add);
/// Onto zeros of this static shape.
Tensor scatter(Shape shape, Operand indices, Operand updates, int axis = 0, ScatterOptions options = {});
Tensor scatter_nd(Shape shape, Operand indices, Operand updates, ScatterOptions options = {});
Tensor scatter_along_axis(Shape shape, Operand indices, Operand updates, int axis, ScatterMode mode = ScatterMode::add);

struct OneHotOptions {
  int axis = -1;  ///< place of the new dimension in the result; when indices are unranked counted from the back
  DType dtype = f32;
  Operand on = 1, off = 0;  ///< numbers, or scalars of type `dtype`
};
/// A new dimension of `depth` elements: `on` at the place that the index tells, `off` elsewhere; `off` everywhere for an
/// index out of bounds.
Tensor one_hot(Operand indices, std::int64_t depth, OneHotOptions options = {});

}  // namespace weft
