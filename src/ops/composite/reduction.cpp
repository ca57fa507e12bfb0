#include "graph/build.h"

#include <weft/elementwise.h>
#include <weft/movement.h>
#include <weft/reduction.h>

namespace weft {
namespace {

/// The type in which a mean is computed: sums of 16-bit numbers and their counts soon pass what the type can hold.
DType accumulator(DType dtype) {
  if (is_unsigned_integer(dtype)) return u64;
  if (is_integer(dtype)) return i64;
  return dtype == f16 || dtype == bf16 ? f32 : dtype;
}

}  // namespace

Tensor mean(Operand x, Axes axes, ReduceOptions options) {
  CompositeScope scope("mean", {x});
  const DType dtype = x.tensor().dtype(), wider = accumulator(dtype);
  const Tensor total = sum(cast(x, wider), axes, options);
  const DType counted = wider == c64 ? f32 : wider;
  Tensor count = axes.all() ? size_of(x, counted) : size_of(x, axes.list(), counted);
  if (wider == c64) count = complex(count, 0.0f);
  return cast(total / count, dtype);
}

Tensor variance(Operand x, Axes axes, VarianceOptions options) {
  CompositeScope scope("variance", {x});
  const DType dtype = x.tensor().dtype();
  if (!is_floating(dtype))
    fail_graph("variance: operand " + x.tensor().type().str() + " is not floating point; cast it", ir::Location::of(x.where()));
  const Tensor wide = cast(x, accumulator(dtype));
  const Tensor centre = options.mean ? cast(options.mean, wide.dtype()) : mean(wide, axes, {.keep = true});
  return cast(mean(square(wide - centre), axes, {.keep = options.keep}), dtype);
}

Tensor argmax(Operand x) {
  CompositeScope scope("argmax", {x});
  return argmax(reshape(x, {dynamic}), 0);
}

Tensor argmin(Operand x) {
  CompositeScope scope("argmin", {x});
  return argmin(reshape(x, {dynamic}), 0);
}

}  // namespace weft
