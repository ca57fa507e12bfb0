// Running a primitive's graph where its array lies.
#pragma once

#include <weft/executable.h>
#include <weft/graph.h>
#include <weft/ndarray.h>

#include <span>

namespace weft {

class CommandBuffer;

/// Runs a graph of one placeholder, `input`, fed with the array, beside it: on the GPU on which the array lies, else as `run` says. To go with the
/// buffer, or done at once if there is none. The result lies beside the array too.
NDArray run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, Tensor target, const RunOptions& run);
/// Into these results, one for each target.
void run_beside(CommandBuffer* buffer, Graph& graph, Tensor input, const NDArray& array, std::span<const Tensor> targets,
                std::span<TensorData> results, const RunOptions& run);

}  // namespace weft
