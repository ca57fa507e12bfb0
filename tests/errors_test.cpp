// Bad input: what the message says, and that the graph still works afterwards.
#include "evaluated.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace weft::errors_test {
namespace {

constexpr std::int64_t huge = std::int64_t{1} << 62;

/// A graph with operands of many types and a sum that must keep working.
struct BadInput : ::testing::Test {
  Graph g;
  const Tensor x = g.placeholder({2, 3}, f32, "x"), y = g.placeholder({2, 3}, f32, "y");
  const Tensor w = g.variable(NDArray::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}), "w");
  const Tensor sum_of_both = (x + y).named("both");
  const NDArray ones = NDArray::of<float>({2, 3}, {1, 1, 1, 1, 1, 1});

  /// Whatever failed before: results, variables and text are as they should be.
  void TearDown() override {
    EXPECT_EQ(g.run({{x, ones}, {y, ones}}, {sum_of_both})[0].str(), "f32[2,3] [[2, 2, 2], [2, 2, 2]]");
    EXPECT_EQ(g.value(w).str(), "f32[2,3] [[1, 2, 3], [4, 5, 6]]");
    EXPECT_EQ(Graph::parse(g.str()).str(), g.str());
  }
};

// Feeds and results -----------------------------------------------------------------------------------------------------

TEST_F(BadInput, MissingFeedIsNamed) {
  expect_error<RunError>([&] { g.run({{x, ones}}, {sum_of_both}); }, "run: placeholder \"y\" of type f32[2,3] is not fed");
}

TEST_F(BadInput, SurplusFeedIsNamed) {
  const Tensor z = g.placeholder({2}, f32, "z");
  expect_error<RunError>(
      [&] {
        g.run({{x, ones}, {y, ones}, {z, NDArray(f32, {2})}}, {sum_of_both});
      },
      "run: placeholder \"z\" is fed but neither a target nor a target operation needs it");
  expect_error<RunError>([&] { g.run({{sum_of_both, ones}, {x, ones}, {y, ones}}, {sum_of_both}); }, "\"both\" is fed but is not a placeholder");
}

TEST_F(BadInput, FeedOfAnotherTypeOrShapeIsRefused) {
  expect_error<RunError>([&] { g.run({{x, NDArray(f64, {2, 3})}, {y, ones}}, {sum_of_both}); }, "\"x\" expects f32[2,3], is fed with f64[2,3]");
  expect_error<RunError>([&] { g.run({{x, NDArray(f32, {3, 2})}, {y, ones}}, {sum_of_both}); }, "\"x\" expects f32[2,3], is fed with f32[3,2]");
  expect_error<RunError>([&] { g.run({{x, NDArray(f32, {6})}, {y, ones}}, {sum_of_both}); }, "\"x\" expects f32[2,3], is fed with f32[6]");
  const Tensor z = g.placeholder({dynamic, 3}, i32, "z");
  expect_error<RunError>([&] { g.run({{z, NDArray(i32, {7, 4})}}, {z + z}); }, "\"z\" expects i32[?,3], is fed with i32[7,4]");
}

TEST_F(BadInput, WhatIsUnknownWhileBuildingIsCheckedWhenItIsFed) {
  const Tensor a = g.placeholder(Shape::unranked(), f32, "a"), b = g.placeholder({dynamic}, f32, "b");
  const Tensor s = (a + b).named("late");
  expect_error<RunError>(
      [&] {
        g.run({{a, NDArray(f32, {2})}, {b, NDArray(f32, {3})}}, {s});
      },
      "add \"late\": operands f32[2] and f32[3] do not broadcast");
  EXPECT_EQ(g.run({{a, NDArray(f32, {2})}, {b, NDArray(f32, {1})}}, {s})[0].type().str(), "f32[2]");
}

TEST_F(BadInput, CompiledFeedsMustHaveTheCompiledTypes) {
  const Executable e = g.compile({{x, {f32, {2, 3}}}, {y, {f32, {2, 3}}}}, {sum_of_both});
  expect_error<RunError>([&] { e.run({ones}); }, "the executable takes 2 feeds, got 1");
  expect_error<RunError>([&] { e.run({ones, NDArray(f64, {2, 3})}); }, "\"y\" was compiled for f32[2,3], is fed with f64[2,3]");
  expect_error<RunError>(
      [&] {
        g.compile({{x, {f32, {dynamic, 3}}}, {y, {f32, {2, 3}}}}, {sum_of_both});
      },
      "\"x\" is fed with f32[?,3]; compile for known sizes");
  expect_error<RunError>([&] { g.compile({{x, {f32, {2, 3}}}, {x, {f32, {2, 3}}}, {y, {f32, {2, 3}}}}, {sum_of_both}); }, "\"x\" is fed twice");
  EXPECT_EQ(e.run({ones, ones})[0].str(), "f32[2,3] [[2, 2, 2], [2, 2, 2]]");
}

