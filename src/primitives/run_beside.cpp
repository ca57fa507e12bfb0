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
};

Prepared prepare(Graph& graph, Tensor input, const NDArray& array, std::span<const Tensor> targets, const RunOptions& run) {
  std::vector<TensorData> feeds;
  Executable executable = cached_executable(*graph.state(), {{input, array}}, targets, {}, beside(array, run), feeds);
  return {std::move(executable), std::move(feeds)};
}

}  // namespace

RunOptions beside(const NDArray& array, RunOptions run) {
  if (!array.device().is_cpu()) {
    run.backend = Backend::cuda;
    run.device = array.device().index();
  }
  return run;
}

NDArray run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, Tensor target, const RunOptions& run) {
  const Prepared p = prepare(graph, input, array, {&target, 1}, run);
  return buffer ? buffer->encode(p.executable, p.feeds)[0] : p.executable.run(p.feeds)[0];
}

void run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, std::span<const Tensor> targets,
                std::span<TensorData> results, const RunOptions& run) {
  const Prepared p = prepare(graph, input, array, targets, run);
  if (buffer) buffer->encode(p.executable, p.feeds, results);
  else p.executable.run(p.feeds, results);
}

}  // namespace weft
