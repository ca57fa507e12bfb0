#include <weft/error.h>
#include <weft/init.h>

#include <charconv>
#include <cmath>

namespace weft::init {
namespace {

std::string number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// Checks the type of a random initial value.
TensorType random_type(const char* name, const Shape& shape, DType dtype) {
  const TensorType type{dtype, shape};
  if (!shape.is_static()) throw GraphError(std::string(name) + " initial value " + type.str() + ": every size of a variable must be known");
  if (!is_floating(dtype)) throw GraphError(std::string(name) + " initial value " + type.str() + ": random values are floating-point");
  return type;
}

struct Fans {
  double in = 1, out = 1;
};

Fans fans_of(const char* name, const Shape& shape, Fan fan) {
  if (shape.rank() < 2)
    throw GraphError(std::string(name) + " initial value of shape " + shape.str() + ": weights have at least two dimensions, for inputs and outputs");
  const int in = fan == Fan::in_out ? shape.rank() - 2 : 1, out = fan == Fan::in_out ? shape.rank() - 1 : 0;
  double window = 1;
  for (int i = 0; i < shape.rank(); ++i)
    if (i != in && i != out) window *= static_cast<double>(shape[i]);
  return {window * static_cast<double>(shape[in]), window * static_cast<double>(shape[out])};
}

/// sqrt(scale / fan); an empty tensor has no fan and needs none.
double root_of(double scale, double fan) { return fan > 0 ? std::sqrt(scale / fan) : 0; }

}  // namespace

Initializer constant(Shape shape, double value, DType dtype) {
  if (!shape.is_static()) throw GraphError("constant initial value " + TensorType{dtype, shape}.str() + ": every size of a variable must be known");
  return {.kind = Initializer::Kind::constant, .type = {dtype, shape}, .a = value, .literal = {}};
}

Initializer uniform(Shape shape, double low, double high, std::uint64_t seed, DType dtype) {
  const TensorType type = random_type("uniform", shape, dtype);
  if (!(low <= high) || !std::isfinite(low) || !std::isfinite(high))
    throw GraphError("uniform initial value " + type.str() + ": bounds " + number(low) + " and " + number(high) + " aren't finite and in order");
  return {.kind = Initializer::Kind::uniform, .type = type, .a = low, .b = high, .seed = seed, .literal = {}};
}

Initializer normal(Shape shape, double mean, double deviation, std::uint64_t seed, DType dtype) {
  const TensorType type = random_type("normal", shape, dtype);
  if (!(deviation >= 0) || !std::isfinite(deviation) || !std::isfinite(mean))
    throw GraphError("normal initial value " + type.str() + ": mean " + number(mean) + " and deviation " + number(deviation) +
                     " aren't finite, or the deviation is negative");
  return {.kind = Initializer::Kind::normal, .type = type, .a = mean, .b = deviation, .seed = seed, .literal = {}};
}

Initializer glorot(Shape shape, Fan fan, std::uint64_t seed, DType dtype) {
  random_type("glorot", shape, dtype);
  const Fans fans = fans_of("glorot", shape, fan);
  const double bound = root_of(6, fans.in + fans.out);
  return uniform(shape, -bound, bound, seed, dtype);
}

Initializer he(Shape shape, Fan fan, std::uint64_t seed, DType dtype) {
  random_type("he", shape, dtype);
  return normal(shape, 0, root_of(2, fans_of("he", shape, fan).in), seed, dtype);
}

Initializer literal(const NDArray& value) { return {.kind = Initializer::Kind::literal, .type = value.type(), .literal = value.copy()}; }

}  // namespace weft::init