TEST_F(BadInput, ResultStorageMustHaveTheTargetsType) {
  const Feeds feeds{{x, ones}, {y, ones}};
  for (const auto& [storage, text] :
       {std::pair{TensorType{f32, {2, 2}}, "f32[2,2]"}, {{f32, {2, 4}}, "f32[2,4]"}, {{f64, {2, 3}}, "f64[2,3]"}, {{f32, {6}}, "f32[6]"}}) {
    Results results{{sum_of_both, NDArray(storage)}};
    expect_error<RunError>([&] { g.run(feeds, results); }, "run: target both is f32[2,3], its storage is " + std::string(text));
    EXPECT_EQ(results.at(sum_of_both).array().slice(0, 0, 1).copy().byte_count() > 0, true);
  }
  Results fits{{sum_of_both, NDArray(f32, {2, 3})}};
  g.run(feeds, fits);
  EXPECT_EQ(fits.at(sum_of_both).array().str(), "f32[2,3] [[2, 2, 2], [2, 2, 2]]");
}

TEST_F(BadInput, MemoryTooSmallForItsTypeIsRefused) {
  std::vector<float> five(5);
  expect_error<RunError>([&] { TensorData::reference({2, 3}, std::span(five)); }, "f32[2,3]");
}

TEST_F(BadInput, TargetsMustBelongToTheGraph) {
  Graph other;
  const Tensor foreign = other.constant(1.0);
  expect_error<RunError>([&] { g.run({}, {foreign}); }, "run: a target belongs to another graph");
  expect_error<RunError>([&] { g.run({}, {Tensor{}}); }, "run: a target is empty");
  expect_error<RunError>([&] { g.run({{foreign, NDArray(f32, {})}}, {w}); }, "run: a feed is for a tensor of another graph");
  expect_error<RunError>([&] { g.run({}, {}, {Operation{}}); }, "run: a target operation is empty");
  expect_error<RunError>([&] { g.run({}, {w})[x]; }, "the tensor was not a target of this run");
}

// Building --------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, GraphsDoNotMix) {
  Graph other;
  const Tensor foreign = other.placeholder({2, 3}, f32, "foreign");
  expect_error<GraphError>([&] { x + foreign; }, "add: operands x and foreign belong to different graphs");
  expect_error<GraphError>([&] { concat({x, foreign}, 0); }, "belong to different graphs");
  expect_error<GraphError>([&] { g.assign(w, foreign); }, "belong to different graphs");
  expect_error<GraphError>([&] { g.gradients(sum_of_both, {foreign}); }, "gradients: x is a tensor of another graph");
  expect_error<GraphError>([&] { g.gradients(foreign, {x}); }, "gradients: y is a tensor of another graph");
  expect_error<GraphError>([&] { g.control_dependencies({other.constant(1.0)}, [] {}); }, "an operation of another graph");
  expect_error<GraphError>([&] { Tensor{} + x; }, "add: operand 0 is an empty tensor");
  expect_error<GraphError>([&] { exp(Tensor{}); }, "exp: operand 0 is an empty tensor");
  expect_error<GraphError>([&] { gelu(Tensor{}); }, "gelu: operand 0 is an empty tensor");
  expect_error<GraphError>([&] { exp(2.0); }, "exp: no operand is a tensor");
  expect_error<GraphError>([&] { static_cast<void>(Tensor{}.type()); }, "empty");
}

TEST_F(BadInput, MessagesPointAtTheUsersLine) {
  expect_error<GraphError>([&] { softmax(x, 2); }, "(at errors_test.cpp:" + std::to_string(__LINE__) + ")");
  expect_error<GraphError>([&] { x + g.constant(1.0, {4}); }, "(at errors_test.cpp:" + std::to_string(__LINE__) + ")");
}

