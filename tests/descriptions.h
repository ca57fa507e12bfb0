// The test description of every operation: what it is tried with, and how exact it is. One table that serves the
// comparison of backends, of gradients with finite differences, and the fuzzer.
#pragma once

#include "compare.h"

#include <weft/graph.h>

#include <functional>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// The values that an input is fed.
struct Domain {
  /// Floating point and complex parts uniform in [low, high], integers uniform among those of the range that the type has.
  double low = -4, high = 4;
  /// Reals keep away from these points, at which the function has no derivative.
  std::vector<double> avoid = {};
  bool whole = false;  ///< whole numbers, also in floating types
  bool full = false;   ///< integers take all values of their type

  Domain avoiding(std::vector<double> points) const {
    Domain d = *this;
    d.avoid = std::move(points);
    return d;
  }
};
inline Domain real(double low, double high) { return {.low = low, .high = high}; }
/// Whole numbers from low to high, both included.
inline Domain whole(double low, double high) { return {.low = low, .high = high, .whole = true}; }
/// Every value of an integer type; of others [-8, 8].
inline Domain anything() { return {.low = -8, .high = 8, .full = true}; }

struct Input {
  Domain domain = {};
  std::optional<DType> dtype = {};  ///< the tried one when empty
};

using Tensors = std::vector<Tensor>;
using Shapes = std::vector<Shape>;

struct OpCase {
  std::string name;
  std::function<Tensors(Graph&, const Tensors&)> build;
  std::vector<Input> inputs;
  /// Each with a shape for each input. The first is tried with every type, the others with the first type.
  std::vector<Shapes> shapes;
  std::vector<DType> dtypes;
  Tolerance tolerance = {};
  /// The inputs that have a derivative.
  std::vector<std::size_t> differentiable = {};
  /// The derivative's own derivative is tested, too.
  bool twice_differentiable = true;
  /// Tried with infinities, NaN and the like, too.
  bool special_values = false;
  /// Builds for inputs of unknown sizes; of unknown rank.
  bool unknown_sizes = true, unknown_rank = true;
  /// Whether element i of the results depends on the inputs' broadcast elements i alone, so that any shapes do.
  bool elementwise = false;
  /// Whether the derivative jumps where operands are equal.
  bool kinked = false;
};

/// For messages of the test framework.
inline void PrintTo(const OpCase& c, std::ostream* os) { *os << c.name; }

// Lists of types, f32 or the nearest to it first.
const std::vector<DType>& floats();
const std::vector<DType>& integers();
const std::vector<DType>& reals();    ///< floats and integers
const std::vector<DType>& numbers();  ///< reals and c64
const std::vector<DType>& numbers_and_bool();
const std::vector<DType>& ordered();  ///< reals and bool
const std::vector<DType>& bits();     ///< integers and bool
const std::vector<DType>& all_types();

/// Shapes for one input of any shape: vector tails, a scalar, nothing, rank 16.
const std::vector<Shapes>& any_shapes();

// The families.
std::vector<OpCase> unary_cases();
std::vector<OpCase> binary_cases();
std::vector<OpCase> movement_cases();
std::vector<OpCase> reduction_cases();
std::vector<OpCase> cumulative_cases();
std::vector<OpCase> sort_cases();
std::vector<OpCase> image_cases();
std::vector<OpCase> indexing_cases();
std::vector<OpCase> matmul_cases();
std::vector<OpCase> convolution_cases();
std::vector<OpCase> pooling_cases();
std::vector<OpCase> random_cases();
std::vector<OpCase> activation_cases();
std::vector<OpCase> loss_cases();
std::vector<OpCase> normalization_cases();
std::vector<OpCase> optimizer_cases();
std::vector<OpCase> recurrent_cases();
std::vector<OpCase> control_cases();

/// All of them.
const std::vector<OpCase>& op_cases();

/// Values of a domain; the same for the same seed.
NDArray sample(const Domain& domain, DType dtype, const Shape& shape, std::uint64_t seed);
/// One dimension with the values at which functions behave in their own way: infinities, NaN, zeros, extreme numbers.
NDArray special_values(DType dtype);

inline DType dtype_of_input(const OpCase& c, std::size_t input, DType dtype) { return c.inputs[input].dtype.value_or(dtype); }

}  // namespace weft
