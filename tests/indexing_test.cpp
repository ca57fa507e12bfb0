#include <weft/elementwise.h>
#include <weft/indexing.h>
#include <weft/movement.h>
#include <weft/reduction.h>

#include "evaluated.h"

namespace weft::indexing_test {
namespace {

struct Indexing : ::testing::Test, FedGraph {
  Tensor table = fed({dynamic, 2}, counting({4, 2}), "table");  ///< [[0, 1], [2, 3], [4, 5], [6, 7]]
  Tensor cube = g.constant(counting({2, 3, 2}));
  std::string constant_value(Tensor t) { return g.run({}, {t})[0].str(); }
  template <Element T = std::int32_t> Tensor array(Shape shape, std::initializer_list<T> values) { return g.constant(NDArray::of<T>(shape, values)); }
};

TEST_F(Indexing, GatherReplacesTheAxisByTheIndices) {
  EXPECT_EQ(value(gather(table, array({2}, {3, 0}))), "i32[2,2] [[6, 7], [0, 1]]");
  EXPECT_EQ(value(gather(table, array({1, 2}, {1, 1}), -1)), "i32[4,1,2] [[[1, 1]], [[3, 3]], [[5, 5]], [[7, 7]]]");
  EXPECT_EQ(value(gather(table, array({}, {2}))), "i32[2] [4, 5]");
  EXPECT_EQ(gather(g.placeholder({5, dynamic, 7}), g.placeholder({dynamic, 2}, u8), 1).shape(), (Shape{5, dynamic, 2, 7}));
  EXPECT_EQ(gather(g.placeholder(Shape::unranked()), g.placeholder({2}, i32)).shape(), Shape::unranked());
}

TEST_F(Indexing, GatherSharesBatchDimensions) {
  EXPECT_EQ(constant_value(gather(cube, array({2, 2}, {2, 0, 1, 1}), 1, {.batch_dims = 1})), "i32[2,2,2] [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]");
  EXPECT_EQ(constant_value(gather(cube, array({2}, {1, 0}), 2, {.batch_dims = 1})), "i32[2,3] [[1, 3, 5], [6, 8, 10]]");
  expect_error<GraphError>(
      [&] {
        gather(cube, array({3, 2}, {0, 0, 0, 0, 0, 0}), 1, {.batch_dims = 1});
      },
      "gather: batch dimension 0 of data i32[2,3,2] and of indices i32[3,2] differ (at indexing_test.cpp:");
  expect_error<GraphError>([&] { gather(cube, array({2, 2}, {0, 0, 0, 0}), 0, {.batch_dims = 1}); }, "axis 0 is one of the 1 batch dimensions");
}

TEST_F(Indexing, EveryIntegerTypeServesAsIndex) {
  EXPECT_EQ(value(gather(table, array<std::uint8_t>({1}, {3}))), "i32[1,2] [[6, 7]]");
  EXPECT_EQ(value(gather(table, array<std::int64_t>({1}, {3}))), "i32[1,2] [[6, 7]]");
  EXPECT_EQ(value(gather(table, array<std::uint64_t>({1}, {~std::uint64_t{0}}), 0, {.out_of_bounds = OutOfBounds::ignore})), "i32[1,2] [[0, 0]]");
  expect_error<GraphError>([&] { gather(table, g.constant(0.0)); }, "gather: operand 1 is f32[], expects an integer");
}

TEST_F(Indexing, OutOfBoundsNamesOperationIndexAndSize) {
  const Tensor embedding = g.constant(NDArray(f32, {65, 3}));
  const Tensor y = gather(embedding, array({2}, {1, 70})).named("embedding");
  expect_error<RunError>([&] { constant_value(y); }, "gather \"embedding\": index 70 is out of range for axis 0 of size 65");
  expect_error<RunError>([&] { value(gather(table, array({1}, {-1}), 1)); }, "gather: index -1 is out of range for axis 1 of size 2");
  expect_error<RunError>(
      [&] {
        value(scatter(table, array({1}, {4}), array({1, 2}, {0, 0})));
      },
      "scatter: index 4 is out of range for axis 0 of size 4");
  EXPECT_EQ(value(gather(table, array({2}, {-1, 1}), 0, {.out_of_bounds = OutOfBounds::ignore})), "i32[2,2] [[0, 0], [2, 3]]");
}

TEST_F(Indexing, TakesSixteenDimensions) {
  std::vector<std::int64_t> sizes(16, 1);
  sizes[15] = 2;
  const Tensor deep = g.constant(NDArray::of<std::int32_t>(Shape(sizes), {5, 6})),
               places = g.constant(NDArray::of<std::int32_t>(Shape(sizes), {1, 0}));
  EXPECT_EQ(constant_value(reshape(gather_along_axis(deep, places, 15), {2})), "i32[2] [6, 5]");
  EXPECT_EQ(constant_value(reshape(scatter_along_axis(deep, places, deep, 15, ScatterMode::sub), {2})), "i32[2] [-1, 1]");
  EXPECT_EQ(constant_value(reshape(gather(deep, g.constant(NDArray::of<std::int32_t>({1}, {1})), 15), {1})), "i32[1] [6]");
  expect_error<GraphError>([&] { gather(deep, places); }, "make 31 dimensions; at most 16 are possible");
}

TEST_F(Indexing, GatherOfNothing) {
  EXPECT_EQ(value(gather(table, g.constant(NDArray(i32, {0})))), "i32[0,2] []");
  const Tensor none = g.constant(NDArray(f32, {0, 2}));
  EXPECT_EQ(constant_value(gather(none, g.constant(NDArray(i32, {0})))), "f32[0,2] []");
  expect_error<RunError>([&] { constant_value(gather(none, array({1}, {0}))); }, "index 0 is out of range for axis 0 of size 0");
}

TEST_F(Indexing, GatherNdTakesPlacesInSeveralDimensions) {
  EXPECT_EQ(constant_value(gather_nd(cube, array({2, 3}, {1, 2, 1, 0, 0, 1}))), "i32[2] [11, 1]");
  EXPECT_EQ(constant_value(gather_nd(cube, array({1, 2}, {1, 2}))), "i32[1,2] [[10, 11]]");
  EXPECT_EQ(constant_value(gather_nd(cube, array({2, 1}, {2, 0}), {.batch_dims = 1})), "i32[2,2] [[4, 5], [6, 7]]");
  EXPECT_EQ(constant_value(gather_nd(array({2}, {8, 9}), g.constant(NDArray(i32, {3, 0})))), "i32[3,2] [[8, 9], [8, 9], [8, 9]]");
  EXPECT_EQ(gather_nd(cube, g.placeholder({dynamic, dynamic}, i32)).shape(), Shape::unranked());
  const Tensor places = fed({dynamic, dynamic}, NDArray::of<std::int32_t>({1, 2}, {3, 1}));
  EXPECT_EQ(value(gather_nd(table, places)), "i32[1] [7]");
  expect_error<GraphError>(
      [&] {
        gather_nd(table, array({1, 3}, {0, 0, 0}));
      },
      "gather: indices i32[1,3] hold places in 3 dimensions, data i32[?,2] has 2");
}

TEST_F(Indexing, GatherAlongAxisPairsTheOtherDimensions) {
  EXPECT_EQ(value(gather_along_axis(table, array({1, 2}, {3, 1}), 0)), "i32[1,2] [[6, 3]]");
  EXPECT_EQ(value(gather_along_axis(table, array({4, 1}, {0, 1, 2, -1}), 1)), "i32[4,1] [[0], [3], [0], [0]]");
  EXPECT_EQ(constant_value(gather_along_axis(cube, array({2, 1, 2}, {0, 2, 1, 9}), 1)), "i32[2,1,2] [[[0, 5]], [[8, 0]]]");
  const Tensor unranked = fed(Shape::unranked(), counting({2, 2}));
  EXPECT_EQ(g.run({{unranked, counting({2, 2})}}, {gather_along_axis(unranked, array({2, 1}, {1, 0}), 1)})[0].str(), "i32[2,1] [[1], [2]]");
  EXPECT_EQ(g.run({{unranked, counting({2, 2})}}, {gather_along_axis(unranked, array({1, 2}, {1, 0}), -2)})[0].str(), "i32[1,2] [[2, 1]]");
  expect_error<GraphError>([&] { gather_along_axis(cube, array({1}, {0}), 0); },
                           "gather_along_axis: data i32[2,3,2] and indices i32[1] have different ranks");
}

TEST_F(Indexing, ScatterCombinesInOrderOfTheIndices) {
  const Tensor data = array({3}, {100, 7, 100}), at = array({3}, {0, 2, 0}), updates = array({3}, {6, 3, 5});
  auto scattered = [&](ScatterMode mode) { return constant_value(scatter(data, at, updates, 0, {.mode = mode})); };
  EXPECT_EQ(scattered(ScatterMode::add), "i32[3] [111, 7, 103]");
  EXPECT_EQ(scattered(ScatterMode::sub), "i32[3] [89, 7, 97]");
  EXPECT_EQ(scattered(ScatterMode::mul), "i32[3] [3000, 7, 300]");
  EXPECT_EQ(scattered(ScatterMode::div), "i32[3] [3, 7, 33]");
  EXPECT_EQ(scattered(ScatterMode::min), "i32[3] [5, 7, 3]");
  EXPECT_EQ(scattered(ScatterMode::max), "i32[3] [100, 7, 100]");
  EXPECT_EQ(scattered(ScatterMode::set), "i32[3] [5, 7, 3]");
}

TEST_F(Indexing, ScatterWritesWhereGatherReads) {
  EXPECT_EQ(constant_value(scatter(Shape{2, 3}, array({2}, {2, 0}), array({2, 2}, {1, 2, 3, 4}), 1)), "i32[2,3] [[2, 0, 1], [4, 0, 3]]");
  EXPECT_EQ(constant_value(scatter_nd(Shape{2, 2}, array({2, 2}, {0, 1, 1, 0}), array({2}, {5, 6}))), "i32[2,2] [[0, 5], [6, 0]]");
  EXPECT_EQ(constant_value(scatter_along_axis(Shape{2, 2}, array({1, 2}, {1, 0}), array({1, 2}, {5, 6}), 0)), "i32[2,2] [[0, 6], [5, 0]]");
  EXPECT_EQ(constant_value(scatter_along_axis(Shape{2, 2}, array({1, 2}, {1, 4}), array({1, 2}, {5, 6}), 0, ScatterMode::set)),
            "i32[2,2] [[0, 0], [5, 0]]");
  EXPECT_EQ(constant_value(scatter(array<std::int8_t>({1}, {100}), array({1}, {0}), array<std::int8_t>({1}, {100}))), "i8[1] [-56]");
}

TEST_F(Indexing, ScatterRefusesWhatDoesNotFit) {
  expect_error<GraphError>(
      [&] {
        scatter(cube, array({2}, {0, 1}), array({2, 2}, {0, 0, 0, 0}));
      },
      "scatter: updates i32[2,2] do not fit; indices i32[2] into data i32[2,3,2] expect i32[2,3,2]");
  expect_error<GraphError>(
      [&] {
        scatter(cube, array({1}, {0}), g.placeholder({1, 3, 2}));
      },
      "scatter: operands i32[2,3,2] and f32[1,3,2] have different element types");
  expect_error<GraphError>([&] { scatter(Shape{dynamic}, array({1}, {0}), array({1}, {0})); }, "scatter: shape [?] has unknown sizes");
  expect_error<GraphError>([&] { gather(cube, array({1}, {0}), 0, {.batch_dims = -1}); }, "gather: -1 batch dimensions");
}

TEST_F(Indexing, OneHotMarksTheIndex) {
  const Tensor labels = array<std::uint8_t>({3}, {2, 0, 9});
  EXPECT_EQ(constant_value(one_hot(labels, 3)), "f32[3,3] [[0, 0, 1], [1, 0, 0], [0, 0, 0]]");
  EXPECT_EQ(constant_value(one_hot(labels, 3, {.axis = 0, .dtype = i32, .on = 5, .off = -1})), "i32[3,3] [[-1, 5, -1], [-1, -1, -1], [5, -1, -1]]");
  EXPECT_EQ(constant_value(sum(one_hot(labels, 300))), "f32[] 3") << "no label is marked twice although u8 can't count to 300";
  EXPECT_EQ(one_hot(g.placeholder({dynamic, 4}, i32), 10, {.axis = 1}).shape(), (Shape{dynamic, 10, 4}));
  expect_error<GraphError>([&] { one_hot(g.constant(1.0), 3); }, "one_hot: indices f32[] are not integers (at indexing_test.cpp:");
  expect_error<GraphError>([&] { one_hot(labels, 3, {.axis = 2}); }, "one_hot: axis 2 is out of range for indices u8[3]");
}

struct IndexingGradients : ::testing::Test, FedGraph {
  Tensor data = fed({dynamic}, NDArray::of<float>({3}, {2, 3, 4}));
  Tensor at = g.constant(NDArray::of<std::int32_t>({3}, {0, 2, 0}));
  Tensor updates = fed({dynamic}, NDArray::of<float>({3}, {6, 4, 5}));
  Tensor weights = g.constant(NDArray::of<float>({3}, {1, 10, 100}));

