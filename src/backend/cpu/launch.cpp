#include "backend/cpu/launch.h"

#include <omp.h>

#include <algorithm>

namespace weft::cpu {
namespace {

/// Expressions evaluated below which a parallel region costs more than it gives.
constexpr std::int64_t parallel_from = 1 << 16;
/// Vectors of a blocked kernel that lie side by side in a tile.
constexpr std::int64_t block_vectors = 4;
/// Tiles that a kernel is cut into, so that threads can share them evenly.
constexpr std::int64_t wanted_tiles = 64;

void run_tiles(const KernelCall& call, void* const* table, IndexFault* fault, std::int64_t begin, std::int64_t end) {
  if (begin < end) call.code.function(call.code.parameters.data(), table + call.buffers, fault, begin, end, call.chunk);
}

/// The first tile of the call whose work begins at or after `work`, counted from the call's own beginning.
std::int64_t tile_at(const KernelCall& call, std::int64_t work) {
  return work <= 0 ? 0 : std::min(call.tiles, (work + call.tile_work - 1) / call.tile_work);
}

}  // namespace

KernelCall make_kernel_call(const kernel::Kernel& k, KernelCode code) {
  KernelCall call;
  call.kernel = &k;
  call.code = std::move(code);
  call.checks = checked_terms(k);
  std::int64_t parallel = 1, sequential = 1;
  for (int d = 0; d < k.loops(); ++d) (d >= k.parallel ? sequential : parallel) *= k.extents[static_cast<std::size_t>(d)];
  const bool vector = k.vector_loop >= 0 && !k.is_sequential(k.vector_loop);
  if (k.tiling.rows > 0) {
    const TileCount count = count_tiles(k, call.code.lanes);
    call.tiles = count.tiles, call.chunk = count.chunk;
  } else if (!vector) {
    call.tiles = parallel;
  } else {
    const std::int64_t extent = k.extents[static_cast<std::size_t>(k.vector_loop)];
    const std::int64_t rows = extent == 0 ? 0 : parallel / extent / (k.blocked ? k.extents[static_cast<std::size_t>(k.vector_loop) - 1] : 1);
    // Scans go through memory in chunks: long ones.
    const std::int64_t pieces = std::max<std::int64_t>(1, (k.scan ? wanted_tiles / 8 : wanted_tiles) / std::max<std::int64_t>(rows, 1));
    const std::int64_t lanes = call.code.lanes;
    call.chunk = std::max(((extent + pieces - 1) / pieces + lanes - 1) / lanes * lanes, lanes);
    if (k.blocked) call.chunk = block_vectors * lanes;
    else if (k.scan) call.chunk = std::min<std::int64_t>(call.chunk, scan_block);
    else if (sequential == 1) call.chunk = std::max(call.chunk, 16 * lanes);
    call.tiles = rows * ((extent + call.chunk - 1) / call.chunk);
  }
  const auto work = parallel * std::max<std::int64_t>(sequential, 1) * static_cast<std::int64_t>(std::max<std::size_t>(k.exprs.size() / 4, 1));
  // What a tile reads is used for all its rows.
  call.tile_work = std::max<std::int64_t>(work / std::max(k.tiling.rows, 1) / std::max<std::int64_t>(call.tiles, 1), 1);
  return call;
}

void launch(std::span<const KernelCall> calls, void* const* table, IndexFault* faults) {
  std::int64_t work = 0, tiles = 0;
  for (const auto& call : calls) work += call.tiles * call.tile_work, tiles += call.tiles;
  if (work < parallel_from || tiles <= 1) {
    for (std::size_t i = 0; i < calls.size(); ++i) run_tiles(calls[i], table, faults + i, 0, calls[i].tiles);
    return;
  }
#pragma omp parallel
  {
    const std::int64_t threads = omp_get_num_threads(), self = omp_get_thread_num();
    const std::int64_t from = work / threads * self, to = self + 1 == threads ? work : work / threads * (self + 1);
    std::int64_t start = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      run_tiles(calls[i], table, faults + i, tile_at(calls[i], from - start), tile_at(calls[i], to - start));
      start += calls[i].tiles * calls[i].tile_work;
    }
  }
}

}  // namespace weft::cpu
