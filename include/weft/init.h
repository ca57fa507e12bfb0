// Initial values of variables.
#pragma once

#include <weft/ndarray.h>

namespace weft {

/// How a variable gets its first value. Random ones depend on the seed alone (and on the graph's seed and the variable's
/// position when the seed is 0), so that every machine and backend starts from the same values.
struct Initializer {
  enum class Kind { literal, constant, uniform, normal, truncated_normal };
  Kind kind = Kind::constant;
  TensorType type;
  double a = 0, b = 0;  ///< the value; lower and upper bound; mean and standard deviation
  std::uint64_t seed = 0;
  NDArray literal;
};

namespace init {
/// Every element is `value`.
Initializer constant(Shape shape, double value, DType dtype = f32);
inline Initializer zeros(Shape shape, DType dtype = f32) { return constant(shape, 0, dtype); }
/// Uniform in [low, high).
Initializer uniform(Shape shape, double low, double high, std::uint64_t seed = 0, DType dtype = f32);
Initializer normal(Shape shape, double mean, double deviation, std::uint64_t seed = 0, DType dtype = f32);
/// Where the two dimensions of the fan are: weights [..window.., in, out] (HWIO, and [in, out] of a matrix), or [out, in, ..window..] (OIHW).
enum class Fan { in_out, out_in };
/// Uniform within sqrt(6 / (fan in + fan out)). X. Glorot, Y. Bengio, "Understanding the difficulty of training deep
/// feedforward neural networks", 2010, equation 16.
Initializer glorot(Shape shape, Fan fan = Fan::in_out, std::uint64_t seed = 0, DType dtype = f32);
/// Normal with deviation sqrt(2 / fan in). K. He et al., "Delving deep into rectifiers", 2015, equation 10.
Initializer he(Shape shape, Fan fan = Fan::in_out, std::uint64_t seed = 0, DType dtype = f32);
Initializer literal(const NDArray& value);
}  // namespace init

}  // namespace weft
