// The CUDA code of kernels: it compiles, for every operation, and reads as expected.
#include "backend/cuda/emit.h"

#include "backend/cuda/compiler.h"
#include "compile/pipeline.h"
#include "operation.h"
#include "stitch/lower.h"

#include <weft/error.h>
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>
#include <vector>

namespace weft {
namespace {

constexpr cuda::DeviceProperties h100{.compute_capability = 90, .multiprocessors = 132, .shared_bytes_per_block = 232448};

/// The kernels of a graph, when no library takes any operation but sorting.
std::vector<cuda::Generated> kernels_of(Graph& g, const std::vector<FeedType>& feeds, const Tensors& targets) {
  const Compiled compiled = compile(*g.state(), feeds, targets, {}, {.backend = Backend::reference});
  const Program& program = compiled.program;
  const Schedule schedule = lower(program, stitch_rules(settled({})), [&](ir::NodeId id) {
    const auto name = program.graph[id].op->name;
    return name == "sort" || name == "arg_sort" || name == "top_k";
  });
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

}  // namespace
}  // namespace weft
