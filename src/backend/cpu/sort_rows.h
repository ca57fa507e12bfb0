// Sorting rows of unsigned integers: what sort.cpp does with the keys that it makes of elements.
#pragma once

#include <weft/dtype.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace weft::cpu::sorting {

using wide = unsigned __int128;

template <std::size_t bytes>
using Bits = std::conditional_t<bytes == 1, std::uint8_t,
                                std::conditional_t<bytes == 2, std::uint16_t, std::conditional_t<bytes == 4, std::uint32_t, std::uint64_t>>>;

/// An element type's order as that of unsigned integers: for floats all NaN are one number above all others, and -0 and +0
/// are one.
template <class T> struct Key {
  using Type = Bits<sizeof(T)>;
  static constexpr int bits = static_cast<int>(sizeof(T)) * 8;
  static constexpr bool is_floating = weft::is_floating(dtype_of<T>);
  static constexpr Type sign = static_cast<Type>(Type(1) << (bits - 1));
  static constexpr Type infinity = [] {
    const int mantissa = std::is_same_v<T, float16> ? 10 : std::is_same_v<T, bfloat16> ? 7 : std::is_same_v<T, double> ? 52 : 23;
    return is_floating ? static_cast<Type>(Type(sign - 1) >> mantissa << mantissa) : Type(0);
  }();
  static constexpr Type of_nan = static_cast<Type>(~Type(0)), of_zero = sign;

  static Type of(T value) {
    const Type u = std::bit_cast<Type>(value);
    if constexpr (is_floating) {
      const Type magnitude = static_cast<Type>(u & ~sign);
      // A negative number's bits grow downwards. Without a branch, which random signs would mislead.
      const Type flipped = static_cast<Type>(u ^ (sign | (Type(0) - (u >> (bits - 1)))));
      return magnitude > infinity ? of_nan : magnitude == 0 ? of_zero : flipped;
    } else {
      return std::is_signed_v<T> ? static_cast<Type>(u ^ sign) : u;
    }
  }

  /// The element; NaN's and zero's own bits are lost.
  static T element(Type key) {
    if constexpr (is_floating) return std::bit_cast<T>(static_cast<Type>(key ^ (sign | ((key >> (bits - 1)) - Type(1)))));
    else return std::bit_cast<T>(std::is_signed_v<T> ? static_cast<Type>(key ^ sign) : key);
  }
};

/// A key with the place it is from in the lower half, so that no two are equal and their order is the stable one.
template <class Item> inline constexpr int place_bits = static_cast<int>(sizeof(Item)) * 4;
inline std::size_t place_of(std::uint64_t item) { return static_cast<std::uint32_t>(item); }
inline std::size_t place_of(wide item) { return static_cast<std::uint64_t>(item); }

/// Below this std::sort is faster than counting.
inline constexpr std::size_t radix_from = 96;

inline constexpr int digit_bits = 8, digits = 1 << digit_bits;
using Counts = std::array<std::size_t, digits>;

template <class Item> std::size_t digit(Item item, int shift) { return static_cast<std::size_t>(item >> shift) & (digits - 1); }

/// Sorts a by its bits from `low` on, stably, with b for the passes in between; gives the one of the two that holds the
/// result. Least significant digit first (Knuth, The Art of Computer Programming 3, 5.2.5).
template <class Item> Item* sort_items(Item* a, Item* b, std::size_t count, int low) {
  constexpr int high = static_cast<int>(sizeof(Item)) * 8, most_passes = high / digit_bits;
  if (count < radix_from) {
    std::sort(a, a + count);
    return a;
  }
  std::array<Counts, most_passes> counts{};
  const int passes = (high - low) / digit_bits;
  for (std::size_t i = 0; i < count; ++i)
    for (int p = 0; p < passes; ++p) ++counts[static_cast<std::size_t>(p)][digit(a[i], low + p * digit_bits)];
  for (int p = 0; p < passes; ++p) {
    Counts& next = counts[static_cast<std::size_t>(p)];
    const int shift = low + p * digit_bits;
    if (next[digit(a[0], shift)] == count) continue;
    std::size_t place = 0;
    for (auto& n : next) place += std::exchange(n, place);
    for (std::size_t i = 0; i < count; ++i) b[next[digit(a[i], shift)]++] = a[i];
    std::swap(a, b);
  }
  return a;
}

/// The same by all threads of a parallel region, each of which counts and moves a part of its own: digits of one part go
/// behind those of the parts before it. `counts` has one entry for each thread.
template <class Item> Item* sort_items_together(Item* a, Item* b, std::size_t count, int low, Counts* counts, int threads, int self) {
  constexpr int high = static_cast<int>(sizeof(Item)) * 8;
  const auto first = count * static_cast<std::size_t>(self) / static_cast<std::size_t>(threads);
  const auto last = count * static_cast<std::size_t>(self + 1) / static_cast<std::size_t>(threads);
  Counts& own = counts[self];
  for (int shift = low; shift < high; shift += digit_bits) {
    own.fill(0);
    for (std::size_t i = first; i < last; ++i) ++own[digit(a[i], shift)];
#pragma omp barrier
    // Each thread finds its own places, all from the same counts.
    Counts next;
    std::size_t place = 0;
    bool moves = true;
    for (std::size_t d = 0; d < digits; ++d) {
      const std::size_t before_digit = place;
      for (int t = 0; t < threads; ++t) {
        if (t == self) next[d] = place;
        place += counts[t][d];
      }
      if (place - before_digit == count) moves = false;
    }
    if (moves) {
      for (std::size_t i = first; i < last; ++i) b[next[digit(a[i], shift)]++] = a[i];
      std::swap(a, b);
    }
#pragma omp barrier
  }
  return a;
}

}  // namespace weft::cpu::sorting
