// Rules of pooling: what is asked of each element of a window can be asked of its largest.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <algorithm>

namespace weft {
namespace {

constexpr auto window_attributes = {"window", "strides", "dilations", "low", "high"};

bool has_same_windows(const ir::Node& a, const ir::Node& b) {
  return std::ranges::all_of(window_attributes, [&](const char* name) { return a.attributes.integers(name) == b.attributes.integers(name); });
}

/// `value` is pool_max_gradient(dy, pool_max_indices(x)) over the same windows.
bool is_gradient_of_largest(const Match& m, ir::Value value) {
  if (!m.is(value, "pool_max_gradient")) return false;
  const ir::Node& gradient = m.producer(value);
  return m.is(gradient.operands[1], "pool_max_indices") && has_same_windows(gradient, m.producer(gradient.operands[1]));
}

ir::Value pooled_of(const Match& m, const ir::Node& gradient) { return m.producer(gradient.operands[1]).operands[0]; }

/// What follows is computed for as many elements as there are windows.
Replacement masked_gradient(Match& m) {
  const ir::Value mask = m.operand(0), value = m.operand(1);
  if (m.splat(2) != 0.0 || !m.is(mask, "greater") || !m.splat(m.producer(mask).operands[1]) || !is_gradient_of_largest(m, value)) return std::nullopt;
  const ir::Value limit = m.producer(mask).operands[1], zero = m.operand(2);
  const ir::Node gradient = m.producer(value);
  const ir::Value x = m.producer(mask).operands[0];
  if (x != pooled_of(m, gradient) || m.type(x).shape != m.shape() || m.type(value).shape != m.shape()) return std::nullopt;
  Attributes windows = m.producer(gradient.operands[1]).attributes;
  windows.erase("dtype");
  const ir::Value dy = gradient.operands[0];
  const ir::Value largest = m.add("pool_max", {x}, std::move(windows));
  const ir::Value masked = m.add("select", {m.add("greater", {largest, limit}), dy, zero});
  std::vector<ir::Value> operands = gradient.operands;
  operands[0] = masked;
  return m.add("pool_max_gradient", std::move(operands), gradient.attributes);
}

/// Each window's gradient goes to one element. Where a window sees none, its largest is no number or the least: the mask leaves it out.
Replacement sum_of_gradient(Match& m) {
  if (!is_gradient_of_largest(m, m.operand(0))) return std::nullopt;
  const ir::Node gradient = m.producer(0);
  const ir::Value dy = gradient.operands[0];
  if (!m.is(dy, "select") || m.splat(m.producer(dy).operands[2]) != 0.0 || !m.is(m.producer(dy).operands[0], "greater")) return std::nullopt;
  const ir::Node& mask = m.producer(m.producer(dy).operands[0]);
  const auto limit = m.splat(mask.operands[1]);
  if (!limit || !(*limit >= 0) || !m.is(mask.operands[0], "pool_max") || !has_same_windows(m.producer(mask.operands[0]), gradient) ||
      m.producer(mask.operands[0]).operands[0] != pooled_of(m, gradient))
    return std::nullopt;
  const auto& axes = m.node.attributes.integers("axes");
  const Shape &from = m.type(dy).shape, &to = m.type(m.operand(0)).shape;
  const auto &window = gradient.attributes.integers("window"), &strides = gradient.attributes.integers("strides"),
             &low = gradient.attributes.integers("low");
  for (int d = 0; d < to.rank(); ++d) {
    const auto i = static_cast<std::size_t>(d);
    const bool stays = window[i] == 1 && strides[i] == 1 && low[i] == 0 && from[d] == to[d];
    if (!stays && std::ranges::find(axes, d) == axes.end()) return std::nullopt;
  }
  return m.add("reduce_sum", {dy}, m.node.attributes);
}

constexpr Rule table[] = {
    {"mask of a pooling gradient", "select", "where(x > c, pool_max_gradient(dy), 0) is pool_max_gradient(where(pool_max(x) > c, dy, 0))",
     masked_gradient},
    {"sum of a pooling gradient", "reduce_sum", "the sum over windows of pool_max_gradient(dy) is that of dy, where the largest is positive",
     sum_of_gradient, 0, 1},
};

}  // namespace

std::span<const Rule> pooling_rules() { return table; }

}  // namespace weft
