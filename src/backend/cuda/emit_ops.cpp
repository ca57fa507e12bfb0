#include "backend/cuda/emit_ops.h"

#include "backend/cuda/emit.h"

#include <weft/error.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace weft::cuda {
namespace {

constexpr MathFunction functions[] = {
    {"exp", 1, 2, 1},   {"exp2", 1, 2, 1},  {"exp10", 1, 2, 1}, {"expm1", 1, 1, 1},   {"log", 1, 1, 1},   {"log2", 1, 1, 1},  {"log10", 1, 2, 1},
    {"log1p", 1, 1, 1}, {"rsqrt", 1, 2, 1}, {"sin", 1, 2, 2},   {"cos", 1, 2, 2},     {"tan", 1, 4, 2},   {"asin", 1, 2, 2},  {"acos", 1, 2, 2},
    {"atan", 1, 2, 2},  {"sinh", 1, 3, 2},  {"cosh", 1, 2, 1},  {"tanh", 1, 2, 1},    {"asinh", 1, 3, 3}, {"acosh", 1, 4, 3}, {"atanh", 1, 3, 2},
    {"erf", 1, 2, 2},   {"pow", 2, 4, 2},   {"atan2", 2, 3, 2}, {"sigmoid", 1, 4, 3},
};

/// Operations that are functions of CUDA's, exact ones, with other names for f64 than for f32.
struct Named {
  std::string_view op, f32_name, f64_name;
};
constexpr Named exact[] = {
    {"abs", "fabsf", "fabs"},  {"floor", "floorf", "floor"}, {"ceil", "ceilf", "ceil"},         {"trunc", "truncf", "trunc"},
    {"rint", "rintf", "rint"}, {"round", "roundf", "round"}, {"sqrt", "sqrtf", "sqrt"},         {"fmin", "fminf", "fmin"},
    {"fmax", "fmaxf", "fmax"}, {"rem", "fmodf", "fmod"},     {"min", "minimum", "minimum"},     {"max", "maximum", "maximum"},
    {"relu", "relu", "relu"},  {"sign", "sign", "sign"},     {"sigmoid", "sigmoid", "sigmoid"}, {"pow", "raised", "raised"},
};

struct Operator {
  std::string_view op, symbol;
  Text::Level level;
};
constexpr Operator comparisons[] = {{"equal", "==", Text::equality},   {"not_equal", "!=", Text::equality}, {"less", "<", Text::order},
                                    {"less_equal", "<=", Text::order}, {"greater", ">", Text::order},       {"greater_equal", ">=", Text::order}};
constexpr Operator arithmetic[] = {{"add", "+", Text::sum}, {"sub", "-", Text::sum}, {"mul", "*", Text::product}, {"div", "/", Text::product}};
constexpr Operator bitwise[] = {{"bit_and", "&", Text::bit_and}, {"bit_or", "|", Text::bit_or}, {"bit_xor", "^", Text::bit_xor}};
/// Of integers, wrapping around; library functions.
constexpr Named integral[] = {
    {"add", "plus", ""},
    {"sub", "minus", ""},
    {"mul", "times", ""},
    {"div", "quotient", ""},
    {"rem", "remainder_of", ""},
    {"min", "smaller", ""},
    {"fmin", "smaller", ""},
    {"max", "larger", ""},
    {"fmax", "larger", ""},
    {"neg", "negative", ""},
    {"abs", "magnitude", ""},
    {"sign", "sign", ""},
    {"relu", "relu", ""},
    {"pow", "power", ""},
    {"shift_left", "shifted_left", ""},
    {"shift_right", "shifted_right", ""},
    {"popcount", "bits_set", ""},
};

template <class Rows> auto find(const Rows& rows, std::string_view op) {
  return std::find_if(std::begin(rows), std::end(rows), [&](const auto& row) { return row.op == op; });
}

/// A number in C++ that reads back as the same value.
template <class T> Text number(T value, DType dtype) {
  if (std::isnan(value)) return {dtype == f64 ? "nan_f64()" : "nan_f32()"};
  if (std::isinf(value)) return infinity(dtype, value < 0);
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  if (dtype != f64) text += 'f';
  return {text, std::signbit(value) ? Text::unary : Text::primary};
}

Text prefixed(std::string_view op, const Text& x) {
  // Never two signs in a row.
  const bool closed = x.level < Text::unary || (x.level == Text::unary && x.text[0] != op[0]);
  return {std::string(op) + (closed ? x.text : "(" + x.text + ")"), Text::unary};
}

Text floating(std::string_view op, const std::vector<Text>& v, DType dtype) {
  if (const auto row = find(arithmetic, op); row != std::end(arithmetic)) return binary(row->symbol, row->level, v[0], v[1]);
  if (op == "neg") return prefixed("-", v[0]);
  auto called = [&](std::string_view name) { return v.size() == 2 ? call(name, v[0], v[1]) : call(name, v[0]); };
  if (const auto row = find(exact, op); row != std::end(exact)) return called(dtype == f64 ? row->f64_name : row->f32_name);
  const auto row = std::find_if(std::begin(functions), std::end(functions), [&](const auto& f) { return f.name == op; });
  if (row == std::end(functions)) throw InternalError("the CUDA backend has no floating-point " + std::string(op));
  return called(std::string(op) + (dtype == f64 ? "" : "f"));
}

Text integral_operation(std::string_view op, const std::vector<Text>& v, DType dtype) {
  const std::string type(computed_type(dtype));
  if (op == "floor" || op == "ceil" || op == "trunc" || op == "rint" || op == "round") return v[0];
  if (op == "logical_not") return prefixed("!", v[0]);
  if (op == "bit_not") return dtype == boolean ? prefixed("!", v[0]) : Text{type + "(~" + v[0].within(Text::unary) + ")"};
  auto wrapped = [&](const Text& t) { return size_of(dtype) < 4 ? Text{type + "(" + t.text + ")"} : t; };
  if (const auto row = find(bitwise, op); row != std::end(bitwise)) return wrapped(binary(row->symbol, row->level, v[0], v[1]));
  if (dtype == boolean && (op == "add" || op == "mul")) {
    const auto& row = bitwise[op == "add" ? 1 : 0];
    return wrapped(binary(row.symbol, row.level, v[0], v[1]));
  }
  const auto row = find(integral, op);
  if (row == std::end(integral)) throw InternalError("the CUDA backend has no integer " + std::string(op));
  // The type, so that no literal decides it.
  const std::string name = std::string(row->f32_name) + "<" + type + ">";
  return v.size() == 2 ? call(name, v[0], v[1]) : call(name, v[0]);
}

Text complex_operation(std::string_view op, const std::vector<Text>& v) {
  static constexpr Named rows[] = {{"add", "plus", ""},     {"sub", "minus", ""},      {"mul", "times", ""},     {"div", "quotient", ""},
                                   {"neg", "negative", ""}, {"conj", "conjugate", ""}, {"abs", "magnitude", ""}, {"equal", "equals", ""}};
  if (op == "not_equal") return prefixed("!", call("equals", v[0], v[1]));
  const auto row = find(rows, op);
  if (row == std::end(rows)) throw InternalError("the CUDA backend has no complex " + std::string(op));
  return v.size() == 2 ? call(row->f32_name, v[0], v[1]) : call(row->f32_name, v[0]);
}

Text bitcast(const Text& x, DType from, DType to) {
  const auto in_memory = from == f16 ? call("f16_bits", x) : from == bf16 ? call("bf16_bits", x) : size_of(from) < 4 ? call(memory_type(from), x) : x;
  const auto bits = call("bits_as<" + std::string(memory_type(to)) + ">", in_memory);
  return to == f16 ? call("widened", bits) : to == bf16 ? call("float", bits) : bits;
}

}  // namespace

