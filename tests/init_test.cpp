#include <weft/init.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft::init_test {
namespace {

template <class F> void expect_refused(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const GraphError& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

TEST(Initializer, GlorotsBoundIsRootOfSixOverBothFans) {
  const Initializer matrix = init::glorot({30, 20}, init::Fan::in_out, 5);
  EXPECT_EQ(matrix.kind, Initializer::Kind::uniform);
  EXPECT_DOUBLE_EQ(matrix.b, std::sqrt(6.0 / 50));
  EXPECT_EQ(matrix.a, -matrix.b);
  EXPECT_EQ(matrix.seed, 5u);
  EXPECT_DOUBLE_EQ(init::glorot({5, 5, 3, 32}).b, std::sqrt(6.0 / (25 * 3 + 25 * 32)));
  EXPECT_DOUBLE_EQ(init::glorot({32, 3, 5, 5}, init::Fan::out_in).b, std::sqrt(6.0 / (25 * 3 + 25 * 32)));
}

TEST(Initializer, HesDeviationIsRootOfTwoOverTheFanIn) {
  const Initializer weights = init::he({5, 5, 3, 32});
  EXPECT_EQ(weights.kind, Initializer::Kind::normal);
  EXPECT_EQ(weights.a, 0);
  EXPECT_DOUBLE_EQ(weights.b, std::sqrt(2.0 / 75));
  EXPECT_DOUBLE_EQ(init::he({32, 3, 5, 5}, init::Fan::out_in).b, std::sqrt(2.0 / 75));
}

TEST(Initializer, OfEmptyWeightsIsFinite) {
  EXPECT_EQ(init::glorot({0, 0}).b, 0);
  EXPECT_EQ(init::he({0, 4}).b, 0);
}

TEST(Initializer, LiteralsKeepTheirOwnElements) {
  NDArray value = NDArray::of<float>({2}, {1, 2});
  const Initializer i = init::literal(value);
  value.elements<float>()[0] = 9;
  EXPECT_EQ(i.type.str(), "f32[2]");
  EXPECT_EQ(i.literal.str(), "f32[2] [1, 2]");
}

TEST(Initializer, RefusesBoundsDeviationsTypesAndShapesThatDoNotFit) {
  expect_refused([] { init::uniform({3}, 1, 0); }, "uniform initial value f32[3]: bounds 1 and 0 aren't finite and in order");
  expect_refused([] { init::uniform({3}, 0, std::numeric_limits<double>::infinity()); }, "aren't finite");
  expect_refused([] { init::normal({3}, 0, -1); },
                 "normal initial value f32[3]: mean 0 and deviation -1 aren't finite, or the deviation is negative");
  expect_refused([] { init::normal({3}, std::nan(""), 1); }, "mean nan");
  expect_refused([] { init::normal({3}, 0, 1, 0, i32); }, "random values are floating-point");
  expect_refused([] { init::uniform({dynamic}, 0, 1); }, "every size of a variable must be known");
  expect_refused([] { init::zeros(Shape::unranked()); }, "every size of a variable must be known");
  expect_refused([] { init::glorot({3}); }, "glorot initial value of shape [3]: weights have at least two dimensions");
  expect_refused([] { init::he({}); }, "at least two dimensions");
}

}  // namespace
}  // namespace weft::init_test
