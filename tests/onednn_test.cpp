#include "backend/cpu/library_call.h"
#include "graph/primitive.h"
#include "ops/reference_array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weft::onednn_test {
namespace {

using Sizes = std::vector<std::int64_t>;

/// One operation on operands of the given types.
struct Single {
  ir::Graph graph;
  ir::NodeId id = -1;

  Single(std::string_view op, const std::vector<TensorType>& operands, Attributes attributes) {
    ir::Node node;
    node.op = &primitive(op);
    for (const auto& type : operands) {
      ir::Node source;
      source.op = &primitive("placeholder");
      source.types = {type};
      node.operands.push_back({graph.add(std::move(source)), 0});
    }
    node.attributes = std::move(attributes);
    infer_types(graph, node);
    id = graph.add(std::move(node));
  }
  const ir::Node& node() const { return graph[id]; }
  cpu::LibraryChoice choice() const { return cpu::make_onednn_call(graph, node()); }
};

/// Scratch memory aligned to 64 bytes and no more, of which a call must not use more than it says.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) : bytes_(bytes), memory_(bytes + 2 * guard + 128, mark) {
    void* start = memory_.data();
    std::size_t space = memory_.size();
    begin_ = static_cast<std::byte*>(std::align(128, 0, start, space)) + guard;
  }
  void* data() { return begin_; }
  bool is_overrun() const {
    auto touched = [](std::byte b) { return b != mark; };
    return std::any_of(begin_ - guard, begin_, touched) || std::any_of(begin_ + bytes_, begin_ + bytes_ + guard, touched);
  }

 private:
  static constexpr std::size_t guard = 64;
  static constexpr std::byte mark{0xa5};
  std::size_t bytes_;
  std::vector<std::byte> memory_;
  std::byte* begin_;
};

NDArray run(cpu::LibraryCall& call, const std::vector<NDArray>& operands, const TensorType& type) {
  // What the result held before must not matter.
  NDArray result(type);
  std::fill_n(result.data(), result.byte_count(), std::byte{0xff});
  std::vector<const void*> in;
  for (const auto& a : operands) in.push_back(a.data());
  std::vector<void*> out{result.data()};
  Scratch scratch(call.scratch_bytes());
  call.run(in, out, scratch.data());
  EXPECT_FALSE(scratch.is_overrun()) << call.describe();
  for (std::size_t part = 0; part < call.parts().size(); ++part) {
    Scratch own(call.part_scratch_bytes());
    call.run_part(part, in, out[0], scratch.data(), own.data());
    EXPECT_FALSE(own.is_overrun()) << call.describe();
  }
  return result;
}

NDArray expected(const Single& s, const std::vector<NDArray>& operands) {
  std::vector<reference::Array> arrays;
  for (const auto& a : operands) arrays.push_back(reference::from_ndarray(a));
  reference::Array result(s.node().types[0]);
  Evaluation evaluation{s.node(), {}, {&result}};
  for (const auto& a : arrays) evaluation.operands.push_back(&a);
  s.node().op->evaluate(evaluation);
  return reference::to_ndarray(result);
}

/// Small integers: their products and sums are exact in f32, so that any error of layout or bounds shows as inequality and
/// nothing else does.
std::vector<NDArray> integers_for(const Single& s, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<NDArray> operands;
  for (auto v : s.node().operands) {
    reference::Array a(s.graph.type(v));
    for (auto& x : a.as<double>()) x = static_cast<double>(static_cast<int>(random() % 9) - 4);
    operands.push_back(reference::to_ndarray(a));
  }
  return operands;
}

std::vector<double> numbers(const NDArray& a) {
  const NDArray d = a.cast(f64);
  return {d.elements<double>().begin(), d.elements<double>().end()};
}

void expect_exact(const Single& s, const std::string& what) {
  auto [call, refusal] = s.choice();
  // Which kernels are slow depends on the processor.
  if (!call && refusal.find("its kernel would be slow") != std::string::npos) return;
  ASSERT_TRUE(call) << what << ": " << refusal;
  const auto operands = integers_for(s);
  const NDArray is = run(*call, operands, s.node().types[0]);
  EXPECT_EQ(numbers(is), numbers(expected(s, operands))) << what << ": " << call->describe();
}

