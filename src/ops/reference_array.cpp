#include "ops/reference_array.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace weft::reference {

Array::Array(TensorType t) : type(std::move(t)) {
  const auto n = static_cast<std::size_t>(type.shape.element_count());
  if (is_floating(type.dtype)) elements = std::vector<double>(n);
  else if (is_complex(type.dtype)) elements = std::vector<complex>(n);
  else elements = std::vector<wide>(n);
}

wide wrap(wide value, DType dtype) {
  if (dtype == boolean) return value != 0;
  const int bits = static_cast<int>(size_of(dtype)) * 8;
  const wide modulus = wide(1) << bits;
  wide r = value & (modulus - 1);
  if (is_signed_integer(dtype) && r >= modulus / 2) r -= modulus;
  return r;
}

double round_to(double value, DType dtype) {
  switch (dtype) {
    case f32: return static_cast<float>(value);
    case f16:
    case bf16: {
      // Rounding twice, through float, could differ from rounding once: round to odd first keeps the sticky bit.
      float narrow = static_cast<float>(value);
      if (std::isfinite(narrow) && static_cast<double>(narrow) != value) {
        if (std::fabs(static_cast<double>(narrow)) > std::fabs(value)) narrow = std::nextafterf(narrow, 0.0f);
        narrow = std::bit_cast<float>(std::bit_cast<std::uint32_t>(narrow) | 1u);
      }
      return dtype == f16 ? static_cast<float>(float16(narrow)) : static_cast<float>(bfloat16(narrow));
    }
    default: return value;
  }
}

wide to_integer(double value, DType dtype) {
  if (dtype == boolean) return value != 0;
  if (std::isnan(value)) return 0;
  const int bits = static_cast<int>(size_of(dtype)) * 8 - (is_signed_integer(dtype) ? 1 : 0);
  const wide high = (wide(1) << bits) - 1;
  const wide low = is_signed_integer(dtype) ? -(wide(1) << bits) : 0;
  const double whole = std::trunc(value);
  if (whole >= std::ldexp(1.0, bits)) return high;
  if (whole <= static_cast<double>(low)) return low;
  return static_cast<wide>(whole);
}

Array from_ndarray(const NDArray& array) {
  Array out(array.type());
  const NDArray dense = array.dense();
  visit_dtype(array.dtype(), [&](auto e) {
    using T = decltype(e);
    const auto from = dense.elements<T>();
    std::visit(
        [&](auto& to) {
          using E = typename std::decay_t<decltype(to)>::value_type;
          for (std::size_t i = 0; i < to.size(); ++i) {
            if constexpr (std::is_same_v<T, std::complex<float>>) {
              if constexpr (std::is_same_v<E, complex>) to[i] = complex(from[i].real(), from[i].imag());
            } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
              if constexpr (!std::is_same_v<E, wide>) to[i] = static_cast<double>(static_cast<float>(from[i]));
            } else {
              to[i] = static_cast<E>(from[i]);
            }
          }
        },
        out.elements);
  });
  return out;
}

NDArray to_ndarray(const Array& array) {
  NDArray out(array.type);
  visit_dtype(array.type.dtype, [&](auto e) {
    using T = decltype(e);
    const auto to = out.elements<T>();
    std::visit(
        [&](const auto& from) {
          using E = typename std::decay_t<decltype(from)>::value_type;
          for (std::size_t i = 0; i < from.size(); ++i) {
            if constexpr (std::is_same_v<E, complex>) {
              if constexpr (std::is_same_v<T, std::complex<float>>) to[i] = T(static_cast<float>(from[i].real()), static_cast<float>(from[i].imag()));
            } else if constexpr (std::is_same_v<E, double>) {
              if constexpr (std::is_same_v<T, double>) to[i] = from[i];
              else if constexpr (!std::is_integral_v<T> && !std::is_same_v<T, std::complex<float>>)
                to[i] = static_cast<T>(static_cast<float>(round_to(from[i], array.type.dtype)));
            } else {
              if constexpr (std::is_integral_v<T>) to[i] = static_cast<T>(from[i]);
            }
          }
        },
        array.elements);
  });
  return out;
}

Array cast(const Array& from, DType dtype) {
  Array out({dtype, from.type.shape});
  std::visit(
      [&](const auto& a) {
        using A = typename std::decay_t<decltype(a)>::value_type;
        std::visit(
            [&](auto& b) {
              using B = typename std::decay_t<decltype(b)>::value_type;
              for (std::size_t i = 0; i < a.size(); ++i) {
                if constexpr (std::is_same_v<A, complex>) {
                  if constexpr (std::is_same_v<B, complex>) b[i] = a[i];
                  else if constexpr (std::is_same_v<B, double>) b[i] = round_to(a[i].real(), dtype);
                  else b[i] = dtype == boolean ? wide(a[i] != 0.0) : to_integer(a[i].real(), dtype);
                } else if constexpr (std::is_same_v<A, double>) {
                  // What is cast is the value of the operand's type, not the evaluator's more exact one.
                  const double v = round_to(a[i], from.type.dtype);
                  if constexpr (std::is_same_v<B, wide>) b[i] = to_integer(v, dtype);
                  else if constexpr (std::is_same_v<B, double>) b[i] = round_to(v, dtype);
                  else b[i] = v;
                } else {
                  if constexpr (std::is_same_v<B, wide>) b[i] = wrap(a[i], dtype);
                  else if constexpr (std::is_same_v<B, double>) b[i] = round_to(static_cast<double>(a[i]), dtype);
                  else b[i] = static_cast<double>(a[i]);
                }
              }
            },
            out.elements);
      },
      from.elements);
  return out;
}

std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(static_cast<std::size_t>(shape.rank()));
  std::int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[static_cast<std::size_t>(d)] = stride;
    stride *= shape[d];
  }
  return strides;
}

std::vector<std::int64_t> broadcast_strides(const Shape& shape, const Shape& into) {
  const auto own = strides_of(shape);
  std::vector<std::int64_t> strides(static_cast<std::size_t>(into.rank()), 0);
  const int lead = into.rank() - shape.rank();
  for (int d = 0; d < shape.rank(); ++d)
    if (shape[d] != 1) strides[static_cast<std::size_t>(d + lead)] = own[static_cast<std::size_t>(d)];
  return strides;
}

}  // namespace weft::reference
