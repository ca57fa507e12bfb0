// The CUDA code of kernels: it compiles, for every operation, and reads as expected.
#include "backend/cuda/emit.h"

#include "backend/cuda/compiler.h"
#include "compile/pipeline.h"
#include "operation.h"
#include "stitch/lower.h"

#include <weft/error.h>
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace weft {
namespace {

constexpr cuda::DeviceProperties h100{.compute_capability = 90, .multiprocessors = 132, .shared_bytes_per_block = 232448};

/// The kernels of a graph, when no library takes any operation but sorting, and what loops and branches compute is left out.
std::vector<cuda::Generated> kernels_of(Graph& g, const std::vector<FeedType>& feeds, const Tensors& targets) {
  const Compiled compiled = compile(*g.state(), feeds, targets, {}, {.backend = Backend::reference});
  const Program& program = compiled.program;
  const Schedule schedule = lower(
      program, stitch_rules(settled({})),
      [&](ir::NodeId id) {
        const auto name = program.graph[id].op->name;
        return name == "sort" || name == "arg_sort" || name == "top_k" || name == "distance_transform" || program.graph[id].op->kind == Kind::control;
      },
      kernel::targets::gpu);
  std::vector<cuda::Generated> kernels;
  for (const auto& step : schedule.steps)
    if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) kernels.push_back(cuda::generate(k->kernel, h100));
  return kernels;
}

std::vector<FeedType> types_of(const Feeds& feeds) {
  std::vector<FeedType> types;
  for (const auto& [placeholder, data] : feeds) types.push_back({placeholder, data.type()});
  return types;
}

/// All different kernels of the test descriptions.
std::set<std::string> kernels_of_all_operations() {
  std::set<std::string> sources;
  for (const auto& op : op_cases())
    for (auto dtype : op.dtypes)
      for (const auto& shapes : op.shapes) {
        BuiltOperation b(op, dtype, shapes);
        for (auto& k : kernels_of(b.g, types_of(b.feeds), b.outputs)) sources.insert(std::move(k.source));
        if (dtype != op.dtypes[0]) break;
      }
  return sources;
}

/// Several kernels as one source, which takes the compiler a third of the time: most of it goes into beginning anew.
std::string together(std::span<const std::string> sources) {
  static constexpr std::string_view linkage = "extern \"C\" ";
  std::string text;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::string own = sources[i];
    own.erase(own.find(linkage), linkage.size());
    text += "namespace kernel_" + std::to_string(i) + " {\n" + own + "}\n";
  }
  return text;
}

TEST(CudaEmit, KernelsOfAllOperationsCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  const auto sources = kernels_of_all_operations();
  const std::vector<std::string> list(sources.begin(), sources.end());
  ASSERT_GT(list.size(), 2000u);
  constexpr std::size_t batch = 32;
  for (std::size_t i = 0; i < list.size(); i += batch) {
    const auto some = std::span(list).subspan(i, std::min(batch, list.size() - i));
    const int capability = i % (8 * batch) == 0 ? 80 : i % (8 * batch) == batch ? 100 : 90;
    try {
      compiler.compile(together(some), compiler.target(capability));
    } catch (const InternalError&) {
      for (const auto& source : some) ASSERT_NO_THROW(compiler.compile(source, compiler.target(capability)));
    }
  }
}

