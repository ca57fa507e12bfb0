// Loops and branches in ways that the descriptions don't show: laid out or run, in each other, with variables, in training, and wrongly used.
#include "evaluated.h"

#include <weft/control.h>
#include <weft/elementwise.h>
#include <weft/indexing.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/optimizer.h>
#include <weft/random.h>
#include <weft/reduction.h>

#include "compile/backend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

namespace weft::control_test {
namespace {

using Tensors = std::vector<Tensor>;

/// Every backend that can run here, with loops laid out and with loops run.
std::vector<RunOptions> all_ways() {
  std::vector<RunOptions> list;
  for (const Backend backend : {Backend::reference, Backend::cpu, Backend::cuda}) {
    if (!has_backend(backend)) continue;
    RunOptions options;
    options.backend = backend;
    list.push_back(options);
    options.without = {"unroll loops"};
    list.push_back(options);
  }
  return list;
}

struct Control : ::testing::Test {
  FedGraph fed;
  Graph& g = fed.g;

  /// What the target is, in all ways; the first way's if they agree.
  std::string value(Tensor t) {
    std::string first;
    for (const auto& way : all_ways()) {
      const std::string text = g.run(fed.feeds, {t}, {}, way)[0].str();
      if (first.empty()) first = text;
      EXPECT_EQ(text, first) << static_cast<int>(way.backend) << (way.without.empty() ? "" : " looping");
    }
    return first;
  }
};

TEST_F(Control, WhileRunsAsLongAsItsConditionHolds) {
  const Tensor limit = fed.fed({}, NDArray::of<std::int32_t>({}, {100}));
  const Tensors initial{g.constant(0, {}, i32), g.constant(1, {}, i32), g.constant(0, {}, i64)};
  const auto last = while_loop(
      initial, [&](auto s) { return s[1] < limit; },
      [](auto s) {
        return Tensors{s[1], s[0] + s[1], s[2] + 1};
      });
  EXPECT_EQ(value(last[1]), "i32[] 144");
  EXPECT_EQ(value(last[2]), "i64[] 11");
}

TEST_F(Control, WhileMayNotRunAtAll) {
  const auto last = while_loop(
      Tensors{g.constant(7, {}, i32)}, [](auto s) { return s[0] < 0; }, [](auto s) { return Tensors{s[0] * 2}; });
  EXPECT_EQ(value(last[0]), "i32[] 7");
}

TEST_F(Control, CondComputesOneBranch) {
  // The branch that isn't taken would fail.
  const Tensor x = fed.fed({dynamic}, counting<std::int32_t>({3})), at = fed.fed({}, NDArray::of<std::int32_t>({}, {5}));
  const auto r = cond(
      at < 3, [&] { return Tensors{gather(x, at)}; }, [&] { return Tensors{sum(x)}; });
  EXPECT_EQ(value(r[0]), "i32[] 3");
}

TEST_F(Control, AConstantPredicateLeavesOneBranch) {
  const Tensor x = fed.fed({4}, counting<float>({4}));
  const auto r = cond(
      g.constant(true, {}, boolean), [&] { return Tensors{x * 2}; }, [&] { return Tensors{exp(x)}; });
  const Executable e = g.compile({{x, {f32, {4}}}}, {r[0]});
  EXPECT_EQ(e.dump().find("if("), e.dump().rfind("if("));  // only before the pass
  EXPECT_EQ(value(r[0]), "f32[4] [0, 2, 4, 6]");
}

TEST_F(Control, ForGivesStatesAndOutputs) {
  const Tensor x = fed.fed({}, NDArray::of<std::int32_t>({}, {3}));
  const LoopValues r = for_loop(4, Tensors{x}, [&](const Iteration& i) { return LoopValues{{i.states[0] + cast(i.index, i32)}, {i.states[0] * x}}; });
  EXPECT_EQ(value(r.states[0]), "i32[] 9");
  EXPECT_EQ(value(r.outputs[0]), "i32[4] [9, 9, 12, 18]");
}

TEST_F(Control, ForRunsAsOftenAsATensorSays) {
  for (const std::int8_t count : {5, 0, -3}) {
    const Tensor n = fed.fed({}, NDArray::of<std::int8_t>({}, {count}));
    const auto r = for_loop(n, Tensors{g.constant(1, {}, i64)}, [](const Iteration& i) { return LoopValues{{i.states[0] * 3}}; });
    EXPECT_EQ(value(r[0]), count == 5 ? "i64[] 243" : "i64[] 1");
    fed.feeds.erase(n);
  }
}

TEST_F(Control, StatesMayChangePlaces) {
  const Tensor a = fed.fed({2}, NDArray::of<float>({2}, {1, 2})), b = fed.fed({2}, NDArray::of<float>({2}, {3, 4}));
  const LoopValues r = for_loop(5, Tensors{a, b}, [](const Iteration& i) { return LoopValues{{i.states[1], i.states[0]}}; });
  EXPECT_EQ(value(r.states[0]), "f32[2] [3, 4]");
  EXPECT_EQ(value(r.states[1]), "f32[2] [1, 2]");
}

TEST_F(Control, ElementsMayLieAnywhere) {
  // 12 bytes an element: not where a GPU's kernels read from.
  const Tensor x = fed.fed({dynamic, 3}, counting<float>({3, 3}));
  const LoopValues r = scan(Tensors{x}, Tensors{}, [](const Iteration& i) {
    return LoopValues{{}, {i.elements[0] * cast(i.index + 1, f32), sum(i.elements[0])}};
  });
  EXPECT_EQ(value(r.outputs[0]), "f32[3,3] [[0, 1, 2], [6, 8, 10], [18, 21, 24]]");
  EXPECT_EQ(value(r.outputs[1]), "f32[3] [3, 12, 21]");
}

TEST_F(Control, LoopsStandInLoopsAndBranches) {
  const Tensor n = fed.fed({}, NDArray::of<std::int32_t>({}, {4}));
  // Sum of i * j for j < i < n, where i is even.
  const auto r = while_loop(
      Tensors{g.constant(0, {}, i32), g.constant(0, {}, i32)}, [&](auto s) { return s[0] < n * 2; },
      [&](auto s) {
        const Tensor i = s[0], so_far = s[1];
        const auto added = cond(
            equal(i % 2, 0),
            [&] { return for_loop(i, Tensors{so_far}, [&](const Iteration& j) { return LoopValues{{j.states[0] + i * cast(j.index, i32)}}; }); },
            [&] { return Tensors{so_far}; });
        return Tensors{i + 1, added[0]};
      });
  int expected = 0;
  for (int i = 0; i < 8; i += 2)
    for (int j = 0; j < i; ++j) expected += i * j;
  EXPECT_EQ(value(r[1]), "i32[] " + std::to_string(expected));
}

TEST_F(Control, LongLoopsAreRunAndGiveWhatACallByCallLoopDoes) {
  const Tensor x = fed.fed({64}, counting<float>({64}));
  const auto step = [](Tensor s) { return s * 0.999f + 0.5f; };
  const LoopValues r = for_loop(10'000, Tensors{x}, [&](const Iteration& i) { return LoopValues{{step(i.states[0])}}; });
  Graph once;
  const Tensor y = once.placeholder({64}, f32);
  const Tensor next = step(y);
  for (const Backend backend : {Backend::cpu, Backend::cuda}) {
    if (!has_backend(backend)) continue;
    RunOptions options;
    options.backend = backend;
    NDArray state = counting<float>({64});
    for (int i = 0; i < 10'000; ++i) state = once.run({{y, state}}, {next}, {}, options)[0];
    EXPECT_EQ(g.run(fed.feeds, {r.states[0]}, {}, options)[0].str(), state.str());
  }
}

TEST_F(Control, VariablesAreSeenInsideAndAssignedOutside) {
  for (const auto& way : all_ways()) {
    Graph graph;
    const Tensor v = graph.variable(NDArray::of<float>({2}, {1, 2})), n = graph.placeholder({}, i32);
    const auto doubled = for_loop(n, Tensors{v}, [&](const Iteration& i) { return LoopValues{{i.states[0] + v}}; });
    const Operation update = graph.assign(v, doubled[0]);
    const NDArray count = NDArray::of<std::int32_t>({}, {3});
    EXPECT_EQ(graph.run({{n, count}}, {doubled[0]}, {update}, way)[0].str(), "f32[2] [4, 8]");
    EXPECT_EQ(graph.run({{n, count}}, {doubled[0]}, {update}, way)[0].str(), "f32[2] [16, 32]");
    EXPECT_EQ(graph.value(v).str(), "f32[2] [16, 32]");
  }
}

TEST_F(Control, TrainsThroughALoop) {
  // A recurrent network of one weight learns to double: s <- s * w, three times, is 8 s.
  for (const auto& way : all_ways()) {
    Graph graph;
    const Tensor w = graph.variable(NDArray::of<double>({}, {1.0})), x = graph.placeholder({dynamic}, f64);
    const LoopValues r = for_loop(3, Tensors{x}, [&](const Iteration& i) { return LoopValues{{i.states[0] * w}}; });
    const Tensor loss = mean(square(r.states[0] - x * 8));
    const auto updates = sgd(Tensors{w}, graph.gradients(loss, {w}), 0.001);
    for (int step = 0; step < 300; ++step) graph.run({{x, NDArray::of<double>({3}, {1, -2, 0.5})}}, {loss}, updates, way);
    EXPECT_NEAR(graph.value(w).item(), 2.0, 1e-6);
  }
}

TEST_F(Control, DerivativesFlowThroughTheBranchTaken) {
  const Tensor x = fed.fed({2}, NDArray::of<double>({2}, {2, 3})), positive = fed.fed({}, NDArray::of<bool>({}, {true}));
  const auto r = cond(
      positive, [&] { return Tensors{x * x}; }, [&] { return Tensors{-x}; });
  EXPECT_EQ(value(g.gradients(sum(r[0]), {x})[0]), "f64[2] [4, 6]");
  fed.feeds.at(positive) = NDArray::of<bool>({}, {false});
  EXPECT_EQ(value(g.gradients(sum(r[0]), {x})[0]), "f64[2] [-1, -1]");
}

TEST_F(Control, BigStatesAreUpdatedInPlace) {
  // A row a step of a state of 4 MB: bytes that a run moves would be thousands of times as many if each step copied it.
  const Tensor big = fed.fed({1024, 1024}, NDArray(f32, {1024, 1024}));
  const LoopValues r = for_loop(5000, Tensors{big}, [&](const Iteration& i) {
    const Tensor row = i.index % 1024;
    return LoopValues{{scatter(i.states[0], reshape(row, {1}), broadcast_to(cast(row, f32), {1, 1024}), 0, {.mode = ScatterMode::set})}};
  });
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "needs the cpu backend";
  RunOptions options;
  options.backend = Backend::cpu;
  const Executable e = g.compile(std::vector<FeedType>{{big, {f32, {1024, 1024}}}}, std::vector{r.states[0]}, {}, options);
  EXPECT_LE(e.statistics().shadow_bytes, 8);  // the index
  EXPECT_LT(e.statistics().bytes_written, 3 * 4096 * 1024);
  EXPECT_EQ(e.run({fed.feeds.at(big)})[0].elements<float>()[1000 * 1024 + 7], 1000.0f);
}

TEST_F(Control, SeveralThreadsMayRunALoop) {
  const Tensor n = g.placeholder({}, i32);
  const auto r = for_loop(n, Tensors{g.constant(0, {}, i64)}, [](const Iteration& i) { return LoopValues{{i.states[0] + i.index}}; });
  const Executable e = g.compile({{n, {i32, {}}}}, {r[0]});
  std::vector<double> sums(8);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] { sums[static_cast<std::size_t>(t)] = e.run({NDArray::of<std::int32_t>({}, {100 * t})})[0].item(); });
  for (auto& t : threads) t.join();
  for (int t = 0; t < 8; ++t) EXPECT_EQ(sums[static_cast<std::size_t>(t)], 50.0 * t * (100 * t - 1));
}

TEST_F(Control, WhatDoesNotChangeIsComputedOutside) {
  const Tensor x = fed.fed({8}, counting<float>({8}));
  const Tensor limit = fed.fed({}, NDArray::of<std::int32_t>({}, {3}));
  const auto r = for_loop(limit, Tensors{x}, [&](const Iteration& i) { return LoopValues{{i.states[0] + floor(x) * 2}}; });
  const std::string text = g.str(), body = text.substr(text.find("function {"));
  EXPECT_EQ(body.substr(0, body.find("} (")).find("floor("), std::string::npos) << text;
  EXPECT_NE(value(r[0]), "");
}

TEST_F(Control, HaveATextThatReadsBack) {
  const Tensor x = fed.fed({dynamic, 3}, counting<float>({2, 3}), "x");
  const LoopValues r = scan(Tensors{x}, Tensors{}, [&](const Iteration& i) {
    const auto inner = cond(
        sum(i.elements[0]) > 4, [&] { return Tensors{i.elements[0] * 2}; }, [&] { return Tensors{i.elements[0]}; });
    return LoopValues{{}, {inner[0]}};
  });
  (r.outputs[0] + 1).named("y");
  const std::string text = g.str();
  Graph again = Graph::parse(text);
  EXPECT_EQ(again.str(), text);
  EXPECT_EQ(again.run({{again.find("x"), counting<float>({2, 3})}}, {again.find("y")})[0].str(), "f32[2,3] [[1, 2, 3], [7, 9, 11]]");
}

TEST_F(Control, RunsAreExplained) {
  const Tensor n = g.placeholder({}, i32), x = g.placeholder({4}, f32);
  const auto r = for_loop(n, Tensors{x * 2}, [](const Iteration& i) { return LoopValues{{tanh(i.states[0])}}; });
  const Executable e = g.compile({{n, {i32, {}}}, {x, {f32, {4}}}}, {r[0] + 1});
  if (e.explain().steps.empty()) GTEST_SKIP() << "needs a compiler";
  ASSERT_EQ(e.explain().steps.size(), 3u);
  EXPECT_EQ(e.explain().steps[1].name, "for");
  EXPECT_EQ(e.run_timed(std::vector<TensorData>{NDArray::of<std::int32_t>({}, {3}), NDArray(f32, {4})}).size(), 3u);
}

TEST_F(Control, SayWhatIsWrong) {
  const Tensor x = g.placeholder({4}, f32, "x"), n = g.placeholder({}, i32, "n");
  const auto same = [](const Iteration& i) { return LoopValues{i.states}; };
  EXPECT_EQ(error_of([&] { for_loop(-1, Tensors{x}, same); }), "for: the count is -1");
  EXPECT_EQ(error_of([&] { for_loop(2, Tensors{}, same); }), "for: no initial state or sequence is a tensor, which would tell the graph");
  EXPECT_EQ(error_of([&] { for_loop(2, Tensors{x}, [](const Iteration&) { return LoopValues{}; }); }), "for: there are 1 states, the body gives 0");
  EXPECT_EQ(error_of([&] { for_loop(2, Tensors{x}, [](const Iteration& i) { return LoopValues{{sum(i.states[0])}}; }); }),
            "for: state 0 is f32[4] at first, the body gives f32[]");
  EXPECT_EQ(error_of([&] { for_loop(x, Tensors{x}, same); }), "for: the count is f32[4], expects a scalar integer");
  EXPECT_EQ(error_of([&] { for_loop(n, Tensors{x}, [](const Iteration& i) {
                             return LoopValues{i.states, i.states};
                           }); }),
            "for: a body that is run as often as a tensor says can't have outputs: their shape would not be known");
  EXPECT_EQ(error_of([&] { scan(Tensors{n}, Tensors{}, same); }), "for: sequence n is a scalar, expects an axis to go along");
  EXPECT_EQ(error_of([&] {
              scan(Tensors{x, g.placeholder({5}, f32)}, Tensors{}, [](const Iteration& i) { return LoopValues{{}, {i.elements[0]}}; });
            }),
            "for: sequences f32[4] and f32[5] have different lengths");
  EXPECT_EQ(error_of([&] {
              cond(
                  n, [&] { return Tensors{x}; }, [&] { return Tensors{x}; });
            }),
            "if: the predicate is i32[], expects a scalar bool");
  EXPECT_EQ(error_of([&] {
              cond(
                  n > 0, [&] { return Tensors{x}; }, [&] { return Tensors{n}; });
            }),
            "if: result 0 is f32[4] of one branch and i32[] of the other");
  EXPECT_EQ(error_of([&] {
              while_loop(
                  Tensors{x}, [](auto s) { return s[0] > 0; }, [](auto s) { return Tensors(s.begin(), s.end()); });
            }),
            "while: the condition is bool[4], expects a scalar bool");
  const Tensor v = g.variable(init::zeros({4}), "v");
  EXPECT_EQ(error_of([&] {
              for_loop(2, Tensors{x}, [&](const Iteration& i) {
                g.assign(v, i.states[0]);
                return LoopValues{i.states};
              });
            }),
            "for: variable \"v\" is assigned in the body; make it a state and assign what the loop or branch gives");
  EXPECT_EQ(error_of([&] { for_loop(2, Tensors{x}, [&](const Iteration& i) { return LoopValues{{i.states[0] + random_uniform(g, {4})}}; }); }),
            "for: random numbers would be the same in all iterations; make a random state one of the loop's states");
  const auto counted = for_loop(n, Tensors{x}, [](const Iteration& i) { return LoopValues{{i.states[0] * 2}}; });
  EXPECT_EQ(error_of([&] { g.gradients(counted[0], {x}); }),
            "gradients: for: a loop that runs as often as a tensor says has no derivative; give the count as a number, or a sequence");
}

TEST_F(Control, ValuesOfABodyAreNoTargets) {
  const Tensor x = g.placeholder({4}, f32);
  Tensor inside;
  for_loop(2, Tensors{x}, [&](const Iteration& i) {
    inside = i.states[0] * 2;
    return LoopValues{{inside}};
  });
  try {
    g.run({}, {inside});
    FAIL() << "no error";
  } catch (const RunError& e) { EXPECT_STREQ(e.what(), "run: a target is computed in the body of a loop or branch; take it from what that gives"); }
}

TEST_F(Control, RandomStatesGoAlong) {
  const Tensor state = fed.fed({3}, random_state(5));
  const LoopValues r = for_loop(3, Tensors{state}, [](const Iteration& i) {
    const RandomResult random = random_uniform(i.states[0], {2});
    return LoopValues{{random.state}, {random.values}};
  });
  Graph once;
  const Tensor s = once.placeholder({3}, u64);
  const RandomResult random = random_uniform(s, {2});
  NDArray now = random_state(5);
  const std::string all = value(r.outputs[0]);
  for (int i = 0; i < 3; ++i) {
    const auto step = once.run({{s, now}}, {random.values, random.state});
    const std::string numbers = step[0].str();
    EXPECT_NE(all.find(numbers.substr(numbers.find('[', numbers.find(' ')))), std::string::npos) << all << " lacks " << numbers;
    now = step[1];
  }
}

}  // namespace
}  // namespace weft::control_test
