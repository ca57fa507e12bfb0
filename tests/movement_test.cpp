#include <weft/elementwise.h>
#include <weft/movement.h>

#include "evaluated.h"

namespace weft::movement_test {
namespace {

struct Movement : ::testing::Test, FedGraph {
  Tensor x = fed(Shape::unranked(), counting({2, 3}), "x");  ///< [[0, 1, 2], [3, 4, 5]]
  Tensor row = g.constant(counting({4}));                    ///< [0, 1, 2, 3]
  /// Feeding what isn't needed is an error.
  std::string constant_value(Tensor t) { return g.run({}, {t})[0].str(); }
};

TEST_F(Movement, ReshapeFindsTheSizeThatIsLeft) {
  EXPECT_EQ(reshape(x, {3, dynamic}).shape(), (Shape{3, dynamic}));
  EXPECT_EQ(value(reshape(x, {3, dynamic})), "i32[3,2] [[0, 1], [2, 3], [4, 5]]");
  EXPECT_EQ(reshape(row, {dynamic, 2}).shape(), (Shape{2, 2}));
}

TEST_F(Movement, ReshapeRefusesAnotherNumberOfElements) {
  expect_error<GraphError>([&] { reshape(row, {3}).named("flat"); },
                           "reshape: operand i32[4] has 4 elements, shape [3] takes 3 (at movement_test.cpp:");
  expect_error<GraphError>([&] { reshape(row, {3, dynamic}); }, "the 4 elements of operand i32[4] don't determine the unknown size of shape [3,?]");
  expect_error<GraphError>([&] { reshape(x, {dynamic, dynamic}); }, "more than one unknown size");
  expect_error<GraphError>([&] { reshape(g.constant(counting({0, 3})), {0, dynamic}); }, "don't determine");
  expect_error<RunError>([&] { value(reshape(x, {5})); }, "reshape: operand i32[2,3] has 6 elements, shape [5] takes 5");
}

TEST_F(Movement, ReshapeTakesEmptyTensorsAndScalars) {
  EXPECT_EQ(reshape(g.constant(counting({0, 3})), {dynamic, 7}).shape(), (Shape{0, 7}));
  EXPECT_EQ(constant_value(reshape(g.constant(5.0), {1, 1})), "f32[1,1] [[5]]");
}

TEST_F(Movement, TransposePermutesOrSwaps) {
  EXPECT_EQ(transpose(x, {1, 0}).shape(), (Shape{dynamic, dynamic}));
  EXPECT_EQ(value(transpose(x, {1, 0})), "i32[3,2] [[0, 3], [1, 4], [2, 5]]");
  EXPECT_EQ(transpose(x, -1, 0).shape(), Shape::unranked());
  EXPECT_EQ(value(transpose(x, -1, 0)), "i32[3,2] [[0, 3], [1, 4], [2, 5]]");
  const Tensor y = g.placeholder({dynamic, 3, 4});
  EXPECT_EQ(transpose(y, {2, 0, -2}).shape(), (Shape{4, dynamic, 3}));
}

TEST_F(Movement, TransposeRefusesWhatIsNoPermutation) {
  expect_error<GraphError>([&] { transpose(row, {0, 1}); }, "transpose: a permutation of 2 axes was given for operand i32[4]");
  expect_error<GraphError>([&] { transpose(x, {1, -1}); }, "transpose: axis -1 is given twice");
  expect_error<GraphError>([&] { transpose(row, 0, 1); }, "axis 1 is out of range for rank 1");
}

TEST_F(Movement, BroadcastRepeats) {
  EXPECT_EQ(constant_value(broadcast_to(row, {2, 4})), "i32[2,4] [[0, 1, 2, 3], [0, 1, 2, 3]]");
  EXPECT_EQ(value(broadcast_to(expand_dims(x, 2), {dynamic, dynamic, 2})), "i32[2,3,2] [[[0, 0], [1, 1], [2, 2]], [[3, 3], [4, 4], [5, 5]]]");
  expect_error<GraphError>([&] { broadcast_to(row, {3}); }, "broadcast: operand i32[4] does not broadcast to [3]");
  expect_error<GraphError>([&] { broadcast_to(row, {dynamic, 4}); }, "does not broadcast to [?,4]");
  expect_error<RunError>([&] { value(broadcast_to(x, {2, 2})); }, "operand i32[2,3] does not broadcast to [2,2]");
}

TEST_F(Movement, DimensionsOfSizeOneComeAndGo) {
  EXPECT_EQ(value(expand_dims(x, {0, -1})), "i32[1,2,3,1] [[[[0], [1], [2]], [[3], [4], [5]]]]");
  EXPECT_EQ(value(squeeze(expand_dims(x, {0, -1}))), "i32[2,3] [[0, 1, 2], [3, 4, 5]]");
  EXPECT_EQ(squeeze(g.placeholder({1, dynamic, 1}), {0, -1}).shape(), (Shape{dynamic}));
  EXPECT_EQ(squeeze(g.placeholder({1, dynamic, 1})).shape(), Shape::unranked());
  expect_error<GraphError>([&] { squeeze(row, 0); }, "squeeze: dimension 0 of operand i32[4] has size 4, only 1 can be left out");
  expect_error<GraphError>([&] { expand_dims(row, {0, 0}); }, "axis 0 is given twice");
  expect_error<RunError>([&] { value(squeeze(x, 1)); }, "dimension 1 of operand i32[2,3] has size 3");
}

TEST_F(Movement, FlattenMakesTwoDimensions) {
  const Tensor y = g.placeholder({dynamic, 3, 4});
  EXPECT_EQ(flatten(y).shape(), (Shape{dynamic, 12}));
  EXPECT_EQ(flatten(y, 0).shape(), (Shape{1, dynamic}));
  EXPECT_EQ(flatten(y, 3).shape(), (Shape{dynamic, 1}));
  EXPECT_EQ(flatten(y, -1).shape(), (Shape{dynamic, 4}));
  EXPECT_EQ(value(flatten(x, 2)), "i32[6,1] [[0], [1], [2], [3], [4], [5]]");
  expect_error<GraphError>([&] { flatten(y, 4); }, "flatten: axis 4 is out of range for rank 3");
  EXPECT_EQ(merge_dims(y, -2, 2).shape(), (Shape{dynamic, 12}));
  expect_error<GraphError>([&] { merge_dims(y, 1, 3); }, "has no 3 dimensions from axis 1 on");
}

TEST_F(Movement, SliceTakesElementsThatExist) {
  EXPECT_EQ(constant_value(slice(row, 0, 1, 2)), "i32[2] [1, 2]");
  EXPECT_EQ(constant_value(slice(row, -1, -2, 2)), "i32[2] [2, 3]");
  EXPECT_EQ(constant_value(slice(row, 0, 4, 0)), "i32[0] []");
  EXPECT_EQ(value(slice(x, -1, -2, 1)), "i32[2,1] [[1], [4]]");
  expect_error<GraphError>([&] { slice(row, 0, 3, 2); }, "slice: operand i32[4] has no 2 elements from 3 on along axis 0");
  expect_error<GraphError>([&] { slice(row, 0, -5, 1); }, "has no 1 elements from -5 on");
  expect_error<GraphError>([&] { slice(row, 0, 0, -1); }, "has no -1 elements");
  expect_error<RunError>([&] { value(slice(x, 0, 1, 2)); }, "operand i32[2,3] has no 2 elements from 1 on along axis 0");
}

TEST_F(Movement, StridedSliceCountsAsPythonDoes) {
  EXPECT_EQ(constant_value(slice(row, {.begin = {1}, .end = {100}, .stride = {2}})), "i32[2] [1, 3]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {-1}, .end = {-100}, .stride = {-3}})), "i32[2] [3, 0]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {0}, .end = {-1}})), "i32[3] [0, 1, 2]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {9}, .end = {2}, .begin_mask = 1})), "i32[2] [0, 1]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {2}, .end = {0}, .stride = {-1}, .end_mask = 1})), "i32[3] [2, 1, 0]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {3}, .end = {1}})), "i32[0] []");
  EXPECT_EQ(constant_value(slice(row, {.begin = {0}, .end = {4}, .stride = {std::numeric_limits<std::int64_t>::max()}})), "i32[1] [0]");
  EXPECT_EQ(constant_value(slice(row, {.begin = {3}, .end = {0}, .stride = {std::numeric_limits<std::int64_t>::min()}})), "i32[1] [3]");
  EXPECT_EQ(value(slice(x, {.begin = {0, -1}, .end = {2, 0}, .squeeze_mask = 2})), "i32[2] [2, 5]");
  expect_error<GraphError>([&] { slice(row, {.begin = {0}, .end = {4}, .stride = {0}}); }, "the stride of axis 0 is 0");
  expect_error<GraphError>([&] { slice(row, {.begin = {0}, .end = {}}); }, "slice: begin, end and stride have 1, 0 and 0 entries");
  expect_error<RunError>([&] { value(slice(x, {.begin = {2}, .end = {0}, .squeeze_mask = 1})); }, "has no 1 elements from 2 on along axis 0");
}

