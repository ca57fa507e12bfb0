// Contractions by kernels of tiles.
#pragma once

#include "backend/cuda/tiles.h"

#include <string>
#include <string_view>
#include <vector>

namespace weft::cuda {

/// Of ways to compute that are tiles: what their names begin with, before the tiles' own.
inline constexpr std::string_view tiles_prefix = "tiles ";
/// A part of what choices are kept under: another when kernels have changed so that others may be the fastest.
inline constexpr std::string_view tiles_version = " tiles 5";

/// Whether such kernels can be used.
bool has_tiles(const Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry);
/// Tiles that may be fast, the likeliest first; none where `has_tiles` says so. Their code is loaded.
std::vector<std::string> tiles_names(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry);

/// Launches may give the kernel as much shared memory as a block can have.
inline Gpu::Source to_load(const Gpu& gpu, const TilesSource& source) {
  return {source.text, source.entry, static_cast<unsigned>(gpu.properties().shared_bytes_per_block)};
}

/// With the tiles of one name.
LibraryChoice make_tiles_call(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& geometry, const Finish* after,
                              const std::string& name);

}  // namespace weft::cuda