std::span<const MathFunction> math_functions() { return functions; }

std::string_view memory_type(DType dtype) {
  static constexpr std::string_view names[dtype_count] = {"float", "f16", "bf16", "double", "i8",  "i16",  "i32",
                                                          "i64",   "u8",  "u16",  "u32",    "u64", "bool", "c64"};
  return names[static_cast<int>(dtype)];
}

std::string_view computed_type(DType dtype) { return dtype == f16 || dtype == bf16 ? "float" : memory_type(dtype); }

Text infinity(DType dtype, bool negative) {
  return {std::string(negative ? "-" : "") + (dtype == f64 ? "infinity_f64()" : "infinity_f32()"), negative ? Text::unary : Text::primary};
}

Text integer(std::int64_t value, DType dtype) {
  if (dtype == boolean) return {value ? "true" : "false"};
  if (dtype == u64) return {std::to_string(static_cast<std::uint64_t>(value)) + "ull"};
  if (dtype == i64 && value == std::numeric_limits<std::int64_t>::min()) return {"(-9223372036854775807ll - 1)"};
  if (dtype == i32 && value == std::numeric_limits<std::int32_t>::min()) return {"(-2147483647 - 1)"};
  return {std::to_string(value) + (dtype == i64 ? "ll" : dtype == u32 ? "u" : ""), value < 0 ? Text::unary : Text::primary};
}

