#include <weft/elementwise.h>
#include <weft/matmul.h>
#include <weft/movement.h>

#include "evaluated.h"

namespace weft::matmul_test {
namespace {

TEST(Matmul, MultipliesRowsByColumns) {
  FedGraph f;
  const Tensor a = f.fed({2, 3}, counting({2, 3})), b = f.fed({3, 2}, counting({3, 2}));
  EXPECT_EQ(f.value(matmul(a, b)), "i32[2,2] [[10, 13], [28, 40]]");
}

TEST(Matmul, TransposesEitherSide) {
  FedGraph f;
  const Tensor a = f.fed({2, 3}, counting<float>({2, 3})), b = f.fed({3, 4}, counting<float>({3, 4}));
  const Tensor at = transpose(a, 0, 1), bt = transpose(b, 0, 1);
  const std::string product = f.value(matmul(a, b));
  EXPECT_EQ(product, "f32[2,4] [[20, 23, 26, 29], [56, 68, 80, 92]]");
  EXPECT_EQ(f.value(matmul(at, b, {.transpose_a = true})), product);
  EXPECT_EQ(f.value(matmul(a, bt, {.transpose_b = true})), product);
  EXPECT_EQ(f.value(matmul(at, bt, {.transpose_a = true, .transpose_b = true})), product);
}

TEST(Matmul, BatchesBroadcast) {
  FedGraph f;
  const Tensor a = f.fed({2, 1, 1, 2}, counting({2, 1, 1, 2})), b = f.fed({3, 2, 1}, counting({3, 2, 1}));
  EXPECT_EQ(f.value(matmul(a, b)), "i32[2,3,1,1] [[[[1]], [[3]], [[5]]], [[[3]], [[13]], [[23]]]]");
}

TEST(Matmul, VectorsAreRowsOnTheLeftAndColumnsOnTheRight) {
  FedGraph f;
  const Tensor v = f.g.constant(counting({2})), m = f.g.constant(counting({2, 3})), w = f.g.constant(counting({3}));
  EXPECT_EQ(f.value(matmul(v, m)), "i32[3] [3, 4, 5]");
  EXPECT_EQ(f.value(matmul(m, w)), "i32[2] [5, 14]");
  EXPECT_EQ(f.value(matmul(w, w)), "i32[] 5");
  EXPECT_EQ(f.value(matmul(f.g.constant(counting({4, 2, 3})), w)), "i32[4,2] [[5, 14], [23, 32], [41, 50], [59, 68]]");
}

TEST(Matmul, KeepsTheTypeAndIntegersWrap) {
  FedGraph f;
  EXPECT_EQ(f.value(matmul(f.g.constant(16.0, {1, 2}, u8), f.g.constant(9.0, {2, 1}, u8))), "u8[1,1] [[32]]");
  const Tensor big = f.g.constant(Scalar(std::int64_t{1} << 62), {1, 2}, i64), three = f.g.constant(3.0, {2, 1}, i64);
  EXPECT_EQ(f.value(matmul(big, three)), "i64[1,1] [[-9223372036854775808]]");
  const Tensor ones = f.g.constant(Scalar(~std::uint64_t{0}), {1, 3}, u64);
  EXPECT_EQ(f.value(matmul(ones, ones, {.transpose_b = true})), "u64[1,1] [[3]]");
  const Tensor z = f.g.constant(NDArray::of<std::complex<float>>({1, 1}, {{0, 1}}));
  EXPECT_EQ(f.value(matmul(z, z)), "c64[1,1] [[-1+0i]]");
}

TEST(Matmul, SumsHalvesInFullPrecision) {
  FedGraph f;
  const Tensor ones = f.g.constant(1.0, {1, 4096}, f16), tiny = f.g.constant(0x1p-12, {4096, 1}, f16);
  EXPECT_EQ(f.value(matmul(ones, tiny)), "f16[1,1] [[1]]");
}

TEST(Matmul, EmptyMatricesGiveEmptyOrZeroResults) {
  FedGraph f;
  EXPECT_EQ(f.value(matmul(f.g.constant(1.0, {2, 0}), f.g.constant(1.0, {0, 2}))), "f32[2,2] [[0, 0], [0, 0]]");
  EXPECT_EQ(f.g.run({}, {matmul(f.g.constant(1.0, {0, 3}), f.g.constant(1.0, {3, 2}))})[0].shape(), (Shape{0, 2}));
  EXPECT_EQ(f.g.run({}, {matmul(f.g.constant(1.0, {0, 2, 3}), f.g.constant(1.0, {3, 2}))})[0].shape(), (Shape{0, 2, 2}));
}

TEST(Matmul, UnknownSizesAreFoundWhenFed) {
  FedGraph f;
  const Tensor a = f.fed({dynamic, dynamic}, counting({2, 3})), b = f.fed(Shape::unranked(), counting({3, 1}));
  EXPECT_EQ(matmul(a, f.g.placeholder({dynamic, 4}, i32)).type().str(), "i32[?,4]");
  EXPECT_EQ(matmul(a, b).type().str(), "i32[...]");
  EXPECT_EQ(f.value(matmul(a, b)), "i32[2,1] [[5], [14]]");
}

TEST(Matmul, ErrorsNameTheOperandsAndWhatMustAgree) {
  FedGraph f;
  const Tensor a = f.g.placeholder({dynamic, 3}), b = f.g.placeholder({4, 5});
  f.g.scope("logits", [&] {
    expect_error<GraphError>(
        [&] { matmul(a, b); },
        "matmul \"logits\": operands f32[?,3] and f32[4,5]: the left one has 3 columns, the right one 4 rows; they must agree (at matmul_test.cpp:");
  });
  expect_error<GraphError>([&] { matmul(b, a, {.transpose_a = true, .transpose_b = true}); },
                           "operands f32[4,5] (transposed) and f32[?,3] (transposed): the left one has 4 columns");
  expect_error<GraphError>(
      [&] {
        matmul(f.g.placeholder({2, 1, 3}), f.g.placeholder({4, 3, 1}));
      },
      "the dimensions before the last two do not broadcast");
  expect_error<GraphError>([&] { matmul(f.g.placeholder({}), b); }, "operand f32[] is not a matrix");
  expect_error<GraphError>([&] { matmul(a, f.g.placeholder({3, 1}, f16)); }, "have different element types; cast one of them");
  expect_error<GraphError>([&] { matmul(f.g.placeholder({1, 1}, boolean), f.g.placeholder({1, 1}, boolean)); }, "expects a number");
}

TEST(Matmul, DerivativesAreProductsSummedOverRepeatedBatches) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      FedGraph f;
      const NDArray av = counting<double>({2, 1, 3, 4}), bv = counting<double>({5, 4, 2}), cv = counting<double>({2, 5, 3, 2});
      const Tensor a = f.fed({dynamic, 1, dynamic, dynamic}, ta ? av.transpose(2, 3) : av),
                   b = f.fed({5, dynamic, dynamic}, tb ? bv.transpose(1, 2) : bv), c = f.fed({2, 5, 3, 2}, cv);
      const Tensor y = matmul(a, b, {.transpose_a = ta, .transpose_b = tb});
      const auto grads = f.g.gradients(y * c, {a, b});
      // y is linear in a and in b: <dy/da, a> = <dy/db, b> = <c, y>.
      const Tensor terms[] = {y * c, grads[0] * a, grads[1] * b};
      const RunResult r = f.g.run(f.feeds, terms);
      double sums[3] = {};
      for (std::size_t i = 0; i < 3; ++i)
        for (double v : r[i].dense().elements<double>()) sums[i] += v;
      EXPECT_EQ(r[1].shape(), (ta ? av.transpose(2, 3) : av).shape());
      EXPECT_EQ(r[2].shape(), (tb ? bv.transpose(1, 2) : bv).shape());
      EXPECT_EQ(sums[1], sums[0]);
      EXPECT_EQ(sums[2], sums[0]);
    }
}

TEST(Matmul, SecondDerivativesExist) {
  FedGraph f;
  const Tensor a = f.fed({1, 2}, NDArray::of<double>({1, 2}, {3, 5})), b = f.fed({2, 1}, NDArray::of<double>({2, 1}, {7, 11}));
  const Tensor da = f.g.gradients(square(matmul(a, b)), {a})[0];  // 2 (ab) b
  EXPECT_EQ(f.value(da), "f64[1,2] [[1064, 1672]]");
  EXPECT_EQ(f.value(f.g.gradients(da, {a})[0]), "f64[1,2] [[252, 396]]");  // 2 (b0 + b1) b
}

}  // namespace
}  // namespace weft::matmul_test