  std::string derivative(ScatterMode mode, Tensor x) {
    const Tensor d = g.gradients(scatter(data, at, updates, 0, {.mode = mode}) * weights, {x})[0];
    // A derivative may need only some of the placeholders; with these summands it needs all.
    return value(d + 0.0f * data + 0.0f * updates);
  }
};

TEST_F(IndexingGradients, OfGatherAddUp) {
  feeds.erase(updates);
  EXPECT_EQ(value(g.gradients(gather(data, at) * weights, {data})[0]), "f32[3] [101, 0, 10]");
}

TEST_F(IndexingGradients, OfScatterFollowTheMode) {
  EXPECT_EQ(derivative(ScatterMode::add, data), "f32[3] [1, 10, 100]");
  EXPECT_EQ(derivative(ScatterMode::add, updates), "f32[3] [1, 100, 1]");
  EXPECT_EQ(derivative(ScatterMode::sub, updates), "f32[3] [-1, -100, -1]");
  EXPECT_EQ(derivative(ScatterMode::mul, data), "f32[3] [30, 10, 400]");
  EXPECT_EQ(derivative(ScatterMode::mul, updates), "f32[3] [10, 400, 12]");
  EXPECT_EQ(derivative(ScatterMode::div, data), "f32[3] [0.033333335, 10, 25]");
  EXPECT_EQ(derivative(ScatterMode::set, data), "f32[3] [0, 10, 0]");
  EXPECT_EQ(derivative(ScatterMode::set, updates), "f32[3] [0, 100, 1]") << "of two updates of one element only the last counts";
  EXPECT_EQ(derivative(ScatterMode::max, data), "f32[3] [0, 10, 50]");
  EXPECT_EQ(derivative(ScatterMode::max, updates), "f32[3] [1, 50, 0]");
}

}  // namespace
}  // namespace weft::indexing_test
