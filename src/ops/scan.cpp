#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/fold.h"
#include "ops/shape_like.h"

#include <weft/cumulative.h>
#include <weft/elementwise.h>
#include <weft/error.h>

#include <type_traits>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;

// Inference -----------------------------------------------------------------------------------------------------------

template <bool (*accepted)(DType)> void infer(Inference& c) {
  c.require(accepted, 0, accepted == is_number ? "a number" : "a real number");
  if (c.shape(0).ranked()) c.axis(c.attributes.integer("axis"), c.shape(0).rank());
  c.result(c[0]);
}

void infer_linear(Inference& c) {
  c.require_same_dtype(0, 1);
  const Shape &x = c.shape(0), &factor = c.shape(1);
  bool fits = !x.ranked() || !factor.ranked() || x.rank() == factor.rank();
  for (int d = 0; fits && x.ranked() && factor.ranked() && d < x.rank(); ++d) fits = x[d] == factor[d] || x[d] == dynamic || factor[d] == dynamic;
  if (!fits) c.fail("factors " + c[1].str() + " do not fit " + c[0].str());
  infer<is_number>(c);
}

ir::Value expand_scan(Expansion& e) {
  Attributes attributes = e.node.attributes;
  attributes.set("axis", std::int64_t{Inference(*e.node.op, {e.operand_type(0)}, attributes, e.node.label)  //
                                          .axis(attributes.integer("axis"), e.operand_type(0).shape.rank())});
  return e.add(e.node.op->name, e.node.operands, std::move(attributes));
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// Calls f(place) along every row of the scanned dimension in the scan's order, and begin() before each.
template <class Begin, class F> void for_each_row(const Evaluation& e, Begin&& begin, F&& f) {
  const Shape& shape = e.results[0]->type.shape;
  const auto axis = static_cast<int>(e.node.attributes.integer("axis"));
  const auto strides = reference::strides_of(shape);
  const auto length = shape[axis], stride = strides[static_cast<std::size_t>(axis)];
  const bool reverse = e.node.attributes.flag("reverse");
  reference::for_each_index(shape.with(axis, 1).sizes(), [&](std::span<const std::int64_t> index, std::int64_t) {
    std::int64_t first = 0;
    for (std::size_t d = 0; d < index.size(); ++d) first += index[d] * strides[d];
    begin();
    for (std::int64_t i = 0; i < length; ++i) f(static_cast<std::size_t>(first + (reverse ? length - 1 - i : i) * stride));
  });
}

/// Folds with F::of(accumulated, element, type), from F::identity(type) on.
template <class F> void evaluate_scan(Evaluation& e) {
  const DType dtype = e.results[0]->type.dtype;
  const bool exclusive = e.node.attributes.flag("exclusive");
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        if constexpr (requires(Element v) { F::of(v, v, dtype); }) {
          const auto& from = e.operands[0]->as<Element>();
          Element sum{};
          for_each_row(
              e, [&] { sum = F::template identity<Element>(dtype); },
              [&](std::size_t i) {
                const Element before = sum;
                sum = F::of(sum, from[i], dtype);
                if constexpr (std::is_same_v<Element, wide>) sum = reference::wrap(sum, dtype);
                to[i] = exclusive ? before : sum;
              });
        } else {
          throw InternalError(std::string(e.node.op->name) + " of " + std::string(name_of(dtype)));
        }
      },
      e.results[0]->elements);
}

void evaluate_linear(Evaluation& e) {
  const DType dtype = e.results[0]->type.dtype;
  const bool exclusive = e.node.attributes.flag("exclusive");
  std::visit(
      [&](auto& to) {
        using Element = typename std::decay_t<decltype(to)>::value_type;
        const auto &from = e.operands[0]->as<Element>(), &factor = e.operands[1]->as<Element>();
        Element sum{};
        for_each_row(
            e, [&] { sum = Element(0); },
            [&](std::size_t i) {
              const Element before = sum;
              sum = reference::multiply_add(from[i], factor[i], before);
              if constexpr (std::is_same_v<Element, wide>) sum = reference::wrap(sum, dtype);
              to[i] = exclusive ? before : sum;
            });
      },
      e.results[0]->elements);
}

// Gradients -----------------------------------------------------------------------------------------------------------

/// The gradient of a scan: the operation's axis, and whether it goes back.
struct ScanGradient {
  explicit ScanGradient(const Gradient& g)
      : axis(static_cast<int>(g.attributes().integer("axis"))),
        exclusive(g.attributes().flag("exclusive")),
        reverse(g.attributes().flag("reverse")) {}