TEST_F(BadInput, SizesMustBePossible) {
  expect_error<GraphError>([] { Shape{2, -3}; }, "shape with size -3: sizes are 0 or more, or weft::dynamic");
  expect_error<GraphError>([] { Shape{huge, 2}; }, "has more than 2^63 - 1 elements");
  expect_error<GraphError>([] { Shape(std::vector<std::int64_t>(17, 1)); }, "shape of rank 17: at most 16 dimensions are possible");
  EXPECT_EQ((Shape{huge, 0, huge}).element_count(), 0);
  const Tensor wide = g.placeholder({dynamic}, i8, "wide"), most = broadcast_to(g.constant(std::int64_t{1}, {}, i8), {huge});
  expect_error<GraphError>([&] { expand_dims(most, 1) + expand_dims(most, 0); }, "has more than 2^63 - 1 elements");
  expect_error<GraphError>([&] { concat({most, most}, 0); }, "the joined size of axis 0 passes 2^63 - 1");
  expect_error<GraphError>([&] { pad(most, {huge}, {huge}); }, "passes 2^63 - 1");
  expect_error<GraphError>([&] { tile(most, {2}); }, "2^63 - 1");
  expect_error<GraphError>([&] { reshape(wide, {huge, 4}); }, "has more than 2^63 - 1 elements");
  expect_error<RunError>([&] { NDArray(f32, {huge}); }, "more bytes than memory can have");
  expect_error<GraphError>([&] { iota(g, {dynamic}); }, "iota: shape [?] has unknown sizes");
  expect_error<GraphError>([&] { g.constant(1.0, {dynamic}); }, "constant: shape [?] has unknown sizes");
  expect_error<GraphError>([&] { g.variable(init::zeros({dynamic})); }, "f32[?]: every size of a variable must be known");
}

TEST_F(BadInput, TensorsTooLargeForMemoryFailWhenTheyAreComputed) {
  const Tensor most = broadcast_to(x, {1 << 30, 1 << 20, 2, 3});
  EXPECT_THROW(g.run({{x, ones}}, {most}), RunError);
}

TEST_F(BadInput, NumbersMustFitTheTypeBesideThem) {
  const Tensor i = g.placeholder({2}, i32), b = g.placeholder({2}, u8);
  expect_error<GraphError>([&] { i * 0.5; }, "0.500000 is not a value of i32");
  expect_error<GraphError>([&] { b + 300; }, "300 is not a value of u8");
  expect_error<GraphError>([&] { b - (-1); }, "-1 is not a value of u8");
}

TEST_F(BadInput, GradientsNeedFloatingPointAndADerivative) {
  const Tensor i = g.placeholder({2}, i32, "i"), f = g.placeholder({2}, f32, "f");
  expect_error<GraphError>([&] { g.gradients(i + i, {i}); }, "is i32[2]; only floating-point tensors have derivatives");
  expect_error<GraphError>([&] { g.gradients(sum_of_both, {i}); }, "gradients: x i is i32[2]; only floating-point tensors have derivatives");
  expect_error<GraphError>([&] { g.gradients(Tensor{}, {x}); }, "gradients: y is an empty tensor");
  const Tensor bits = bitcast(bitcast(f, i32), f32);
  EXPECT_EQ(g.gradients(bits, {f}).size(), 1u) << "derivatives don't flow through integers";
  const Tensor turned = bitcast(f, f32).named("bits");
  expect_error<GraphError>([&] { g.gradients(turned * 2.0f, {f}); }, "bitcast \"bits\" of f32[2] has no derivative, and y depends on x through it");
}

TEST_F(BadInput, OnlyVariablesAreAssigned) {
  expect_error<GraphError>([&] { g.assign(x, y); }, "assign: x (placeholder) is not a variable");
  expect_error<GraphError>([&] { g.assign(Tensor{}, y); }, "assign: an empty tensor is not a variable");
  expect_error<GraphError>([&] { g.read(x); }, "read: x (placeholder) is not a variable");
  expect_error<GraphError>([&] { g.assign(w, g.placeholder({2, 3}, f64)); }, "value f64[2,3] can't be assigned to a variable of type f32[2,3]");
  expect_error<GraphError>([&] { g.assign(w, g.placeholder({3})); }, "value f32[3] can't be assigned to a variable of type f32[2,3]");
  const Tensor any = g.placeholder(Shape::unranked(), f32, "any");
  const Operation late = g.assign(w, any);
  expect_error<RunError>(
      [&] {
        g.run({{any, NDArray(f32, {3, 2})}}, {}, {late});
      },
      "value f32[3,2] can't be assigned to a variable of type f32[2,3]");
  expect_error<RunError>([&] { g.set_value(w, NDArray(f64, {2, 3})); }, "is f32[2,3], can't take f64[2,3]");
  expect_error<RunError>([&] { g.set_value(x, ones); }, "is not a variable");
  expect_error<RunError>([&] { static_cast<void>(g.value(x)); }, "is not a variable");
}

// Operations ------------------------------------------------------------------------------------------------------------

