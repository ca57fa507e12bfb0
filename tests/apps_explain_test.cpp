// What `weft explain` knows of a compiled graph, prints and draws.
#include "apps/explained.h"
#include "compile/backend.h"
#include "file_testing.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>

namespace weft::apps::apps_explain_test {
namespace {

using testing::Folder;
using testing::text_of;
using Place = Explanation::Place;

class Explain : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  }

  Executable digits() {
    build_lenet(setup_, 4);
    return setup_.compile({.backend = Backend::cpu});
  }

  apps::Setup setup_;
};

TEST_F(Explain, EveryOperationOfADigitsStepIsComputedInOneStepOrWhereItIsRead) {
  const Explanation e = digits().explain();
  ASSERT_FALSE(e.steps.empty());
  std::vector<std::set<int>> steps_of(e.operations.size());
  for (std::size_t s = 0; s < e.steps.size(); ++s)
    for (int id : e.steps[s].operations)
      steps_of[static_cast<std::size_t>(id)].insert(e.steps[s].continues < 0 ? static_cast<int>(s) : e.steps[s].continues);
  for (std::size_t id = 0; id < e.operations.size(); ++id) {
    const auto& o = e.operations[id];
    switch (o.place) {
      case Place::step: EXPECT_EQ(steps_of[id], std::set{o.step}) << o.name << id; break;
      case Place::readers: EXPECT_FALSE(steps_of[id].empty()) << o.name << id; break;
      case Place::source:
      case Place::view:
      case Place::unneeded: EXPECT_TRUE(steps_of[id].empty()) << o.name << id; break;
    }
    EXPECT_NE(o.place, Place::unneeded) << o.name << id;
    for (int operand : o.operands) EXPECT_LT(operand, static_cast<int>(id));
  }
}

TEST_F(Explain, StepsMoveWhatTheStatisticsSayAndLessThanTheirOperationsWould) {
  const Executable executable = digits();
  const Explanation e = executable.explain();
  const auto& statistics = executable.statistics();
  std::int64_t moved = 0, unstitched = 0, flops = 0;
  int library = 0;
  for (const auto& s : e.steps) moved += s.bytes_read + s.bytes_written, library += s.is_library;
  for (const auto& o : e.operations) unstitched += o.bytes, flops += o.flops;
  EXPECT_LE(moved, statistics.bytes_read + statistics.bytes_written);  // which have copies of results too
  EXPECT_GT(moved, (statistics.bytes_read + statistics.bytes_written) / 2);
  EXPECT_LT(moved, unstitched);
  EXPECT_EQ(flops, statistics.flops);
  EXPECT_EQ(library, statistics.library_calls);
  EXPECT_EQ(static_cast<int>(e.steps.size()), statistics.kernels + statistics.library_calls);
}

TEST_F(Explain, RefusalsNameBothOperationsAndTheReason) {
  const Explanation e = digits().explain();
  ASSERT_FALSE(e.refusals.empty());
  EXPECT_TRUE(std::ranges::any_of(e.refusals, [](const auto& r) { return r.consumer >= 0; }));
  for (const auto& r : e.refusals) {
    EXPECT_GE(r.producer, 0);
    EXPECT_LT(std::max(r.producer, r.consumer), static_cast<int>(e.operations.size()));
    EXPECT_FALSE(r.why.empty());
  }
}

TEST_F(Explain, ATimedRunHasATimeForEachStepAndUpdatesVariables) {
  const Executable executable = digits();
  const Tensor bias = setup_.graph.variables()[1];
  const NDArray before = setup_.graph.value(bias);
  const auto seconds = executable.run_timed(setup_.feeds(executable));
  EXPECT_EQ(seconds.size(), executable.explain().steps.size());
  for (double s : seconds) EXPECT_GE(s, 0);
  EXPECT_NE(setup_.graph.value(bias).str(), before.str());
}

TEST_F(Explain, AChainOfElementwiseOperationsIsOneStepThatStoresOnlyItsResult) {
  const Tensor x = setup_.feed({1000});
  setup_.targets = {tanh(exp(x) + 1.0f).named("chain")};
  const Explanation e = setup_.compile({.backend = Backend::cpu}).explain();
  ASSERT_EQ(e.steps.size(), 1u);
  EXPECT_EQ(e.steps[0].bytes_read, 4000);
  EXPECT_EQ(e.steps[0].bytes_written, 4000);
  EXPECT_EQ(e.steps[0].flops, 3000);
  EXPECT_GE(e.steps[0].bytes_unstitched, 3 * 8000);
  EXPECT_EQ(e.operations[static_cast<std::size_t>(e.steps[0].operations.back())].label, "chain");
  EXPECT_TRUE(e.steps[0].code.starts_with("kernel " + e.steps[0].name));
}

TEST_F(Explain, FloorsGrowWithBytesAndArithmetic) {
  const Machine machine{.streams = {{1000, 1e-6}, {10000, 20e-6}}, .flops = 1e9};
  EXPECT_DOUBLE_EQ(machine.floor(500, 0), 0.5e-6);
  EXPECT_DOUBLE_EQ(machine.floor(10000, 0), 20e-6);
  EXPECT_DOUBLE_EQ(machine.floor(100000, 0), 200e-6);
  EXPECT_DOUBLE_EQ(machine.floor(500, 1000), 1e-6);
  EXPECT_DOUBLE_EQ(machine.floor(0, 0), 0);
}

