// Rules of arithmetic. Floating-point rows hold for infinities, NaN and signed zeros: x * 0 is not 0 where x is NaN, x + 0
// is not x where x is -0, and sums are not regrouped.
#include "compile/rules.h"

#include "graph/primitive.h"

#include <cmath>
#include <limits>

namespace weft {
namespace {

bool is_negative_zero(double v) { return v == 0 && std::signbit(v); }

/// The least number of a type, or the greatest; infinite for floating types, NaN where it is no double.
double limit(DType dtype, bool greatest) {
  if (is_floating(dtype)) return greatest ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  const int bits = static_cast<int>(size_of(dtype)) * 8;
  const bool is_unsigned = is_unsigned_integer(dtype);
  if (is_unsigned && !greatest) return 0;
  if (bits == 64) return std::numeric_limits<double>::quiet_NaN();  // doubles don't tell it from its neighbours
  return greatest ? std::ldexp(1.0, is_unsigned ? bits : bits - 1) - 1 : -std::ldexp(1.0, bits - 1);
}

/// Whether no element has its sign bit set, unless it is NaN: below zero there is nothing, nor is there -0.
bool is_never_negative(const Match& m, ir::Value v) {
  const ir::Node& node = m.producer(v);
  const auto name = node.op->name;
  if (const auto value = m.splat(v)) return !std::signbit(*value);
  if (is_unsigned_integer(m.type(v).dtype) || m.type(v).dtype == boolean) return true;
  if (name == "mul") return node.operands[0] == node.operands[1] && is_floating(m.type(v).dtype);
  if (name == "cast") {
    const DType from = m.type(node.operands[0]).dtype;
    return is_floating(m.type(v).dtype) && !is_complex(from) && is_never_negative(m, node.operands[0]);
  }
  if (name == "abs" || name == "exp" || name == "exp2" || name == "sigmoid" || name == "relu" || name == "cosh")
    return is_floating(m.type(v).dtype) || name == "relu";
  return name == "iota" && is_floating(m.type(v).dtype);
}

/// Whether every element is a whole number, an infinity or NaN.
bool is_whole(const Match& m, ir::Value v) {
  const ir::Node& node = m.producer(v);
  const auto name = node.op->name;
  if (name == "cast") return !is_floating(m.type(node.operands[0]).dtype) && !is_complex(m.type(node.operands[0]).dtype);
  return !is_floating(m.type(v).dtype) || name == "floor" || name == "ceil" || name == "trunc" || name == "rint" || name == "round" ||
         name == "sign" || name == "iota";
}

bool is_real_float(const Match& m) { return is_floating(m.dtype()); }
bool wraps(const Match& m) { return is_integer(m.dtype()); }

/// For rows of commutative operations: f(the other operand, the constant's value) for either constant operand.
template <class F> Replacement beside_constant(Match& m, F&& f) {
  for (std::size_t i : {1u, 0u})
    if (const auto value = m.splat(i))
      if (Replacement r = f(m.operand(1 - i), *value)) return r;
  return std::nullopt;
}

Replacement plus_zero(Match& m) {
  return beside_constant(m, [&](ir::Value x, double c) -> Replacement {
    const bool neutral = is_real_float(m) ? is_negative_zero(c) || (c == 0 && is_never_negative(m, x)) : c == 0;
    return neutral ? Replacement(m.shaped(x)) : std::nullopt;
  });
}

Replacement minus_zero(Match& m) {
  const auto c = m.splat(1);
  return c && *c == 0 && !std::signbit(*c) ? Replacement(m.shaped(m.operand(0))) : std::nullopt;
}

Replacement times_one(Match& m) {
  return beside_constant(m, [&](ir::Value x, double c) { return c == 1 ? Replacement(m.shaped(x)) : std::nullopt; });
}

Replacement times_minus_one(Match& m) {
  if (is_unsigned_integer(m.dtype())) return std::nullopt;
  return beside_constant(m, [&](ir::Value x, double c) { return c == -1 ? Replacement(m.shaped(m.add("neg", {x}))) : std::nullopt; });
}

Replacement times_zero(Match& m) {
  if (!wraps(m)) return std::nullopt;
  return beside_constant(m, [&](ir::Value, double c) { return c == 0 ? Replacement(m.constant(0, m.type())) : std::nullopt; });
}

Replacement divided_by_one(Match& m) { return m.splat(1) == 1.0 ? Replacement(m.shaped(m.operand(0))) : std::nullopt; }

/// The quotient and the product are then the same number before rounding.
Replacement divided_by_power_of_two(Match& m) {
  const auto c = m.splat(1);
  if (!c || !is_real_float(m) || !std::isfinite(*c) || *c == 0) return std::nullopt;
  int exponent = 0;
  if (std::fabs(std::frexp(*c, &exponent)) != 0.5) return std::nullopt;
  // Both numbers are normal in every type.
  const int reach = m.dtype() == f16 ? 14 : m.dtype() == f64 ? 1000 : 120;
  if (std::abs(exponent) >= reach) return std::nullopt;
  const ir::Value reciprocal = m.constant(1 / *c, {m.dtype(), {}});
  return m.shaped(m.add("mul", {m.operand(0), reciprocal}));
}

Replacement zero_divided(Match& m) { return wraps(m) && m.splat(0) == 0.0 ? Replacement(m.constant(0, m.type())) : std::nullopt; }

Replacement remainder_of_one(Match& m) { return wraps(m) && m.splat(1) == 1.0 ? Replacement(m.constant(0, m.type())) : std::nullopt; }

Replacement subtracted_from_zero(Match& m) {
  const auto c = m.splat(0);
  if (!c || *c != 0 || (is_real_float(m) && !std::signbit(*c)) || is_unsigned_integer(m.dtype())) return std::nullopt;
  return m.shaped(m.add("neg", {m.operand(1)}));
}

Replacement minus_itself(Match& m) { return wraps(m) && m.operand(0) == m.operand(1) ? Replacement(m.constant(0, m.type())) : std::nullopt; }

/// x + -y.
Replacement plus_negated(Match& m) {
  for (std::size_t i : {1u, 0u})
    if (m.is(m.operand(i), "neg")) return m.add("sub", {m.operand(1 - i), m.producer(i).operands[0]});
  return std::nullopt;
}

Replacement minus_negated(Match& m) {
  return m.is(m.operand(1), "neg") ? Replacement(m.add("add", {m.operand(0), m.producer(1).operands[0]})) : std::nullopt;
}

/// -x * -y, -x / -y, and where one of them is a constant.
Replacement negated_factors(Match& m) {
  if (is_complex(m.dtype())) return std::nullopt;
  if (is_integer(m.dtype()) && m.node.op->name == "div") return std::nullopt;  // the least number is its own negative
  auto negated = [&](std::size_t i) { return m.is(m.operand(i), "neg"); };
  auto positive = [&](std::size_t i) { return m.producer(i).operands[0]; };
  const auto name = m.node.op->name;
  if (negated(0) && negated(1)) return m.add(name, {positive(0), positive(1)});
  for (std::size_t i : {0u, 1u})
    if (const auto c = m.splat(1 - i); c && negated(i) && is_real_float(m)) {
      const ir::Value x = positive(i), opposite = m.constant(-*c, m.type(m.operand(1 - i)));
      return i == 0 ? m.add(name, {x, opposite}) : m.add(name, {opposite, x});
    }
  return std::nullopt;
}

/// -(x - y), of integers: of floats x - x is +0 either way round.
Replacement negated_difference(Match& m) {
  if (!wraps(m) || !m.is(m.operand(0), "sub")) return std::nullopt;
  const auto& difference = m.producer(0);
  return m.add("sub", {difference.operands[1], difference.operands[0]});
}

/// (x + c) + d, (x * c) * d.
Replacement regrouped_constants(Match& m) {
  const auto name = m.node.op->name;
  const bool scales = is_real_float(m) && name == "mul";
  if (!wraps(m) && !scales) return std::nullopt;
  for (std::size_t i : {1u, 0u}) {
    const ir::Value inner = m.operand(1 - i), outer = m.operand(i);
    if (!m.splat(outer) || !m.is(inner, name)) continue;
    for (std::size_t j : {1u, 0u}) {
      const ir::Value x = m.producer(inner).operands[1 - j], c = m.producer(inner).operands[j];
      if (!m.splat(c) || m.splat(x)) continue;
      if (scales) {
        // Powers of two scale up without rounding, and what overflows once overflows after all.
        auto scales_up = [](double v) {
          int exponent = 0;
          return v >= 1 && std::frexp(v, &exponent) == 0.5 && exponent < 8;
        };
        if (!scales_up(*m.splat(c)) || !scales_up(*m.splat(outer))) continue;
      }
      const ir::Value constant = m.add(name, {c, outer});
      return m.shaped(m.add(name, {x, constant}));
    }
  }
  return std::nullopt;
}

/// f(f(x)) is x.
Replacement involution(Match& m) {
  if (m.producer(0).op == m.node.op) return m.producer(0).operands[0];
  return std::nullopt;
}

Replacement magnitude(Match& m) {
  if (is_complex(m.type(m.operand(0)).dtype)) return std::nullopt;
  if (m.is(m.operand(0), "neg") && !is_unsigned_integer(m.dtype())) return m.add("abs", {m.producer(0).operands[0]});
  const bool is_integer_magnitude = m.is(m.operand(0), "abs");  // of the least number, too
  return is_never_negative(m, m.operand(0)) || is_integer_magnitude ? Replacement(m.operand(0)) : std::nullopt;
}

Replacement relu_of_positive(Match& m) { return is_never_negative(m, m.operand(0)) ? Replacement(m.operand(0)) : std::nullopt; }

Replacement rounded_whole(Match& m) { return is_whole(m, m.operand(0)) ? Replacement(m.operand(0)) : std::nullopt; }

Replacement sign_of_sign(Match& m) { return m.is(m.operand(0), "sign") ? Replacement(m.operand(0)) : std::nullopt; }

/// min(x, x), and the like with a bound beyond which there is nothing.
Replacement extremum(Match& m) {
  const bool greatest = m.node.op->name == "max" || m.node.op->name == "fmax";
  if (m.operand(0) == m.operand(1)) return m.shaped(m.operand(0));
  // fmax(NaN, -inf) is -inf.
  if (m.node.op->name.starts_with('f') && is_real_float(m)) return std::nullopt;
  return beside_constant(m, [&](ir::Value x, double c) -> Replacement {
    if (c == limit(m.dtype(), !greatest)) return m.shaped(x);
    if (greatest && c <= 0 && !std::isnan(c) && is_never_negative(m, x)) return m.shaped(x);
    return std::nullopt;
  });
}

Replacement power_of_one(Match& m) { return m.splat(1) == 1.0 ? Replacement(m.shaped(m.operand(0))) : std::nullopt; }
/// Of NaN, too (C99 F.9.4.4).
Replacement power_of_zero(Match& m) { return m.splat(1) == 0.0 ? Replacement(m.constant(1, m.type())) : std::nullopt; }
Replacement square(Match& m) {
  const ir::Value x = m.operand(0);
  return m.splat(1) == 2.0 ? Replacement(m.shaped(m.add("mul", {x, x}))) : std::nullopt;
}
Replacement cube(Match& m) {
  const ir::Value x = m.operand(0);
  if (m.splat(1) != 3.0) return std::nullopt;
  return m.shaped(m.add("mul", {m.add("mul", {x, x}), x}));
}
Replacement negative_power(Match& m) {
  if (!is_real_float(m) || (m.splat(1) != -1.0 && m.splat(1) != -2.0)) return std::nullopt;
  const bool squared = m.splat(1) == -2.0;
  // The square of the reciprocal rather than the reciprocal of the square, which may overflow or lose digits.
  const ir::Value one = m.constant(1, {m.dtype(), {}}), reciprocal = m.add("div", {one, m.operand(0)});
  return m.shaped(squared ? m.add("mul", {reciprocal, reciprocal}) : reciprocal);
}
/// Unlike the root the power of -inf is inf and that of -0 is 0.
Replacement root(Match& m) {
  if (!is_real_float(m) || (m.splat(1) != 0.5 && m.splat(1) != -0.5)) return std::nullopt;
  const bool inverse = m.splat(1) == -0.5;
  const ir::Value x = m.operand(0);
  const TensorType scalar{m.dtype(), {}};
  const double infinity = std::numeric_limits<double>::infinity();
  const ir::Value zero = m.constant(0, scalar), root = m.add("add", {m.add("sqrt", {x}), zero});
  const ir::Value is_least = m.add("equal", {x, m.constant(-infinity, scalar)});
  const ir::Value power = m.add("select", {is_least, m.constant(infinity, scalar), root});
  return m.shaped(inverse ? m.add("div", {m.constant(1, scalar), power}) : power);
}

Replacement reciprocal_root(Match& m) {
  if (m.splat(0) != 1.0 || !m.is(m.operand(1), "sqrt")) return std::nullopt;
  return m.shaped(m.add("rsqrt", {m.producer(1).operands[0]}));
}

/// The value behind views that only repeat or reshape it.
ir::Value behind_views(const Match& m, ir::Value v) {
  while (m.is(v, "broadcast") || m.is(v, "reshape")) v = m.producer(v).operands[0];
  return v;
}

Replacement log_of_softmax(Match& m) {
  if (!m.is(m.operand(0), "div")) return std::nullopt;
  const ir::Value exponential = m.producer(0).operands[0], total = m.producer(0).operands[1];
  const ir::Value sum = behind_views(m, total);
  if (!m.is(exponential, "exp") || !m.is(sum, "reduce_sum") || m.producer(sum).operands[0] != exponential) return std::nullopt;
  const ir::Value x = m.producer(exponential).operands[0];
  return m.add("sub", {x, m.add("log", {total})});
}

constexpr Rule table[] = {
    {"plus zero", "add", "x + 0 is x for integers and where x is never negative; x + -0.0 is x", plus_zero},
    {"minus zero", "sub", "x - 0 is x", minus_zero},
    {"subtracted from zero", "sub", "0 - x of integers and -0.0 - x are -x", subtracted_from_zero},
    {"minus itself", "sub", "x - x is 0 for integers", minus_itself},
    {"plus negated", "add", "x + -y is x - y", plus_negated},
    {"minus negated", "sub", "x - -y is x + y", minus_negated},
    {"negated difference", "neg", "-(x - y) is y - x for integers", negated_difference},
    {"times one", "mul", "x * 1 is x", times_one},
    {"times minus one", "mul", "x * -1 is -x", times_minus_one},
    {"times zero", "mul", "x * 0 is 0 for integers", times_zero},
    {"negated factors", "mul div", "-x * -y is x * y, -x * c is x * -c; so with quotients of floats", negated_factors},
    {"regrouped constants", "add mul", "(x + c) + d is x + (c + d) for integers; so with products, also of floats by powers of two above 1",
     regrouped_constants},
    {"divided by one", "div", "x / 1 is x", divided_by_one},
    {"divided by a power of two", "div", "x / c is x * (1/c) where both are powers of two", divided_by_power_of_two},
    {"zero divided", "div rem", "0 / x and the remainder of 0 are 0 for integers", zero_divided},
    {"remainder of one", "rem", "the remainder of x by 1 is 0 for integers", remainder_of_one},
    {"to the power of zero", "pow", "pow(x, 0) is 1", power_of_zero},
    {"to the power of one", "pow", "pow(x, 1) is x", power_of_one},
    {"to the power of two", "pow", "pow(x, 2) is x * x", square, 1},
    {"to the power of three", "pow", "pow(x, 3) is x * x * x", cube, 2},
    {"to a negative power", "pow", "pow(x, -1) is 1 / x, pow(x, -2) is (1 / x) * (1 / x)", negative_power, 3},
    {"to the power of a half", "pow", "pow(x, 0.5) is sqrt(x) but for -inf and -0; pow(x, -0.5) is its reciprocal", root, 3},
    {"reciprocal root", "div", "1 / sqrt(x) is rsqrt(x)", reciprocal_root, 2},
    {"negated twice", "neg", "-(-x) is x", involution},
    {"conjugated twice", "conj", "conj(conj(x)) is x", involution},
    {"magnitude of a magnitude", "abs", "abs(-x) is abs(x), abs(x) is x where x is never negative", magnitude},
    {"relu of what is positive", "relu", "relu(x) is x where x is never negative", relu_of_positive},
    {"whole number rounded", "floor ceil trunc rint round", "rounding a whole number gives it back", rounded_whole},
    {"sign of a sign", "sign", "sign(sign(x)) is sign(x)", sign_of_sign},
    {"extremum with a limit", "min max fmin fmax", "max(x, x) is x; so is max(x, c) where nothing is below c", extremum},
    {"logarithm of softmax", "log", "log(exp(x) / sum(exp(x))) is x - log(sum(exp(x))), finite also where the quotient vanishes", log_of_softmax, 8,
     8},
};

}  // namespace

std::span<const Rule> arithmetic_rules() { return table; }

}  // namespace weft