  /// From the other end: t[i] = dy[i] + factor[i + 1] * t[i + 1]; of an exclusive scan, where dy[i + 1] belongs to place i,
  /// t[i] = dy[i + 1] + factor[i + 1] * t[i + 1].
  Tensor back(Tensor dy, Tensor factor) const {
    const CumulativeOptions options{.exclusive = true, .reverse = !reverse};
    return exclusive ? linear_recurrence(dy, factor, axis, options) : dy + linear_recurrence(factor * dy, factor, axis, options);
  }

  int axis;
  bool exclusive, reverse;
};

void gradient_sum(Gradient& g) {
  const ScanGradient s(g);
  g.set(0, cumulative_sum(g.cotangent(), s.axis, {.exclusive = s.exclusive, .reverse = !s.reverse}));
}

/// x[k] has the factor x[0] * .. * x[k - 1] in every later product, and from there on x[k + 1], ...: nothing is divided, so
/// that zeros need no care.
void gradient_prod(Gradient& g) {
  const ScanGradient s(g);
  const Tensor x = g.operand(0);
  const Tensor before = s.exclusive ? g.result() : cumulative_product(x, s.axis, {.exclusive = true, .reverse = s.reverse});
  g.set(0, before * s.back(g.cotangent(), x));
}

/// The element that an extreme value is taken from gets the derivatives of all results up to the next such element.
template <bool largest> void gradient_extremum(Gradient& g) {
  const ScanGradient s(g);
  const Tensor x = g.operand(0);
  const CumulativeOptions inclusive{.reverse = s.reverse};
  const Tensor extremes = !s.exclusive ? g.result() : largest ? cumulative_maximum(x, s.axis, inclusive) : cumulative_minimum(x, s.axis, inclusive);
  const Tensor chosen = logical_or(equal(x, extremes), is_nan(x));
  g.set(0, select(chosen, s.back(g.cotangent(), cast(logical_not(chosen), x.dtype())), 0));
}

void gradient_linear(Gradient& g) {
  const ScanGradient s(g);
  const Tensor x = g.operand(0), factor = g.operand(1);
  const Tensor dx = s.back(g.cotangent(), factor);
  g.set(0, dx);
  if (!g.wanted(1)) return;
  const Tensor before = s.exclusive ? g.result() : linear_recurrence(x, factor, s.axis, {.exclusive = true, .reverse = s.reverse});
  g.set(1, dx * before);
}

constexpr Primitive row(std::string_view name, int operands, void (*infer)(Inference&), void (*gradient)(Gradient&), void (*evaluate)(Evaluation&)) {
  return {.name = name,
          .min_operands = operands,
          .max_operands = operands,
          .kind = Kind::opaque,
          .infer = infer,
          .gradient = gradient,
          .evaluate = evaluate,
          .expand = expand_scan,
          .scalar = {},
          .commutative = false};
}

// Attributes: axis (once specialised counted from the front), exclusive, reverse.
const Primitive table[] = {
    row("scan_sum", 1, infer<is_number>, gradient_sum, evaluate_scan<Sum>),
    row("scan_prod", 1, infer<is_number>, gradient_prod, evaluate_scan<Product>),
    row("scan_max", 1, infer<is_real>, gradient_extremum<true>, evaluate_scan<Extremum<true, false>>),
    row("scan_min", 1, infer<is_real>, gradient_extremum<false>, evaluate_scan<Extremum<false, false>>),
    // x[i] + factor[i] * (what came before). With it the family is closed under differentiation.
    row("scan_linear", 2, infer_linear, gradient_linear, evaluate_linear),
};

Attributes attributes_of(int axis, const CumulativeOptions& options) {
  return {{"axis", std::int64_t{axis}}, {"exclusive", std::int64_t{options.exclusive}}, {"reverse", std::int64_t{options.reverse}}};
}

}  // namespace

std::span<const Primitive> scans() { return table; }

}  // namespace ops

Tensor cumulative_sum(Operand x, int axis, CumulativeOptions options) { return apply("scan_sum", {x}, ops::attributes_of(axis, options)); }
Tensor cumulative_product(Operand x, int axis, CumulativeOptions options) { return apply("scan_prod", {x}, ops::attributes_of(axis, options)); }
Tensor cumulative_maximum(Operand x, int axis, CumulativeOptions options) { return apply("scan_max", {x}, ops::attributes_of(axis, options)); }
Tensor cumulative_minimum(Operand x, int axis, CumulativeOptions options) { return apply("scan_min", {x}, ops::attributes_of(axis, options)); }

Tensor linear_recurrence(Operand x, Operand factor, int axis, CumulativeOptions options) {
  CompositeScope scope("linear_recurrence", {x, factor});
  const Tensor tensor = scope.tensor(x);
  return apply("scan_linear", {tensor, broadcast_like(scope.tensor(factor), tensor)}, ops::attributes_of(axis, options));
}

}  // namespace weft
