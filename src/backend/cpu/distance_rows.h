// The distance transform of one row, given for each of its pixels how far the nearest site of the column is.
//
// Pixel x's squared distance is the least of (x - j)^2 + g_j^2 over the columns j: a lower envelope of parabolas of one shape (Meijster, Roerdink and
// Hesselink, "A general algorithm for computing distance transforms in linear time", 2000; Felzenszwalb and Huttenlocher, "Distance transforms of
// sampled functions", 2012). As two such parabolas cross once, the columns that give the least are in order along the row. All is integers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace weft::cpu::distance {

/// Of columns without a site: greater than any distance of the sizes that a type of distances is for, yet it can be squared.
template <class G> inline constexpr G none = static_cast<G>(G(1) << (sizeof(G) * 8 - 1));

#define WEFT_INLINE inline __attribute__((always_inline))

/// Vectors of so many bits.
template <int bits> struct Lanes;
#define WEFT_VECTORS(bits)                                              \
  template <> struct Lanes<(bits)> {                                    \
    typedef std::int32_t I32 __attribute__((vector_size((bits) / 8)));  \
    typedef std::uint32_t U32 __attribute__((vector_size((bits) / 8))); \
    static constexpr int count = (bits) / 32;                           \
  };
WEFT_VECTORS(128)
WEFT_VECTORS(256)
WEFT_VECTORS(512)
#undef WEFT_VECTORS

/// Whether squared distances, and what is computed on the way to them, fit i32. Columns without a site count as 2^15 away.
constexpr bool fits_i32(std::int64_t height, std::int64_t width) {
  constexpr std::int64_t most = 1 << 15;
  return height <= most && width + 16 <= most && height * height + (width + 16) * (width + 16) <= most * most;
}

/// A row's memory for `squares_by_vectors`.
struct RowScratch {
  std::int32_t* heights;  ///< padded_width(width) + 16
  std::int32_t* firsts;   ///< padded_width(width) / 4 + 2
};
constexpr std::int64_t padded_width(std::int64_t width) { return (width + 15) / 16 * 16; }

/// squares[x] for all x below padded_width(width), where those past the width mean nothing; if `gives_columns`, also the leftmost column that gives
/// each. g is read at every `step`-th element.
///
/// The column that gives the least at every 16th (8th, 4th) pixel is found first, halving intervals of pixels: it lies between those of the
/// interval's ends. Then each vector of pixels tries the few columns between those of its ends.
template <int bits, bool gives_columns>
WEFT_INLINE void squares_by_vectors(const std::uint16_t* g, std::ptrdiff_t step, int width, RowScratch scratch, std::int32_t* squares,
                                    std::int32_t* columns) {
  using I32 = typename Lanes<bits>::I32;
  using U32 = typename Lanes<bits>::U32;
  constexpr int lanes = Lanes<bits>::count;
  std::int32_t* const heights = scratch.heights;
  std::int32_t* const firsts = scratch.firsts;
  const int padded = static_cast<int>(padded_width(width)), blocks = (width + lanes - 1) / lanes;
  // (x - j)^2 + g^2 = x^2 + (height of j) - 2 x j
  if (step == 1)
    for (int j = 0; j < width; ++j) heights[j] = g[j] * g[j] + j * j;
  else
    for (int j = 0; j < width; ++j) heights[j] = g[j * step] * g[j * step] + j * j;
  for (int j = width; j < padded + 16; ++j) heights[j] = (1 << 30) + j * j;

  U32 iota;
  for (int l = 0; l < lanes; ++l) iota[l] = static_cast<std::uint32_t>(l);
  // The column in [low, high] that gives the least at x. It is no farther than the site of x's own column.
  auto best_column = [&](int x, int low, int high) __attribute__((always_inline)) {
    const int reach = g[x * step];
    low = std::max(low, x - reach);
    high = std::min(high, x + reach);
    const auto twice = static_cast<std::uint32_t>(2 * x);
    U32 subtracted = (iota + static_cast<std::uint32_t>(low)) * twice;
    I32 best, best_at, at = I32{} + low;
    std::memcpy(&best, heights + low, sizeof best);
    best = (I32)((U32)best - subtracted);
    best_at = at;
    for (int j = low + lanes; j <= high; j += lanes) {
      subtracted += twice * lanes;
      at += lanes;
      I32 value;
      std::memcpy(&value, heights + j, sizeof value);
      value = (I32)((U32)value - subtracted);
      const auto is_less = value < best;
      best = is_less ? value : best;
      best_at = is_less ? at : best_at;
    }
    best_at += (I32)iota;
    // The halves that are left are compared until one lane is.
    auto fold = [&]<int... l>(std::integer_sequence<int, l...>, auto half) __attribute__((always_inline)) {
      constexpr int distance = decltype(half)::value;
      const I32 other = __builtin_shufflevector(best, best, ((l + distance) % lanes)...);
      const I32 other_at = __builtin_shufflevector(best_at, best_at, ((l + distance) % lanes)...);
      auto is_less = other < best;
      if constexpr (gives_columns) is_less |= (other == best) & (other_at < best_at);
      best = is_less ? other : best;
      best_at = is_less ? other_at : best_at;
    };
    constexpr auto each = std::make_integer_sequence<int, lanes>();
    if constexpr (lanes == 16) fold(each, std::integral_constant<int, 8>());
    if constexpr (lanes >= 8) fold(each, std::integral_constant<int, 4>());
    fold(each, std::integral_constant<int, 2>());
    fold(each, std::integral_constant<int, 1>());
    const int column = best_at[0];
    return std::min(column, high);
  };
  firsts[0] = best_column(0, 0, width - 1);
  firsts[blocks] = best_column(width - 1, firsts[0], width - 1);
  int stride = 1;
  while (2 * stride < blocks) stride *= 2;
  for (; stride > 0; stride /= 2)
    for (int b = stride; b < blocks; b += 2 * stride) firsts[b] = best_column(b * lanes, firsts[b - stride], firsts[std::min(b + stride, blocks)]);

  for (int b = 0; b < blocks; ++b) {
    const int low = firsts[b], high = firsts[b + 1];
    const U32 x = iota + static_cast<std::uint32_t>(b * lanes);
    U32 subtracted = 2 * x * static_cast<std::uint32_t>(low);
    I32 best = I32{} + std::numeric_limits<std::int32_t>::max(), best_at{}, at = I32{} + low;
    // By fours, which makes the loop's end easier to foresee; columns past `high` are no better.
    for (int j = low; j <= high; j += 4)
      for (int k = 0; k < 4; ++k) {
        const I32 value = (I32)(static_cast<std::uint32_t>(heights[j + k]) - subtracted);
        if constexpr (gives_columns) {
          best_at = value < best ? at : best_at;
          at += 1;
        }
        best = value < best ? value : best;
        subtracted += 2 * x;
      }
    if constexpr (gives_columns) std::memcpy(columns + b * lanes, &best_at, sizeof best_at);
    best = (I32)((U32)best + x * x);
    std::memcpy(squares + b * lanes, &best, sizeof best);
  }
}

