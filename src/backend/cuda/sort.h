// Sorting on a GPU.
#pragma once

#include "backend/cuda/library_call.h"

namespace weft::cuda {

/// sort, arg_sort and top_k, by code of our own: they have no form as loops over an expression.
std::unique_ptr<LibraryCall> make_sort_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node);

}  // namespace weft::cuda
