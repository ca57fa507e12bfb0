// What the composites of floating-point tensors share.
#pragma once

#include "graph/build.h"

#include <weft/elementwise.h>

namespace weft::ops {

/// Fails unless x is a floating-point tensor.
inline void require_floating(std::string_view op, const Operand& x) {
  const Tensor t = x.tensor();
  if (t && !is_floating(t.dtype()))
    fail_graph(std::string(op) + ": operand " + t.name() + " is " + t.type().str() + ", expects floating point", ir::Location::of(x.where()));
}

/// The type for statistics and sums: 16-bit elements overflow when squared and lose small terms when summed.
constexpr DType wide_type(DType t) { return size_of(t) == 2 ? f32 : t; }
inline Tensor widened(const Operand& x) { return cast(x, wide_type(x.tensor().dtype())); }

}  // namespace weft::ops