/// The distances of a row, given their squares; infinity where these are more than `most_squared`. A number of more than 24 bits takes its root in
/// f64.
WEFT_INLINE void roots(const std::int32_t* squares, int width, std::int32_t most_squared, float* distances) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::int32_t greatest = 0;
  for (int x = 0; x < width; ++x) greatest = std::max(greatest, squares[x] > most_squared ? 0 : squares[x]);
  if (greatest < 1 << 24)
    for (int x = 0; x < width; ++x) distances[x] = squares[x] > most_squared ? infinity : __builtin_sqrtf(static_cast<float>(squares[x]));
  else
    for (int x = 0; x < width; ++x)
      distances[x] = squares[x] > most_squared ? infinity : static_cast<float>(__builtin_sqrt(static_cast<double>(squares[x])));
}

/// Every `step`-th element of an array.
template <class T> struct Strided {
  T* from;
  std::int64_t step;
  T operator[](std::int64_t i) const { return from[i * step]; }
};

/// An envelope's parabolas in order: that of column `columns[k]` is the least from pixel `starts[k]` on.
struct Envelope {
  std::int32_t* columns;
  std::int32_t* starts;
};

/// The same for any size, one column after the other. `rows`, if there are any, are those of the columns' closest sites; `place(x, row * width +
/// column)` is then called with the closest site, -1 if there is none. `distance(x, distance)` is called for every pixel.
template <class Distance, class Place>
void solve_by_columns(Strided<const std::uint32_t> g, Strided<std::int32_t> rows, std::int64_t width, std::int64_t most_squared, Envelope envelope,
                      Distance&& distance, Place&& place) {
  const auto square = [](std::int64_t a) { return a * a; };
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < width; ++j) {
    if (g[j] == none<std::uint32_t>) continue;
    std::int64_t start = 0;
    for (; count > 0; --count) {
      // The first pixel at which this column gives less than the last one: where they are equal the left one stays.
      const std::int64_t before = envelope.columns[count - 1], gj = g[j], gb = g[before];
      const std::int64_t difference = (j - before) * (j + before) + (gj - gb) * (gj + gb), slope = 2 * (j - before);
      start = difference < 0 ? 0 : difference / slope + 1;
      if (start > envelope.starts[count - 1]) break;
      start = 0;
    }
    if (start >= width) continue;
    envelope.columns[count] = static_cast<std::int32_t>(j);
    envelope.starts[count++] = static_cast<std::int32_t>(start);
  }
  if (count == 0) envelope.columns[count] = -1, envelope.starts[count++] = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t column = envelope.columns[k], end = k + 1 < count ? envelope.starts[k + 1] : width;
    for (std::int64_t x = envelope.starts[k]; x < end; ++x) {
      const std::int64_t squared = column < 0 ? -1 : square(x - column) + square(g[column]);
      const bool is_found = column >= 0 && squared <= most_squared;
      distance(x, is_found ? static_cast<float>(__builtin_sqrt(static_cast<double>(squared))) : std::numeric_limits<float>::infinity());
      if (rows.from) place(x, is_found ? rows[column] * width + column : -1);
    }
  }
}

// Down and up the columns. Rows of all channels go side by side.

/// What the bits of a pixel that is not zero have any of: all but the sign of floating-point numbers.
template <class Bits> WEFT_INLINE void find_sites(const Bits* pixels, Bits relevant, std::int64_t count, std::uint8_t* is_site) {
  for (std::int64_t i = 0; i < count; ++i) is_site[i] = (pixels[i] & relevant) != 0;
}

/// From the distances of the row before in the direction of the sweep.
template <class G> WEFT_INLINE void step_away(const std::uint8_t* is_site, const G* before, G* after, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const G farther = static_cast<G>(std::min<G>(before[i], none<G> - 1) + 1);
    after[i] = is_site[i] ? G(0) : farther;
  }
}

}  // namespace weft::cpu::distance
