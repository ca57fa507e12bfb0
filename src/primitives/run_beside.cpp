#include "primitives/run_beside.h"

#include "runtime/runtime_state.h"

#include <weft/queue.h>

#include <utility>
#include <vector>

namespace weft {
namespace {

struct Prepared {
  Executable executable;
  std::vector<TensorData> feeds;

  void into(CommandBuffer* buffer, std::span<TensorData> results) const {
    if (buffer) buffer->encode(executable, feeds, results);
    else executable.run(feeds, results);
  }
};

Prepared prepare(Graph& graph, Tensor input, const NDArray& array, std::span<const Tensor> targets, RunOptions run) {
  if (!array.device().is_cpu()) {
    run.backend = Backend::cuda;
    run.device = array.device().index();
  }
  std::vector<TensorData> feeds;
  Executable executable = cached_executable(*graph.state(), {{input, array}}, targets, {}, run, feeds);
  return {std::move(executable), std::move(feeds)};
}

}  // namespace

NDArray run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, Tensor target, const RunOptions& run) {
  const Prepared p = prepare(graph, input, array, {&target, 1}, run);
  const TensorType type = p.executable.output_types()[0];
  NDArray result(type.dtype, type.shape, array.device());
  TensorData results[] = {result};
  p.into(buffer, results);
  return result;
}

void run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, std::span<const Tensor> targets,
                std::span<TensorData> results, const RunOptions& run) {
  prepare(graph, input, array, targets, run).into(buffer, results);
}

}  // namespace weft
