// Rules of comparisons, selection, bits and conversions.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft {
namespace {

ir::Value truth(Match& m, bool value) { return m.constant(value, m.type()); }

/// The same comparison with its operands exchanged, and its opposite.
struct Comparison {
  std::string_view name, exchanged, opposite;
  bool holds_for_equals;
};

constexpr Comparison comparisons[] = {
    {"equal", "equal", "not_equal", true},       {"not_equal", "not_equal", "equal", false},
    {"less", "greater", "greater_equal", false}, {"less_equal", "greater_equal", "greater", true},
    {"greater", "less", "less_equal", false},    {"greater_equal", "less_equal", "less", true},
};

const Comparison* comparison_of(std::string_view op) {
  const auto* const found = std::ranges::find(comparisons, op, &Comparison::name);
  return found == std::end(comparisons) ? nullptr : found;
}

Replacement constant_first(Match& m) {
  const auto& c = *comparison_of(m.node.op->name);
  // Those that are commutative are put in order when identical operations are merged.
  if (c.name == c.exchanged || !m.is(m.operand(0), "constant") || m.is(m.operand(1), "constant")) return std::nullopt;
  return m.add(c.exchanged, {m.operand(1), m.operand(0)});
}

/// Where x may be NaN, x == x is a test for it.
Replacement compared_with_itself(Match& m) {
  const auto& c = *comparison_of(m.node.op->name);
  const DType dtype = m.type(m.operand(0)).dtype;
  if (m.operand(0) != m.operand(1)) return std::nullopt;
  const bool is_strict = c.name == "less" || c.name == "greater";
  if (!is_strict && (is_floating(dtype) || is_complex(dtype))) return std::nullopt;
  return truth(m, c.holds_for_equals);
}

Replacement unsigned_against_zero(Match& m) {
  const auto name = m.node.op->name;
  if (m.splat(1) != 0.0 || !is_unsigned_integer(m.type(m.operand(0)).dtype)) return std::nullopt;
  if (name == "less") return truth(m, false);
  if (name == "greater_equal") return truth(m, true);
  return std::nullopt;
}

/// b == true, cast(b) != 0 and the like.
Replacement compared_truth(Match& m) {
  const auto& c = *comparison_of(m.node.op->name);
  for (std::size_t i : {0u, 1u}) {
    const auto bound = m.splat(1 - i);
    if (!bound) continue;
    ir::Value b = m.operand(i);
    if (m.is(b, "cast")) b = m.producer(b).operands[0];
    if (m.type(b).dtype != boolean || m.is(b, "constant")) continue;
    auto holds = [&](double x) {
      const double left = i == 0 ? x : *bound, right = i == 0 ? *bound : x;
      if (c.name == "equal") return left == right;
      if (c.name == "not_equal") return left != right;
      if (c.name == "less") return left < right;
      if (c.name == "less_equal") return left <= right;
      if (c.name == "greater") return left > right;
      return left >= right;
    };
    if (holds(0) == holds(1)) return truth(m, holds(0));
    return m.shaped(holds(1) ? b : m.add("logical_not", {b}));
  }
  return std::nullopt;
}

/// Both may be false where an operand is NaN, but for equality.
Replacement negated_comparison(Match& m) {
  const auto* const c = comparison_of(m.producer(0).op->name);
  if (!c) return std::nullopt;
  const ir::Value a = m.producer(0).operands[0], b = m.producer(0).operands[1];
  const bool is_equality = c->name == "equal" || c->name == "not_equal";
  if (!is_equality && is_floating(m.type(a).dtype)) return std::nullopt;
  return m.add(c->opposite, {a, b});
}

bool is_not(const Match& m, ir::Value v) {
  const auto& p = m.producer(v);
  return (p.op->name == "logical_not" || p.op->name == "bit_not") && m.type(v).dtype == boolean;
}

Replacement inverted_twice(Match& m) {
  const bool both = m.producer(0).op == m.node.op || (m.dtype() == boolean && is_not(m, m.operand(0)));
  return both ? Replacement(m.producer(0).operands[0]) : std::nullopt;
}

// Select ----------------------------------------------------------------------------------------------------------------

Replacement constant_condition(Match& m) {
  if (const auto condition = m.splat(0)) return m.shaped(m.operand(*condition != 0 ? 1 : 2));
  return std::nullopt;
}

Replacement same_branches(Match& m) { return m.operand(1) == m.operand(2) ? Replacement(m.shaped(m.operand(1))) : std::nullopt; }

Replacement inverted_condition(Match& m) {
  if (!is_not(m, m.operand(0))) return std::nullopt;
  return m.add("select", {m.producer(0).operands[0], m.operand(2), m.operand(1)});
}

/// select(c, 1, 0) and select(c, 0, 1).
Replacement selected_truth(Match& m) {
  const auto yes = m.splat(1), no = m.splat(2);
  if (!yes || !no || std::signbit(*yes) || std::signbit(*no) || *yes + *no != 1 || (*yes != 0 && *yes != 1)) return std::nullopt;
  const ir::Value c = *yes == 1 ? m.operand(0) : m.add("logical_not", {m.operand(0)});
  return m.shaped(m.dtype() == boolean ? c : m.add("cast", {c}, {{"dtype", m.dtype()}}));
}

/// select(c, select(c, a, b), d) and select(c, a, select(c, b, d)).
Replacement selected_again(Match& m) {
  const ir::Value condition = m.operand(0);
  auto chosen = [&](std::size_t i) {
    const ir::Value v = m.operand(i);
    return m.is(v, "select") && m.producer(v).operands[0] == condition ? m.producer(v).operands[i] : v;
  };
  const ir::Value yes = chosen(1), no = chosen(2);
  if (yes == m.operand(1) && no == m.operand(2)) return std::nullopt;
  return m.shaped(m.add("select", {condition, yes, no}));
}

// Bits ------------------------------------------------------------------------------------------------------------------

/// Whether all elements have all their bits clear (false), or all set (true).
std::optional<bool> uniform_bits(const Match& m, ir::Value v) {
  const auto value = m.splat(v);
  if (!value) return std::nullopt;
  if (*value == 0) return false;
  const DType dtype = m.type(v).dtype;
  const bool is_full = dtype == boolean             ? *value == 1
                       : is_unsigned_integer(dtype) ? size_of(dtype) < 8 && *value == std::exp2(8 * size_of(dtype)) - 1
                                                    : *value == -1;
  return is_full ? std::optional(true) : std::nullopt;
}

/// Operands that decide the result or leave the other one as it is.
Replacement bits_with_constant(Match& m) {
  const auto name = m.node.op->name;
  for (std::size_t i : {1u, 0u}) {
    const auto bits = uniform_bits(m, m.operand(i));
    if (!bits) continue;
    const ir::Value x = m.operand(1 - i), c = m.operand(i);
    if (name == "bit_xor") return m.shaped(*bits ? m.add("bit_not", {x}) : x);
    return m.shaped(*bits == (name == "bit_and") ? x : c);
  }
  return std::nullopt;
}

Replacement bits_with_themselves(Match& m) {
  if (m.operand(0) != m.operand(1)) return std::nullopt;
  return m.node.op->name == "bit_xor" ? m.constant(0, m.type()) : m.operand(0);
}

Replacement shifted_by_zero(Match& m) { return m.splat(1) == 0.0 ? Replacement(m.shaped(m.operand(0))) : std::nullopt; }

// Conversions -----------------------------------------------------------------------------------------------------------

/// Whether every value of `from` is one of `to`.
bool holds_all(DType to, DType from) {
  if (to == from || from == boolean) return true;
  if (to == boolean || is_complex(from)) return false;
  if (is_complex(to)) return holds_all(f32, from);
  const auto digits = [](DType t) {
    if (t == f16) return 11;
    if (t == bf16) return 8;
    if (t == f32) return 24;
    if (t == f64) return 53;
    return static_cast<int>(size_of(t)) * 8 - (is_unsigned_integer(t) ? 0 : 1);
  };
  if (is_floating(from)) return is_floating(to) && (to == f64 || (to == f32 && from != f64));
  if (is_floating(to)) return digits(from) <= digits(to);
  if (is_unsigned_integer(to) && !is_unsigned_integer(from)) return false;
  return digits(from) <= digits(to);
}

Replacement cast_to_own_type(Match& m) { return m.dtype() == m.type(m.operand(0)).dtype ? Replacement(m.operand(0)) : std::nullopt; }

/// Through a type that holds all values the way makes no difference; through an integer of the same size the bits return.
Replacement cast_twice(Match& m) {
  if (!m.is(m.operand(0), "cast")) return std::nullopt;
  const ir::Value x = m.producer(0).operands[0];
  const DType from = m.type(x).dtype, through = m.type(m.operand(0)).dtype, to = m.dtype();
  const bool wraps = is_integer(from) && is_integer(through) && is_integer(to) && size_of(to) <= size_of(through);
  if (!holds_all(through, from) && !wraps) return std::nullopt;
  return to == from ? x : m.add("cast", {x}, {{"dtype", to}});
}

Replacement bitcast_twice(Match& m) {
  if (m.type(m.operand(0)).dtype == m.dtype()) return m.operand(0);
  if (!m.is(m.operand(0), "bitcast")) return std::nullopt;
  const ir::Value x = m.producer(0).operands[0];
  return m.type(x).dtype == m.dtype() ? x : m.add("bitcast", {x}, {{"dtype", m.dtype()}});
}

constexpr std::string_view ordered = "less less_equal greater greater_equal";
constexpr std::string_view compared = "equal not_equal less less_equal greater greater_equal";

constexpr Rule table[] = {
    {"constant compared", ordered, "c < x is x > c", constant_first},
    {"compared with itself", compared, "x < x is false, x == x is true for integers", compared_with_itself},
    {"unsigned against zero", "less greater_equal", "an unsigned number is not below 0", unsigned_against_zero},
    {"truth compared", compared, "b == true is b, cast(b) > 0 is b, b == false is not b", compared_truth},
    {"comparison inverted", "logical_not bit_not", "not a < b is a >= b for integers, not a == b is a != b", negated_comparison},
    {"inverted twice", "logical_not bit_not", "not not x is x", inverted_twice},
    {"select by a constant", "select", "select(true, a, b) is a", constant_condition},
    {"select of equals", "select", "select(c, a, a) is a", same_branches},
    {"select by an inverse", "select", "select(not c, a, b) is select(c, b, a)", inverted_condition},
    {"select of one and zero", "select", "select(c, 1, 0) is cast(c)", selected_truth},
    {"select in a select", "select", "select(c, select(c, a, b), d) is select(c, a, d)", selected_again},
    {"bits with a constant", "bit_and bit_or bit_xor", "x & 0 is 0, x & ~0 is x, x ^ 0 is x, and their like", bits_with_constant},
    {"bits with themselves", "bit_and bit_or bit_xor", "x & x and x | x are x, x ^ x is 0", bits_with_themselves},
    {"shifted by zero", "shift_left shift_right", "x << 0 and x >> 0 are x", shifted_by_zero},
    {"cast to its own type", "cast", "cast(x) to the type of x is x", cast_to_own_type},
    {"cast twice", "cast",
     "a cast to a type that holds all values of x makes no difference to the next cast; nor does one to an integer no smaller than the next",
     cast_twice},
    {"bitcast twice", "bitcast", "the bits taken as one type, then as another, are taken as the last", bitcast_twice},
};

}  // namespace

std::span<const Rule> logic_rules() { return table; }

}  // namespace weft