TEST_F(Movement, ReverseTurnsAxesRound) {
  EXPECT_EQ(value(reverse(x, -1)), "i32[2,3] [[2, 1, 0], [5, 4, 3]]");
  EXPECT_EQ(value(reverse(x, {0, 1})), "i32[2,3] [[5, 4, 3], [2, 1, 0]]");
  EXPECT_EQ(constant_value(reverse(row)), "i32[4] [3, 2, 1, 0]");
  EXPECT_EQ(constant_value(reverse(g.constant(counting({0})))), "i32[0] []");
  expect_error<GraphError>([&] { reverse(x); }, "reverse: all axes of an unranked tensor can't be told");
}

TEST_F(Movement, SplitMakesTheFirstPartsLonger) {
  const auto parts = split(row, 3);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(constant_value(parts[0]), "i32[2] [0, 1]");
  EXPECT_EQ(constant_value(parts[2]), "i32[1] [3]");
  EXPECT_EQ(value(split(x, 2, -1)[1]), "i32[2,1] [[2], [5]]");
  EXPECT_EQ(value(split(x, 5, 0)[4]), "i32[0,3] []");
  EXPECT_EQ(constant_value(split(row, {1, 3}, 0)[1]), "i32[3] [1, 2, 3]");
  expect_error<GraphError>([&] { split(row, {1, 2}, 0); }, "split: parts of 3 elements in all don't make up axis 0 of operand i32[4]");
  expect_error<GraphError>([&] { split(row, 0); }, "split: 0 parts");
}

