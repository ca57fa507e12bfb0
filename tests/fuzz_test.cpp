// Random graphs, compiled in every way and compared with the reference evaluator.
//
// WEFT_FUZZ_SECONDS goes on for longer than the usual 200 graphs; WEFT_FUZZ_SEED tries one graph alone.
#include "operation.h"
#include "random_graph.h"

#include <weft/error.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

namespace weft {
namespace {

struct Outcome {
  std::vector<NDArray> targets;
  NDArray variable;
};

Outcome outcome(RandomGraph& random, const RunOptions& options) {
  if (random.variable) random.g.set_value(random.variable, random.initial);
  const auto r = random.g.run(random.feeds, random.targets, random.updates, options);
  return {{r.begin(), r.end()}, random.variable ? random.g.value(random.variable) : NDArray()};
}

void try_seed(std::uint64_t seed) {
  SCOPED_TRACE("WEFT_FUZZ_SEED=" + std::to_string(seed));
  RandomGraph random(seed);
  const auto fail = [&](const std::string& way, const std::string& what) { ADD_FAILURE() << way << ": " << what << "\n" << random.g.str(); };
  const auto expected = outcome(random, reference_run);
  for (const auto& way : ways()) {
    try {
      const auto got = outcome(random, way.options);
      for (std::size_t i = 0; i < expected.targets.size(); ++i)
        if (const auto result = agree(expected.targets[i], got.targets[i], random.tolerance); !result)
          return fail(way.name, "target " + random.targets[i].name() + ": " + result.message());
      if (const auto result = agree(expected.variable, got.variable, random.tolerance); !result)
        return fail(way.name, std::string("variable: ") + result.message());
    } catch (const Error& e) { return fail(way.name, e.what()); }
  }
  const std::string text = random.g.str();
  EXPECT_EQ(Graph::parse(text).str(), text);
}

TEST(Fuzz, RandomGraphsComputeWhatTheReferenceDoes) {
  if (const char* seed = std::getenv("WEFT_FUZZ_SEED")) return try_seed(std::strtoull(seed, nullptr, 10));
  const char* given = std::getenv("WEFT_FUZZ_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given ? std::atoi(given) : 0);
  for (std::uint64_t seed = 0; (seed < 200 || std::chrono::steady_clock::now() < end) && !testing::Test::HasFailure(); ++seed) try_seed(seed);
}

}  // namespace
}  // namespace weft
