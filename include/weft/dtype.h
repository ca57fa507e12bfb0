// Element types of tensors, and the two 16-bit floating-point types that C++20 lacks.
#pragma once

#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

/// The type of a tensor's elements. `c64` is a complex number of two f32. `boolean` takes one byte, 0 or 1.
enum class DType : std::uint8_t { f32, f16, bf16, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean, c64 };

inline constexpr DType f32 = DType::f32, f16 = DType::f16, bf16 = DType::bf16, f64 = DType::f64;
inline constexpr DType i8 = DType::i8, i16 = DType::i16, i32 = DType::i32, i64 = DType::i64;
inline constexpr DType u8 = DType::u8, u16 = DType::u16, u32 = DType::u32, u64 = DType::u64;
inline constexpr DType boolean = DType::boolean, c64 = DType::c64;

inline constexpr int dtype_count = 14;

/// Bytes of one element.
constexpr std::size_t size_of(DType t) {
  constexpr std::size_t sizes[dtype_count] = {4, 2, 2, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 8};
  return sizes[static_cast<int>(t)];
}
constexpr bool is_floating(DType t) { return t <= DType::f64; }
constexpr bool is_signed_integer(DType t) { return t >= DType::i8 && t <= DType::i64; }
constexpr bool is_unsigned_integer(DType t) { return t >= DType::u8 && t <= DType::u64; }
constexpr bool is_integer(DType t) { return t >= DType::i8 && t <= DType::u64; }
constexpr bool is_complex(DType t) { return t == DType::c64; }

/// "f32", "bool", ... as the text form of a graph and error messages spell it.
std::string_view name_of(DType t);
/// The inverse of name_of; empty if no type has that name.
std::optional<DType> dtype_from_name(std::string_view name);

/// IEEE 754 binary16. Conversion from float rounds to nearest, ties to even.
struct float16 {
  std::uint16_t bits = 0;
  float16() = default;
  explicit float16(float value);
  explicit operator float() const;
  friend bool operator==(float16 a, float16 b) { return static_cast<float>(a) == static_cast<float>(b); }
};

/// The upper half of an IEEE 754 binary32. Conversion from float rounds to nearest, ties to even.
struct bfloat16 {
  std::uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float value);
  explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
  friend bool operator==(bfloat16 a, bfloat16 b) { return static_cast<float>(a) == static_cast<float>(b); }
};

/// The DType of a C++ element type: dtype_of<float> is f32.
template <class T> inline constexpr std::optional<DType> dtype_of_or_none = std::nullopt;
template <> inline constexpr std::optional<DType> dtype_of_or_none<float> = f32;
template <> inline constexpr std::optional<DType> dtype_of_or_none<float16> = f16;
template <> inline constexpr std::optional<DType> dtype_of_or_none<bfloat16> = bf16;
template <> inline constexpr std::optional<DType> dtype_of_or_none<double> = f64;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::int8_t> = i8;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::int16_t> = i16;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::int32_t> = i32;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::int64_t> = i64;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::uint8_t> = u8;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::uint16_t> = u16;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::uint32_t> = u32;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::uint64_t> = u64;
template <> inline constexpr std::optional<DType> dtype_of_or_none<bool> = boolean;
template <> inline constexpr std::optional<DType> dtype_of_or_none<std::complex<float>> = c64;

template <class T>
concept Element = dtype_of_or_none<T>
.has_value();
template <Element T> inline constexpr DType dtype_of = *dtype_of_or_none<T>;

/// Calls f with a value-initialised element of type t: visit_dtype(f32, [](auto e) { using T = decltype(e); ... }).
template <class F> decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
    case DType::f32: return f(float{});
    case DType::f16: return f(float16{});
    case DType::bf16: return f(bfloat16{});
    case DType::f64: return f(double{});
    case DType::i8: return f(std::int8_t{});
    case DType::i16: return f(std::int16_t{});
    case DType::i32: return f(std::int32_t{});
    case DType::i64: return f(std::int64_t{});
    case DType::u8: return f(std::uint8_t{});
    case DType::u16: return f(std::uint16_t{});
    case DType::u32: return f(std::uint32_t{});
    case DType::u64: return f(std::uint64_t{});
    case DType::boolean: return f(bool{});
    case DType::c64: break;
  }
  return f(std::complex<float>{});
}

}  // namespace weft
