// What products and convolutions read without a copy of it being made.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <functional>

#include "compare.h"
#include "compile/backend.h"
#include "descriptions.h"

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

/// A network whose channels come first, with what moves or reduces dimensions between its convolutions, and a step of its training.
TEST(Layout, NoTransposeIsLeftBetweenConvolutions) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  Graph g;
  const Shape shape{4, 3, 12, 12};
  const Tensor x = g.placeholder(shape, f32);
  const ConvOptions options{.padding = Padding::same, .layout = "NCHW", .weights_layout = "OIHW"};
  auto weights = [&](Shape s) { return g.variable(init::uniform(std::move(s), -0.5f, 0.5f)); };
  Tensor y = relu(conv2d(x, weights({16, 3, 3, 3}), options) + weights({16, 1, 1}));
  y = concat({y, max_pool2d(y, {3}, {.strides = {1}, .padding = Padding::same, .layout = "NCHW"})}, 1);
  const Tensor centred = y - mean(y, {0, 2, 3}, {.keep = true});
  y = centred * rsqrt(mean(square(centred), {0, 2, 3}, {.keep = true}) + 1e-3f) * weights({1, 32, 1, 1});
  y = pad(conv2d(y, weights({32, 1, 3, 3}), {.groups = 32, .padding = Padding::same, .layout = "NCHW", .weights_layout = "OIHW"}), {0, 0, 1, 1},
          {0, 0, 1, 1});
  y = max_pool2d(conv2d(y, weights({8, 32, 1, 1}), options), {2}, {.layout = "NCHW"});
  const Tensor loss = mean(square(mean(y, {2, 3})));
  const auto gradients = g.gradients(loss, g.variables());
  std::vector<Tensor> targets{loss};
  targets.insert(targets.end(), gradients.begin(), gradients.end());

  const NDArray images = sample(real(-1, 1), f32, shape, 1);
  auto compile = [&](const RunOptions& how) { return g.compile(std::vector<FeedType>{{x, images.type()}}, targets, {}, how); };
  const Executable e = compile({.backend = Backend::cpu});
  const std::string dump = e.dump();
  const auto first = dump.find("kernel transpose_4x12x12x3_f32");
  EXPECT_NE(first, std::string::npos) << "the images\n" << dump;
  EXPECT_EQ(dump.find("kernel transpose_", first + 1), std::string::npos) << dump;
  const auto expected = compile({.backend = Backend::reference, .simplify = false}).run({images});
  for (const auto& got : {e.run({images}), compile({.backend = Backend::cpu, .without = {"channels last"}}).run({images})})
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(agree(expected[i], got[i], {.ulp = 16, .scale = 300})) << "target " << i;
}

/// Sizes that blocks fit, and that they don't.
TEST(Layout, LargeTransposesAreRight) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  for (const Shape& shape : {Shape{64, 128}, Shape{67, 131}, Shape{3, 40, 50}, Shape{16, 300}, Shape{2, 33, 5, 64}})
    for (const DType dtype : {f32, f64, f16, bf16, i8, u16, i32, i64, boolean, c64}) {
      Graph g;
      const Tensor x = g.placeholder(shape, dtype), y = transpose(x, 0, -1), z = g.placeholder(y.shape(), dtype);
      const NDArray a = sample(whole(0, dtype == boolean ? 1 : 100), dtype, shape, 1), b = sample(whole(0, 1), dtype, y.shape(), 2);
      const std::vector<FeedType> feeds{{x, a.type()}, {z, b.type()}};
      const std::vector<Tensor> targets{y, select(equal(y, z), z, y)};
      const auto expected = g.compile(feeds, targets, {}, {.backend = Backend::reference}).run({a, b});
      const auto got = g.compile(feeds, targets, {}, {.backend = Backend::cpu}).run({a, b});
      for (std::size_t i = 0; i < targets.size(); ++i) EXPECT_TRUE(agree(expected[i], got[i])) << shape.str() << " " << name_of(dtype);
    }
}

}  // namespace
}  // namespace weft
