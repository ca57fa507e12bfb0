// Rules of reductions. The order in which terms are summed is left open, and the sign of a sum that is zero.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <algorithm>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

Attributes with_axes(const Match& m, Sizes axes) {
  Attributes a = m.node.attributes;
  a.set("axes", std::move(axes));
  return a;
}

bool is_sum(const Match& m) { return m.node.op->name == "reduce_sum"; }
/// Of NaN alone these give an infinity.
bool skips_nan(const Match& m) { return is_floating(m.dtype()) && m.node.op->name.starts_with("reduce_f"); }
/// f(x, x) is x.
bool is_idempotent(const Match& m) { return !is_sum(m) && m.node.op->name != "reduce_prod" && !skips_nan(m); }

ir::Value reshaped(Match& m, ir::Value v) {
  Attributes a;
  a.set_shape(m.shape());
  return m.type(v).shape == m.shape() ? v : m.add("reshape", {v}, std::move(a));
}

/// Axes of size 1 need no reduction.
Replacement single_elements(Match& m) {
  const Shape& shape = m.type(m.operand(0)).shape;
  Sizes axes = m.node.attributes.integers("axes");
  std::erase_if(axes, [&](auto axis) { return shape[static_cast<int>(axis)] == 1; });
  if (axes.size() == m.node.attributes.integers("axes").size() || (axes.empty() && skips_nan(m))) return std::nullopt;
  return reshaped(m, axes.empty() ? m.operand(0) : m.add(m.node.op->name, {m.operand(0)}, with_axes(m, axes)));
}

Replacement place_of_single_element(Match& m) {
  const auto axis = static_cast<int>(m.node.attributes.integers("axes")[0]);
  return m.type(m.operand(0)).shape[axis] == 1 ? Replacement(m.constant(0, m.type())) : std::nullopt;
}

/// Along axes that a broadcast repeats, n equal terms make n times the term.
Replacement reduction_of_broadcast(Match& m) {
  if (!m.is(m.operand(0), "broadcast") || (!is_sum(m) && !is_idempotent(m))) return std::nullopt;
  const Shape wide = m.type(m.operand(0)).shape;
  const ir::Value x = m.producer(0).operands[0];
  Sizes narrow(static_cast<std::size_t>(wide.rank() - m.type(x).shape.rank()), 1), kept;
  narrow.insert(narrow.end(), m.type(x).shape.begin(), m.type(x).shape.end());
  double repeats = 1;
  const Sizes& axes = m.node.attributes.integers("axes");
  for (int d = 0; d < wide.rank(); ++d) {
    auto& size = narrow[static_cast<std::size_t>(d)];
    const bool reduced = std::ranges::find(axes, d) != axes.end();
    if (size == 1 && reduced) repeats *= static_cast<double>(wide[d]);
    else size = wide[d];
    if (reduced && size != 1) kept.push_back(d);
  }
  // Of a number of terms that the type can't hold the sum is hardly meant; that of none is 0 also where x is infinite.
  const double most = m.dtype() == f16 ? 2048 : m.dtype() == bf16 ? 256 : size_of(m.dtype()) < 4 ? 127 : 1 << 24;
  if (repeats <= 1 || (is_sum(m) && (repeats > most || is_complex(m.dtype())))) return std::nullopt;
  Attributes shape;
  shape.set_shape(Shape(narrow));
  ir::Value y = m.add("broadcast", {x}, std::move(shape));
  if (!kept.empty()) y = m.add(m.node.op->name, {y}, with_axes(m, kept));
  y = reshaped(m, y);
  return is_sum(m) ? m.add("mul", {y, m.constant(repeats, {m.dtype(), {}})}) : y;
}

Replacement sum_of_negated(Match& m) {
  if (!m.is(m.operand(0), "neg")) return std::nullopt;
  const auto name = m.node.op->name;
  const std::string_view opposite = name == "reduce_max"    ? "reduce_min"
                                    : name == "reduce_min"  ? "reduce_max"
                                    : name == "reduce_fmax" ? "reduce_fmin"
                                    : name == "reduce_fmin" ? "reduce_fmax"
                                                            : name;
  // The least integer is its own negative.
  if (opposite != name && is_integer(m.dtype())) return std::nullopt;
  return m.add("neg", {m.add(opposite, {m.producer(0).operands[0]}, m.node.attributes)});
}

constexpr std::string_view all = "reduce_*";

constexpr Rule table[] = {
    {"reduction of single elements", all, "axes of size 1 need no reduction", single_elements, 0, 1},
    {"place of a single element", "arg_max arg_min", "the place of the extremum along an axis of size 1 is 0", place_of_single_element},
    {"reduction of a broadcast", all, "sum(broadcast(x)) is n * x, max(broadcast(x)) is x", reduction_of_broadcast, 1, 2048},
    {"reduction of the negated", "reduce_sum reduce_max reduce_min reduce_fmax reduce_fmin", "sum(-x) is -sum(x), max(-x) is -min(x)", sum_of_negated,
     0, 1},
};

}  // namespace

std::span<const Rule> reduction_rules() { return table; }

}  // namespace weft
