// What products and convolutions read without a copy of it being made.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <functional>

#include "compare.h"
#include "compile/backend.h"
#include "descriptions.h"

namespace weft::layout_test {
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

/// The library calls and kernels of the targets' run, and their agreement with the reference.
CompileStatistics statistics_of_agreeing(Graph& g, const Feeds& feeds, const std::vector<Tensor>& targets) {
  std::vector<FeedType> types;
  for (const auto& [placeholder, value] : feeds) types.push_back({placeholder, value.type()});
  const RunOptions cpu{.backend = Backend::cpu}, reference{.backend = Backend::reference};
  const auto expected = g.run(feeds, targets, {}, reference), got = g.run(feeds, targets, {}, cpu);
  for (std::size_t i = 0; i < targets.size(); ++i) EXPECT_TRUE(agree(expected[i], got[i], {.ulp = 8, .scale = 1000}));
  return g.compile(types, targets, {}, cpu).statistics();
}

NDArray numbers(Shape shape) {
  NDArray array(f32, std::move(shape));
  float v = 0;
  for (auto& e : array.elements<float>()) e = v = v > 1 ? v - 2 : v + 0.37f;
  return array;
}

TEST(Layout, AWeightsGradientOverManyStepsIsOneProduct) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  Graph g;
  Feeds feeds;
  Tensor sum;
  for (int step = 0; step < 5; ++step) {
    const Tensor x = g.placeholder({4, 60}), dy = g.placeholder({4, 70}), product = matmul(x, dy, {.transpose_a = true});
    feeds.emplace(x, numbers({4, 60}));
    feeds.emplace(dy, numbers({4, 70}));
    sum = sum ? sum + product : product;
  }
  // The two concatenations are of five copies each.
  const auto s = statistics_of_agreeing(g, feeds, {sum});
  EXPECT_EQ(s.kernels + s.library_calls, 11);
}

TEST(Layout, ProductsThatAreUsedByThemselvesStayApart) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  Graph g;
  const Tensor a = g.placeholder({40, 3}), b = g.placeholder({3, 50}), c = g.placeholder({40, 2}), d = g.placeholder({2, 50});
  const Tensor e = g.placeholder({40, 64}), f = g.placeholder({64, 50});
  const Feeds feeds{{a, numbers({40, 3})}, {b, numbers({3, 50})},  {c, numbers({40, 2})},
                    {d, numbers({2, 50})}, {e, numbers({40, 64})}, {f, numbers({64, 50})}};
  const Tensor ab = matmul(a, b), cd = matmul(c, d), ef = matmul(e, f);
  const auto passes = [&](const std::vector<Tensor>& targets) {
    statistics_of_agreeing(g, feeds, targets);
    std::vector<FeedType> types;
    for (const auto& [placeholder, value] : feeds) types.push_back({placeholder, value.type()});
    return g.compile(types, targets, {}, {.backend = Backend::cpu}).dump();
  };
  EXPECT_EQ(passes({ab + ef, cd + ef}).find("concat("), std::string::npos);
  EXPECT_EQ(passes({ab + cd, ab + ef}).find("concat("), std::string::npos);
  EXPECT_NE(passes({ab + (cd + ef)}).find("concat("), std::string::npos);
}

TEST(Layout, AMatrixThatManyProductsReadTransposedIsLaidOutOnce) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  Graph g;
  const Tensor w = g.placeholder({260, 1040}), x = g.placeholder({16, 1040}), y = g.placeholder({20, 1040});
  const Feeds feeds{{w, numbers({260, 1040})}, {x, numbers({16, 1040})}, {y, numbers({20, 1040})}};
  const auto product = [&](Tensor a) { return matmul(a, w, {.transpose_b = true}); };
  EXPECT_EQ(statistics_of_agreeing(g, feeds, {product(x), product(y)}).kernels, 1);
  EXPECT_EQ(statistics_of_agreeing(g, {{w, feeds.at(w)}, {x, feeds.at(x)}}, {product(x)}).kernels, 0);
}

}  // namespace
}  // namespace weft::layout_test
