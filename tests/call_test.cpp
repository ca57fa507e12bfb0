// Graphs called from other graphs: with the caller's tensors, through derivatives, and wrongly.
#include "evaluated.h"

#include <weft/control.h>
#include <weft/elementwise.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/random.h>
#include <weft/reduction.h>

#include <gtest/gtest.h>

namespace weft::call_test {
namespace {

/// A dense layer and what comes before its activation, for any number of rows.
struct Layer {
  Graph g;
  Tensor x = g.placeholder({dynamic, 3}, f32, "x"), w = g.placeholder({3, 2}, f32, "w"), sums = matmul(x, w), y = tanh(sums) * 2.0f;
};

struct Call : ::testing::Test {
  Layer layer;
  Graph g;
  Tensor x = g.placeholder({4, 3}, f32, "rows"), w = g.placeholder({3, 2}, f32);
  const Feeds feeds{{x, NDArray::of<float>({4, 3}, {1, -2, 3, 0.5, 0, -1, 2, 2, -3, 0.25, 1, 0})},
                    {w, NDArray::of<float>({3, 2}, {0.5, -1, 0.25, 2, -0.75, 1})}};
};

TEST_F(Call, ComputesTheSameAsTheOperationsThemselves) {
  const auto called = call(layer.g, {{layer.x, x}, {layer.w, w}}, {layer.y, layer.sums});
  ASSERT_EQ(called.size(), 2u);
  EXPECT_EQ(called[0].type(), (TensorType{f32, {4, 2}})) << "sizes that were left open are known";
  const Tensor sums = matmul(x, w), y = tanh(sums) * 2.0f;
  const RunResult r = g.run(feeds, {called[0], called[1], y, sums});
  EXPECT_EQ(r[0].str(), r[2].str());
  EXPECT_EQ(r[1].str(), r[3].str());
  // Nothing of the callee is kept.
  EXPECT_EQ(Graph::parse(g.str()).str(), g.str());
}

TEST_F(Call, HasDerivativesAndMayBeRepeated) {
  const Tensor once = call(layer.g, {{layer.x, x}, {layer.w, w}}, {layer.y})[0];
  const Tensor again = call(layer.g, {{layer.x, concat({once, sum(once, 1, {.keep = true})}, 1)}, {layer.w, w}}, {layer.y})[0];
  const auto by_hand = [&](const Tensor& rows) { return tanh(matmul(rows, w)) * 2.0f; };
  const Tensor first = by_hand(x), expected = by_hand(concat({first, sum(first, 1, {.keep = true})}, 1));
  const auto gradients = g.gradients(again, {x, w}), expected_gradients = g.gradients(expected, {x, w});
  const RunResult r = g.run(feeds, {again, gradients[0], gradients[1], expected, expected_gradients[0], expected_gradients[1]});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(r[i].str(), r[i + 3].str());
}

TEST_F(Call, PutsVariablesOfTheCallerInPlaceOfPlaceholders) {
  const Tensor v = g.variable(NDArray::of<float>({3, 2}, {1, 0, 0, 1, 0, 0}), "v");
  const Tensor y = call(layer.g, {{layer.x, x}, {layer.w, v}}, {layer.sums})[0];
  EXPECT_EQ(g.run({{x, feeds.at(x)}}, {y})[0].str(), "f32[4,2] [[1, -2], [0.5, 0], [2, 2], [0.25, 1]]");
  EXPECT_EQ(g.gradients(y, {v})[0].type(), v.type());
}

TEST_F(Call, TakesGraphsThatWereRead) {
  Graph read = Graph::parse(layer.g.str());
  const Tensor rx = read.placeholder({dynamic, 2}, f32), more = rx + 1.0f;
  EXPECT_EQ(call(read, {{rx, matmul(x, w)}}, {more})[0].type(), (TensorType{f32, {4, 2}})) << "what no target needs need not be given";
}

TEST_F(Call, OfTheSameGraphComputesAnew) {
  const Tensor y = exp(x) + 1.0f, z = call(g, {{x, -x}}, {y})[0], expected = exp(-x) + 1.0f;
  const RunResult r = g.run({{x, feeds.at(x)}}, {z, expected});
  EXPECT_EQ(r[0].str(), r[1].str());
}

TEST_F(Call, SaysWhatIsWrong) {
  EXPECT_EQ(error_of([&] { call(layer.g, {{layer.x, x}}, {layer.y}); }), "call: there is no argument for placeholder \"w\"");
  EXPECT_EQ(error_of([&] { call(layer.g, {}, {layer.y}); }), "call: there is no argument, which would tell the graph that calls");
  EXPECT_EQ(error_of([&] {
              call(layer.g, {{layer.x, w}, {layer.w, w}}, {layer.y});
            }),
            "call: the argument for " + layer.x.name() + " is f32[3,2], expects f32[?,3]");
  EXPECT_EQ(error_of([&] {
              call(layer.g, {{layer.x, cast(x, f64)}, {layer.w, w}}, {layer.y});
            }),
            "call: the argument for " + layer.x.name() + " is f64[4,3], expects f32[?,3]");
  EXPECT_EQ(error_of([&] { call(layer.g, {{layer.x, x}, {layer.x, x}}, {layer.y}); }), "call: " + layer.x.name() + " is given twice");
  EXPECT_EQ(error_of([&] {
              call(layer.g, {{layer.sums, x}}, {layer.y});
            }),
            "call: " + layer.sums.name() + " is no placeholder of the graph that is called");
  EXPECT_EQ(error_of([&] {
              call(layer.g, {{layer.x, x}, {layer.w, layer.w}}, {layer.y});
            }),
            "call: " + layer.w.name() + " belongs to another graph than the arguments before it");
  EXPECT_EQ(error_of([&] { call(layer.g, {{layer.x, x}}, {x}); }), "call: " + x.name() + " is no tensor of the graph that is called");
  EXPECT_EQ(error_of([&] { call(layer.g, {{layer.x, x}}, {Tensor()}); }), "call: a target is empty");
  EXPECT_EQ(error_of([&] { call(layer.g, {{layer.x, Tensor()}}, {layer.y}); }), "call: the argument for " + layer.x.name() + " is empty");
  const Tensor v = layer.g.variable(init::zeros({2}), "v");
  EXPECT_NE(error_of([&] {
              call(layer.g, {{layer.x, x}, {layer.w, w}}, {layer.y + v});
            }).find("is needed, but variables belong to one graph: make it a placeholder"),
            std::string::npos);
}

}  // namespace
}  // namespace weft::call_test
