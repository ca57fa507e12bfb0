// Every algebraic rule: graphs to which it applies are evaluated with and without it, on random and on special values.
#include "compile/rules.h"
#include "compile/program.h"
#include "compile/switches.h"
#include "evaluated.h"
#include "graph/build.h"
#include "operation.h"

#include <weft/error.h>
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <set>

namespace weft::rules_test {
namespace {

struct RuleCase {
  std::string rule;
  std::function<Tensor(const Tensors&)> build;
  std::vector<Shapes> shapes;
  std::vector<DType> dtypes;
};

void PrintTo(const RuleCase& c, std::ostream* out) { *out << c.rule; }

/// Shapes for one operand and for two.
const std::vector<Shapes> one{{{7, 13}}, {{}}, {{0}}, {{1}}, {{31}}, {{3, 1, 5}}};
const std::vector<Shapes> two{{{7, 13}, {7, 13}}, {{}, {}}, {{5, 1}, {3}}, {{2, 0}, {1, 1}}};
const std::vector<Shapes> matrix{{{7, 13}}, {{1, 5}}, {{2, 31}}};

std::vector<DType> joined(std::vector<DType> a, const std::vector<DType>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
const std::vector<DType> signed_numbers = joined(floats(), {i32, i64, i16, i8});
const std::vector<DType> unsigned_integers{u8, u16, u32, u64};
const std::vector<DType> booleans{boolean};

const double infinity = std::numeric_limits<double>::infinity();
using T = const Tensors&;

/// `x` in a larger shape, as a broadcast that stands by itself.
Tensor spread(const Tensor& x, Shape shape) { return broadcast_to(x, std::move(shape)); }
Tensor source(const Tensor& beside, std::string_view op, Attributes attributes) {
  return apply_source(*beside.graph(), op, std::move(attributes), std::source_location::current());
}
/// Constants in the graph of another tensor.
Tensor number(const Tensor& beside, float value, Shape shape = {}) {
  return source(beside, "constant", {{"value", Literal::filled({f32, std::move(shape)}, std::as_bytes(std::span(&value, 1)))}});
}
Tensor places(const Tensor& beside, std::vector<std::int64_t> list) {
  return source(beside, "constant", {{"value", Literal::of(NDArray::of<std::int64_t>({static_cast<std::int64_t>(list.size())}, list))}});
}
Tensor place(const Tensor& beside, std::int64_t index) {
  return source(beside, "constant", {{"value", Literal::of(NDArray::of<std::int64_t>({}, {index}))}});
}
Tensor counted(const Tensor& beside, std::int64_t count) {
  return source(beside, "iota", {{"dtype", i64}, {"axis", std::int64_t{0}}, {"shape", std::vector<std::int64_t>{count}}});
}

std::vector<RuleCase> arithmetic_cases() {
  return {
      {"plus zero", [](T x) { return x[0] + 0; }, one, integers()},
      {"plus zero", [](T x) { return -0.0 + x[0]; }, one, floats()},
      {"plus zero", [](T x) { return abs(x[0]) + 0.0; }, one, floats()},
      {"plus zero", [](T x) { return x[0] * x[0] + 0.0; }, one, floats()},
      {"minus zero", [](T x) { return x[0] - 0; }, one, numbers()},
      {"subtracted from zero", [](T x) { return 0 - x[0]; }, one, {i32, i64, i16, i8}},
      {"subtracted from zero", [](T x) { return -0.0 - x[0]; }, one, floats()},
      {"minus itself", [](T x) { return x[0] - x[0]; }, one, integers()},
      {"plus negated", [](T x) { return x[0] + -x[1]; }, two, numbers()},
      {"plus negated", [](T x) { return -x[0] + x[1]; }, two, numbers()},
      {"minus negated", [](T x) { return x[0] - -x[1]; }, two, numbers()},
      {"negated difference", [](T x) { return -(x[0] - x[1]); }, two, integers()},
      {"times one", [](T x) { return x[0] * 1; }, one, reals()},
      {"times one",
       [](T x) {
         return number(x[0], 1, {3, 7}) * x[0];
       },
       {{{7}}, {{1, 7}}, {{}}},
       {f32}},
      {"times minus one", [](T x) { return x[0] * -1; }, one, signed_numbers},
      {"times zero", [](T x) { return 0 * x[0]; }, one, integers()},
      {"negated factors", [](T x) { return -x[0] * -x[1]; }, two, reals()},
      {"negated factors", [](T x) { return -x[0] / -x[1]; }, two, floats()},
      {"negated factors", [](T x) { return -x[0] * 3; }, one, floats()},
      {"negated factors", [](T x) { return 3 / -x[0]; }, one, floats()},
      {"regrouped constants", [](T x) { return 3 + (x[0] + 5); }, one, integers()},
      {"regrouped constants", [](T x) { return (3 * x[0]) * 5; }, one, integers()},
      {"regrouped constants", [](T x) { return (x[0] * 2) * 16; }, one, floats()},
      {"divided by one", [](T x) { return x[0] / 1; }, one, reals()},
      {"divided by a power of two", [](T x) { return x[0] / -8; }, one, floats()},
      {"divided by a power of two", [](T x) { return x[0] / 0.25; }, one, floats()},
      {"zero divided", [](T x) { return 0 / x[0]; }, one, integers()},
      {"zero divided", [](T x) { return rem(0, x[0]); }, one, integers()},
      {"remainder of one", [](T x) { return rem(x[0], 1); }, one, integers()},
      {"to the power of zero", [](T x) { return pow(x[0], 0); }, one, reals()},
      {"to the power of one", [](T x) { return pow(x[0], 1); }, one, reals()},
      {"to the power of two", [](T x) { return pow(x[0], 2); }, one, reals()},
      {"to the power of three", [](T x) { return pow(x[0], 3); }, one, reals()},
      {"to a negative power", [](T x) { return pow(x[0], -1); }, one, floats()},
      {"to a negative power", [](T x) { return pow(x[0], -2); }, one, floats()},
      {"to the power of a half", [](T x) { return pow(x[0], 0.5); }, one, floats()},
      {"to the power of a half", [](T x) { return pow(x[0], -0.5); }, one, floats()},
      {"reciprocal root", [](T x) { return 1 / sqrt(x[0]); }, one, floats()},
      {"negated twice", [](T x) { return -(-x[0]); }, one, numbers()},
      {"conjugated twice", [](T x) { return conj(conj(x[0])); }, one, {c64}},
      {"magnitude of a magnitude", [](T x) { return abs(-x[0]); }, one, signed_numbers},
      {"magnitude of a magnitude", [](T x) { return abs(abs(x[0])); }, one, numbers()},
      {"magnitude of a magnitude", [](T x) { return abs(exp(x[0])); }, one, {f32, f64}},
      {"relu of what is positive", [](T x) { return relu(relu(x[0])); }, one, reals()},
      {"relu of what is positive", [](T x) { return relu(sigmoid(x[0])); }, one, {f32, f64}},
      {"whole number rounded", [](T x) { return floor(ceil(x[0])); }, one, reals()},
      {"whole number rounded", [](T x) { return round(cast(cast(x[0], i32), f32)); }, one, integers()},
      {"sign of a sign", [](T x) { return sign(sign(x[0])); }, one, reals()},
      {"extremum with a limit", [](T x) { return maximum(x[0], x[0]); }, one, reals()},
      {"extremum with a limit", [](T x) { return maximum(x[0], -infinity); }, one, floats()},
      {"extremum with a limit", [](T x) { return minimum(infinity, x[0]); }, one, floats()},
      {"extremum with a limit", [](T x) { return maximum(abs(x[0]), -1); }, one, floats()},
      {"extremum with a limit", [](T x) { return maximum(x[0], 0); }, one, unsigned_integers},
      {"extremum with a limit", [](T x) { return minimum(x[0], 127); }, one, {i8}},
      {"logarithm of softmax", [](T x) { return log(softmax(tanh(x[0]) * 3, -1)); }, matrix, {f32, f64}},
  };
}

std::vector<RuleCase> logic_cases() {
  return {
      {"constant compared", [](T x) { return less(1, x[0]); }, one, ordered()},
      {"constant compared", [](T x) { return greater_equal(1, x[0]); }, one, ordered()},
      {"compared with itself", [](T x) { return less(x[0], x[0]); }, one, ordered()},
      {"compared with itself", [](T x) { return greater_equal(x[0], x[0]); }, one, integers()},
      {"compared with itself", [](T x) { return not_equal(x[0], x[0]); }, one, bits()},
      {"unsigned against zero", [](T x) { return x[0] >= 0; }, one, unsigned_integers},
      {"unsigned against zero", [](T x) { return x[0] < 0; }, one, unsigned_integers},
      {"truth compared", [](T x) { return equal(x[0], true); }, one, booleans},
      {"truth compared", [](T x) { return not_equal(x[0], true); }, one, booleans},
      {"truth compared", [](T x) { return cast(x[0], f32) > 0; }, one, booleans},
      {"truth compared", [](T x) { return cast(x[0], i32) >= 2; }, one, booleans},
      {"comparison inverted", [](T x) { return logical_not(x[0] < x[1]); }, two, integers()},
      {"comparison inverted", [](T x) { return logical_not(equal(x[0], x[1])); }, two, all_types()},
      {"inverted twice", [](T x) { return logical_not(logical_not(x[0])); }, one, booleans},
      {"inverted twice", [](T x) { return bit_not(bit_not(x[0])); }, one, bits()},
      {"select by a constant", [](T x) { return select(true, x[0], x[1]); }, two, all_types()},
      {"select by a constant", [](T x) { return select(false, x[0], x[1]); }, two, all_types()},
      {"select of equals", [](T x) { return select(equal(x[1], x[1]), x[0], x[0]); }, two, all_types()},
      {"select by an inverse", [](T x) { return select(logical_not(x[0] < x[1]), x[0], x[1]); }, two, ordered()},
      {"select of one and zero", [](T x) { return select(x[0] < x[1], number(x[0], 1), 0); }, two, {f32}},
      {"select of one and zero",
       [](T x) {
         return select(x[0] < x[1], 0, number(x[0], 1, {1, 1, 1}));
       },
       two,
       {f32}},
      {"select in a select",
       [](T x) {
         const Tensor c = x[0] < x[1];
         return select(c, select(c, x[0], x[1]), x[0] + x[1]);
       },
       two, reals()},
      {"select in a select",
       [](T x) {
         const Tensor c = x[0] < x[1];
         return select(c, x[1], select(c, x[0], x[1]));
       },
       two, ordered()},
      {"bits with a constant", [](T x) { return bit_and(x[0], 0); }, one, integers()},
      {"bits with a constant", [](T x) { return bit_or(0, x[0]); }, one, integers()},
      {"bits with a constant", [](T x) { return bit_xor(x[0], 0); }, one, integers()},
      {"bits with a constant", [](T x) { return bit_and(x[0], -1); }, one, {i32, i64, i16, i8}},
      {"bits with a constant", [](T x) { return bit_xor(x[0], -1); }, one, {i32, i64, i16, i8}},
      {"bits with a constant", [](T x) { return bit_or(x[0], 255); }, one, {u8}},
      {"bits with a constant", [](T x) { return logical_and(x[0], true); }, one, booleans},
      {"bits with a constant", [](T x) { return logical_or(true, x[0]); }, one, booleans},
      {"bits with a constant", [](T x) { return logical_xor(x[0], true); }, one, booleans},
      {"bits with themselves", [](T x) { return bit_and(x[0], x[0]); }, one, bits()},
      {"bits with themselves", [](T x) { return bit_or(x[0], x[0]); }, one, bits()},
      {"bits with themselves", [](T x) { return bit_xor(x[0], x[0]); }, one, bits()},
      {"shifted by zero", [](T x) { return shift_left(x[0], 0); }, one, integers()},
      {"shifted by zero", [](T x) { return shift_right(x[0], 0); }, one, integers()},
      {"cast to its own type",
       [](T x) {
         return apply("cast", {x[0]}, {{"dtype", x[0].dtype()}});
       },
       one, all_types()},
      {"cast twice", [](T x) { return cast(cast(x[0], f64), x[0].dtype()); }, one, {f32, f16, bf16, i32, u32, i8, boolean}},
      {"cast twice", [](T x) { return cast(cast(x[0], f32), i32); }, one, {f16, bf16, i8, u16, boolean}},
      {"cast twice", [](T x) { return cast(cast(x[0], i64), u8); }, one, bits()},
      {"cast twice", [](T x) { return cast(cast(x[0], u16), i16); }, one, {i16, i32, u64, i8, u8}},
      {"cast twice", [](T x) { return cast(cast(x[0], c64), f16); }, one, {f32, f16, i8}},
      {"bitcast twice", [](T x) { return bitcast(bitcast(x[0], u32), i32); }, one, {f32, i32}},
      {"bitcast twice", [](T x) { return bitcast(bitcast(x[0], u16), x[0].dtype()); }, one, {f16, bf16, i16}},
  };
}

std::vector<RuleCase> movement_cases_of_rules() {
  const auto& all = all_types();
  return {
      {"to its own shape", [](T x) { return reshape(x[0], x[0].shape()); }, one, all},
      {"to its own shape", [](T x) { return broadcast_to(x[0], x[0].shape()); }, one, all},
      {"reshape of a reshape",
       [](T x) {
         return reshape(flatten(x[0], 0), {dynamic, 1});
       },
       matrix, all},
      {"transpose of nothing",
       [](T x) {
         return transpose(x[0], {0, 1});
       },
       matrix, all},
      {"transpose of ones",
       [](T x) {
         return transpose(x[0], {1, 0, 2});
       },
       {{{1, 7, 3}}, {{5, 1, 2}}, {{1, 0, 4}}},
       all},
      {"transpose of a transpose",
       [](T x) {
         return transpose(transpose(x[0], {2, 0, 1}), {1, 0, 2});
       },
       {{{2, 3, 5}}, {{1, 0, 7}}},
       all},
      {"transpose of a transpose", [](T x) { return transpose(transpose(x[0], 0, 1), 0, 1); }, matrix, all},
      {"broadcast of ones",
       [](T x) {
         return broadcast_to(x[0], {1, dynamic, dynamic});
       },
       matrix, all},
      {"broadcast of a broadcast",
       [](T x) {
         return spread(spread(x[0], {3, 7}), {2, 3, 7});
       },
       {{{7}}, {{1, 7}}, {{3, 1}}, {{}}},
       all},
      {"broadcast of a broadcast",
       [](T x) {
         return spread(expand_dims(x[0], {0}), {5, 2, 7});
       },
       {{{2, 7}}, {{1, 1}}},
       all},
      {"elementwise of broadcasts",
       [](T x) {
         return x[0] + spread(x[1], {3, 7});
       },
       {{{3, 7}, {7}}, {{1, 7}, {3, 1}}, {{3, 1}, {}}},
       numbers()},
      {"elementwise of broadcasts",
       [](T x) {
         return -spread(x[0], {2, 3, 7});
       },
       {{{3, 7}}, {{1}}, {{}}},
       numbers()},
      {"elementwise of broadcasts",
       [](T x) {
         return select(spread(x[0] < x[1], {3, 7}), spread(x[0], {3, 7}), x[1]);
       },
       {{{7}, {1, 7}}},
       ordered()},
      {"elementwise of broadcasts",
       [](T x) {
         return cast(spread(x[0], {4, 7}), i32);
       },
       {{{7}}, {{1}}},
       all},
      {"slice of a slice", [](T x) { return slice(slice(x[0], 1, 1, 4), 1, 1, 2); }, {{{3, 7}}, {{1, 5}}}, all},
      {"slice of a slice",
       [](T x) {
         return reverse(reverse(x[0], {0, 1}), {1});
       },
       matrix, all},
      {"slice of a slice",
       [](T x) {
         const Tensor strided = slice(x[0], {.begin = {-1, 1}, .end = {0, 12}, .stride = {-2, 3}, .end_mask = 1});
         return slice(strided, {.begin = {1, 0}, .end = {9, 9}, .stride = {1, 2}});
       },
       {{{7, 13}}, {{9, 31}}},
       all},
      {"slice of a broadcast",
       [](T x) {
         return slice(spread(x[0], {3, 5, 7}), {.begin = {1, 1, 6}, .end = {3, 3, 0}, .stride = {1, 1, -2}});
       },
       {{{5, 7}}, {{5, 1}}, {{7}}, {{}}, {{3, 1, 1}}},
       all},
      {"slice of a pad",
       [](T x) {
         return slice(pad(x[0], {2, 1}, {3, 4}), {.begin = {3, 1}, .end = {5, 4}});
       },
       {{{4, 7}}, {{3, 3}}},
       all},
      {"slice of a pad",
       [](T x) {
         return slice(pad(x[0], {2, 1}, {3, 4}), 0, 0, 2);
       },
       {{{4, 7}}, {{3, 0}}},
       all},
      {"slice of a pad",
       [](T x) { return slice(pad(x[0], {2}, {3}, {.interior = {2}}), {.begin = {-4}, .end = {1}, .stride = {-3}}); },
       {{{5}}, {{4}}},
       all},
      {"slice of a product of a row", [](T x) { return slice(matmul(x[0], x[1]) + x[2], 1, 2, 3); }, {{{1, 4}, {4, 7}, {7}}}, numbers()},
      {"slice of a product of a row",
       [](T x) {
         return slice(x[2] + (matmul(x[0], x[1], {.transpose_b = true}) + matmul(x[0], x[3])),
                      {.begin = {0, 0, 6}, .end = {1, 1, 0}, .stride = {1, 1, -2}});
       },
       {{{1, 1, 4}, {7, 4}, {1}, {1, 4, 7}}},
       {f32, i32}},
      {"slice of a concat",
       [](T x) {
         return slice(concat({x[0], x[1], x[0]}, 0), 0, 4, 2);
       },
       {{{3, 2}, {7, 2}}},
       all},
      {"slice of a concat",
       [](T x) {
         return reverse(slice(concat({x[0], x[1], x[0]}, 1), 1, 1, 5), {1});
       },
       {{{2, 3}, {2, 4}}, {{1, 2}, {1, 7}}},
       all},
      {"pad of nothing",
       [](T x) {
         return pad(x[0], {0, 0}, {0, 0});
       },
       matrix, all},
      {"pad of a pad",
       [](T x) {
         const Tensor value = slice(x[0], {.begin = {0, 0}, .end = {1, 1}, .squeeze_mask = 3});
         return pad(pad(x[0], {1, 0}, {2, 1}, {.value = value}), {0, 3}, {1, 1}, {.value = value});
       },
       matrix, all},
      {"sum of pads",
       [](T x) {
         return pad(x[0], {2, 1}, {3, 2}) + pad(x[1], {2, 5}, {3, 0});
       },
       {{{3, 4}, {3, 2}}, {{1, 4}, {1, 2}}},
       numbers()},
      {"sum of pads", [](T x) { return pad(x[0], {3}, {1}) + pad(x[1], {0}, {2}) + pad(x[0], {4}, {0}); }, {{{1}, {3}}}, numbers()},
      {"concat of concats",
       [](T x) {
         return concat({x[0], concat({x[1], x[0]}, 0), x[1]}, 0);
       },
       {{{3, 2}, {1, 2}}, {{5}, {7}}},
       all},
      {"concat of neighbours",
       [](T x) {
         return concat({slice(x[0], 0, 1, 2), slice(x[0], 0, 3, 1), x[0], slice(x[0], 0, 0, 1)}, 0);
       },
       {{{5, 2}}, {{4}}},
       all},
      {"concat of neighbours",
       [](T x) {
         return concat(split(reverse(x[0], {0, 1}), 3, 1), 1);
       },
       {{{2, 7}}, {{1, 31}}},
       all},
      {"gather of a range",
       [](T x) {
         return gather(x[0], places(x[0], {4, 3, 2}), 1);
       },
       {{{2, 5}}, {{3, 7, 2}}},
       all},
      {"gather of a range", [](T x) { return gather(x[0], place(x[0], 2), 0); }, {{{3, 5}}, {{4}}}, all},
      {"gather of a range", [](T x) { return gather(x[0], counted(x[0], 3), 0); }, {{{3, 5}}, {{4}}}, all},
  };
}

std::vector<RuleCase> reduction_cases_of_rules() {
  const std::vector<Shapes> thin{{{7, 1}}, {{7, 1, 3}}, {{1, 1}}, {{0, 1}}};
  return {
      {"reduction of single elements", [](T x) { return sum(x[0], 1); }, thin, numbers()},
      {"reduction of single elements",
       [](T x) {
         return max(x[0], {0, 1}, {.keep = true});
       },
       {{{7, 1}}, {{1, 5}}, {{1, 1, 2}}},
       reals()},
      {"reduction of single elements",
       [](T x) {
         return nanmin(x[0], {0, 1});
       },
       {{{7, 1}}, {{1, 5}}},
       reals()},
      {"reduction of single elements", [](T x) { return prod(x[0], 1); }, thin, numbers()},
      {"reduction of single elements", [](T x) { return all(x[0], 1); }, thin, booleans},
      {"place of a single element", [](T x) { return argmax(x[0], 1); }, thin, ordered()},
      {"place of a single element", [](T x) { return argmin(x[0], 1, {.keep = true}); }, {{{7, 1}}}, ordered()},
      {"reduction of a broadcast",
       [](T x) {
         return sum(spread(x[0], {3, 5, 7}), {0, 2});
       },
       {{{7}}, {{5, 1}}, {{}}, {{3, 1, 1}}},
       reals()},
      {"reduction of a broadcast",
       [](T x) {
         return sum(spread(x[0], {5, 7}), 0, {.keep = true});
       },
       {{{7}}, {{1, 1}}},
       reals()},
      {"reduction of a broadcast",
       [](T x) {
         return min(spread(x[0], {3, 5, 7}), {0, 2});
       },
       {{{7}}, {{5, 1}}, {{}}},
       reals()},
      {"reduction of a broadcast",
       [](T x) {
         return any(spread(x[0], {5, 7}));
       },
       {{{7}}, {{}}},
       booleans},
      {"reduction of the negated", [](T x) { return sum(-x[0], 1); }, matrix, numbers()},
      {"reduction of the negated", [](T x) { return max(-x[0], 0); }, matrix, floats()},
      {"reduction of the negated", [](T x) { return nanmin(-x[0], 1); }, matrix, floats()},
  };
}

/// Where x is more than a number, the gradient x[1] of its largest elements.
Tensor masked_gradient(T x, double above, const std::vector<std::int64_t>& window, const PoolOptions& options) {
  return select(x[0] > above, max_pool_gradient(x[1], x[0], window, options), 0);
}

std::vector<RuleCase> pooling_cases() {
  const PoolOptions overlapping{.strides = {1, 2}, .padding = Padding::same};
  const std::vector<Shapes> apart{{{4, 6}, {2, 2}}, {{2, 3}, {1, 1}}, {{0, 3}, {0, 1}}}, together{{{5, 7}, {5, 4}}, {{1, 1}, {1, 1}}};
  return {
      {"mask of a pooling gradient",
       [](T x) {
         return masked_gradient(x, 0, {2, 3}, {});
       },
       apart, floats()},
      {"mask of a pooling gradient",
       [](T x) {
         return masked_gradient(x, -2, {2, 3}, {});
       },
       apart,
       {i32, f32}},
      {"mask of a pooling gradient",
       [=](T x) {
         return masked_gradient(x, 1, {3, 2}, overlapping);
       },
       together,
       {f32, f64, i8}},
      {"sum of a pooling gradient",
       [=](T x) {
         const Tensor dy = select(max_pool(x[0], {2, 3}) > 0, x[1], 0);
         return sum(max_pool_gradient(dy, x[0], {2, 3}), {0, 1});
       },
       apart,
       {f32, f64, i32}},
      {"sum of a pooling gradient",
       [=](T x) {
         const Tensor dy = select(max_pool(x[0], {3, 2}, overlapping) > 0, x[1], 0);
         return sum(max_pool_gradient(dy, x[0], {3, 2}, overlapping), {0, 1}, {.keep = true});
       },
       together,
       {f32, f64, i32}},
      {"sum of a pooling gradient",
       [](T x) {
         const Tensor dy = select(max_pool(x[0], {1, 3}) > 0, x[1], 0);
         return sum(max_pool_gradient(dy, x[0], {1, 3}), 1);
       },
       {{{4, 6}, {4, 2}}},
       {f32}},
  };
}

std::vector<RuleCase> rule_cases() {
  std::vector<RuleCase> all;
  for (auto family : {arithmetic_cases, logic_cases, movement_cases_of_rules, reduction_cases_of_rules, pooling_cases})
    for (auto& c : family()) all.push_back(std::move(c));
  return all;
}

/// Random values, every third one special.
NDArray values(DType dtype, const Shape& shape, std::uint64_t seed) {
  NDArray mixed = sample(anything(), dtype, shape, seed);
  if (is_complex(dtype)) return mixed;
  const NDArray special = special_values(dtype);
  visit_dtype(dtype, [&](auto zero) {
    using E = decltype(zero);
    const auto from = special.elements<E>();
    auto to = mixed.elements<E>();
    for (std::size_t i = 0; i < to.size(); i += 3) to[i] = from[(i / 3 + seed) % from.size()];
  });
  return mixed;
}

RunOptions without_all_but(std::string_view kept, Backend backend) {
  RunOptions options{.backend = backend};
  for (const auto& rule : rules())
    if (rule.name != kept) options.without.emplace_back(rule.name);
  return settled(options);
}

const Rule& rule_named(std::string_view name) { return *std::ranges::find(rules(), name, &Rule::name); }

/// The same bits; any NaN is as good as another.
void expect_same_bits(const NDArray& expected, const NDArray& got) {
  ASSERT_EQ(expected.type(), got.type());
  EXPECT_TRUE(agree(expected, got));
  visit_dtype(expected.dtype(), [&](auto zero) {
    using E = decltype(zero);
    const auto left = expected.elements<E>(), right = got.elements<E>();
    for (std::size_t i = 0; i < left.size(); ++i) {
      if constexpr (std::is_same_v<E, std::complex<float>>) continue;
      else if (left[i] != left[i]) continue;
      EXPECT_EQ(std::memcmp(&left[i], &right[i], sizeof(E)), 0) << "element " << i << " differs, if only in the sign of zero";
    }
  });
}

class Rules : public ::testing::TestWithParam<RuleCase> {};

TEST_P(Rules, GiveTheSameResults) {
  const RuleCase& c = GetParam();
  const Rule& rule = rule_named(c.rule);
  std::uint64_t seed = 0;
  for (auto dtype : c.dtypes)
    for (const auto& shapes : c.shapes) {
      Graph g;
      Tensors inputs;
      Feeds feeds;
      for (const auto& shape : shapes) {
        inputs.push_back(g.placeholder(shape, dtype));
        feeds.emplace(inputs.back(), values(dtype, shape, ++seed));
      }
      const Tensor y = c.build(inputs);
      SCOPED_TRACE(g.str());
      std::vector<NamedBackend> backends{{"reference", Backend::reference}};
      if (&shapes == &c.shapes[0]) backends.insert(backends.end(), compiling_backends().begin(), compiling_backends().end());
      for (const auto& [name, backend] : backends) {
        SCOPED_TRACE(name);
        const NDArray expected = g.run(feeds, {y}, {}, without_all_but("", backend))[0];
        const NDArray got = g.run(feeds, {y}, {}, without_all_but(c.rule, backend))[0];
        const Tolerance tolerance{.ulp = rule.ulp, .scale = rule.scale};
        if (rule.ulp == 0 && rule.scale == 0) expect_same_bits(expected, got);
        else EXPECT_TRUE(agree(expected, got, tolerance));
      }
      if (HasFailure()) return;
    }
}

TEST_P(Rules, AreApplied) {
  const RuleCase& c = GetParam();
  Graph g;
  Tensors inputs;
  std::vector<FeedType> feeds;
  for (const auto& shape : c.shapes[0]) inputs.push_back(g.placeholder(shape, c.dtypes[0]));
  const Tensor y = c.build(inputs);
  for (const auto& x : inputs)
    if (g.str().find("(%" + std::to_string(x.node())) != std::string::npos || g.str().find(", %" + std::to_string(x.node())) != std::string::npos)
      feeds.push_back({x, x.type()});
  const Program program = specialize(*g.state(), feeds, std::vector<Tensor>{y}, {});
  const auto simplified = [&](std::string_view kept) {
    const RunOptions options = without_all_but(kept, Backend::reference);
    // Rules look for one value used twice.
    return drop_unused(apply_rules(merge_identical(program, options), options), options).str();
  };
  EXPECT_NE(simplified(c.rule), simplified("")) << simplified("");
}

INSTANTIATE_TEST_SUITE_P(All, Rules, ::testing::ValuesIn(rule_cases()), [](const auto& info) {
  std::string name = info.param.rule + " " + std::to_string(info.index);
  std::ranges::replace(name, ' ', '_');
  return name;
});

TEST(RuleTable, HasACaseForEveryRule) {
  std::set<std::string> covered;
  for (const auto& c : rule_cases()) covered.insert(c.rule);
  for (const auto& rule : rules()) EXPECT_TRUE(covered.contains(std::string(rule.name))) << rule.name;
}

TEST(RuleTable, HasEachNameOnceAndNoCommaInIt) {
  std::set<std::string_view> names;
  for (const auto& s : switches()) {
    EXPECT_TRUE(names.insert(s.name).second) << s.name;
    EXPECT_EQ(s.name.find(','), std::string_view::npos);
    EXPECT_FALSE(s.statement.empty()) << s.name;
  }
}

TEST(RuleTable, NamesOperationsThatThereAre) {
  for (const auto& rule : rules())
    for (std::size_t start = 0, end = 0; start < rule.ops.size(); start = end + 1) {
      end = std::min(rule.ops.find(' ', start), rule.ops.size());
      const auto word = rule.ops.substr(start, end - start);
      EXPECT_TRUE(word.ends_with('*') || find_primitive(word)) << rule.name << ": " << word;
    }
}

TEST(RuleTable, ComesToAnEndWhereAllIsConstant) {
  Graph g;
  const Tensor c = g.constant(2, {}, i32), d = g.constant(3, {}, i32);
  const RunOptions options{.backend = Backend::reference, .without = {"fold constants"}};
  EXPECT_EQ(g.run({}, {((c + d) + c) + (d + c)}, {}, options)[0].str(), "i32[] 12");
}

// Switches ----------------------------------------------------------------------------------------------------------------

TEST(Switches, LeaveOutWhatTheOptionsName) {
  Graph g;
  const Tensor x = g.placeholder({3}), y = x * 1;
  const std::vector<FeedType> feeds{{x, {f32, {3}}}};
  const auto count = [&](const RunOptions& options) {
    const std::string dump = g.compile(feeds, std::vector<Tensor>{y}, {}, options).dump();
    return dump.substr(dump.rfind("== drop unused")).find("mul(") != std::string::npos;
  };
  EXPECT_FALSE(count({}));
  EXPECT_TRUE(count({.without = {"times one"}}));
}

TEST(Switches, AreReadFromTheEnvironmentToo) {
  ::setenv("WEFT_WITHOUT", "times one, plus zero,times one", 1);
  const RunOptions options = settled({.without = {"minus zero"}});
  ::unsetenv("WEFT_WITHOUT");
  EXPECT_EQ(options.without, (std::vector<std::string>{"minus zero", "plus zero", "times one"}));
  EXPECT_FALSE(is_on(options, "times one"));
  EXPECT_TRUE(is_on(options, "times zero"));
}

TEST(Switches, HaveNothingTriedWhereTheEnvironmentSaysSo) {
  EXPECT_TRUE(settled({}).measure);
  ::setenv("WEFT_CUDA_MEASURE", "0", 1);
  const RunOptions options = settled({});
  ::unsetenv("WEFT_CUDA_MEASURE");
  EXPECT_FALSE(options.measure);
}

TEST(Switches, OfUnknownNamesAreRefused) {
  Graph g;
  const Tensor x = g.placeholder({3});
  const auto run = [&] { g.run({{x, NDArray(f32, {3})}}, {x + 1}, {}, {.without = {"times two"}}); };
  expect_error<RunError>(run,
                         "there is no rule \"times two\" to do without; the rules are channels last, fold constants, fold transposes, join products, "
                         "lay out matrices, merge identical, trust indices, unroll loops, plus zero, ");
}

TEST(Switches, MakeAnExecutableOfItsOwn) {
  Graph g;
  const Tensor x = g.placeholder({3}), y = x * 1;
  const Feeds feeds{{x, NDArray(f32, {3})}};
  g.run(feeds, {y});
  g.run(feeds, {y}, {}, {.without = {"times one"}});
  g.run(feeds, {y}, {}, {.without = {"times one", "times one"}});
  EXPECT_EQ(g.cache_statistics().misses, 2u);
  EXPECT_EQ(g.cache_statistics().hits, 1u);
}

}  // namespace
}  // namespace weft::rules_test
