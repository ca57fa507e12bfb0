#include "graph/primitive.h"
#include "ops/inverse_erf.h"
#include "ops/philox.h"
#include "ops/random_range.h"
#include "runtime/initial_value.h"

#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/movement.h>
#include <weft/random.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace weft::random_test {
namespace {

using philox::Block;

/// The node that Graph::variable makes of an initialiser.
ir::Node variable_node(const Initializer& initializer) {
  constexpr const char* names[] = {"literal", "constant", "uniform", "normal", "truncated_normal"};
  ir::Node node;
  node.attributes = {{"dtype", initializer.type.dtype}, {"initializer", std::string(names[static_cast<int>(initializer.kind)])}};
  node.attributes.set_shape(initializer.type.shape);
  if (initializer.kind == Initializer::Kind::literal) {
    node.attributes.set("value", Literal::of(initializer.literal));
  } else {
    node.attributes.set("a", initializer.a);
    node.attributes.set("b", initializer.b);
    node.attributes.set("seed", static_cast<std::int64_t>(initializer.seed));
  }
  return node;
}

NDArray initial(const Initializer& initializer, std::uint64_t graph_seed = 0, int position = 0) {
  return runtime::initial_value(variable_node(initializer), graph_seed, position);
}

std::vector<double> numbers(const NDArray& a) {
  const NDArray d = a.cast(f64);
  return {d.elements<double>().begin(), d.elements<double>().end()};
}

constexpr RunOptions reference{.backend = Backend::reference};

NDArray value_of(Graph& g, Tensor t) { return g.run({}, {t}, {}, reference)[0].copy(); }

/// Expects a GraphError whose text has `part`.
template <class F> void expect_refused(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const GraphError& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

/// The largest distance of the sample's distribution function from `cdf` (Kolmogorov and Smirnov's statistic), times
/// the root of the sample's size. 1.95 is passed by chance once in a thousand samples.
double distance(std::vector<double> sample, const std::function<double(double)>& cdf) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double d = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double f = cdf(sample[i]);
    d = std::max({d, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  return d * std::sqrt(n);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

TEST(Philox, GivesTheKnownAnswersOfItsAuthors) {
  EXPECT_EQ(philox::block({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox::block({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox::block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, WordsWalkTheBlocksAndCarryWithinTheLowHalf) {
  philox::Words words({.low = 0xffffffffu, .high = 7, .key = std::uint64_t{5} << 32 | 3});
  const Block first = philox::block({0xffffffffu, 0, 7, 0}, {3, 5}), second = philox::block({0, 1, 7, 0}, {3, 5});
  for (auto w : first) EXPECT_EQ(words.next(), w);
  EXPECT_EQ(words.next64(), second[0] | std::uint64_t{second[1]} << 32);
}

TEST(InverseErf, InvertsErf) {
  for (double x = -0.9999; x < 1; x += 0.0101) EXPECT_NEAR(std::erf(inverse_erf::evaluate(x)), x, 1e-13);
  EXPECT_EQ(inverse_erf::evaluate(0), 0);
}

TEST(RandomRange, LargestBelowIsTheNeighbour) {
  EXPECT_EQ(ops::largest_below(1, f32), 1 - 0x1p-24);
  EXPECT_EQ(ops::largest_below(3, f32), 3 - 0x1p-22);
  EXPECT_EQ(ops::largest_below(-1, f32), -1 - 0x1p-23);
  EXPECT_EQ(ops::largest_below(0, f32), -0x1p-149);
  EXPECT_EQ(ops::largest_below(1, f16), 1 - 0x1p-11);
  EXPECT_EQ(ops::largest_below(1, bf16), 1 - 0x1p-8);
  EXPECT_EQ(ops::largest_below(0.1, f64), std::nextafter(0.1, 0));
  EXPECT_LT(ops::largest_below(0.1, f32), 0.1);
}

TEST(InitialValue, LiteralsAndConstantsAreKept) {
  EXPECT_EQ(numbers(initial(init::literal(NDArray::of<std::int32_t>({2}, {3, -4})))), (std::vector<double>{3, -4}));
  EXPECT_EQ(numbers(initial(init::constant({2, 2}, 0.1, f16))), std::vector<double>(4, 0.0999755859375));
  EXPECT_EQ(initial(init::zeros({0, 3})).element_count(), 0);
}

TEST(InitialValue, UniformFillsItsIntervalEvenly) {
  for (DType t : {f32, f64}) {
    const auto x = numbers(initial(init::uniform({100, 1000}, -0.2, 0.2, 11, t)));
    EXPECT_LT(distance(x, [](double v) { return (v + 0.2) / 0.4; }), 1.95);
  }
  for (DType t : {f32, f16, bf16, f64}) {
    const auto x = numbers(initial(init::uniform({100000}, 1, 2, 5, t)));
    EXPECT_GE(*std::min_element(x.begin(), x.end()), 1) << name_of(t);
    EXPECT_LT(*std::max_element(x.begin(), x.end()), 2) << name_of(t);
  }
}

TEST(InitialValue, NormalHasItsDistribution) {
  for (DType t : {f32, f64}) {
    const auto x = numbers(initial(init::normal({100000}, 3, 0.5, 1, t)));
    EXPECT_LT(distance(x, [](double v) { return normal_cdf((v - 3) / 0.5); }), 1.95);
  }
}

TEST(InitialValue, TruncatedNormalStaysWithinTwoDeviations) {
  auto initializer = init::normal({100000}, -1, 2, 9);
  initializer.kind = Initializer::Kind::truncated_normal;
  const auto x = numbers(initial(initializer));
  EXPECT_GE(*std::min_element(x.begin(), x.end()), -5);
  EXPECT_LE(*std::max_element(x.begin(), x.end()), 3);
  const double inside = normal_cdf(2) - normal_cdf(-2);
  EXPECT_LT(distance(x, [&](double v) { return (normal_cdf((v + 1) / 2) - normal_cdf(-2)) / inside; }), 1.95);
}

TEST(InitialValue, DependsOnItsOwnSeedOrOnTheGraphsAndThePosition) {
  const auto own = init::uniform({16}, 0, 1, 42), none = init::uniform({16}, 0, 1);
  EXPECT_EQ(numbers(initial(own, 1, 0)), numbers(initial(own, 2, 5)));
  EXPECT_EQ(numbers(initial(none, 1, 3)), numbers(initial(none, 1, 3)));
  EXPECT_NE(numbers(initial(none, 1, 3)), numbers(initial(none, 1, 4)));
  EXPECT_NE(numbers(initial(none, 1, 3)), numbers(initial(none, 2, 3)));
}

TEST(Random, UniformNumbersAreTheWordsOfTheSeedsKey) {
  Graph g;
  const auto u = numbers(value_of(g, random_uniform(g, {5}, {.seed = 42})));
  philox::Words words({.key = philox::key_of(42)});
  for (double x : u) EXPECT_EQ(x, std::ldexp(words.next() >> 8, -24));
  EXPECT_EQ(u, numbers(initial(init::uniform({5}, 0, 1, 42))));
}

TEST(Random, UniformFillsItsIntervalInEveryType) {
  for (DType t : {f32, f16, bf16, f64}) {
    Graph g;
    const Tensor u = random_uniform(g, {20000}, {.low = -1, .high = 3, .dtype = t, .seed = 3});
    EXPECT_EQ(u.type(), (TensorType{t, {20000}}));
    const auto x = numbers(value_of(g, u));
    EXPECT_GE(*std::min_element(x.begin(), x.end()), -1);
    EXPECT_LT(*std::max_element(x.begin(), x.end()), 3);
    if (t == f32 || t == f64) {
      EXPECT_LT(distance(x, [](double v) { return (v + 1) / 4; }), 1.95);
    }
  }
}

TEST(Random, IntegersCoverBothEnds) {
  Graph g;
  const auto x = numbers(value_of(g, random_integers(g, {6000}, {.low = -2, .high = 3, .dtype = i8, .seed = 1})));
  std::vector<int> counts(6);
  for (double v : x) ++counts.at(static_cast<std::size_t>(v + 2));
  double chi_squared = 0;
  for (int c : counts) chi_squared += (c - 1000.0) * (c - 1000.0) / 1000;
  EXPECT_LT(chi_squared, 20.5);  // 5 degrees of freedom: once in a thousand
}

TEST(Random, IntegersTakeTheWholeOf64Bits) {
  Graph g;
  constexpr auto low = std::numeric_limits<std::int64_t>::min(), high = std::numeric_limits<std::int64_t>::max();
  const NDArray a = value_of(g, random_integers(g, {2}, {.low = low, .high = high, .dtype = i64, .seed = 8}));
  philox::Words words({.key = philox::key_of(8)});
  for (auto v : a.elements<std::int64_t>()) EXPECT_EQ(static_cast<std::uint64_t>(v), words.next64() + (std::uint64_t{1} << 63));
}

TEST(Random, NormalAgreesWithInitialValues) {
  for (DType t : {f32, f64}) {
    Graph g;
    const auto x = numbers(value_of(g, random_normal(g, {20000}, {.mean = 1, .deviation = 2, .dtype = t, .seed = 6})));
    const auto expected = numbers(initial(init::normal({20000}, 1, 2, 6, t)));
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], expected[i], t == f64 ? 1e-13 : 4e-6);
    EXPECT_LT(distance(x, [](double v) { return normal_cdf((v - 1) / 2); }), 1.95);
  }
}

TEST(Random, TruncatedNormalHasItsDistributionBetweenItsBounds) {
  for (DType t : {f32, f64}) {
    Graph g;
    const auto x =
        numbers(value_of(g, random_truncated_normal(g, {20000}, {.mean = 5, .deviation = 0.5, .low = -1, .high = 3, .dtype = t, .seed = 2})));
    const double below = normal_cdf(-1), inside = normal_cdf(3) - below;
    EXPECT_LT(distance(x, [&](double v) { return (normal_cdf((v - 5) / 0.5) - below) / inside; }), 1.95);
    EXPECT_GE(*std::min_element(x.begin(), x.end()), 4.5);
    EXPECT_LE(*std::max_element(x.begin(), x.end()), 6.5);
  }
}

TEST(Random, WithoutASeedEveryRunAndEveryOperationDiffers) {
  Graph g;
  const Tensor a = random_uniform(g, {8}), b = random_uniform(g, {8}), fixed = random_uniform(g, {8}, {.seed = 1});
  const RunResult first = g.run({}, {a, b, fixed}, {}, reference), second = g.run({}, {a, b, fixed}, {}, reference);
  EXPECT_NE(numbers(first[a]), numbers(first[b]));
  EXPECT_NE(numbers(first[a]), numbers(second[a]));
  EXPECT_EQ(numbers(first[fixed]), numbers(second[fixed]));
}

TEST(Random, TheGraphsSeedDecidesWhereNoOtherIsGiven) {
  auto sample = [](std::uint64_t seed) {
    Graph g;
    g.set_seed(seed);
    return numbers(value_of(g, random_uniform(g, {8})));
  };
  EXPECT_EQ(sample(5), sample(5));
  EXPECT_NE(sample(5), sample(6));
}

TEST(Random, LikeFormsTakeUnknownSizes) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 3}, f16);
  const Tensor u = random_uniform_like(x, {.seed = 4}), n = random_normal_like(x, {.dtype = f32, .seed = 4});
  EXPECT_EQ(u.type().str(), "f16[?,3]");
  EXPECT_EQ(n.type().str(), "f32[?,3]");
  const RunResult r = g.run({{x, NDArray(f16, {2, 3})}}, {u, n}, {}, reference);
  EXPECT_EQ(r[u].shape(), (Shape{2, 3}));
  EXPECT_EQ(numbers(r[n]), numbers(value_of(g, random_normal(g, {2, 3}, {.seed = 4}))));
}

TEST(Random, AStateGoesOnWhereTheLastNumbersEnded) {
  Graph g;
  const Tensor start = g.constant(random_state(42));
  const auto first = random_uniform(start, {8});
  const auto second = random_uniform(first.state, {8});
  auto joined = numbers(value_of(g, first.values));
  const auto rest = numbers(value_of(g, second.values));
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(joined, numbers(value_of(g, random_uniform(g, {16}, {.seed = 42}))));
  EXPECT_EQ(value_of(g, random_normal(start, {3, 3}, {.dtype = f64}).state).elements<std::uint64_t>()[0], 9u);
}

TEST(Random, RefusesWhatCannotBeDrawn) {
  Graph g;
  expect_refused([&] { random_uniform(g, {dynamic}); },
                 "random_uniform: shape [?] has unknown sizes; take them from a tensor with random_uniform_like (at random_test.cpp:");
  expect_refused([&] { random_uniform(g, {2}, {.low = 1, .high = 1}); }, "random_uniform: bounds 1.000000 and 1.000000 are not in order");
  expect_refused([&] { random_uniform(g, {2}, {.dtype = i32}); }, "random_uniform: numbers of i32 can't be drawn, expects floating point");
  expect_refused([&] { random_integers(g, {2}, {.low = 0, .high = 256, .dtype = u8}); },
                 "random_integers: bounds 0 and 256 are not in order, or not values of u8");
  expect_refused([&] { random_normal(g, {2}, {.deviation = -1}); }, "random_normal: deviation -1.000000 is negative");
  expect_refused([&] { random_truncated_normal(g, {2}, {.low = -6}); }, "within -5 to 5");
  expect_refused([&] { random_uniform(g.constant(1.0, {3}), {2}); }, "state is f32[3], expects u64[3]");
  const Tensor x = g.placeholder({2});
  expect_refused([&] { dropout(x, 1.5); }, "dropout: rate 1.500000 is not a probability (at random_test.cpp:");
  expect_refused([&] { dropout(g.placeholder({2}, i32), 0.5); }, "dropout: operand is i32[2], expects floating point");
}

TEST(Dropout, KeepsTheMeanAndZeroesAtTheRate) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}), y = dropout(x, 0.25, {.seed = 7});
  const NDArray ones = NDArray::scalar(1.0f).broadcast_to({20000}).copy();
  const auto v = numbers(g.run({{x, ones}}, {y}, {}, reference)[0]);
  const auto zeros = std::count(v.begin(), v.end(), 0.0);
  EXPECT_NEAR(static_cast<double>(zeros), 5000, 3.3 * std::sqrt(20000 * 0.25 * 0.75));
  for (double e : v) EXPECT_TRUE(e == 0 || std::fabs(e - 4.0 / 3) < 1e-6);
}

TEST(Dropout, DerivativePassesThroughTheSameMask) {
  Graph g;
  const Tensor x = g.placeholder({dynamic}), y = dropout(x, 0.5);
  const Tensor dx = g.gradients(y, {x})[0];
  const RunResult r = g.run({{x, NDArray::scalar(3.0f).broadcast_to({64}).copy()}}, {y, dx}, {}, reference);
  const auto values = numbers(r[y]), derivatives = numbers(r[dx]);
  EXPECT_NE(std::count(values.begin(), values.end(), 0.0) % 64, 0);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(derivatives[i] * 3, values[i]);
}

TEST(Dropout, OfEverythingIsZeroAndOfNothingIsTheOperand) {
  Graph g;
  const Tensor x = g.placeholder({64}), rate = g.placeholder({});
  const NDArray ones = NDArray::scalar(1.0f).broadcast_to({64}).copy();
  EXPECT_EQ(numbers(g.run({{x, ones}}, {dropout(x, 1)}, {}, reference)[0]), std::vector<double>(64, 0));
  EXPECT_EQ(numbers(g.run({{x, ones}}, {dropout(x, 0)}, {}, reference)[0]), std::vector<double>(64, 1));
  const Tensor y = dropout(x, rate, {.seed = 3});
  EXPECT_EQ(numbers(g.run({{x, ones}, {rate, 1.0f}}, {y}, {}, reference)[0]), std::vector<double>(64, 0));
  EXPECT_EQ(numbers(g.run({{x, ones}, {rate, 0.5f}}, {y}, {}, reference)[0]),
            numbers(g.run({{x, ones}}, {dropout(x, 0.5, {.seed = 3})}, {}, reference)[0]));
}

// Categorical ---------------------------------------------------------------------------------------------------------------

/// How often each index is drawn for one row of logits.
std::vector<double> frequencies(const std::vector<float>& logits, CategoricalOptions options) {
  constexpr std::int64_t draws = 20000;
  Graph g;
  const auto n = static_cast<std::int64_t>(logits.size());
  const Tensor rows = broadcast_to(g.constant(NDArray::of<float>({1, n}, logits)), {draws, n});
  options.seed = 7;
  std::vector<double> counts(logits.size());
  for (double index : numbers(g.run({}, {categorical(rows, options)})[0])) counts[static_cast<std::size_t>(index)] += 1;
  for (double& c : counts) c /= draws;
  return counts;
}

TEST(Categorical, DrawsIndicesAsOftenAsTheirProbabilitiesSay) {
  const std::vector<float> logits{0.5f, -1, 2, 1};
  for (double temperature : {0.5, 1.0, 3.0}) {
    const auto f = frequencies(logits, {.temperature = temperature});
    double total = 0;
    for (float l : logits) total += std::exp(l / temperature);
    for (std::size_t i = 0; i < f.size(); ++i) {
      const double p = std::exp(logits[i] / temperature) / total;
      // Five deviations.
      EXPECT_NEAR(f[i], p, 5 * std::sqrt(p * (1 - p) / 20000)) << temperature << " " << i;
    }
  }
}

TEST(Categorical, DrawsTheLargestAtTemperatureZero) {
  EXPECT_EQ(frequencies({0.5f, -1, 2, 1}, {.temperature = 0}), (std::vector<double>{0, 0, 1, 0}));
}

TEST(Categorical, LeavesOutWhatTopKAndTopPDo) {
  const std::vector<float> logits{1, 3, 2, 0};  // 0.087, 0.644, 0.237, 0.032
  const auto two = frequencies(logits, {.top_k = 2});
  EXPECT_EQ(two[0] + two[3], 0);
  EXPECT_NEAR(two[1], 0.731, 0.02);
  const auto all = frequencies(logits, {.top_k = 9});
  EXPECT_GT(all[3], 0);
  const auto likely = frequencies(logits, {.top_p = 0.7});
  EXPECT_EQ(likely[0] + likely[3], 0);
  EXPECT_GT(likely[2], 0);
  EXPECT_EQ(frequencies(logits, {.top_p = 0.5})[1], 1);
  // Of those that top_k leaves the first has 0.731.
  EXPECT_EQ(frequencies(logits, {.top_k = 2, .top_p = 0.7})[1], 1);
}

TEST(Categorical, DrawsAlongAnyAxisAndFromAState) {
  Graph g;
  const Tensor logits = g.constant(NDArray::of<float>({2, 3}, {9, 0, 9, 0, 9, 0}));
  EXPECT_EQ(numbers(value_of(g, categorical(logits, {.temperature = 0.01, .axis = 0, .seed = 1}))), (std::vector<double>{0, 1, 0}));
  const Tensor state = g.constant(random_state(5)), flat = g.constant(0.0, {300, 8});
  const RandomResult first = categorical(state, flat), second = categorical(first.state, flat);
  EXPECT_EQ(numbers(value_of(g, first.values)), numbers(value_of(g, categorical(state, flat).values)));
  EXPECT_NE(numbers(value_of(g, first.values)), numbers(value_of(g, second.values)));
}

TEST(Categorical, TheTemperatureMayBeFed) {
  Graph g;
  const Tensor t = g.placeholder({}, f32), drawn = categorical(g.constant(NDArray::of<float>({4}, {1, 2, 3, 4})), {.temperature = t, .seed = 3});
  EXPECT_EQ(g.run({{t, NDArray::of<float>({}, {0.001f})}}, {drawn}, {}, reference)[0].item(), 3);
}

TEST(Categorical, WhatMakesNoSenseIsRefused) {
  Graph g;
  const Tensor logits = g.placeholder({4}, f32);
  EXPECT_THROW(categorical(g.placeholder({4}, i32)), GraphError);
  EXPECT_THROW(categorical(logits, {.temperature = -1}), GraphError);
  EXPECT_THROW(categorical(logits, {.top_k = -1}), GraphError);
  EXPECT_THROW(categorical(logits, {.top_p = 0}), GraphError);
  EXPECT_THROW(categorical(logits, {.axis = 1}), GraphError);
}

}  // namespace
}  // namespace weft::random_test
