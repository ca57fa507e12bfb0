// Copies between strided blocks of memory, converting elements where the types differ.
#pragma once

#include <weft/shape.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weft::runtime {

using Strides = std::array<std::int64_t, max_rank>;

/// Row-major strides without gaps, in bytes. Needs a static shape whose bytes don't overflow.
Strides dense_strides(const TensorType& type);

/// The bytes that elements occupy, counted from the first byte of element 0: from `low` (<= 0) to before `high`.
struct Extent {
  std::int64_t low = 0, high = 0;
};
/// Empty when an offset doesn't fit 64 bits.
std::optional<Extent> extent_of(const TensorType& type, std::span<const std::int64_t> strides);

/// Where elements lie.
template <class Pointer> struct Block {
  Pointer data;
  DType dtype;
  std::span<const std::int64_t> strides;  ///< in bytes, one for each size
};

/// to[i] = convert(from[i]) for every index i of `shape`. Addresses needn't be aligned. The blocks must not overlap.
void copy_strided(const Shape& shape, Block<std::byte*> to, Block<const std::byte*> from);

}  // namespace weft::runtime
