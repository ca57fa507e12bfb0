// Random graphs, compiled in every way and compared with the reference evaluator. What fails is made smaller, printed, and
// written to a file that a test of its own can hold.
//
// WEFT_FUZZ_SECONDS=N tries seeds for so long, rather than the usual 100; WEFT_FUZZ_SEED=N begins with that seed, and
// without WEFT_FUZZ_SECONDS tries it alone; WEFT_FUZZ_DIR is where the files go, otherwise that for temporary ones. There,
// too, weft_fuzz_last.graph is the graph being tried, for when the process ends with it.
#include "compile/switches.h"
#include "graph/text.h"
#include "random_graph.h"
#include "specimen.h"

#include <weft/error.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace weft::fuzz_test {
namespace {

namespace fs = std::filesystem;

/// The usual way, another one in turn, and some with rules left out at random.
std::vector<Way> ways_for(std::uint64_t seed) {
  static const auto all = switches();
  std::mt19937_64 random(seed);
  std::vector<Way> list = usual_ways();
  list.push_back(ways()[seed % ways().size()]);
  std::vector<NamedBackend> backends{{"reference", Backend::reference}};
  backends.insert(backends.end(), compiling_backends().begin(), compiling_backends().end());
  for (const auto& [name, backend] : backends) {
    Way way{name, {.backend = backend}};
    const bool alone = random() % 2;
    for (const auto& s : all)
      if (!alone && random() % 4 == 0) way.options.without.emplace_back(s.name);
    if (alone) way.options.without.emplace_back(all[random() % all.size()].name);
    way.name += " without";
    for (const auto& name : way.options.without) way.name += (&name == &way.options.without[0] ? " " : ", ") + name;
    list.push_back(std::move(way));
  }
  return list;
}

fs::path path_of(const std::string& name) {
  const char* directory = std::getenv("WEFT_FUZZ_DIR");
  return (directory ? fs::path(directory) : fs::temp_directory_path()) / (name + ".graph");
}

void report(const Specimen& specimen, const Way& way, const std::string& wrong, const std::string& name) {
  const auto fails = [&](const Specimen& s) { return !Trial(s).disagreement(way).empty(); };
  const Specimen small = shrunk(specimen, fails);
  std::string why = Trial(small).disagreement(way);
  for (auto at = why.find('\n'); at != std::string::npos; at = why.find('\n', at + 1)) why.insert(at + 1, "# ");
  const std::string text = "# " + name + ", " + way.name + ": " + why + "\n" + small.str();
  const fs::path path = path_of(name);
  std::ofstream(path) << text;
  ADD_FAILURE() << way.name << ": " << wrong << "\nmade smaller, in " << path << ":\n" << text;
}

void try_seed(std::uint64_t seed) {
  SCOPED_TRACE("WEFT_FUZZ_SEED=" + std::to_string(seed));
  const Specimen specimen = RandomGraph(seed).specimen();
  const std::string text = specimen.str();
  const Specimen same = Specimen::parse(text);
  ASSERT_EQ(same.str(), text);
  if (std::getenv("WEFT_FUZZ_DIR")) std::ofstream(path_of("weft_fuzz_last")) << "# WEFT_FUZZ_SEED=" << seed << "\n" << text;
  Trial trial(same);
  for (const auto& way : ways_for(seed))
    if (const auto wrong = trial.disagreement(way); !wrong.empty()) return report(specimen, way, wrong, "weft_fuzz_" + std::to_string(seed));
}

TEST(Fuzz, RandomGraphsComputeWhatTheReferenceDoes) {
  const char *start = std::getenv("WEFT_FUZZ_SEED"), *seconds = std::getenv("WEFT_FUZZ_SECONDS");
  const std::uint64_t first = start ? std::strtoull(start, nullptr, 10) : 0, usual = start ? 1 : 100;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds ? std::atoi(seconds) : 0);
  std::uint64_t seed = first;
  while ((seconds ? std::chrono::steady_clock::now() < end : seed < first + usual) && !::testing::Test::HasFailure()) try_seed(seed++);
  RecordProperty("graphs", static_cast<int>(seed - first));
}

TEST(Fuzz, GraphsThatOnceFailedDoSoNoMore) {
  for (const auto& entry : fs::directory_iterator(fs::path(WEFT_SOURCE_DIR) / "tests/graphs")) {
    std::ifstream file(entry.path());
    const Specimen specimen = Specimen::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    SCOPED_TRACE(entry.path());
    Trial trial(specimen);
    for (const auto& way : ways()) EXPECT_EQ(trial.disagreement(way), "") << way.name;
  }
}

TEST(Specimens, AreMadeSmallerWhileTheyFail) {
  // What fails is any graph with a sine in it.
  const auto fails = [](const Specimen& s) {
    Trial runs(s);
    return s.str().find("sin(") != std::string::npos;
  };
  Specimen large;
  large.graph = parse_text(R"(
    %0 = placeholder() {dtype=f32, shape=[7,13]} : f32[7,13]
    %1 = exp(%0) : f32[7,13]
    %2 = transpose(%1) {swap=[0,1]} : f32[13,7]
    %3 = sin(%2) : f32[13,7]
    %4 = reduce_sum(%3) {axes=[0], keep=0} : f32[7]
    %5 = neg(%1) : f32[7,13]
  )");
  large.values.emplace(0, sample(real(-1, 1), f32, {7, 13}, 1));
  large.targets = {{4, 0}, {5, 0}};
  const Specimen small = shrunk(large, fails);
  EXPECT_EQ(small.str(), R"(%0 = placeholder() {dtype=f32, shape=[1,1]} "cut1" : f32[1,1]
%1 = sin(%0) : f32[1,1]
# value %0 %0 = constant() {value=f32[1,1] {1.0}} : f32[1,1]
# targets %1
# tolerance 0 0
)");
}

}  // namespace
}  // namespace weft::fuzz_test