/// Operands that don't fit each other, or an option.
struct Misuse {
  const char* name;
  std::function<void(Graph&)> build;
  const char* message;
};

using Tensors = std::vector<Tensor>;

Tensor of(Graph& g, Shape shape, DType dtype = f32) { return g.placeholder(shape, dtype); }

const Misuse misuses[] = {
    {"add",
     [](Graph& g) {
       of(g, {2, 3}) + of(g, {2, 4});
     },
     "add: operands f32[2,3] and f32[2,4] do not broadcast"},
    {"add_ranks",
     [](Graph& g) {
       of(g, {2, 3}) + of(g, {3, 3, 3});
     },
     "do not broadcast"},
    {"add_types", [](Graph& g) { of(g, {2}) + of(g, {2}, f64); }, "add: operands f32[2] and f64[2] have different element types; cast one of them"},
    {"sub_bool", [](Graph& g) { of(g, {2}, boolean) - of(g, {2}, boolean); }, "sub: operand 0 is bool[2], expects a number"},
    {"exp_of_integer", [](Graph& g) { exp(of(g, {2}, i32)); }, "exp: operand 0 is i32[2], expects floating point"},
    {"bit_and_of_float", [](Graph& g) { bit_and(of(g, {2}), of(g, {2})); }, "bit_and: operand 0 is f32[2], expects an integer or bool"},
    {"logical_and_of_float", [](Graph& g) { logical_and(of(g, {2}), of(g, {2})); }, "logical_and: operand"},
    {"less_of_complex", [](Graph& g) { less(of(g, {2}, c64), of(g, {2}, c64)); }, "less: operand 0 is c64[2], expects a real number or bool"},
    {"select", [](Graph& g) { select(of(g, {2}, i32), of(g, {2}), of(g, {2})); }, "select: operand 0 is i32[2], expects bool"},
    {"select_shapes", [](Graph& g) { select(of(g, {5}, boolean), of(g, {2}), of(g, {2})); }, "do not broadcast"},
    {"clamp", [](Graph& g) { clamp(of(g, {2}), of(g, {3}), 1); }, "operands f32[2] and f32[3] do not broadcast"},
    {"bitcast", [](Graph& g) { bitcast(of(g, {2}), f64); }, "bitcast: operand f32[2] has elements of 4 bytes, f64 takes 8"},
    {"complex", [](Graph& g) { complex(of(g, {2}, f64), of(g, {2}, f64)); }, "complex: operand 0 is f64[2], expects f32"},
    {"real", [](Graph& g) { real(of(g, {2})); }, "real: operand 0 is f32[2], expects c64"},
    {"reshape",
     [](Graph& g) {
       reshape(of(g, {2, 3}), {4});
     },
     "reshape: operand f32[2,3] has 6 elements, shape [4] takes 4"},
    {"transpose",
     [](Graph& g) {
       transpose(of(g, {2, 3}), {0});
     },
     "transpose: a permutation of 1 axes was given for operand f32[2,3]"},
    {"transpose_twice",
     [](Graph& g) {
       transpose(of(g, {2, 3}), {1, 1});
     },
     "transpose: axis 1 is given twice"},
    {"transpose_axis",
     [](Graph& g) {
       transpose(of(g, {2, 3}), 0, 2);
     },
     "transpose: axis 2 is out of range for rank 2, expects -2 to 1"},
    {"broadcast_to",
     [](Graph& g) {
       broadcast_to(of(g, {2, 3}), {3, 2});
     },
     "broadcast: operand f32[2,3] does not broadcast to [3,2]"},
    {"expand_dims",
     [](Graph& g) {
       expand_dims(of(g, {2, 3}), 4);
     },
     "expand_dims: axis 4 is out of range for rank 3"},
    {"expand_dims_too_far", [](Graph& g) { expand_dims(of(g, Shape(std::vector<std::int64_t>(16, 1))), 0); }, "at most 16 are possible"},
    {"squeeze",
     [](Graph& g) {
       squeeze(of(g, {2, 3}), 0);
     },
     "squeeze: dimension 0 of operand f32[2,3] has size 2"},
    {"flatten",
     [](Graph& g) {
       flatten(of(g, {2, 3}), 3);
     },
     "flatten: axis 3 is out of range for rank 2"},
    {"merge_dims",
     [](Graph& g) {
       merge_dims(of(g, {2, 3}), 1, 2);
     },
     "merge_dims: operand f32[2,3] has no 2 dimensions from axis 1 on"},
    {"slice",
     [](Graph& g) {
       slice(of(g, {2, 3}), 1, 2, 2);
     },
     "slice: operand f32[2,3] has no 2 elements from 2 on along axis 1"},
    {"slice_axis",
     [](Graph& g) {
       slice(of(g, {2, 3}), 2, 0, 1);
     },
     "slice: axis 2 is out of range for rank 2"},
    {"slice_stride", [](Graph& g) { slice(of(g, {4}), {.begin = {0}, .end = {4}, .stride = {0}}); }, "slice: the stride of axis 0 is 0"},
    {"reverse",
     [](Graph& g) {
       reverse(of(g, {2, 3}), {0, -2});
     },
     "axis -2 is given twice"},
    {"split",
     [](Graph& g) {
       split(of(g, {2, 3}), 0);
     },
     "split: 0 parts can't be made"},
    {"split_sizes",
     [](Graph& g) {
       split(of(g, {5}), {2, 2}, 0);
     },
     "split: parts of 4 elements in all don't make up axis 0 of operand f32[5]"},
    {"pad",
     [](Graph& g) {
       pad(of(g, {2, 3}), {1}, {1});
     },
     "pad: low, high and interior padding have 1, 1 and 1 entries for operand f32[2,3]"},
    {"pad_negative", [](Graph& g) { pad(of(g, {2}), {-1}, {0}); }, "pad: padding of axis 0 is negative"},
    {"pad_reflect", [](Graph& g) { pad(of(g, {2}), {2}, {0}, {.mode = PadMode::reflect}); }, "operand f32[2] has no 2 elements from 1 on"},
    {"pad_value", [](Graph& g) { pad(of(g, {2}), {1}, {0}, {.value = of(g, {}, i32)}); },
     "pad: operands f32[2] and i32[] have different element types"},
    {"concat",
     [](Graph& g) {
       concat({of(g, {2, 3}), of(g, {2, 4})}, 0);
     },
     "concat: operand f32[2,4] does not fit f32[?,3]; only axis 0 may differ"},
    {"concat_types",
     [](Graph& g) {
       concat({of(g, {2}), of(g, {2}, i32)}, 0);
     },
     "concat: operands f32[2] and i32[2] have different element types"},
    {"concat_nothing", [](Graph&) { concat(std::span<const Tensor>(), 0); }, "concat: there are no tensors to join"},
    {"stack",
     [](Graph& g) {
       stack({of(g, {2}), of(g, {3})});
     },
     "stack: operands f32[2] and f32[3] have different shapes"},
    {"tile", [](Graph& g) { tile(of(g, {2}), {-1}); }, "tile: dimension 0 can't be repeated -1 times"},
    {"iota", [](Graph& g) { iota(g, {3}, 1); }, "iota: axis 1 is out of range for rank 1"},
    {"sum_axis",
     [](Graph& g) {
       sum(of(g, {2, 3}), 2);
     },
     "reduce_sum: axis 2 is out of range for rank 2, expects -2 to 1"},
    {"sum_twice",
     [](Graph& g) {
       sum(of(g, {2, 3}), {0, -2});
     },
     "reduce_sum: axis -2 is given twice"},
    {"sum_bool", [](Graph& g) { sum(of(g, {2}, boolean)); }, "reduce_sum: operand 0 is bool[2], expects a number"},
    {"max_of_complex", [](Graph& g) { max(of(g, {2}, c64)); }, "reduce_max: operand 0 is c64[2], expects a real number"},
    {"all_of_float", [](Graph& g) { all(of(g, {2})); }, "reduce_and: operand 0 is f32[2], expects bool"},
    {"argmax",
     [](Graph& g) {
       argmax(of(g, {2, 0}), 1);
     },
     "arg_max: operand f32[2,0] has no elements along axis 1"},
    {"argmax_type", [](Graph& g) { argmax(of(g, {2}), 0, {.dtype = u8}); }, "arg_max: a place is i32 or i64, not u8"},
    {"variance", [](Graph& g) { variance(of(g, {2}, i32)); }, "variance: operand i32[2] is not floating point; cast it"},
    {"gather", [](Graph& g) { gather(of(g, {4}), of(g, {2})); }, "gather: operand 1 is f32[2], expects an integer"},
    {"gather_axis", [](Graph& g) { gather(of(g, {4}), of(g, {2}, i32), 1); }, "gather: axis 1 is out of range for rank 1"},
    {"gather_batch",
     [](Graph& g) {
       gather(of(g, {4, 3}), of(g, {5, 2}, i32), 1, {.batch_dims = 1});
     },
     "batch dimension 0 of data f32[4,3] and of indices i32[5,2] differ"},
    {"gather_nd",
     [](Graph& g) {
       gather_nd(of(g, {4}), of(g, {5, 2}, i32));
     },
     "indices i32[5,2] hold places in 2 dimensions, data f32[4] has 1"},
    {"scatter", [](Graph& g) { scatter(of(g, {4}), of(g, {2}, i32), of(g, {3})); },
     "scatter: updates f32[3] do not fit; indices i32[2] into data f32[4] expect f32[2]"},
    {"one_hot", [](Graph& g) { one_hot(of(g, {2}), 3); }, "one_hot: indices f32[2] are not integers"},
    {"one_hot_depth", [](Graph& g) { one_hot(of(g, {2}, i32), -3); }, "one_hot: depth -3 is negative"},
    {"matmul",
     [](Graph& g) {
       matmul(of(g, {2, 3}), of(g, {4, 5}));
     },
     "the left one has 3 columns, the right one 4 rows; they must agree"},
    {"matmul_batch",
     [](Graph& g) {
       matmul(of(g, {2, 3, 4}), of(g, {3, 4, 5}));
     },
     "the dimensions before the last two do not broadcast"},
    {"matmul_scalar",
     [](Graph& g) {
       matmul(of(g, {}), of(g, {4, 5}));
     },
     "matmul: operand f32[]"},
    {"matmul_types",
     [](Graph& g) {
       matmul(of(g, {2, 3}, f16), of(g, {3, 4}));
     },
     "matmul: operands f16[2,3] and f32[3,4] have different element types"},
    {"conv2d_channels",
     [](Graph& g) {
       conv2d(of(g, {1, 8, 8, 1}), of(g, {5, 5, 3, 32}));
     },
     "conv2d: weights f32[5,5,3,32] expect 3 input channels, images f32[1,8,8,1] have 1"},
    {"conv2d_rank",
     [](Graph& g) {
       conv2d(of(g, {8, 8, 1}), of(g, {5, 5, 1, 32}));
     },
     "conv2d: images f32[8,8,1] have rank 3, expects 4 (NHWC)"},
    {"conv2d_layout",
     [](Graph& g) {
       conv2d(of(g, {1, 8, 8, 1}), of(g, {5, 5, 1, 32}), {.layout = "CHWN"});
     },
     "conv2d: layout CHWN is neither NHWC nor NCHW"},
    {"conv2d_strides",
     [](Graph& g) {
       conv2d(of(g, {1, 8, 8, 1}), of(g, {5, 5, 1, 32}), {.strides = {0}});
     },
     "conv2d: strides of 0 are not 1 or more"},
    {"conv2d_window",
     [](Graph& g) {
       conv2d(of(g, {1, 4, 4, 1}), of(g, {5, 5, 1, 32}));
     },
     "conv2d: a window of 5 doesn't fit into the padded size 4"},
    {"conv2d_groups",
     [](Graph& g) {
       conv2d(of(g, {1, 8, 8, 4}), of(g, {5, 5, 1, 6}), {.groups = 4});
     },
     "conv2d: 6 output channels can't be divided into 4 groups"},
    {"conv_transpose2d",
     [](Graph& g) {
       conv_transpose2d(of(g, {1, 8, 8, 4}), of(g, {5, 5, 2, 3}));
     },
     "conv_transpose2d: weights f32[5,5,2,3] give 3 output channels"},
    {"max_pool2d",
     [](Graph& g) {
       max_pool2d(of(g, {1, 1, 1, 1}), {2});
     },
     "a window of 2 doesn't fit into the padded size 1"},
    {"max_pool2d_rank",
     [](Graph& g) {
       max_pool2d(of(g, {4, 4}), {2});
     },
     "operand f32[4,4] has rank 2, the window 4 entries; they must agree"},
    {"max_pool2d_empty",
     [](Graph& g) {
       max_pool2d(of(g, {1, 4, 4, 1}), {});
     },
     "max_pool2d: "},
    {"average_pool2d",
     [](Graph& g) {
       average_pool2d(of(g, {1, 4, 4, 1}, i32), {2});
     },
     "average_pool2d: operand is i32[1,4,4,1], expects floating point"},
    {"softmax",
     [](Graph& g) {
       softmax(of(g, {2, 3}), 2);
     },
     "axis 2 is out of range for rank 2"},
    {"softmax_of_integers",
     [](Graph& g) {
       softmax(of(g, {2, 3}, i32));
     },
     "softmax: "},
    {"cross_entropy",
     [](Graph& g) {
       softmax_cross_entropy(of(g, {7, 5}), of(g, {6}, i32));
     },
     "softmax_cross_entropy: labels i32[6] beside logits f32[7,5]: expects index labels of shape [7]"},
    {"cross_entropy_types",
     [](Graph& g) {
       softmax_cross_entropy(of(g, {7, 5}), of(g, {7, 5}, f64));
     },
     "softmax_cross_entropy: "},
    {"mean_squared_error", [](Graph& g) { mean_squared_error(of(g, {7}), of(g, {5})); }, "operands f32[7] and f32[5] do not broadcast"},
    {"huber_loss", [](Graph& g) { huber_loss(of(g, {7}), of(g, {7}), -1); }, "huber_loss: delta is -1.000000, expects a positive number"},
    {"layer_norm",
     [](Graph& g) {
       layer_norm(of(g, {2, 3}), {0, 0});
     },
     "axis 0 is given twice"},
    {"batch_norm",
     [](Graph& g) {
       batch_norm(of(g, {2, 3}), {.gamma = of(g, {4})});
     },
     "batch_norm: gamma is f32[4], expects one element for each channel of x f32[2,3]"},
    {"group_norm",
     [](Graph& g) {
       group_norm(of(g, {2, 3, 5}), 2);
     },
     "can't be divided into 2 groups"},
    {"sgd", [](Graph& g) { sgd(Tensors{g.variable(init::zeros({2}))}, Tensors{}, 0.1f); }, "sgd: "},
    {"adam", [](Graph& g) { adam(Tensors{g.placeholder({2})}, Tensors{g.placeholder({2})}, 0.1f); }, "adam: "},
    {"dropout", [](Graph& g) { dropout(of(g, {2}), 1.5f); }, "dropout: rate 1.500000 is not a probability"},
    {"random_uniform", [](Graph& g) { random_uniform(g, {2}, {.low = 2, .high = 1}); },
     "random_uniform: bounds 2.000000 and 1.000000 are not in order"},
    {"random_uniform_shape", [](Graph& g) { random_uniform(g, {dynamic}); },
     "random_uniform: shape [?] has unknown sizes; take them from a tensor with random_uniform_like"},
    {"random_state", [](Graph& g) { random_normal(of(g, {3}, i32), {2}); }, "state is i32[3], expects u64[3]"},
};