TEST_F(Movement, PadSurroundsAndSpreads) {
  EXPECT_EQ(constant_value(pad(row, {1}, {2}, {.value = 9})), "i32[7] [9, 0, 1, 2, 3, 9, 9]");
  EXPECT_EQ(constant_value(pad(row, {0}, {1}, {.value = 9, .interior = {1}})), "i32[8] [0, 9, 1, 9, 2, 9, 3, 9]");
  EXPECT_EQ(value(pad(x, {0, 1}, {1, 0})), "i32[3,4] [[0, 0, 1, 2], [0, 3, 4, 5], [0, 0, 0, 0]]");
  EXPECT_EQ(constant_value(pad(g.constant(counting({0})), {1}, {1}, {.value = 7, .interior = {3}})), "i32[2] [7, 7]");
  EXPECT_EQ(pad(g.placeholder({dynamic, 2}), {1, 1}, {0, 1}).shape(), (Shape{dynamic, 4}));
  expect_error<GraphError>([&] { pad(row, {-1}, {0}); }, "pad: padding of axis 0 is negative; use slice");
  expect_error<GraphError>([&] { pad(row, {1, 1}, {0, 0}); }, "pad: low, high and interior padding have 2, 2 and 2 entries for operand i32[4]");
  expect_error<GraphError>([&] { pad(row, {std::numeric_limits<std::int64_t>::max()}, {0}); }, "passes 2^63 - 1");
}

