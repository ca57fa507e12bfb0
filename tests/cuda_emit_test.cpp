// The CUDA code of kernels: it compiles, for every operation, and reads as expected.
#include "backend/cuda/emit.h"

#include "apps/workloads/workload.h"
#include "backend/cuda/compiler.h"
#include "compile/pipeline.h"
#include "operation.h"
#include "plan/placement.h"
#include "stitch/lower.h"

#include <weft/error.h>
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda_emit_test {
namespace {

constexpr cuda::DeviceProperties h100{.compute_capability = 90, .multiprocessors = 132, .shared_bytes_per_block = 232448};

bool has_no_kernel(const ir::Graph&, const ir::Node& node) {
  const auto name = node.op->name;
  return name == "sort" || name == "arg_sort" || name == "top_k" || name == "distance_transform" || node.op->kind == Kind::control;
}

using InLibrary = bool (*)(const ir::Graph&, const ir::Node&);

Schedule schedule_of(const Program& program, InLibrary in_library) {
  return lower(
      program, stitch_rules(settled({})), [&](ir::NodeId id) { return in_library(program.graph, program.graph[id]); }, kernel::targets::gpu);
}

/// What is computed for a graph, and what loops and branches compute is left out.
std::vector<kernel::Kernel> lowered(Graph& g, const std::vector<FeedType>& feeds, const Tensors& targets) {
  const Compiled compiled = compile(*g.state(), feeds, targets, {}, {.backend = Backend::reference});
  std::vector<kernel::Kernel> kernels;
  for (auto& step : schedule_of(compiled.program, has_no_kernel).steps)
    if (auto* k = std::get_if<Schedule::KernelStep>(&step)) kernels.push_back(std::move(k->kernel));
  return kernels;
}

/// The sources of a step of LeNet's training, of each kernel or of the grids that they are started as.
std::set<std::string> sources_of_lenet(std::int64_t batch, bool as_grids) {
  // What libraries would take, about.
  const InLibrary is_large = [](const ir::Graph& graph, const ir::Node& node) {
    if (node.op->name != "matmul") return node.op->name.starts_with("conv");
    const std::int64_t terms = graph.type(node.operands[0]).shape[node.attributes.flag("transpose_a") ? 0 : 1];
    return node.types[0].shape.element_count() * terms >= 1 << 20;
  };
  apps::Setup s;
  apps::build_lenet(s, batch);
  const Executable executable = s.compile({.backend = Backend::reference});
  const auto& feeds = executable.feeds();
  const Compiled compiled = compile(*s.graph.state(), {feeds.begin(), feeds.end()}, s.targets, s.operations, {.backend = Backend::reference});
  const Schedule schedule = schedule_of(compiled.program, is_large);
  const auto placement = plan::place_values(compiled.program, schedule, std::vector<plan::StepMemory>(schedule.steps.size()), plan::Failure::is_late);
  std::set<std::string> sources;
  for (const auto& launch : placement.launches) {
    std::vector<const kernel::Kernel*> kernels;
    for (int step : launch)
      if (const auto* k = std::get_if<Schedule::KernelStep>(&schedule.steps[static_cast<std::size_t>(step)])) kernels.push_back(&k->kernel);
    if (as_grids)
      for (auto& grid : cuda::generate_together(kernels, h100)) sources.insert(std::move(grid.code.source));
    else
      for (const auto* k : kernels) sources.insert(cuda::generate(*k, h100).source);
  }
  return sources;
}

/// `is_ready`: all that they read is there before they wait.
std::vector<cuda::Generated> kernels_of(Graph& g, const std::vector<FeedType>& feeds, const Tensors& targets, bool is_ready) {
  std::vector<cuda::Generated> kernels;
  for (const auto& k : lowered(g, feeds, targets)) {
    std::vector<bool> ready;
    for (const auto& use : k.buffers) ready.push_back(is_ready && !use.written);
    kernels.push_back(cuda::generate(k, h100, ready));
  }
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
        for (auto& k : kernels_of(b.g, types_of(b.feeds), b.outputs, true)) sources.insert(std::move(k.source));
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
      for (const auto& k : kernels_of(g, {{x, x.type()}}, {y}, false))
        EXPECT_NO_THROW(compiler.compile(k.source, compiler.target(90))) << from.str() << " case " << i << "\n"
                                                                         << k.source.substr(k.source.find("struct Arguments"));
    }
}

/// Rows that are computed one after the other while columns are added up, the next one being fetched meanwhile: as vectors of 4 to 16 bytes.
TEST(CudaEmit, KernelsThatFetchRowsCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  struct Case {
    Shape shape;
    DType dtype;
    int capability;
    unsigned fetched_bytes;  ///< rows of x and dy in shared memory, for the threads of a block
  };
  for (const auto& [shape, dtype, capability, fetched_bytes] :
       {Case{{8192, 8192}, f32, 80, 2 * 32768}, Case{{8192, 8192}, f32, 100, 2 * 32768}, Case{{8192, 1024}, bf16, 90, 2 * 2048},
        Case{{65536, 96}, f64, 90, 2 * 1024}, Case{{8192, 101}, f32, 90, 0}, Case{{1024, 1024}, f32, 90, 0}}) {
    Graph g;
    const Tensor x = g.placeholder(shape, dtype), gamma = g.placeholder({shape[1]}, dtype), beta = g.placeholder({shape[1]}, dtype),
                 dy = g.placeholder(shape, dtype);
    std::vector<FeedType> feeds;
    for (const Tensor t : {x, gamma, beta, dy}) feeds.push_back({t, t.type()});
    unsigned bytes = 0;
    for (const auto& k : kernels_of(g, feeds, g.gradients(layer_norm(x, -1, {gamma, beta}) * dy, {x, gamma, beta}), false)) {
      bytes += k.shared_bytes;
      EXPECT_NO_THROW(compiler.compile(k.source, compiler.target(capability))) << k.source;
    }
    EXPECT_EQ(bytes, fetched_bytes) << shape.str() << " " << name_of(dtype);
  }
}

/// A step of training that was compiled for one batch needs no other code for others, which would take the compiler as long as all else. (From 64 on
/// another order of the kernels needs a third less memory, and so others start together.)
TEST(CudaEmit, OtherBatchesNeedNoOtherCode) {
  const auto kernels = sources_of_lenet(16, false), grids = sources_of_lenet(16, true);
  for (const std::int64_t batch : {32, 48, 64, 100}) EXPECT_TRUE(std::ranges::includes(kernels, sources_of_lenet(batch, false))) << batch;
  for (const std::int64_t batch : {32, 48}) EXPECT_TRUE(std::ranges::includes(grids, sources_of_lenet(batch, true))) << batch;
}

TEST(CudaEmit, ScansOfRepeatedElementsCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  for (const std::int64_t n : {100, 5000, 1 << 22})
    for (const Shape& to : {Shape{n}, Shape{3, n}, Shape{n, 3}}) {
      Graph g;
      const Tensor x = g.placeholder({}, f32), y = cumulative_sum(broadcast_to(x, to), to[0] == n ? 0 : 1);
      for (const auto& k : kernels_of(g, {{x, x.type()}}, {y}, false))
        EXPECT_NO_THROW(compiler.compile(k.source, compiler.target(90))) << to.str() << "\n" << k.source.substr(k.source.find("struct Arguments"));
    }
}

/// Kernels that don't depend on each other: two large ones of one code, three small ones, and one that turns squares in shared memory.
std::vector<cuda::Together> side_by_side() {
  Graph g;
  std::vector<FeedType> feeds;
  const auto input = [&](Shape shape) {
    feeds.push_back({g.placeholder(shape, f32), TensorType{f32, shape}});
    return feeds.back().placeholder;
  };
  const auto transformed = [&](Shape shape) { return tanh(input(shape)); };
  const std::vector<kernel::Kernel> kernels = lowered(g, feeds,
                                                      {transformed({1 << 24}), transformed({3 << 23}), transformed({10}), sum(input({784, 64}), {0}),
                                                       sum(exp(input({100, 7})), {1}), transpose(input({512, 512}), {1, 0})});
  std::vector<const kernel::Kernel*> list;
  for (const auto& k : kernels) list.push_back(&k);
  return cuda::generate_together(list, h100);
}

TEST(CudaEmit, KernelsSideBySideAreFewGrids) {
  const auto grids = side_by_side();
  std::set<std::vector<std::size_t>> members;
  for (const auto& grid : grids) {
    members.insert(grid.kernels);
    ASSERT_EQ(grid.code.parts.size(), grid.kernels.size());
    ASSERT_EQ(grid.code.shares.size(), grid.kernels.size());
    EXPECT_EQ(std::accumulate(grid.code.shares.begin(), grid.code.shares.end(), 0u), grid.code.blocks);
    EXPECT_LT(grid.code.parts.back(), grid.code.arguments.size());
  }
  EXPECT_EQ(members, (std::set<std::vector<std::size_t>>{{0, 1}, {2, 3, 4}, {5}}));
}

TEST(CudaEmit, KernelsSideBySideCompile) {
  const cuda::Compiler& compiler = cuda::Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  for (const auto& grid : side_by_side())
    for (int capability : {80, 90, 100}) EXPECT_NO_THROW(compiler.compile(grid.code.source, compiler.target(capability))) << grid.code.source;
}

/// What is generated for a graph, without the library's functions.
using Input = std::function<Tensor(Shape, DType)>;

std::string generated(const std::function<Tensor(const Input&)>& build, bool is_ready = false) {
  Graph g;
  std::vector<FeedType> feeds;
  const Tensor result = build([&](Shape shape, DType dtype) {
    feeds.push_back({g.placeholder(shape, dtype), TensorType{dtype, shape}});
    return feeds.back().placeholder;
  });
  std::string text;
  for (const auto& k : kernels_of(g, feeds, {result}, is_ready))
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
      {"vector_times_matrix",
       [](const Input& input) {
         return tanh(matmul(input({1, 512}, f32), input({512, 64}, f32)) + input({64}, f32));
       }},
      {"column_sums",
       [](const Input& input) {
         return sum(input({8192, 16384}, f32), {0});
       }},
      {"column_sums_of_softmax",
       [](const Input& input) {
         return sum(softmax(input({8192, 4096}, bf16), -1), {0});
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
    const std::string text = generated(build, std::string_view(name) == "vector_times_matrix");
    if (std::getenv("WEFT_WRITE_GENERATED")) std::ofstream(path) << text;
    std::ifstream file(path);
    EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {})) << name;
  }
}