class Misuses : public ::testing::TestWithParam<Misuse> {};

TEST_P(Misuses, AreExplained) {
  Graph g;
  const Tensor x = g.placeholder({2}, f32, "x"), doubled = x + x;
  expect_error<GraphError>([&] { GetParam().build(g); }, GetParam().message);
  expect_error<GraphError>([&] { GetParam().build(g); }, GetParam().message);
  EXPECT_EQ(g.run({{x, NDArray::of<float>({2}, {1, 2})}}, {doubled})[0].str(), "f32[2] [2, 4]");
  EXPECT_EQ(Graph::parse(g.str()).str(), g.str());
}

INSTANTIATE_TEST_SUITE_P(All, Misuses, ::testing::ValuesIn(misuses), [](const auto& info) { return std::string(info.param.name); });

// Running ---------------------------------------------------------------------------------------------------------------

TEST_F(BadInput, FailedRunsLeaveVariablesAlone) {
  const Tensor at = g.placeholder({dynamic}, i32, "at"), row = gather(w, at).named("rows");
  const Operation update = g.assign(w, w * 2.0f);
  const NDArray far = NDArray::of<std::int32_t>({2}, {1, 2});
  for (int i = 0; i < 2; ++i)
    expect_error<RunError>([&] { g.run({{at, far}}, {row}, {update}); }, "gather \"rows\": index 2 is out of range for axis 0 of size 2");
  EXPECT_EQ(g.value(w).str(), "f32[2,3] [[1, 2, 3], [4, 5, 6]]");
  const Tensor negative = gather(w, g.constant(std::int64_t{-1}, {1}, i32));
  expect_error<RunError>([&] { g.run({}, {negative}); }, "index -1 is out of range");
  Results results{{row, NDArray::of<float>({2, 3}, {9, 9, 9, 9, 9, 9})}};
  expect_error<RunError>([&] { g.run({{at, far}}, results); }, "index 2 is out of range");
  // What the failed run wrote is undefined, but the next one writes it all.
  g.run({{at, NDArray::of<std::int32_t>({2}, {1, 0})}}, results);
  EXPECT_EQ(results.at(row).array().str(), "f32[2,3] [[4, 5, 6], [1, 2, 3]]");
}

