// Matrix products and pooling. Sums of n products below 4 are exact to n * 4 epsilon in any order.
#include "descriptions.h"

#include <weft/elementwise.h>
#include <weft/matmul.h>
#include <weft/pooling.h>

namespace weft {
namespace {

using Build = std::function<Tensor(const Tensors&)>;

OpCase product(std::string name, std::vector<Shapes> shapes, MatmulOptions options = {}) {
  return {.name = std::move(name),
          .build = [options](Graph&, const Tensors& x) { return Tensors{matmul(x[0], x[1], options)}; },
          .inputs = {{real(-2, 2)}, {real(-2, 2)}},
          .shapes = std::move(shapes),
          .dtypes = numbers(),
          .tolerance = {.ulp = 1, .scale = 4 * 31},
          .differentiable = {0, 1}};
}

OpCase pooling(std::string name, const std::vector<DType>& dtypes, Tolerance tolerance, std::vector<Shapes> shapes, Build build) {
  const auto count = shapes[0].size();
  OpCase c{.name = std::move(name),
           .build = [build](Graph&, const Tensors& x) { return Tensors{build(x)}; },
           .inputs = std::vector<Input>(count, Input{real(-4, 4)}),
           .shapes = std::move(shapes),
           .dtypes = dtypes,
           .tolerance = tolerance,
           .differentiable = {0}};
  if (count > 1) c.differentiable.push_back(1);
  return c;
}

}  // namespace

std::vector<OpCase> matmul_cases() {
  std::vector<OpCase> cases{
      product("matmul", {{{7, 13}, {13, 5}}, {{1, 31}, {31, 1}}, {{0, 3}, {3, 2}}, {{3, 0}, {0, 2}}, {{1, 1}, {1, 1}}}),
      product(
          "matmul_batched",
          {{{2, 3, 5}, {2, 5, 4}}, {{3, 1, 2, 5}, {2, 5, 4}}, {{0, 3, 5}, {5, 2}}, {{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 5}, {2, 1, 5, 2}}}),
      product("matmul_transposed_a", {{{13, 7}, {13, 5}}, {{2, 5, 3}, {5, 4}}}, {.transpose_a = true}),
      product("matmul_transposed_b", {{{7, 13}, {5, 13}}, {{5, 3}, {2, 4, 3}}}, {.transpose_b = true}),
      product("matmul_transposed", {{{13, 7}, {5, 13}}, {{2, 5, 3}, {2, 4, 5}}}, {.transpose_a = true, .transpose_b = true}),
  };
  OpCase vectors = product("matmul_of_vectors", {{{7}, {7}}, {{3, 7}, {7}}, {{7}, {7, 2}}, {{0}, {0}}});
  vectors.unknown_rank = false;  // operands of unknown rank are taken for matrices
  cases.push_back(vectors);
  return cases;
}

std::vector<OpCase> pooling_cases() {
  const std::vector<Shapes> images{{{2, 5, 7, 3}}, {{0, 5, 7, 3}}};
  const PoolOptions same{.strides = {2}, .padding = Padding::same}, overlapping{.strides = {1}, .dilations = {2}};
  const PoolOptions up{.strides = {3, 2}, .pads = {{1, 1}, {0, 1}}, .ceil = true, .layout = "NCHW"};
  const AveragePoolOptions counted{.strides = {2}, .pads = {{1, 1}}, .count_padding = true}, inside{.strides = {2}, .pads = {{1, 1}}};
  const Tolerance mean{.ulp = 4, .scale = 9 * 4}, root{.ulp = 9 + 4};
  std::vector<OpCase> cases{
      pooling("max_pool", reals(), {}, {{{3, 7, 4}}},
              [](const Tensors& x) {
                return max_pool(x[0], {1, 3, 2});
              }),
      pooling("max_pool1d", reals(), {}, {{{2, 13, 3}}}, [](const Tensors& x) { return max_pool1d(x[0], {3}); }),
      pooling("max_pool2d", reals(), {}, images, [=](const Tensors& x) { return max_pool2d(x[0], {2}, same); }),
      pooling("max_pool2d_overlapping", reals(), {}, images, [=](const Tensors& x) { return max_pool2d(x[0], {2}, overlapping); }),
      pooling("max_pool2d_rounded_up", reals(), {}, {{{2, 3, 7, 5}}},
              [=](const Tensors& x) {
                return max_pool2d(x[0], {3, 2}, up);
              }),
      pooling("max_pool3d", reals(), {}, {{{1, 4, 3, 5, 2}}}, [](const Tensors& x) { return max_pool3d(x[0], {2}); }),
      pooling("average_pool", floats(), mean, {{{3, 7, 4}}},
              [](const Tensors& x) {
                return average_pool(x[0], {1, 3, 2});
              }),
      pooling("average_pool1d", floats(), mean, {{{2, 13, 3}}}, [](const Tensors& x) { return average_pool1d(x[0], {3}); }),
      pooling("average_pool2d", floats(), mean, images, [=](const Tensors& x) { return average_pool2d(x[0], {3}, inside); }),
      pooling("average_pool2d_counting_padding", floats(), mean, images, [=](const Tensors& x) { return average_pool2d(x[0], {3}, counted); }),
      pooling("average_pool3d", floats(), mean, {{{1, 4, 3, 5, 2}}}, [](const Tensors& x) { return average_pool3d(x[0], {2}); }),
      pooling("l2_pool", floats(), root, {{{3, 7, 4}}},
              [](const Tensors& x) {
                return l2_pool(x[0], {1, 3, 2});
              }),
      pooling("l2_pool1d", floats(), root, {{{2, 13, 3}}}, [](const Tensors& x) { return l2_pool1d(x[0], {3}); }),
      pooling("l2_pool2d", floats(), root, images, [=](const Tensors& x) { return l2_pool2d(x[0], {2}, same); }),
      pooling("l2_pool3d", floats(), root, {{{1, 4, 3, 5, 2}}}, [](const Tensors& x) { return l2_pool3d(x[0], {2}); }),
      pooling("max_pool_gradient", reals(), {.ulp = 1, .scale = 4 * 4}, {{{3, 5, 3}, {3, 7, 4}}},
              [](const Tensors& x) {
                return max_pool_gradient(x[0], x[1], {1, 3, 2}, PoolOptions{.strides = {1}});
              }),
      pooling("average_pool_gradient", floats(), {.ulp = 4, .scale = 4 * 4}, {{{3, 5, 3}, {3, 7, 4}}},
              [](const Tensors& x) {
                return average_pool_gradient(x[0], x[1], {1, 3, 2}, {.strides = {1}});
              }),
      pooling("l2_pool_gradient", floats(), {.ulp = 9, .scale = 4 * 4}, {{{3, 5, 3}, {3, 7, 4}}},
              [](const Tensors& x) {
                return l2_pool_gradient(x[0], x[1], {1, 3, 2}, {.strides = {1}});
              }),
      pooling("max_pool2d_gradient", reals(), {.ulp = 1, .scale = 4 * 4}, {{{2, 4, 6, 3}, {2, 5, 7, 3}}},
              [](const Tensors& x) { return max_pool2d_gradient(x[0], x[1], {2}, PoolOptions{.strides = {1}}); }),
      pooling("average_pool2d_gradient", floats(), {.ulp = 4, .scale = 4 * 4}, {{{2, 4, 6, 3}, {2, 5, 7, 3}}},
              [](const Tensors& x) { return average_pool2d_gradient(x[0], x[1], {2}, {.strides = {1}}); }),
      pooling("l2_pool2d_gradient", floats(), {.ulp = 9, .scale = 4 * 4}, {{{2, 4, 6, 3}, {2, 5, 7, 3}}},
              [](const Tensors& x) { return l2_pool2d_gradient(x[0], x[1], {2}, {.strides = {1}}); }),
  };
  OpCase indexed = pooling("max_pool2d_with_indices", reals(), {}, images, nullptr);
  indexed.build = [](Graph&, const Tensors& x) {
    const PoolIndices local = max_pool2d_with_indices(x[0], {2}), global = max_pool2d_with_indices(x[0], {2}, {.strides = {1}}, {.global = true});
    return Tensors{local.values, local.indices, global.values, global.indices};
  };
  cases.push_back(indexed);
  OpCase every_dimension = pooling("max_pool_with_indices", reals(), {}, {{{3, 7, 4}}}, nullptr);
  every_dimension.build = [](Graph&, const Tensors& x) {
    const PoolIndices r = max_pool_with_indices(x[0], {1, 3, 2}, {}, {.global = true, .dimensions = 2});
    return Tensors{r.values, r.indices};
  };
  cases.push_back(every_dimension);
  OpCase from_indices = pooling("max_pool2d_gradient_from_indices", reals(), {.ulp = 1, .scale = 4 * 4}, {{{2, 2, 3, 3}, {2, 5, 7, 3}}}, nullptr);
  from_indices.build = [](Graph&, const Tensors& x) {
    return Tensors{max_pool2d_gradient(x[0], max_pool2d_with_indices(x[1], {2}).indices, x[1], {2})};
  };
  cases.push_back(from_indices);
  return cases;
}

}  // namespace weft
