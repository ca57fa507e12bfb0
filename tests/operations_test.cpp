// Every operation of the test descriptions: on every backend against the reference evaluator, for every type and shape, and
// its derivatives against finite differences.
#include "operation.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

namespace weft::operations_test {
namespace {

std::vector<NDArray> run(Graph& g, const Feeds& feeds, const Tensors& targets, const RunOptions& options = reference_run) {
  const auto r = g.run(feeds, targets, {}, options);
  return {r.begin(), r.end()};
}

void expect_agreement(const std::vector<NDArray>& expected, const std::vector<NDArray>& got, Tolerance tolerance) {
  ASSERT_EQ(expected.size(), got.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(agree(expected[i], got[i], tolerance)) << "result " << i;
}

std::string described(DType dtype, const Shapes& shapes) {
  std::string s{name_of(dtype)};
  for (const auto& shape : shapes) s += " " + shape.str();
  return s;
}

Shapes shapes_of(const std::vector<NDArray>& arrays) {
  Shapes shapes;
  for (const auto& a : arrays) shapes.push_back(a.shape());
  return shapes;
}

Feeds joined(Feeds a, const Feeds& b) {
  a.insert(b.begin(), b.end());
  return a;
}

/// The ways in which less is told to the graph that the operation allows.
std::vector<Known> less_known(const OpCase& op) {
  std::vector<Known> list;
  if (op.unknown_sizes) list.push_back(Known::rank);
  if (op.unknown_rank) list.push_back(Known::nothing);
  return list;
}

#ifdef __SANITIZE_ADDRESS__
constexpr bool is_slow = true;
#else
constexpr bool is_slow = false;
#endif

/// All, but with the address sanitizer the first and the last only: what is compiled for the others comes about in the same way.
std::vector<DType> types_to_run(const std::vector<DType>& dtypes) {
  return is_slow && dtypes.size() > 2 ? std::vector{dtypes.front(), dtypes.back()} : dtypes;
}

/// Calls f(type, shapes, ways to run) for everything that an operation is tried with: all types, and all shapes with the first of
/// them. All ways are gone with the first of both.
template <class F> void for_each_use(const OpCase& op, const std::vector<DType>& dtypes, F&& f) {
  for (auto dtype : types_to_run(dtypes))
    for (const auto& shapes : op.shapes) {
      SCOPED_TRACE(described(dtype, shapes));
      f(dtype, shapes, dtype == dtypes[0] && &shapes == &op.shapes[0] ? ways() : usual_ways());
      if (dtype != dtypes[0]) break;
    }
}

/// Test names end in the operation's.
std::string name_of_case(const ::testing::TestParamInfo<OpCase>& info) { return info.param.name; }

void expect_same_everywhere(const OpCase& op) {
  for_each_use(op, op.dtypes, [&](DType dtype, const Shapes& shapes, const std::vector<Way>& to_run) {
    BuiltOperation b(op, dtype, shapes);
    const auto expected = run(b.g, b.feeds, b.outputs);
    for (const auto& way : to_run) {
      SCOPED_TRACE(way.name);
      expect_agreement(expected, run(b.g, b.feeds, b.outputs, way.options), op.tolerance);
    }
  });
}

void expect_same_special_values(const OpCase& op) {
  if (!op.special_values) return;
  for (auto dtype : types_to_run(op.dtypes)) {
    if (is_complex(dtype)) continue;
    SCOPED_TRACE(name_of(dtype));
    // Each operand along a dimension of its own, so that all combinations meet.
    Shapes shapes;
    std::vector<NDArray> values;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const NDArray v = special_values(dtype_of_input(op, i, dtype));
      std::vector<std::int64_t> sizes(op.inputs.size(), 1);
      sizes[i] = v.element_count();
      values.push_back(v.reshape(Shape(sizes)));
      shapes.push_back(values[i].shape());
    }
    BuiltOperation b(op, dtype, shapes, values);
    const auto expected = run(b.g, b.feeds, b.outputs);
    for (const auto& way : dtype == op.dtypes[0] ? ways() : usual_ways()) {
      SCOPED_TRACE(way.name);
      expect_agreement(expected, run(b.g, b.feeds, b.outputs, way.options), op.tolerance);
    }
  }
}

void expect_other_types_refused(const OpCase& op) {
  if (std::ranges::all_of(op.inputs, [](const Input& i) { return i.dtype.has_value(); })) return;
  for (auto dtype : all_types())
    if (std::ranges::find(op.dtypes, dtype) == op.dtypes.end()) {
      EXPECT_THROW(BuiltOperation(op, dtype, op.shapes[0]), GraphError) << name_of(dtype);
    }
}

void expect_any_layout_read(const OpCase& op) {
  const DType dtype = op.dtypes[0];
  BuiltOperation b(op, dtype, op.shapes[0]);
  const auto expected = run(b.g, b.feeds, b.outputs, {});
  for (auto& [placeholder, data] : b.feeds) data = scattered(data.array());
  expect_agreement(expected, run(b.g, b.feeds, b.outputs, {}), {});
}

void expect_same_with_unknown_sizes(const OpCase& op) {
  for_each_use(op, {op.dtypes[0]}, [&](DType dtype, const Shapes& shapes, const std::vector<Way>&) {
    BuiltOperation b(op, dtype, shapes);
    const auto expected = run(b.g, b.feeds, b.outputs);
    for (auto known : less_known(op)) {
      BuiltOperation u(op, dtype, shapes, known);
      SCOPED_TRACE(u.g.str());
      for (std::size_t i = 0; i < u.outputs.size(); ++i)
        EXPECT_TRUE(accepts(u.outputs[i].shape(), expected[i].shape()))
            << u.outputs[i].type().str() << " promises another shape than " << expected[i].type().str();
      expect_agreement(expected, run(u.g, u.feeds, u.outputs), op.tolerance);
    }
  });
}

void expect_text_parsed(const OpCase& op) {
  for (auto known : {Known::sizes, Known::rank, Known::nothing}) {
    if ((known == Known::rank && !op.unknown_sizes) || (known == Known::nothing && !op.unknown_rank)) continue;
    BuiltOperation b(op, op.dtypes[0], op.shapes[0], known);
    if (known == Known::sizes && !op.differentiable.empty())
      WeightedSum(b.g, b.outputs, shapes_of(run(b.g, b.feeds, b.outputs)), {b.inputs[op.differentiable[0]]}, known);
    const std::string text = b.g.str();
    EXPECT_EQ(Graph::parse(text).str(), text);
  }
}

// Derivatives -----------------------------------------------------------------------------------------------------------

/// Expects that each gradient of `sum` is what central differences of its value give, for some 16 elements of each input, or 4.
void expect_differences(Graph& g, const WeightedSum& sum, const Tensors& inputs, const Feeds& feeds) {
  Tensors targets{sum.value};
  targets.insert(targets.end(), sum.gradients.begin(), sum.gradients.end());
  const auto results = run(g, feeds, targets);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto gradient = results[i + 1].elements<double>();
    double largest = 1 + std::fabs(results[0].item()) * 1e-3;
    for (auto v : gradient) largest = std::max(largest, std::fabs(v));
    Feeds moved = feeds;
    moved[inputs[i]] = feeds.at(inputs[i]).array().copy();
    auto x = moved[inputs[i]].array().elements<double>();
    const std::size_t stride = x.size() / (is_slow ? 4 : 16) + 1;
    for (std::size_t k = 0; k < x.size(); k += stride) {
      const double at = x[k], h = 1e-5 * std::max(1.0, std::fabs(at));
      auto value = [&](double moved_to) {
        x[k] = moved_to;
        return run(g, moved, {sum.value})[0].item();
      };
      const double difference = (value(at + h) - value(at - h)) / (2 * h);
      x[k] = at;
      // Third derivatives below 1e4 times the first and sums of 1e5 epsilon stay below this.
      EXPECT_NEAR(gradient[k], difference, 1e-6 * largest) << "element " << k << " of the derivative with respect to input " << i << ", at " << at;
      if (::testing::Test::HasFailure()) return;
    }
  }
}

Tensors differentiable_inputs(const OpCase& op, const BuiltOperation& b) {
  Tensors list;
  for (auto i : op.differentiable) list.push_back(b.inputs[i]);
  return list;
}

void expect_derivatives(const OpCase& op) {
  if (op.differentiable.empty()) return;
  BuiltOperation b(op, f64, op.shapes[0]);
  const Shapes shapes = shapes_of(run(b.g, b.feeds, b.outputs));
  const Tensors xs = differentiable_inputs(op, b);
  const WeightedSum once(b.g, b.outputs, shapes, xs, Known::sizes);
  SCOPED_TRACE(b.g.str());
  const Feeds feeds = joined(b.feeds, once.weights);
  expect_differences(b.g, once, xs, feeds);
  if (!op.twice_differentiable || ::testing::Test::HasFailure()) return;
  Shapes x_shapes;
  for (const auto& x : xs) x_shapes.push_back(x.shape());
  const WeightedSum twice(b.g, once.gradients, x_shapes, xs, Known::sizes);
  SCOPED_TRACE("second derivative");
  // The weights of the first sum may not matter any more, nor the inputs: the sum of both needs them all.
  WeightedSum both = twice;
  Tensors everything = b.outputs;
  both.value = twice.value + once.value;
  both.gradients = b.g.gradients(both.value, xs);
  expect_differences(b.g, both, xs, joined(feeds, twice.weights));
}

/// Rounding errors of an operation grow in its derivative's formula, which takes a handful of operations more.
Tolerance of_derivative(Tolerance t) { return {.ulp = 64, .scale = 8 * std::max(1.0, t.scale)}; }

void expect_same_derivatives_everywhere(const OpCase& op) {
  if (op.differentiable.empty()) return;
  std::vector<DType> dtypes;
  std::ranges::copy_if(op.dtypes, std::back_inserter(dtypes), is_floating);
  for_each_use(op, dtypes, [&](DType dtype, const Shapes& shapes, const std::vector<Way>& to_run) {
    BuiltOperation b(op, dtype, shapes);
    const Shapes results = shapes_of(run(b.g, b.feeds, b.outputs));
    const WeightedSum sum(b.g, b.outputs, results, differentiable_inputs(op, b), Known::sizes);
    Tensors targets = sum.gradients;
    targets.push_back(sum.value);
    const Feeds feeds = joined(b.feeds, sum.weights);
    auto expected = run(b.g, feeds, targets);
    expected.pop_back();
    auto compare = [&](std::vector<NDArray> got) {
      got.pop_back();
      expect_agreement(expected, got, of_derivative(op.tolerance));
    };
    for (const auto& way : to_run) {
      SCOPED_TRACE(way.name);
      compare(run(b.g, feeds, targets, way.options));
    }
    if (dtype != dtypes[0]) return;
    for (auto known : less_known(op)) {
      BuiltOperation u(op, dtype, shapes, known);
      const WeightedSum same(u.g, u.outputs, results, differentiable_inputs(op, u), known);
      SCOPED_TRACE(u.g.str());
      Tensors all = same.gradients;
      all.push_back(same.value);
      compare(run(u.g, joined(u.feeds, same.weights), all));
    }
  });
}

class Operations : public ::testing::TestWithParam<OpCase> {};

TEST_P(Operations, KeepTheirDescription) {
  const struct {
    const char* name;
    void (*expect)(const OpCase&);
  } expectations[] = {{"compared with the reference", expect_same_everywhere},
                      {"special values", expect_same_special_values},
                      {"other types", expect_other_types_refused},
                      {"scattered feeds", expect_any_layout_read},
                      {"unknown sizes", expect_same_with_unknown_sizes},
                      {"text", expect_text_parsed},
                      {"finite differences", expect_derivatives},
                      {"derivatives", expect_same_derivatives_everywhere}};
  for (const auto& e : expectations) {
    SCOPED_TRACE(e.name);
    e.expect(GetParam());
  }
}

TEST(Cast, PassesDerivativesOnInTheOperandsType) {
  Graph g;
  const Tensor x = g.placeholder({3}, f64), w = g.placeholder({3}, f32);
  const Tensor y = cast(x, f32) * w;
  const auto d = g.gradients(y, {x});
  const auto r = g.run({{x, NDArray::of<double>({3}, {1, 2, 3})}, {w, NDArray::of<float>({3}, {4, 5, 6})}}, {d[0], y});
  EXPECT_EQ(r[0].str(), "f64[3] [4, 5, 6]");
}

/// Variables after three steps.
using Train = std::vector<Operation> (*)(Graph&, std::span<const Tensor> variables, std::span<const Tensor> gradients);

std::vector<NDArray> trained(Train train, const RunOptions& options) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 3}), w = g.variable(init::normal({3, 5}, 0, 1, 1)), b = g.variable(init::zeros({5}));
  const Tensor loss = mean(square(tanh(matmul(x, w) + b) - 0.5f));
  const std::vector<Tensor> variables{w, b};
  const auto updates = train(g, variables, g.gradients(loss, variables));
  for (std::uint64_t step = 0; step < 3; ++step) g.run({{x, sample(real(-1, 1), f32, {7, 3}, step)}}, {loss}, updates, options);
  std::vector<NDArray> values;
  for (const auto& v : g.variables()) values.push_back(g.value(v));
  return values;
}

