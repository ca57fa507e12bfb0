#include "graph/build.h"

#include <weft/elementwise.h>
#include <weft/indexing.h>
#include <weft/movement.h>

namespace weft {
namespace {

Tensor zeros(const CompositeScope& scope, const Operand& updates, const Shape& shape) {
  if (!shape.is_static())
    fail_graph("scatter: shape " + shape.str() + " has unknown sizes; scatter onto a tensor of zeros instead", ir::Location::of(updates.where()));
  return broadcast_to(scalar_constant(scope.graph(), 0.0, updates.tensor().dtype(), updates.where()), shape);
}

}  // namespace

Tensor scatter(Shape shape, Operand indices, Operand updates, int axis, ScatterOptions options) {
  CompositeScope scope("scatter", {updates, indices});
  return scatter(zeros(scope, updates, shape), indices, updates, axis, options);
}

Tensor scatter_nd(Shape shape, Operand indices, Operand updates, ScatterOptions options) {
  CompositeScope scope("scatter_nd", {updates, indices});
  return scatter_nd(zeros(scope, updates, shape), indices, updates, options);
}

Tensor scatter_along_axis(Shape shape, Operand indices, Operand updates, int axis, ScatterMode mode) {
  CompositeScope scope("scatter_along_axis", {updates, indices});
  return scatter_along_axis(zeros(scope, updates, shape), indices, updates, axis, mode);
}

Tensor one_hot(Operand indices, std::int64_t depth, OneHotOptions options) {
  CompositeScope scope("one_hot", {indices});
  const TensorType& type = indices.tensor().type();
  const auto where = ir::Location::of(indices.where());
  if (!is_integer(type.dtype)) fail_graph("one_hot: indices " + type.str() + " are not integers", where);
  if (depth < 0) fail_graph("one_hot: depth " + std::to_string(depth) + " is negative", where);
  const int rank = type.shape.rank();
  if (rank < 0 ? options.axis >= 0 : options.axis < -rank - 1 || options.axis > rank)
    fail_graph("one_hot: axis " + std::to_string(options.axis) +
                   (rank < 0 ? " of unranked indices must count from the back" : " is out of range for indices " + type.str()),
               where);
  const int from_back = options.axis < 0 ? options.axis : options.axis - rank - 1;
  // Compared in 64 bits, every depth fits, and an index past 2^63 - 1 turns negative and matches nothing.
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(-from_back), 1);
  sizes[0] = depth;
  const Tensor places = apply_source(scope.graph(), "iota", {{"shape", sizes}, {"axis", std::int64_t{0}}, {"dtype", i64}}, indices.where());
  const auto value = [&](const Operand& o) { return o.tensor() ? o.tensor() : scalar_constant(scope.graph(), o.scalar(), options.dtype, o.where()); };
  return select(equal(expand_dims(cast(indices, i64), from_back), places), value(options.on), value(options.off));
}

}  // namespace weft