/// Kernels that hardly read anything, or the same element over and over.
TEST(CudaEmit, KernelsOfRepeatedElementsCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  const std::function<Tensor(Tensor)> cases[] = {
      [](Tensor x) { return cumulative_sum(x, 0); }, [](Tensor x) { return cumulative_maximum(x, 1, {.reverse = true}); },
      [](Tensor x) { return sum(x, {1}); },          [](Tensor x) { return sum(exp(x), {0}); },
      [](Tensor x) { return softmax(x, 1); },        [](Tensor x) { return argmax(x, 0); },
      [](Tensor x) { return transpose(x, 0, 1); },   [](Tensor x) { return cumulative_sum(x * x, 1, {.exclusive = true}); },
      [](Tensor x) { return layer_norm(x); },
  };
  for (const Shape& from : {Shape{}, Shape{1, 300}, Shape{4096, 1}})
    for (std::size_t i = 0; i < std::size(cases); ++i) {
      Graph g;
      const Tensor x = g.placeholder(from, f32), y = cases[i](broadcast_to(x, {4096, 300}));
      for (const auto& k : kernels_of(g, {{x, x.type()}}, {y}))
        EXPECT_NO_THROW(compiler.compile(k.source, compiler.target(90))) << from.str() << " case " << i << "\n"
                                                                         << k.source.substr(k.source.find("struct Arguments"));
    }
}

TEST(CudaEmit, ScansOfRepeatedElementsCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  for (const std::int64_t n : {100, 5000, 1 << 22})
    for (const Shape& to : {Shape{n}, Shape{3, n}, Shape{n, 3}}) {
      Graph g;
      const Tensor x = g.placeholder({}, f32), y = cumulative_sum(broadcast_to(x, to), to[0] == n ? 0 : 1);
      for (const auto& k : kernels_of(g, {{x, x.type()}}, {y}))
        EXPECT_NO_THROW(compiler.compile(k.source, compiler.target(90))) << to.str() << "\n" << k.source.substr(k.source.find("struct Arguments"));
    }
}

/// What is generated for a graph, without the library's functions.
using Input = std::function<Tensor(Shape, DType)>;

std::string generated(const std::function<Tensor(const Input&)>& build) {
  Graph g;
  std::vector<FeedType> feeds;
  const Tensor result = build([&](Shape shape, DType dtype) {
    feeds.push_back({g.placeholder(shape, dtype), TensorType{dtype, shape}});
    return feeds.back().placeholder;
  });
  std::string text;
  for (const auto& k : kernels_of(g, feeds, {result}))
    text += (text.empty() ? "" : "\n") + k.source.substr(k.source.find("struct Arguments")) + "// " + std::to_string(k.blocks) + " blocks of " +
            std::to_string(k.threads) + " threads\n";
  return text;
}

/// Files of tests/generated; WEFT_WRITE_GENERATED has them written anew.
TEST(CudaEmit, ReadsAsItDid) {
  const std::pair<const char*, std::function<Tensor(const Input&)>> kernels[] = {
      {"gelu", [](const Input& input) { return gelu(input({1 << 24}, f32)); }},
      {"softmax",
       [](const Input& input) {
         return softmax(input({8192, 8192}, f32), -1);
       }},
      {"layer_norm",
       [](const Input& input) {
         return layer_norm(input({512, 1000}, bf16));
       }},
      {"column_sums",
       [](const Input& input) {
         return sum(input({8192, 16384}, f32), {0});
       }},
      {"cumulative_sum",
       [](const Input& input) {
         return cumulative_sum(input({4096, 1000}, f32), 1);
       }},
      {"pool_max",
       [](const Input& input) {
         return max_pool2d(input({64, 28, 28, 32}, f32), {2, 2});
       }},
      {"transpose",
       [](const Input& input) {
         return transpose(input({4096, 8192}, f32), {1, 0}) + input({8192, 4096}, f32);
       }},
      {"scatter_add",
       [](const Input& input) {
         return scatter(input({50000, 512}, f32), input({8192}, i32), input({8192, 512}, f32), 0, {.mode = ScatterMode::add});
       }},
  };
  for (const auto& [name, build] : kernels) {
    const std::filesystem::path path = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/generated" / (std::string(name) + ".cu");
    const std::string text = generated(build);
    if (std::getenv("WEFT_WRITE_GENERATED")) std::ofstream(path) << text;
    std::ifstream file(path);
    EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {})) << name;
  }
}

}  // namespace
}  // namespace weft