TEST(Optimizers, TrainTheSameEverywhere) {
  const std::pair<const char*, Train> optimizers[] = {
      {"sgd", [](Graph&, auto v, auto d) { return sgd(v, d, 0.1, {.momentum = 0.9, .nesterov = true, .weight_decay = 0.01}); }},
      {"adam", [](Graph&, auto v, auto d) { return adam(v, d, 0.01, {.amsgrad = true}); }},
      {"adamw", [](Graph&, auto v, auto d) { return adamw(v, d, 0.01); }},
      {"clipped", [](Graph&, auto v, auto d) { return sgd(v, clip_by_global_norm(d, 0.1), 0.1); }},
      {"statistics",
       [](Graph& g, auto v, auto) {
         const Tensor mean = g.variable(init::zeros({5})), variance = g.variable(init::constant({5}, 1));
         return update_running_statistics(mean, variance, batch_norm(v[0]));
       }},
  };
  for (const auto& [name, train] : optimizers) {
    SCOPED_TRACE(name);
    const auto expected = trained(train, reference_run);
    // Of each of three steps the update is below 0.1, and some dozen roundings of values below 4 go into it.
    for (const auto& way : ways()) expect_agreement(expected, trained(train, way.options), {.ulp = 16, .scale = 64});
  }
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Descriptions, CoverEveryPublicOperation) {
  const std::filesystem::path source = WEFT_SOURCE_DIR, tests = source / "tests";
  std::string described = text_of(tests / "operations_test.cpp");
  for (const auto& entry : std::filesystem::directory_iterator(tests))
    if (entry.path().filename().string().starts_with("descriptions_")) described += text_of(entry.path());
  std::ranges::replace_if(
      described, [](unsigned char c) { return !std::isalnum(c) && c != '_'; }, ' ');
  std::istringstream split(described);
  const std::set<std::string> words{std::istream_iterator<std::string>(split), {}};

  const std::regex declaration(
      "^(?:inline )?(?:Tensor|std::vector<(?:Tensor|Operation)>|LoopValues|RandomResult|PoolIndices|BatchNorm|AdamStep) ([a-z]\\w*)\\(.*");
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source / "include/weft")) {
    if (!entry.is_regular_file()) continue;
    std::istringstream header(text_of(entry.path()));
    for (std::string line; std::getline(header, line);) {
      std::smatch match;
      if (!std::regex_match(line, match, declaration)) continue;
      ++count;
      EXPECT_TRUE(words.contains(match[1])) << match[1] << " of " << entry.path().filename() << " has no test description";
    }
  }
  EXPECT_GT(count, 200);
}

INSTANTIATE_TEST_SUITE_P(All, Operations, ::testing::ValuesIn(op_cases()), name_of_case);

}  // namespace
}  // namespace weft::operations_test
