#include "runtime/initial_value.h"

#include "ops/inverse_erf.h"
#include "ops/philox.h"
#include "ops/random_range.h"
#include "runtime/convert.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft::runtime {
namespace {

/// In [0, 1), with as many bits as the type holds: the product with a power of two is exact.
double unit(philox::Words& words, DType dtype) {
  switch (dtype) {
    case f64: return std::ldexp(static_cast<double>(words.next64() >> 11), -53);
    case f16: return std::ldexp(static_cast<double>(words.next() >> 21), -11);
    case bf16: return std::ldexp(static_cast<double>(words.next() >> 24), -8);
    default: return std::ldexp(static_cast<double>(words.next() >> 8), -24);
  }
}

/// Box and Muller's: "A note on the generation of random normal deviates", 1958. One number of each pair is used.
double standard_normal(philox::Words& words, DType dtype) {
  if (dtype == f64) {
    const double radius = std::sqrt(-2 * std::log(std::ldexp(static_cast<double>(words.next64() >> 11) + 1, -53)));
    return radius * std::cos(2 * std::numbers::pi * std::ldexp(static_cast<double>(words.next64() >> 11), -53));
  }
  const double radius = std::sqrt(-2 * std::log(std::ldexp(static_cast<double>(words.next() >> 8) + 1, -24)));
  return radius * std::cos(2 * std::numbers::pi * std::ldexp(static_cast<double>(words.next() >> 8), -24));
}

/// Within two deviations, by inversion of the distribution's function.
double truncated_normal(philox::Words& words, DType dtype) {
  constexpr double bound = 2;
  const double edge = std::erf(bound / std::numbers::sqrt2);
  const double u = unit(words, dtype == f64 ? f64 : f32);
  return std::clamp(std::numbers::sqrt2 * inverse_erf::evaluate(-edge + 2 * edge * u), -bound, bound);
}

template <class T> void fill(std::span<T> out, const std::string& kind, double a, double b, philox::Words& words, DType dtype) {
  if (kind == "uniform") {
    const double last = a < b ? ops::largest_below(b, dtype) : b;
    for (auto& x : out) x = convert<T>(std::min(a + (b - a) * unit(words, dtype), last));
  } else if (kind == "normal") {
    for (auto& x : out) x = convert<T>(a + b * standard_normal(words, dtype));
  } else {
    for (auto& x : out) x = convert<T>(a + b * truncated_normal(words, dtype));
  }
}

}  // namespace

NDArray initial_value(const ir::Node& variable, std::uint64_t graph_seed, int position) {
  const Attributes& attributes = variable.attributes;
  const std::string& kind = attributes.text("initializer");
  if (kind == "literal") return attributes.literal("value").array();

  const DType dtype = attributes.dtype("dtype");
  NDArray value(dtype, attributes.shape());
  const double a = attributes.real("a");
  if (kind == "constant") {
    const std::vector<std::int64_t> repeated(static_cast<std::size_t>(value.rank()), 0);
    value.import_from(&a, f64, repeated);
    return value;
  }
  const auto seed = static_cast<std::uint64_t>(attributes.integer("seed"));
  philox::Words words(
      {.low = 0, .high = 0, .key = seed ? philox::key_of(seed) : philox::variable_key(graph_seed, static_cast<std::uint64_t>(position))});
  const double b = attributes.real("b");
  if (dtype == f32) fill(value.elements<float>(), kind, a, b, words, dtype);
  else if (dtype == f64) fill(value.elements<double>(), kind, a, b, words, dtype);
  else if (dtype == f16) fill(value.elements<float16>(), kind, a, b, words, dtype);
  else fill(value.elements<bfloat16>(), kind, a, b, words, dtype);
  return value;
}

}  // namespace weft::runtime