TEST_F(Movement, PadContinuesTheElements) {
  auto padded = [&](PadMode mode) { return constant_value(pad(row, {2}, {2}, {.mode = mode})); };
  EXPECT_EQ(padded(PadMode::reflect), "i32[8] [2, 1, 0, 1, 2, 3, 2, 1]");
  EXPECT_EQ(padded(PadMode::symmetric), "i32[8] [1, 0, 0, 1, 2, 3, 3, 2]");
  EXPECT_EQ(padded(PadMode::edge), "i32[8] [0, 0, 0, 1, 2, 3, 3, 3]");
  EXPECT_EQ(padded(PadMode::periodic), "i32[8] [2, 3, 0, 1, 2, 3, 0, 1]");
  EXPECT_EQ(padded(PadMode::antiperiodic), "i32[8] [-2, -3, 0, 1, 2, 3, 0, -1]");
  EXPECT_EQ(value(pad(x, {1, 0}, {0, 1}, {.mode = PadMode::edge})), "i32[3,4] [[0, 1, 2, 2], [0, 1, 2, 2], [3, 4, 5, 5]]");
  expect_error<GraphError>([&] { pad(row, {4}, {0}, {.mode = PadMode::reflect}); }, "slice: operand i32[4] has no 4 elements from 1 on");
}

TEST_F(Movement, ConcatJoins) {
  EXPECT_EQ(value(concat({x, x}, -1)), "i32[2,6] [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]");
  EXPECT_EQ(value(concat({x, g.constant(counting({0, 3})), x}, 0)), "i32[4,3] [[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5]]");
  EXPECT_EQ(concat({g.placeholder({dynamic, 2}), g.placeholder({3, dynamic})}, 0).shape(), (Shape{dynamic, 2}));
  EXPECT_EQ(concat({g.placeholder({dynamic, 2}), g.placeholder({3, dynamic})}, 1).shape(), (Shape{3, dynamic}));
  expect_error<GraphError>([&] { concat({row, g.constant(counting({2, 4}))}, 0); }, "concat: operand i32[2,4] does not fit i32[?]");
  expect_error<GraphError>(
      [&] {
        concat({g.placeholder({2, 3}), g.placeholder({2, 4})}, 0);
      },
      "concat: operand f32[2,4] does not fit f32[?,3]; only axis 0 may differ");
  expect_error<GraphError>([&] { concat({row, g.placeholder({4})}, 0); }, "different element types");
  expect_error<GraphError>([&] { concat({row}, 1); }, "axis 1 is out of range for rank 1");
  expect_error<GraphError>([&] { concat(std::vector<Tensor>{}, 0); }, "concat: there are no tensors to join (at movement_test.cpp:");
}

TEST_F(Movement, ConcatInterleaves) {
  EXPECT_EQ(constant_value(concat({row, row + 10}, 0, {.interleave = true})), "i32[8] [0, 10, 1, 11, 2, 12, 3, 13]");
  EXPECT_EQ(value(concat({x, x + 10}, -1, {.interleave = true})), "i32[2,6] [[0, 10, 1, 11, 2, 12], [3, 13, 4, 14, 5, 15]]");
  EXPECT_EQ(value(concat({x, x + 10}, -2, {.interleave = true})), "i32[4,3] [[0, 1, 2], [10, 11, 12], [3, 4, 5], [13, 14, 15]]");
}