/// What is read before the kernel waits for those ahead of it.
TEST(CudaEmit, ReadsAheadOnlyWhatIsReady) {
  const auto build = [](const Input& input) { return tanh(matmul(input({1, 512}, f32), input({512, 64}, f32)) + input({64}, f32)); };
  const auto before_waiting = [](const std::string& text) {
    const auto begin = text.find("__global__"), end = text.find("follow();");
    EXPECT_NE(end, std::string::npos) << text;
    return std::ranges::count(text.substr(begin, end - begin), '[');
  };
  const std::string ready = generated(build, true), waiting = generated(build);
  EXPECT_EQ(before_waiting(waiting), 0);
  EXPECT_GE(before_waiting(ready), 3) << ready;
}

TEST(CudaEmit, KernelsSideBySideReadAsTheyDid) {
  const std::filesystem::path path = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/generated/side_by_side.cu";
  const auto grids = side_by_side();
  const auto grid = std::ranges::find(grids, std::vector<std::size_t>{2, 3, 4}, &cuda::Together::kernels);
  ASSERT_NE(grid, grids.end());
  const std::string text = grid->code.source.substr(grid->code.source.find("namespace kernel_0"));
  if (std::getenv("WEFT_WRITE_GENERATED")) std::ofstream(path) << text;
  std::ifstream file(path);
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace
}  // namespace weft::cuda_emit_test
