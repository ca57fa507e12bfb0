#include "ops/reduction.h"

#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/fold.h"
#include "ops/reference_array.h"
#include "ops/shape_like.h"

#include <weft/elementwise.h>
#include <weft/movement.h>
#include <weft/reduction.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;
using Sizes = std::vector<std::int64_t>;

// Inference -----------------------------------------------------------------------------------------------------------

/// The reduced axes, counted from the front and ascending. Without the attribute: all.
std::vector<int> axes_of(const Inference& c, int rank) {
  std::vector<int> axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (!c.attributes.has("axes")) return axes;
  axes = c.axes(c.attributes.integers("axes"), rank);
  std::sort(axes.begin(), axes.end());
  return axes;
}

Shape reduced_shape(const Inference& c) {
  const Shape& shape = c.shape(0);
  const bool keep = c.attributes.flag("keep");
  if (!shape.ranked()) return c.attributes.has("axes") || keep ? Shape::unranked() : Shape{};
  Sizes sizes(shape.begin(), shape.end());
  for (int a : axes_of(c, shape.rank())) sizes[static_cast<std::size_t>(a)] = keep ? 1 : dynamic - 1;
  std::erase(sizes, dynamic - 1);
  return Shape(sizes);
}

template <bool (*accepted)(DType)> void infer(Inference& c) {
  c.require(accepted, 0, accepted == is_number ? "a number" : accepted == is_real ? "a real number" : "bool");
  c.result(c.dtype(0), reduced_shape(c));
}

void infer_arg(Inference& c) {
  c.require([](DType t) { return t != c64; }, 0, "a real number or bool");
  const DType dtype = c.attributes.dtype("dtype");
  if (dtype != i32 && dtype != i64) c.fail("a place is i32 or i64, not " + std::string(name_of(dtype)));
  if (c.shape(0).ranked()) {
    const int axis = axes_of(c, c.shape(0).rank()).at(0);
    const auto size = c.shape(0)[axis];
    if (size == 0) c.fail("operand " + c[0].str() + " has no elements along axis " + std::to_string(axis));
    if (dtype == i32 && size > std::numeric_limits<std::int32_t>::max())
      c.fail("places along axis " + std::to_string(axis) + " of operand " + c[0].str() + " don't fit i32; ask for i64");
  }
  c.result(dtype, reduced_shape(c));
}

std::vector<int> static_axes(const ir::Node& node, const TensorType& type) {
  return axes_of(Inference(*node.op, {type}, node.attributes, node.label), type.shape.rank());
}

ir::Value expand_reduction(Expansion& e) {
  const auto axes = static_axes(e.node, e.operand_type(0));
  if (axes.empty()) return e.operand(0);
  Attributes attributes = e.node.attributes;
  attributes.set("axes", Sizes(axes.begin(), axes.end()));
  return e.add(e.node.op->name, {e.operand(0)}, std::move(attributes));
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// Calls f(place in the operand, place in the result, index along the last reduced axis) in the operand's row-major order.
template <class F> void for_each_reduced(const Evaluation& e, F&& f) {
  const Shape& shape = e.operands[0]->type.shape;
  const auto axes = static_axes(e.node, e.operands[0]->type);
  Sizes strides(static_cast<std::size_t>(shape.rank()), 0);
  std::int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (std::find(axes.begin(), axes.end(), d) != axes.end()) continue;
    strides[static_cast<std::size_t>(d)] = stride;
    stride *= shape[d];
  }
  reference::for_each_index(shape.sizes(), [&](std::span<const std::int64_t> index, std::int64_t linear) {
    const auto place = std::inner_product(index.begin(), index.end(), strides.begin(), std::int64_t{0});
    f(static_cast<std::size_t>(linear), static_cast<std::size_t>(place), axes.empty() ? 0 : index[static_cast<std::size_t>(axes.back())]);
  });
}

/// Folds with F::of(accumulated, element, type), from F::identity(type) on.
template <class F> void evaluate_fold(Evaluation& e) {
  const DType dtype = e.results[0]->type.dtype;
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        if constexpr (requires(Element v) { F::of(v, v, dtype); }) {
          std::fill(to.begin(), to.end(), F::template identity<Element>(dtype));
          const auto& from = e.operands[0]->as<Element>();
          for_each_reduced(e, [&](std::size_t i, std::size_t o, std::int64_t) { to[o] = F::of(to[o], from[i], dtype); });
          if constexpr (std::is_same_v<Element, wide>)
            for (auto& v : to) v = reference::wrap(v, dtype);
        } else {
          throw InternalError(std::string(e.node.op->name) + " of " + std::string(name_of(dtype)));
        }
      },
      e.results[0]->elements);
}

struct And {
  template <class T> static T identity(DType) { return T(1); }
  static wide of(wide a, wide x, DType) { return a & x; }
};
struct Or {
  template <class T> static T identity(DType) { return T(0); }
  static wide of(wide a, wide x, DType) { return a | x; }
};

template <bool largest> void evaluate_arg(Evaluation& e) {
  auto& to = e.results[0]->as<wide>();
  std::visit(
      [&](const auto& from) {
        using Element = typename std::decay_t<decltype(from)>::value_type;
        if constexpr (!std::is_same_v<Element, complex>) {
          std::vector<Element> best(to.size());
          std::vector<bool> seen(to.size(), false);
          auto is_nan = [](Element v) { return v != v; };
          for_each_reduced(e, [&](std::size_t i, std::size_t o, std::int64_t place) {
            if (seen[o] && (is_nan(best[o]) || (!is_nan(from[i]) && !(largest ? from[i] > best[o] : from[i] < best[o])))) return;
            seen[o] = true;
            best[o] = from[i];
            to[o] = place;
          });
        }
      },
      e.operands[0]->elements);
}