TEST_F(Explain, ThePageHasNoAddressesAndEscapesLabels) {
  const Tensor x = setup_.feed({10});
  setup_.targets = {exp(x).named("<b>\"</script>")};
  const Executable executable = setup_.compile({.backend = Backend::cpu});
  Explained e{.title = "<i>", .explanation = executable.explain(), .statistics = executable.statistics(), .machine = {}};
  e.floors.resize(e.explanation.steps.size());
  const std::string page = page_of(e);
  for (const char* absent : {"http:", "https:", "src=", "href=", "url(", "<b>", "<i>"}) EXPECT_EQ(page.find(absent), std::string::npos) << absent;
  EXPECT_NE(page.find("\\u003cb>\\\"\\u003c/script>"), std::string::npos);
  const std::string_view end = "</script>";
  EXPECT_EQ(page.find(end), page.rfind(end)) << "a label ended the script";
}

TEST_F(Explain, ADumpHasThePassesTheKernelsAndTheirCode) {
  const Folder folder;
  const Tensor x = setup_.feed({10});
  setup_.targets = {(exp(x) + 1.0f).named("a\nlabel")};
  setup_.compile({.backend = Backend::cpu}).write_dump((folder / "dump").string());
  std::multiset<std::string> kinds;
  for (const auto& file : std::filesystem::directory_iterator(folder / "dump")) kinds.insert(file.path().extension().string());
  EXPECT_EQ(kinds, (std::multiset<std::string>{".ll", ".s", ".txt", ".txt"}));
  EXPECT_NE(text_of(folder / "dump" / "passes.txt").find("== apply rules"), std::string::npos);
  EXPECT_NE(text_of(folder / "dump" / "kernels.txt").find("kernel exp_add_10_f32"), std::string::npos);
  EXPECT_NE(text_of(folder / "dump" / "000_exp_add_10_f32.ll").find("define void"), std::string::npos);
  EXPECT_NE(text_of(folder / "dump" / "000_exp_add_10_f32.s").find(".text"), std::string::npos);
  EXPECT_EQ(text_of(folder / "dump" / "000_exp_add_10_f32.ll").find("; %1 exp : f32[10]\n; %3 add \"a label\" : f32[10]\n"), 0u);
  EXPECT_THROW(setup_.compile({.backend = Backend::cpu}).write_dump("/proc/nothing/here"), RunError);
}

class ExplainCommand : public Explain {
 protected:
  /// The exit status; what it printed lies in out and err.
  int weft(const std::string& arguments, const std::string& environment = {}) {
    const std::string line = "env " + environment + " '" WEFT_COMMAND "' " + arguments + " >'" + path("out") + "' 2>'" + path("err") + "'";
    const int status = std::system(line.c_str());
    out_ = text_of(folder_ / "out");
    err_ = text_of(folder_ / "err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }

  const Folder folder_;
  std::string out_, err_;
};

TEST_F(ExplainCommand, ExplainsAGraphFromAFileForTheShapesThatItIsGiven) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 4}, f32, "x");
  softmax(x, -1).named("y");
  io::save_file(folder_ / "g.txt", g.str());
  EXPECT_EQ(weft("explain '" + path("g.txt") + "'"), 1);
  EXPECT_NE(err_.find("--feed NAME=SIZExSIZE... must give the shapes of x f32[?,4]"), std::string::npos) << err_;
  EXPECT_EQ(weft("explain '" + path("g.txt") + "' --feed z=3x4 --feed x=3x4"), 1);
  EXPECT_NE(err_.find("has no placeholder of that name"), std::string::npos) << err_;
  EXPECT_EQ(weft("explain '" + path("g.txt") + "' --feed x=3xx4"), 2);

  const std::string arguments = "explain '" + path("g.txt") + "' --feed x=300x4 --measure --html '" + path("g.html") + "'";
  ASSERT_EQ(weft(arguments, "WEFT_DUMP='" + path("dump") + "'"), 0) << err_;
  EXPECT_NE(out_.find("1 step, 1 generated kernel and 0 library calls"), std::string::npos) << out_;
  EXPECT_NE(out_.find("\"y\" : f32[300,4]"), std::string::npos) << out_;
  EXPECT_NE(out_.find("\na whole run takes "), std::string::npos) << out_;
  EXPECT_NE(out_.find("\nnot stitched\n"), std::string::npos) << out_;
  EXPECT_TRUE(text_of(folder_ / "g.html").starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "dump" / "0" / "passes.txt"));
}

TEST_F(ExplainCommand, ListsTheGraphsThatItKnowsWhenGivenAnother) {
  EXPECT_EQ(weft("explain nonsense"), 1);
  EXPECT_NE(err_.find("\"nonsense\" is neither a file nor one of the graphs digits, "), std::string::npos) << err_;
  EXPECT_NE(err_.find("train_dcgan_f32_b16"), std::string::npos) << err_;
  EXPECT_EQ(weft("explain gelu --feed x=3"), 1);
  EXPECT_EQ(weft("explain"), 2);
}

}  // namespace
}  // namespace weft::apps::apps_explain_test