TEST_F(BadInput, ScatterOutOfRangeFails) {
  const Tensor s = scatter(w, g.constant(std::int64_t{7}, {1}, i64), g.constant(1.0, {1, 3}));
  expect_error<RunError>([&] { g.run({}, {s}); }, "index 7 is out of range for axis 0 of size 2");
}

TEST_F(BadInput, IntegerDivisionByZeroIsDefined) {
  const std::int32_t least = std::numeric_limits<std::int32_t>::lowest();
  const Tensor a = g.placeholder({dynamic}, i32), b = g.placeholder({dynamic}, i32);
  const Feeds feeds{{a, NDArray::of<std::int32_t>({5}, {7, -7, 0, least, least})}, {b, NDArray::of<std::int32_t>({5}, {0, 0, 0, -1, 0})}};
  const auto r = g.run(feeds, {a / b, a % b, floor_mod(a, b), div_no_nan(a, b)});
  EXPECT_EQ(r[0].str(), "i32[5] [0, 0, 0, -2147483648, 0]");
  EXPECT_EQ(r[1].str(), "i32[5] [7, -7, 0, 0, -2147483648]");
  EXPECT_EQ(r[2].str(), "i32[5] [7, -7, 0, 0, -2147483648]");
  EXPECT_EQ(r[3].str(), "i32[5] [0, 0, 0, -2147483648, 0]");
  const Tensor u = g.placeholder({2}, u8);
  EXPECT_EQ(g.run({{u, NDArray::of<std::uint8_t>({2}, {200, 0})}}, {u / (u - u)})[0].str(), "u8[2] [0, 0]");
}

