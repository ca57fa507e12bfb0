// Distance transforms on a GPU.
#pragma once

#include "backend/cuda/library_call.h"
#include "ops/distance_transform.h"

#include <string>

namespace weft::cuda {

/// distance_transform, by code of our own.
std::unique_ptr<LibraryCall> make_distance_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node);

/// The kernels that a distance transform starts one after the other. Their code knows of types and ways, not of sizes.
struct DistanceSources {
  std::string find_sites, carry, place_sites, solve_near, solve_rows;

  static constexpr const char* entries[] = {"find_sites", "carry", "place_sites", "solve_near", "solve_rows"};
};
/// `is_narrow`: rows are solved in shared memory, in 32 bits, after `solve_near` those that are left; otherwise there is `place_sites`.
/// `index_bytes`: of an index, 0 for none.
DistanceSources distance_sources(DType pixel, bool is_packed, bool is_narrow, int index_bytes);

}  // namespace weft::cuda