// Gradients -----------------------------------------------------------------------------------------------------------

/// A tensor of the result's shape, broadcast to the operand's.
Tensor spread(const Gradient& g, Tensor t) {
  if (g.attributes().has("axes") && !g.attributes().flag("keep")) t = expand_dims(t, g.attributes().integers("axes"));
  return broadcast_like(t, g.operand(0));
}

Tensor same_reduction(const Gradient& g, std::string_view op, Tensor x) { return apply(op, {x}, g.attributes()); }

void gradient_prod(Gradient& g) {
  const Tensor x = g.operand(0), zero = equal(x, 0);
  const Tensor zeros = spread(g, same_reduction(g, "reduce_sum", cast(zero, x.dtype())));
  const Tensor zero_sum = spread(g, same_reduction(g, "reduce_sum", select(zero, x, 0)));
  const Tensor nonzero = spread(g, g.cotangent() * same_reduction(g, "reduce_prod", select(zero, 1, x)));
  g.set(0, product_of_others(x, zero, zeros, zero_sum, nonzero));
}

void gradient_extremum(Gradient& g) {
  const Tensor x = g.operand(0);
  const Tensor chosen = equal(x, spread(g, g.result()));
  // Nothing is chosen where the result is NaN; the count is then not divided by.
  const Tensor count = maximum(same_reduction(g, "reduce_sum", cast(chosen, x.dtype())), 1);
  g.set(0, select(chosen, spread(g, g.cotangent() / count), 0));
}

constexpr Primitive row(std::string_view name, void (*infer)(Inference&), void (*gradient)(Gradient&), void (*evaluate)(Evaluation&)) {
  return {.name = name,
          .min_operands = 1,
          .max_operands = 1,
          .kind = Kind::opaque,
          .infer = infer,
          .gradient = gradient,
          .evaluate = evaluate,
          .expand = expand_reduction,
          .scalar = {},
          .commutative = false};
}

// Attributes: axes (absent: all; once specialised ascending and counted from the front), keep; of arg_max and arg_min,
// which have one axis, dtype.
const Primitive table[] = {
    row(
        "reduce_sum", infer<is_number>, [](Gradient& g) { g.set(0, spread(g, g.cotangent())); }, evaluate_fold<Sum>),
    row("reduce_prod", infer<is_number>, gradient_prod, evaluate_fold<Product>),
    row("reduce_max", infer<is_real>, gradient_extremum, evaluate_fold<Extremum<true, false>>),
    row("reduce_min", infer<is_real>, gradient_extremum, evaluate_fold<Extremum<false, false>>),
    row("reduce_fmax", infer<is_real>, gradient_extremum, evaluate_fold<Extremum<true, true>>),
    row("reduce_fmin", infer<is_real>, gradient_extremum, evaluate_fold<Extremum<false, true>>),
    row("reduce_and", infer<is_bool>, nullptr, evaluate_fold<And>),
    row("reduce_or", infer<is_bool>, nullptr, evaluate_fold<Or>),
    row("arg_max", infer_arg, nullptr, evaluate_arg<true>),
    row("arg_min", infer_arg, nullptr, evaluate_arg<false>),
};

Tensor reduce(std::string_view op, const Operand& x, const Axes& axes, bool keep) {
  Attributes attributes{{"keep", std::int64_t{keep}}};
  if (!axes.all()) attributes.set("axes", axes.list());
  return apply(op, {x}, std::move(attributes));
}

Tensor arg(std::string_view op, const Operand& x, int axis, const ArgOptions& options) {
  return apply(op, {x}, {{"axes", Sizes{axis}}, {"keep", std::int64_t{options.keep}}, {"dtype", options.dtype}});
}

}  // namespace

std::span<const Primitive> reductions() { return table; }

}  // namespace ops

Tensor product_of_others(Tensor factor, Tensor is_zero, Tensor zeros, Tensor zero_sum, Tensor nonzero_product) {
  // The sum of a group's zeros is a single zero, and its difference from one of two zeros is the other: their values make
  // no difference, but with them the second derivative comes out right, too.
  const Tensor others = nonzero_product / select(is_zero, 1, factor);
  const Tensor of_zero = select(equal(zeros, 1), others, select(equal(zeros, 2), others * (zero_sum - factor), 0));
  const Tensor of_nonzero = select(equal(zeros, 0), others, select(equal(zeros, 1), others * zero_sum, 0));
  return select(is_zero, of_zero, of_nonzero);
}

Tensor sum(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_sum", x, axes, options.keep); }
Tensor prod(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_prod", x, axes, options.keep); }
Tensor max(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_max", x, axes, options.keep); }
Tensor min(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_min", x, axes, options.keep); }
Tensor nanmax(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_fmax", x, axes, options.keep); }
Tensor nanmin(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_fmin", x, axes, options.keep); }
Tensor all(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_and", x, axes, options.keep); }
Tensor any(Operand x, Axes axes, ReduceOptions options) { return ops::reduce("reduce_or", x, axes, options.keep); }

Tensor argmax(Operand x, int axis, ArgOptions options) { return ops::arg("arg_max", x, axis, options); }
Tensor argmin(Operand x, int axis, ArgOptions options) { return ops::arg("arg_min", x, axis, options); }

}  // namespace weft
