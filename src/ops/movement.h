// What the files of the movement family share.
#pragma once

#include "graph/primitive.h"
#include "ops/reference_array.h"

#include <span>
#include <vector>

namespace weft::ops {

/// result[index] = operand 0 at the linear place that `place(index)` gives.
template <class F> void move_elements(Evaluation& e, F&& place) {
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        const auto& from = e.operands[0]->as<Element>();
        reference::for_each_index(e.results[0]->type.shape.sizes(), [&](std::span<const std::int64_t> index, std::int64_t linear) {
          to[static_cast<std::size_t>(linear)] = from[static_cast<std::size_t>(place(index))];
        });
      },
      e.results[0]->elements);
}

/// The shape of the first result, inferred anew from the operands' static types.
Shape inferred_shape(const Expansion& e);

/// Elements start, start + stride, ... of each dimension; `stride` may be negative. Where no element is taken start is 0
/// and stride 1.
struct Range {
  std::vector<std::int64_t> start, size, stride;
};

Attributes attributes_of(const Range& range);

/// The axis moved to the back, or back from there.
Tensor axis_last(const Operand& x, int axis);

}  // namespace weft::ops
