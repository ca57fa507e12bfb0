// Every rule of stitching: a graph that costs more kernels or moves more bytes without it, and computes the same either way.
#include "compare.h"
#include "compile/backend.h"
#include "compile/switches.h"
#include "descriptions.h"
#include "operation.h"
#include "stitch/rules.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace weft::stitch_rules_test {
namespace {

struct RuleCase {
  std::string_view rule;
  std::vector<Shape> shapes;  ///< of the operands, f32
  std::function<Tensors(const Tensors&)> build;
  int kernels, kernels_without;
};

using T = const Tensors&;

const std::vector<RuleCase>& cases() {
  static const std::vector<RuleCase> list = {
      {"read views in place",
       {{64, 32}},
       [](T t) {
         return Tensors{cumulative_sum(transpose(t[0], {1, 0}), 1)};
       },
       1,
       2},
      {"join chains", {{64, 32}, {64, 32}}, [](T t) { return Tensors{exp(tanh(t[0]) + t[1])}; }, 1, 3},
      {"join before reductions", {{64, 32}}, [](T t) { return Tensors{sum(exp(t[0]), 1)}; }, 1, 2},
      {"join after reductions", {{64, 32}}, [](T t) { return Tensors{exp(sum(t[0], 1))}; }, 1, 2},
      {"join after reductions", {{64, 32}}, [](T t) { return Tensors{softmax(t[0], 1)}; }, 1, 3},
      {"join column sums",
       {{64, 32}},
       [](T t) {
         return Tensors{sum(t[0], 1), sum(t[0], 0)};
       },
       2,
       2},
      {"join gathers",
       {{50, 16}, {20, 16}},
       [](T t) {
         const Tensor rows = gather(t[0], cast(floor(abs(slice(t[1], 1, 0, 1))), i32), 0);
         return Tensors{tanh(reshape(rows, {20, 16})) * t[1]};
       },
       2,
       3},
      {"join siblings",
       {{64, 32}},
       [](T t) {
         return Tensors{exp(t[0]), sin(t[0])};
       },
       1,
       2},
      {"join siblings",
       {{4, 8, 8, 3}},
       [](T t) {
         const auto pooled = max_pool2d_with_indices(t[0], {2});
         return Tensors{pooled.values, pooled.indices};
       },
       1,
       2},
      {"read parts in place",
       {{64, 32}},
       [](T t) {
         const Tensor y = exp(t[0]);
         return Tensors{sum(slice(y, 0, 0, 32) * slice(y, 0, 32, 32), 1)};
       },
       1,
       2},
      {"repeat what is cheap",
       {{64, 32}},
       [](T t) {
         const Tensor y = t[0] + 1.0f;
         return Tensors{cumulative_sum(y, 0), cumulative_sum(y, 1)};
       },
       2,
       3},
      {"join before reductions", {{4, 200}, {200, 400}}, [](T t) { return Tensors{matmul(t[0], t[1] * 0.5f + 1.0f)}; }, 1, 2},
      {"join after contractions", {{4, 200}, {200, 400}, {400}}, [](T t) { return Tensors{tanh(matmul(t[0], t[1]) + t[2])}; }, 1, 2},
      {"join after contractions", {{300, 200}, {200, 400}}, [](T t) { return Tensors{tanh(matmul(t[0], t[1]))}; }, 0, 1},
  };
  return list;
}

constexpr Tolerance tolerance{.ulp = 16, .scale = 300};

RunOptions without(std::string_view rule) { return {.backend = Backend::cpu, .without = {std::string(rule)}}; }

TEST(StitchRules, EachHasACase) {
  for (const auto& rule : stitching_rules()) EXPECT_TRUE(std::ranges::find(cases(), rule.name, &RuleCase::rule) != cases().end()) << rule.name;
}

TEST(StitchRules, SaveKernelsOrBytesAndChangeNoResult) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  for (const auto& c : cases()) {
    Graph g;
    Tensors operands;
    std::vector<FeedType> types;
    std::vector<TensorData> feeds;
    for (const auto& shape : c.shapes) {
      operands.push_back(g.placeholder(shape, f32));
      types.push_back({operands.back(), {f32, shape}});
      feeds.emplace_back(sample(real(-1, 1), f32, shape, feeds.size()));
    }
    const Tensors targets = c.build(operands);
    const Executable with = g.compile(types, targets, {}, {.backend = Backend::cpu}), less = g.compile(types, targets, {}, without(c.rule));
    EXPECT_EQ(with.statistics().kernels, c.kernels) << c.rule << "\n" << with.dump();
    EXPECT_EQ(less.statistics().kernels, c.kernels_without) << c.rule << "\n" << less.dump();
    const auto bytes = [](const Executable& e) { return e.statistics().bytes_read + e.statistics().bytes_written; };
    EXPECT_LT(bytes(with), bytes(less)) << c.rule;
    const auto expected = g.compile(types, targets, {}, {.backend = Backend::reference}).run(feeds);
    const auto a = with.run(feeds), b = less.run(feeds);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_TRUE(agree(expected[i], a[i], tolerance)) << c.rule;
      EXPECT_TRUE(agree(expected[i], b[i], tolerance)) << c.rule << " left out";
    }
  }
}

TEST(StitchRules, AreAllOffWithoutStitching) {
  const StitchRules none = stitch_rules(settled({.backend = Backend::reference, .stitch = false}));
  EXPECT_FALSE(none.views || none.chains || none.siblings || none.epilogues);
  EXPECT_TRUE(stitch_rules(settled({.backend = Backend::reference})).views);
}

}  // namespace
}  // namespace weft::stitch_rules_test