Text literal(const std::byte* bytes, DType dtype) {
  if (dtype == c64) {
    std::array<float, 2> parts{};
    std::memcpy(parts.data(), bytes, sizeof parts);
    return {"c64{" + number(parts[0], f32).text + ", " + number(parts[1], f32).text + "}"};
  }
  return visit_dtype(dtype, [&](auto e) -> Text {
    using T = decltype(e);
    if constexpr (std::is_same_v<T, std::complex<float>>) return {};
    else {
      std::memcpy(&e, bytes, sizeof e);
      if constexpr (std::is_same_v<T, double>) return number(e, f64);
      else if constexpr (std::is_integral_v<T>) return integer(static_cast<std::int64_t>(e), dtype);
      else return number(static_cast<float>(e), f32);
    }
  });
}

Text cast(const Text& x, DType from, DType to) {
  if (from == to) return x;
  const std::string type(computed_type(to));
  if (from == c64) {
    if (to == boolean) return prefixed("!", call("equals", x, Text{"c64{0.0f, 0.0f}"}));
    return cast({x.within(Text::primary) + ".re"}, f32, to);
  }
  if (to == boolean) return binary("!=", Text::equality, x, is_floating(from) ? Text{from == f64 ? "0.0" : "0.0f"} : Text{"0"});
  if (to == c64) return {"c64{" + cast(x, from, f32).text + ", 0.0f}"};
  if (to == f16 || to == bf16) {
    // Rounded once, to the type in memory, although it is computed in f32 from here on.
    const bool exact = from == boolean || (is_integer(from) && size_of(from) <= 2) || (is_floating(from) && from != f64);
    const Text in_f32 = from == f64 ? call("to_odd", x)
                        : exact     ? (is_floating(from) ? x : call("float", x))
                                    : call("to_odd", call("to_odd", call("i64", x)));
    return call("float", call(memory_type(to), from == u64 ? call("to_odd", call("to_odd", x)) : in_f32));
  }
  if (is_floating(to)) return computed_type(from) == type ? x : call(type, x);
  if (is_floating(from)) return call("saturated<" + type + ">", x);
  return call(type, x);
}

Text operation(std::string_view op, const std::vector<Text>& v, const std::vector<DType>& types, DType result) {
  const DType dtype = types[0];
  if (op == "philox") {
    auto text = call("philox", call("u64", v[0]), v[1], v[2], v[3]);
    return result == u32 ? call("u32", text) : text;
  }
  if (op == "cast") return cast(v[0], dtype, result);
  if (op == "bitcast") return bitcast(v[0], dtype, result);
  if (op == "select")
    return {v[0].within(Text::logical_or) + " ? " + v[1].within(Text::logical_or) + " : " + v[2].within(Text::logical_or), Text::conditional};
  if (op == "real") return {v[0].within(Text::primary) + ".re"};
  if (op == "imag") return {v[0].within(Text::primary) + ".im"};
  if (op == "complex") return {"c64{" + v[0].text + ", " + v[1].text + "}"};
  if (dtype == c64) return complex_operation(op, v);
  if (const auto row = find(comparisons, op); row != std::end(comparisons)) return binary(row->symbol, row->level, v[0], v[1]);
  return is_floating(dtype) ? floating(op, v, dtype) : integral_operation(op, v, dtype);
}

}  // namespace weft::cuda
