// Arrays of the reference evaluator: floating-point elements as double, complex ones as complex double, integers and
// bool as 128-bit integers that are wrapped to their type after every operation.
#pragma once

#include <weft/ndarray.h>

#include <complex>
#include <span>
#include <variant>
#include <vector>

namespace weft::reference {

using wide = __int128;
using complex = std::complex<double>;
using Elements = std::variant<std::vector<double>, std::vector<wide>, std::vector<complex>>;

/// Dense, row-major.
struct Array {
  TensorType type;
  Elements elements;

  Array() = default;
  /// Zero-filled.
  explicit Array(TensorType type);

  template <class T> std::vector<T>& as() { return std::get<std::vector<T>>(elements); }
  template <class T> const std::vector<T>& as() const { return std::get<std::vector<T>>(elements); }
  std::int64_t size() const { return type.shape.element_count(); }
  /// Element i of an integer array.
  std::int64_t index(std::int64_t i) const { return static_cast<std::int64_t>(as<wide>()[static_cast<std::size_t>(i)]); }
};

/// The value that an integer takes in `dtype`: two's complement wrap-around; bool keeps "not zero".
wide wrap(wide value, DType dtype);

/// sum + a * b. 128-bit integers overflow by design: the result is wrapped to its type afterwards.
template <class T> T multiply_add(T sum, T a, T b) {
  if constexpr (std::is_same_v<T, wide>) {
    using Bits = unsigned __int128;
    return static_cast<T>(static_cast<Bits>(sum) + static_cast<Bits>(a) * static_cast<Bits>(b));
  } else {
    return sum + a * b;
  }
}

/// The value that a double takes in a floating `dtype`: rounded to nearest, ties to even.
double round_to(double value, DType dtype);
/// Towards zero, saturating, NaN as 0.
wide to_integer(double value, DType dtype);

Array from_ndarray(const NDArray& array);
/// Rounds to the type.
NDArray to_ndarray(const Array& array);
Array cast(const Array& from, DType dtype);

/// Visits the multi-dimensional indices of a shape in row-major order: f(index, linear).
template <class F> void for_each_index(std::span<const std::int64_t> sizes, F&& f) {
  std::int64_t count = 1;
  for (auto s : sizes) count *= s;
  std::vector<std::int64_t> index(sizes.size(), 0);
  for (std::int64_t linear = 0; linear < count; ++linear) {
    f(std::span<const std::int64_t>(index), linear);
    for (std::size_t d = sizes.size(); d-- > 0;) {
      if (++index[d] < sizes[d]) break;
      index[d] = 0;
    }
  }
}

/// Row-major strides, counted in elements.
std::vector<std::int64_t> strides_of(const Shape& shape);
/// Strides with which an operand of `shape` is read while walking `into`, to which it broadcasts: 0 where it repeats.
std::vector<std::int64_t> broadcast_strides(const Shape& shape, const Shape& into);

}  // namespace weft::reference
