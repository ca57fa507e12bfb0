// What products read without a copy of it being made.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <functional>

#include "compare.h"
#include "compile/backend.h"

namespace weft {
namespace {

/// The runs' kernels besides the product, and its result on both backends.
void expect_product_alone(Shape first, Shape second, const std::function<Tensor(Tensor, Tensor)>& build) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  Graph g;
  const Tensor a = g.placeholder(first, f32), b = g.placeholder(second, f32), y = build(a, b);
  NDArray left(f32, first), right(f32, second);
  float v = 0;
  for (NDArray* array : {&left, &right})
    for (auto& e : array->elements<float>()) e = v = v > 1 ? v - 2 : v + 0.37f;
  const auto s = g.compile({{a, left.type()}, {b, right.type()}}, {y}, {}, {.backend = Backend::cpu}).statistics();
  EXPECT_EQ(s.kernels + s.library_calls, 1);
  const Feeds feeds{{a, left}, {b, right}};
  const NDArray expected = g.run(feeds, {y}, std::span<const Operation>{}, {.backend = Backend::reference})[0];
  EXPECT_TRUE(agree(expected, g.run(feeds, {y}, std::span<const Operation>{}, {.backend = Backend::cpu})[0], {.ulp = 4, .scale = 50}));
}

TEST(Layout, TransposedOperandsAreMultipliedAsTheyLie) {
  expect_product_alone({50, 40}, {50, 60}, [](Tensor a, Tensor b) { return matmul(transpose(a, 0, 1), b); });
  expect_product_alone({40, 50}, {60, 50}, [](Tensor a, Tensor b) { return matmul(a, transpose(b, 0, 1)); });
  expect_product_alone({3, 50, 40}, {3, 50, 60}, [](Tensor a, Tensor b) { return matmul(transpose(b, 1, 2), a); });
  expect_product_alone({40, 50}, {60, 50}, [](Tensor a, Tensor b) { return matmul(transpose(a, 0, 1), transpose(b, 0, 1), {.transpose_a = true}); });
}

TEST(Layout, AProductIsMadeTransposed) {
  expect_product_alone({40, 50}, {50, 60}, [](Tensor a, Tensor b) { return transpose(matmul(a, b), 0, 1); });
  expect_product_alone({3, 50, 40}, {3, 50, 60}, [](Tensor a, Tensor b) { return transpose(matmul(a, b, {.transpose_a = true}), 1, 2); });
}

TEST(Layout, MatricesThatABatchSharesAreNotRepeated) {
  expect_product_alone({4, 30, 50}, {50, 60}, [](Tensor a, Tensor b) { return matmul(a, broadcast_to(b, {4, 50, 60})); });
  expect_product_alone({4, 30, 50}, {1, 60, 50}, [](Tensor a, Tensor b) { return matmul(a, transpose(broadcast_to(b, {4, 60, 50}), 1, 2)); });
}

TEST(Layout, ARepetitionThatMakesTheBatchStays) {
  Graph g;
  const Tensor a = g.placeholder({30, 50}, f32), b = g.placeholder({50, 60}, f32);
  const Tensor y = matmul(broadcast_to(a, {4, 30, 50}), broadcast_to(b, {4, 50, 60}));
  NDArray left(f32, {30, 50}), right(f32, {50, 60});
  EXPECT_EQ(g.run({{a, left}, {b, right}}, {y})[0].shape(), (Shape{4, 30, 60}));
}

}  // namespace
}  // namespace weft