TEST_F(Movement, StackJoinsAlongANewDimension) {
  EXPECT_EQ(constant_value(stack({row, row}, 0)), "i32[2,4] [[0, 1, 2, 3], [0, 1, 2, 3]]");
  EXPECT_EQ(value(stack({x, x + 10}, -1)), "i32[2,3,2] [[[0, 10], [1, 11], [2, 12]], [[3, 13], [4, 14], [5, 15]]]");
  expect_error<GraphError>([&] { stack({row, g.constant(counting({3}))}); }, "stack: operands i32[4] and i32[3] have different shapes");
}

TEST_F(Movement, TileRepeatsTheWhole) {
  EXPECT_EQ(value(tile(x, {2, 2})), "i32[4,6] [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5], [0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]");
  EXPECT_EQ(constant_value(tile(row, {0})), "i32[0] []");
  expect_error<GraphError>([&] { tile(row, {1, 2}); }, "tile: 2 repeats for operand i32[4], expects one for each dimension");
}

TEST_F(Movement, TakesSixteenDimensions) {
  std::vector<std::int64_t> sizes(16, 1), twice(16, 1), none(16, 0);
  sizes[15] = twice[15] = 2;
  none[0] = 1;
  const Tensor deep = g.constant(counting(Shape(sizes)));
  EXPECT_EQ(constant_value(reshape(reverse(tile(deep, twice)), {4})), "i32[4] [1, 0, 1, 0]");
  EXPECT_EQ(constant_value(reshape(pad(deep, none, none, {.mode = PadMode::edge}), {3, 2})), "i32[3,2] [[0, 1], [0, 1], [0, 1]]");
  EXPECT_EQ(constant_value(flatten(transpose(deep, 0, -1), 1)), "i32[2,1] [[0], [1]]");
  expect_error<GraphError>([&] { expand_dims(deep, 0); }, "can't get 1 more dimensions; at most 16 are possible");
  expect_error<GraphError>([&] { stack({deep, deep}); }, "at most 16 are possible");
}

TEST(MovementGradient, GoesBackToWhereElementsCameFrom) {
  FedGraph f;
  const Tensor x = f.fed({dynamic, dynamic}, counting<float>({2, 3}));
  const Tensor weights = f.g.constant(counting<float>({3, 2}));
  auto derivative = [&](Tensor y, Tensor weights) { return f.value(f.g.gradients(y * weights, {x})[0]); };
  EXPECT_EQ(derivative(transpose(x, 0, 1), weights), "f32[2,3] [[0, 2, 4], [1, 3, 5]]");
  EXPECT_EQ(derivative(transpose(x, {1, 0}), weights), "f32[2,3] [[0, 2, 4], [1, 3, 5]]");
  EXPECT_EQ(derivative(reshape(x, {3, 2}), weights), "f32[2,3] [[0, 1, 2], [3, 4, 5]]");
  EXPECT_EQ(derivative(slice(x, {.begin = {0, -1}, .end = {2, -4}, .stride = {1, -2}}), f.g.constant(counting<float>({2, 2}))),
            "f32[2,3] [[1, 0, 0], [3, 0, 2]]");
  EXPECT_EQ(derivative(slice(concat({x, x}, 0), 0, 1, 2), f.g.constant(counting<float>({2, 3}))), "f32[2,3] [[3, 4, 5], [0, 1, 2]]");
  EXPECT_EQ(derivative(pad(x, {1, 0}, {0, 2}, {.interior = {1, 1}}), f.g.constant(counting<float>({4, 7}))), "f32[2,3] [[7, 9, 11], [21, 23, 25]]");
  EXPECT_EQ(derivative(squeeze(expand_dims(x, 0), 0), f.g.constant(counting<float>({2, 3}))), "f32[2,3] [[0, 1, 2], [3, 4, 5]]");
}

}  // namespace
}  // namespace weft::movement_test
