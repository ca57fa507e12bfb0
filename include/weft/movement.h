// Operations that move elements about: shapes, slices, joins; and sources that count. They take any element type. Axes
// and positions that are negative count from the back.
#pragma once

#include <weft/axes.h>
#include <weft/graph.h>
#include <weft/tensor.h>

#include <initializer_list>
#include <source_location>
#include <span>
#include <vector>

namespace weft {

// Sources ---------------------------------------------------------------------------------------------------------------
/// 0, 1, 2, ... along `axis`, the same along the others. The shape must be static.
Tensor iota(Graph& graph, Shape shape, int axis = 0, DType dtype = i32, std::source_location where = std::source_location::current());
/// The sizes as i64[rank].
Tensor shape_of(Operand x);
/// The number of elements, as a scalar; along the given axes only in the second form.
Tensor size_of(Operand x, DType dtype);
Tensor size_of(Operand x, std::span<const std::int64_t> axes, DType dtype);

// Shapes ----------------------------------------------------------------------------------------------------------------
/// The same elements in row-major order in another shape. One size may be `dynamic`: it is what the others leave.
Tensor reshape(Operand x, Shape shape);
/// Result dimension i is x's dimension permutation[i].
Tensor transpose(Operand x, std::span<const int> permutation);
Tensor transpose(Operand x, std::initializer_list<int> permutation);
/// Two dimensions exchanged.
Tensor transpose(Operand x, int a, int b);
/// x repeated by NumPy's rule until it has this shape. A `dynamic` size keeps x's own.
Tensor broadcast_to(Operand x, Shape shape);
/// New dimensions of size 1, at these places of the result's shape.
Tensor expand_dims(Operand x, Axes axes);
/// Dimensions of size 1 left out: the given ones, or all there are.
Tensor squeeze(Operand x, Axes axes = {});
/// [product of the sizes before `axis`, product of the others].
Tensor flatten(Operand x, int axis = 1);
/// `count` neighbouring dimensions from `axis` on joined into one.
Tensor merge_dims(Operand x, int axis, int count);

// Slices ----------------------------------------------------------------------------------------------------------------
/// `length` elements of one dimension from `start` on; they must exist.
Tensor slice(Operand x, int axis, std::int64_t start, std::int64_t length);

/// What TensorFlow's tf.strided_slice takes: element begin, begin + stride, ... up to but without end, for the first
/// dimensions in order; the dimensions without an entry are kept whole. Positions past either side are clamped to it.
struct StridedSlice {
  std::vector<std::int64_t> begin, end;
  std::vector<std::int64_t> stride = {};  ///< 1 when empty; negative ones walk backwards; never 0
  std::uint32_t begin_mask = 0;           ///< bit i: begin[i] is ignored, the slice starts at the first element to be had
  std::uint32_t end_mask = 0;             ///< bit i: end[i] is ignored, the slice runs through the last
  std::uint32_t squeeze_mask = 0;         ///< bit i: only element begin[i], which must exist, and dimension i is left out
};
Tensor slice(Operand x, const StridedSlice& range);
/// The given dimensions, or all, in the opposite order.
Tensor reverse(Operand x, Axes axes = {});
/// Consecutive parts of one dimension, `count` of the same length; where that isn't possible the first ones are longer by
/// one. The parts of an unknown size may be empty.
std::vector<Tensor> split(Operand x, int count, int axis = 0);
/// Consecutive parts of these lengths, which add up to the dimension's size.
std::vector<Tensor> split(Operand x, std::span<const std::int64_t> sizes, int axis);
std::vector<Tensor> split(Operand x, std::initializer_list<std::int64_t> sizes, int axis);

// Joins -----------------------------------------------------------------------------------------------------------------
/// How elements past the edges of a dimension [a, b, c, d] continue it.
enum class PadMode : std::uint8_t {
  constant,      ///< v v | a b c d | v v
  reflect,       ///< c b | a b c d | c b
  symmetric,     ///< b a | a b c d | d c
  edge,          ///< a a | a b c d | d d
  periodic,      ///< c d | a b c d | a b
  antiperiodic,  ///< -c -d | a b c d | -a -b
};
struct PadOptions {
  PadMode mode = PadMode::constant;
  Operand value = 0;                        ///< for `constant`: the scalar v, of x's element type
  std::vector<std::int64_t> interior = {};  ///< for `constant`: as many v between neighbouring elements of each dimension
};
/// x with low[i] elements before and high[i] after dimension i. Modes other than constant and edge take those elements
/// from x, which must have them.
Tensor pad(Operand x, std::span<const std::int64_t> low, std::span<const std::int64_t> high, const PadOptions& options = {});
Tensor pad(Operand x, std::initializer_list<std::int64_t> low, std::initializer_list<std::int64_t> high, const PadOptions& options = {});

struct ConcatOptions {
  /// Elements alternate, a[0] b[0] a[1] b[1] ...; the tensors must have the same shape.
  bool interleave = false;
};
/// Tensors one after the other along a dimension. Element types, ranks and the other dimensions' sizes must agree.
Tensor concat(std::span<const Tensor> tensors, int axis, ConcatOptions options = {}, std::source_location where = std::source_location::current());
Tensor concat(std::initializer_list<Tensor> tensors, int axis, ConcatOptions options = {},
              std::source_location where = std::source_location::current());
/// Tensors of one shape joined along a new dimension, at this place of the result's shape.
Tensor stack(std::span<const Tensor> tensors, int axis = 0, std::source_location where = std::source_location::current());
Tensor stack(std::initializer_list<Tensor> tensors, int axis = 0, std::source_location where = std::source_location::current());
/// x repeated repeats[i] times along dimension i.
Tensor tile(Operand x, std::span<const std::int64_t> repeats);
Tensor tile(Operand x, std::initializer_list<std::int64_t> repeats);

}  // namespace weft
