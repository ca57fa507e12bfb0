#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/reference_array.h"

#include <weft/elementwise.h>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;

void infer_select(Inference& c) {
  c.require(is_bool, 0, "bool");
  c.require_same_dtype(1, 2);
  c.result(c.dtype(1), broadcast_operands(c));
}

const Primitive table[] = {
    {.name = "select",
     .min_operands = 3,
     .max_operands = 3,
     .kind = Kind::elementwise,
     .infer = infer_select,
     .gradient =
         [](Gradient& g) {
           if (g.wanted(1)) g.set(1, select(g.operand(0), g.cotangent(), 0));
           if (g.wanted(2)) g.set(2, select(g.operand(0), 0, g.cotangent()));
         },
     .evaluate = evaluate_elementwise,
     .expand = nullptr,
     .scalar = {[](double c, double a, double b) { return c != 0 ? a : b; }, [](wide c, wide a, wide b, DType) { return c != 0 ? a : b; },
                [](complex c, complex a, complex b) { return c != 0.0 ? a : b; }},
     .commutative = false},
};

}  // namespace

std::span<const Primitive> ternary() { return table; }

}  // namespace ops

Tensor select(Operand condition, Operand if_true, Operand if_false) {
  if (!condition.tensor()) {
    // A literal condition still needs a tensor of bool; its graph is that of the other operands.
    const Operand others[] = {if_true, if_false};
    condition = Operand(scalar_constant(graph_of("select", others), condition.scalar(), boolean, condition.where()), condition.where());
  }
  return apply("select", {condition, if_true, if_false}, {}, if_true.tensor() ? 1 : 2);
}

}  // namespace weft