TEST_F(BadInput, NanSpreadsAndIsFound) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Tensor a = g.placeholder({4}, f32);
  const auto r = g.run({{a, NDArray::of<float>({4}, {1, nan, -inf, 2})}}, {max(a), min(a), nanmax(a), nanmin(a), argmax(a), relu(a), maximum(a, 0.0f),
                                                                           fmax(a, 0.0f), is_nan(a), is_inf(a), is_finite(a), cast(a, i32), sum(a)});
  EXPECT_EQ(r[0].str(), "f32[] nan");
  EXPECT_EQ(r[1].str(), "f32[] nan");
  EXPECT_EQ(r[2].str(), "f32[] 2");
  EXPECT_EQ(r[3].str(), "f32[] -inf");
  EXPECT_EQ(r[4].str(), "i32[] 1");
  EXPECT_EQ(r[5].str(), "f32[4] [1, nan, 0, 2]");
  EXPECT_EQ(r[6].str(), "f32[4] [1, nan, 0, 2]");
  EXPECT_EQ(r[7].str(), "f32[4] [1, 0, 0, 2]");
  EXPECT_EQ(r[8].str(), "bool[4] [false, true, false, false]");
  EXPECT_EQ(r[9].str(), "bool[4] [false, false, true, false]");
  EXPECT_EQ(r[10].str(), "bool[4] [true, false, false, true]");
  EXPECT_EQ(r[11].str(), "i32[4] [1, 0, -2147483648, 2]");
  EXPECT_EQ(r[12].str(), "f32[] nan");
}

