#include "graph/primitive.h"
#include "ops/inverse_erf.h"
#include "ops/philox.h"
#include "ops/random_range.h"
#include "runtime/initial_value.h"

#include <weft/init.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace weft {
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

}  // namespace
}  // namespace weft