void expect_refusal(const Single& s, const std::string& part) {
  const auto choice = s.choice();
  EXPECT_FALSE(choice.call) << choice.call->describe();
  EXPECT_NE(choice.refusal.find(part), std::string::npos) << choice.refusal;
}

bool has_bf16() { return !Single("matmul", {{bf16, {32, 32}}, {bf16, {32, 32}}}, {}).choice().refusal.starts_with("onednn: no fast kernels"); }

Single product(DType type, Sizes a, Sizes b, bool transpose_a = false, bool transpose_b = false) {
  if (transpose_a) std::swap(a[a.size() - 1], a[a.size() - 2]);
  if (transpose_b) std::swap(b[b.size() - 1], b[b.size() - 2]);
  return {"matmul", {{type, Shape(a)}, {type, Shape(b)}}, {{"transpose_a", std::int64_t{transpose_a}}, {"transpose_b", std::int64_t{transpose_b}}}};
}

TEST(Onednn, multiplies_matrices_transposed_or_not) {
  for (auto [m, k, n] : {std::array{16, 16, 16}, std::array{33, 70, 19}, std::array{2, 300, 5}, std::array{200, 7, 129}, std::array{64, 1024, 10}})
    for (bool ta : {false, true})
      for (bool tb : {false, true})
        expect_exact(product(f32, {m, k}, {k, n}, ta, tb),
                     std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) + (ta ? " T" : " N") + (tb ? "T" : "N"));
}

TEST(Onednn, multiplies_batches_that_repeat_along_any_dimension) {
  const std::vector<std::pair<Sizes, Sizes>> batches = {{{6}, {6}},    {{6}, {}},           {{}, {6}},       {{6}, {1}},
                                                        {{1}, {1}},    {{2, 3}, {2, 3}},    {{2, 3}, {3}},   {{2, 3}, {2, 1}},
                                                        {{2, 1}, {3}}, {{2, 3, 4}, {3, 4}}, {{2, 3, 4}, {}}, {{1, 3, 1}, {2, 1, 1}}};
  for (auto [a, b] : batches)
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        Sizes left = a, right = b;
        left.insert(left.end(), {11, 17});
        right.insert(right.end(), {17, 20});
        const Single s = product(f32, left, right, ta, tb);
        expect_exact(s, Shape(left).str() + " by " + Shape(right).str() + (ta ? " T" : " N") + (tb ? "T" : "N"));
      }
}

TEST(Onednn, multiplies_in_bf16_and_rounds_once) {
  if (!has_bf16()) GTEST_SKIP() << "this processor has no bf16 arithmetic";
  expect_exact(product(bf16, {33, 70}, {70, 19}), "bf16");
  expect_exact(product(bf16, {3, 33, 70}, {70, 19}, true, true), "bf16, transposed");
}

TEST(Onednn, multiplies_f32_in_f32) {
  const Single s = product(f32, {128, 256}, {256, 96});
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  std::vector<NDArray> operands;
  for (auto v : s.node().operands) {
    reference::Array a(s.graph.type(v));
    for (auto& x : a.as<double>()) x = normal(random);
    operands.push_back(reference::to_ndarray(a));
  }
  const auto is = numbers(run(*s.choice().call, operands, s.node().types[0])), should = numbers(expected(s, operands));
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < is.size(); ++i) {
    error += (is[i] - should[i]) * (is[i] - should[i]);
    norm += should[i] * should[i];
  }
  EXPECT_LT(std::sqrt(error / norm), 1e-6);
}

/// A convolution by its own shapes, from which those of its gradients follow.
struct Case {
  std::string name, layout, weights_layout;
  Sizes data, weights;  ///< batch, channels, space; output channels, input channels of a group, space
  Sizes strides, dilations, low, high;
  std::int64_t groups = 1;