TEST_F(BadInput, InfiniteComplexNumbersAreFound) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor z = g.placeholder({3}, c64);
  const auto r = g.run({{z, NDArray::of<std::complex<float>>({3}, {{1, 2}, {inf, nan}, {0, nan}})}}, {is_inf(z), is_nan(z), is_finite(z)});
  EXPECT_EQ(r[0].str(), "bool[3] [false, true, false]");
  EXPECT_EQ(r[1].str(), "bool[3] [false, true, true]");
  EXPECT_EQ(r[2].str(), "bool[3] [true, false, false]");
}

TEST_F(BadInput, EmptyTensorsGoThroughEverything) {
  const Tensor e = g.placeholder({dynamic, 3}, f32), v = g.variable(init::normal({0, 3}, 0, 1)), m = g.variable(init::glorot({3, 2}));
  const Tensor loss = softmax_cross_entropy(matmul(layer_norm(e + v), m), iota(g, {0}), Reduction::sum);
  const auto d = g.gradients(loss, {v, m});
  const auto updates = sgd(Tensors{v, m}, d, 0.1f);
  const auto r = g.run({{e, NDArray(f32, {0, 3})}}, {loss, mean(e), max(e), d[0], sum(d[1])}, updates);
  EXPECT_EQ(r[0].str(), "f32[] 0");
  EXPECT_EQ(r[1].str(), "f32[] nan");
  EXPECT_EQ(r[2].str(), "f32[] -inf");
  EXPECT_EQ(r[3].type().str(), "f32[0,3]");
  EXPECT_EQ(r[4].str(), "f32[] 0");
}

}  // namespace
}  // namespace weft::errors_test
