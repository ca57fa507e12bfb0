#include "runtime/strided.h"

#include "runtime/convert.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace weft::runtime {
namespace {

struct Dimension {
  std::int64_t size, to, from;
};

/// Converts `count` elements that lie `to_stride` and `from_stride` bytes apart.
using RowKernel = void (*)(std::byte* to, std::int64_t to_stride, const std::byte* from, std::int64_t from_stride, std::int64_t count);

template <class T> T load(const std::byte* p) {
  if constexpr (std::is_same_v<T, bool>) return *p != std::byte{0};  // memory of a caller's may hold other bytes than 0 and 1
  else {
    T value;
    std::memcpy(&value, p, sizeof(T));
    return value;
  }
}

template <class To, class From>
void convert_row(std::byte* to, std::int64_t to_stride, const std::byte* from, std::int64_t from_stride, std::int64_t count) {
  const auto one = [](std::byte* t, const std::byte* f) {
    const To value = convert<To>(load<From>(f));
    std::memcpy(t, &value, sizeof(To));
  };
  constexpr auto to_size = static_cast<std::int64_t>(sizeof(To)), from_size = static_cast<std::int64_t>(sizeof(From));
  if (to_stride == to_size && from_stride == from_size)  // strides that the compiler knows let it use vectors
    for (std::int64_t i = 0; i < count; ++i) one(to + i * to_size, from + i * from_size);
  else
    for (std::int64_t i = 0; i < count; ++i) one(to + i * to_stride, from + i * from_stride);
}

template <std::size_t size>
void copy_row(std::byte* to, std::int64_t to_stride, const std::byte* from, std::int64_t from_stride, std::int64_t count) {
  constexpr auto step = static_cast<std::int64_t>(size);
  if (to_stride == step && from_stride == step) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * size);
  } else if (to_stride == step) {
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i * step, from + i * from_stride, size);
  } else {
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i * to_stride, from + i * from_stride, size);
  }
}

RowKernel kernel_for(DType to, DType from) {
  if (to != from) {
    return visit_dtype(
        to, [&](auto t) { return visit_dtype(from, [](auto f) { return static_cast<RowKernel>(convert_row<decltype(t), decltype(f)>); }); });
  }
  if (to == boolean) return convert_row<bool, bool>;  // makes 0 or 1 of any byte
  switch (size_of(to)) {
    case 1: return copy_row<1>;
    case 2: return copy_row<2>;
    case 4: return copy_row<4>;
    default: return copy_row<8>;
  }
}

/// Dimensions in the order in which `to` is written, outermost first, neighbours joined where both sides allow it.
int collapse(const Shape& shape, std::span<const std::int64_t> to, std::span<const std::int64_t> from, std::span<Dimension> dims) {
  int n = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (shape[i] != 1) dims[static_cast<std::size_t>(n++)] = {shape[i], to[k], from[k]};
  }
  // Stable, and without the memory that std::stable_sort allocates.
  for (auto i = dims.begin(); i != dims.begin() + n; ++i)
    std::rotate(std::upper_bound(dims.begin(), i, *i, [](const Dimension& a, const Dimension& b) { return std::abs(a.to) > std::abs(b.to); }), i,
                i + 1);
  int kept = 0;
  for (int i = 0; i < n; ++i) {
    const Dimension& inner = dims[static_cast<std::size_t>(i)];
    if (kept > 0) {
      Dimension& outer = dims[static_cast<std::size_t>(kept - 1)];
      if (outer.to == inner.to * inner.size && outer.from == inner.from * inner.size) {
        outer = {outer.size * inner.size, inner.to, inner.from};
        continue;
      }
    }
    dims[static_cast<std::size_t>(kept++)] = inner;
  }
  return kept;
}

}  // namespace

Strides dense_strides(const TensorType& type) {
  Strides strides{};
  auto step = static_cast<std::int64_t>(size_of(type.dtype));
  for (int i = type.shape.rank(); i-- > 0;) {
    strides[static_cast<std::size_t>(i)] = step;
    step *= std::max<std::int64_t>(type.shape[i], 1);
  }
  return strides;
}

std::optional<Extent> extent_of(const TensorType& type, std::span<const std::int64_t> strides) {
  Extent e;
  if (type.shape.element_count() == 0) return e;
  for (int i = 0; i < type.shape.rank(); ++i) {
    const std::int64_t stride = strides[static_cast<std::size_t>(i)];
    std::int64_t span = 0;
    std::int64_t& bound = stride < 0 ? e.low : e.high;
    if (__builtin_mul_overflow(type.shape[i] - 1, stride, &span) || __builtin_add_overflow(bound, span, &bound)) return std::nullopt;
  }
  if (__builtin_add_overflow(e.high, static_cast<std::int64_t>(size_of(type.dtype)), &e.high)) return std::nullopt;
  return e;
}

void copy_strided(const Shape& shape, Block<std::byte*> to, Block<const std::byte*> from) {
  if (shape.element_count() == 0) return;
  const RowKernel kernel = kernel_for(to.dtype, from.dtype);
  std::array<Dimension, max_rank + 2> storage{};
  storage[0] = storage[1] = {1, 0, 0};  // so that there always are two innermost dimensions
  const int rank = collapse(shape, to.strides, from.strides, std::span(storage).subspan(2));
  const auto dims = std::span(storage).first(static_cast<std::size_t>(rank + 2));

  // Where `from` isn't read along the row, the dimension that it is read along comes next, and rows are cut so that the
  // cache lines that one of them touches are still there for the following ones.
  const Dimension row = dims.back();
  std::int64_t cut = row.size;
  const auto nearest = std::min_element(dims.begin() + (rank ? 2 : 0), dims.end(),
                                        [](const Dimension& a, const Dimension& b) { return std::abs(a.from) < std::abs(b.from); });
  if (rank >= 2 && std::abs(nearest->from) < std::abs(row.from)) {
    std::rotate(nearest, nearest + 1, dims.end() - 1);
    cut = 16;
  }
  const Dimension lines = dims[dims.size() - 2];
  const auto outer = dims.first(dims.size() - 2);

  std::array<std::int64_t, max_rank + 2> index{};
  while (true) {
    for (std::int64_t start = 0; start < row.size; start += cut) {
      const std::int64_t count = std::min(cut, row.size - start);
      std::byte* t = to.data + start * row.to;
      const std::byte* f = from.data + start * row.from;
      for (std::int64_t i = 0; i < lines.size; ++i, t += lines.to, f += lines.from) kernel(t, row.to, f, row.from, count);
    }
    std::size_t d = outer.size();
    while (d-- > 0) {
      to.data += outer[d].to;
      from.data += outer[d].from;
      if (++index[d] < outer[d].size) break;
      to.data -= outer[d].to * outer[d].size;
      from.data -= outer[d].from * outer[d].size;
      index[d] = 0;
    }
    if (d == static_cast<std::size_t>(-1)) return;
  }
}

}  // namespace weft::runtime