  static Shape arranged(const Sizes& sizes, const std::string& layout) {
    Sizes s;
    std::size_t space = 2;
    for (char c : layout) s.push_back(c == 'N' || c == 'O' ? sizes[0] : c == 'C' || c == 'I' ? sizes[1] : sizes[space++]);
    return Shape(s);
  }
  Attributes attributes() const {
    return {{"layout", layout}, {"weights_layout", weights_layout}, {"strides", strides}, {"dilations", dilations}, {"low", low}, {"high", high},
            {"groups", groups}};
  }
  Single forward(DType type) const { return {"conv", {{type, arranged(data, layout)}, {type, arranged(weights, weights_layout)}}, attributes()}; }
  Single data_gradient(DType type) const {
    Attributes a = attributes();
    a.set("spatial", Sizes(data.begin() + 2, data.end()));
    return {"conv_data_gradient", {forward(type).node().types[0], {type, arranged(weights, weights_layout)}}, a};
  }
  Single weights_gradient(DType type) const {
    Attributes a = attributes();
    a.set("window", Sizes(weights.begin() + 2, weights.end()));
    return {"conv_weights_gradient", {{type, arranged(data, layout)}, forward(type).node().types[0]}, a};
  }
};

const std::vector<Case>& planes() {
  static const std::vector<Case> cases = {
      {"one channel, 5x5, same", {}, {}, {2, 1, 14, 14}, {32, 1, 5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}},
      {"one channel, stride 2, same", {}, {}, {2, 1, 14, 14}, {16, 1, 5, 5}, {2, 2}, {1, 1}, {1, 1}, {2, 2}},
      {"two output channels", {}, {}, {1, 24, 9, 9}, {2, 24, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"32 channels, 5x5, same", {}, {}, {1, 32, 6, 7}, {32, 32, 5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}},
      {"odd channels, valid", {}, {}, {2, 5, 9, 11}, {7, 5, 3, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
      {"strides that leave a rest", {}, {}, {2, 6, 10, 12}, {9, 6, 3, 3}, {2, 3}, {1, 1}, {0, 1}, {1, 0}},
      {"dilations", {}, {}, {2, 16, 12, 13}, {16, 16, 3, 3}, {1, 1}, {2, 3}, {2, 3}, {2, 3}},
      {"strides and dilations", {}, {}, {1, 3, 15, 16}, {8, 3, 3, 3}, {2, 2}, {2, 2}, {1, 2}, {2, 1}},
      {"groups of odd channels", {}, {}, {2, 6, 13, 9}, {9, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 3},
      {"groups of 16 channels", {}, {}, {1, 32, 8, 8}, {32, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 2},
      {"a group a channel", {}, {}, {2, 20, 8, 9}, {20, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 20},
      {"two outputs for every channel", {}, {}, {2, 8, 8, 9}, {16, 1, 3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 8},
      {"1x1", {}, {}, {2, 24, 7, 7}, {40, 24, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
      {"1x1, stride 2", {}, {}, {2, 16, 8, 8}, {16, 16, 1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
      {"padding wider than the window", {}, {}, {1, 4, 6, 6}, {4, 4, 2, 2}, {1, 1}, {1, 1}, {3, 2}, {2, 3}},
  };
  return cases;
}

void expect_exact_family(const Case& c, DType type) {
  const std::string what = c.name + ", " + c.layout + " " + c.weights_layout + " " + std::string(name_of(type));
  expect_exact(c.forward(type), what);
  expect_exact(c.data_gradient(type), what + ", data gradient");
  expect_exact(c.weights_gradient(type), what + ", weights gradient");
}

TEST(Onednn, convolves_and_differentiates_planes) {
  for (auto [layout, weights_layout] : {std::pair{"NHWC", "HWIO"}, std::pair{"NCHW", "OIHW"}})
    for (Case c : planes()) {
      c.layout = layout;
      c.weights_layout = weights_layout;
      expect_exact_family(c, f32);
    }
}

TEST(Onednn, data_and_weights_have_layouts_of_their_own) {
  for (auto [layout, weights_layout] : {std::pair{"NHWC", "OIHW"}, std::pair{"NCHW", "HWIO"}})
    for (Case c : {planes()[3], planes()[8]}) {
      c.layout = layout;
      c.weights_layout = weights_layout;
      expect_exact_family(c, f32);
    }
}

TEST(Onednn, convolves_and_differentiates_in_bf16) {
  if (!has_bf16()) GTEST_SKIP() << "this processor has no bf16 arithmetic";
  for (Case c : {planes()[0], planes()[3], planes()[7], planes()[12]})
    for (const char* layout : {"NHWC", "NCHW"}) {
      c.layout = layout;
      c.weights_layout = "HWIO";
      expect_exact_family(c, bf16);
    }
}

TEST(Onednn, convolves_lines_and_volumes) {
  const Case line{"line", {}, {}, {3, 6, 40}, {10, 6, 5}, {2}, {1}, {2}, {2}};
  const Case groups{"line in groups", {}, {}, {2, 8, 21}, {12, 4, 3}, {1}, {2}, {2}, {1}, 2};
  const Case volume{"volume", {}, {}, {2, 5, 6, 7, 8}, {6, 5, 3, 2, 3}, {1, 2, 1}, {1, 1, 1}, {1, 0, 1}, {1, 1, 1}};
  for (auto [layout, weights_layout] : {std::pair{"NWC", "WIO"}, std::pair{"NCW", "OIW"}})
    for (Case c : {line, groups}) {
      c.layout = layout;
      c.weights_layout = weights_layout;
      expect_exact_family(c, f32);
    }
  for (auto [layout, weights_layout] : {std::pair{"NDHWC", "DHWIO"}, std::pair{"NCDHW", "OIDHW"}}) {
    Case c = volume;
    c.layout = layout;
    c.weights_layout = weights_layout;
    expect_exact_family(c, f32);
  }
}

TEST(Onednn, one_call_runs_in_several_threads_at_once) {
  Case c = planes()[3];
  c.layout = "NHWC";
  c.weights_layout = "HWIO";
  const Single s = c.weights_gradient(f32);
  const auto call = s.choice().call;
  ASSERT_TRUE(call);
  std::vector<std::vector<NDArray>> operands;
  std::vector<std::vector<double>> should;
  for (unsigned seed = 0; seed < 4; ++seed) {
    operands.push_back(integers_for(s, seed));
    should.push_back(numbers(expected(s, operands.back())));
  }
  std::vector<int> right(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i) right[t] += numbers(run(*call, operands[t], s.node().types[0])) == should[t];
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(right, std::vector<int>(4, 8));
}

TEST(Onednn, a_call_says_which_kernel_it_is) { EXPECT_TRUE(product(f32, {64, 64}, {64, 64}).choice().call->describe().starts_with("onednn ")); }

TEST(Onednn, refuses_to_multiply_matrices_of_one_row_for_every_channel) {
  const Case c{"", "NCHW", "OIHW", {2, 20, 16, 16}, {40, 1, 3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, 20};
  for (const Single& s : {c.forward(f32), c.data_gradient(f32), c.weights_gradient(f32)}) {
    const auto choice = s.choice();
    if (choice.call) EXPECT_EQ(choice.call->describe().find("gemm:"), std::string::npos) << choice.call->describe();
    else EXPECT_NE(choice.refusal.find("slow"), std::string::npos) << choice.refusal;
  }
}

TEST(Onednn, refuses_what_generated_kernels_do_better_and_says_why) {
  expect_refusal(product(f32, {1, 1000}, {1000, 100}), "matrix-vector");
  expect_refusal(product(f32, {5, 100, 1000}, {1000, 1}), "matrix-vector");
  expect_refusal(product(f32, {100, 1}, {1, 100}), "outer product");
  expect_refusal(product(f32, {8, 8}, {8, 8}), "too small");
  expect_refusal(product(f32, {0, 80}, {80, 80}), "no elements");
  expect_refusal(product(f32, {80, 0}, {0, 80}), "no elements");
  for (DType type : {f16, f64, i32, c64}) expect_refusal(product(type, {64, 64}, {64, 64}), "no fast kernels for " + std::string(name_of(type)));
  expect_refusal(Single("tanh", {{f32, {64, 64}}}, {}), "not used for tanh");
}

}  // namespace
}  // namespace weft::onednn_test
