// Random numbers. One primitive makes random bits; the distributions are composed from it.
#include "graph/build.h"
#include "ops/families.h"
#include "ops/inverse_erf.h"
#include "ops/philox.h"
#include "ops/random_range.h"

#include <weft/elementwise.h>
#include <weft/random.h>

#include <cmath>
#include <numbers>

namespace weft {
namespace ops {
namespace {

// random_bits(state) -> dtype[shape], u32 or u64. Element i is the words offset + i * stride (and, of u64, the next as the
// upper half) of the state. Element i needs nothing but the state and i, so it is computed where it is used.

void check_random_bits(Inference& c) {
  if (c.dtype(0) != u64 || !accepts(c.shape(0).is_static() ? c.shape(0) : Shape::unranked(), Shape{3}))
    c.fail("state is " + c[0].str() + ", expects u64[3] as weft::random_state gives it");
  const DType dtype = c.attributes.dtype("dtype");
  const std::int64_t words = dtype == u64 ? 2 : 1, stride = c.attributes.integer("stride"), offset = c.attributes.integer("offset");
  if ((dtype != u32 && dtype != u64) || stride < words || 4 % stride != 0 || offset < 0 || offset % words != 0 || offset + words > stride)
    c.fail("words " + std::to_string(offset) + " of every " + std::to_string(stride) + " can't be taken as " + std::string(name_of(dtype)));
}

void infer_random_bits(Inference& c) {
  check_random_bits(c);
  const Shape shape = c.attributes.shape();
  if (!shape.is_static()) c.fail("shape " + shape.str() + " has unknown sizes");
  c.result(c.attributes.dtype("dtype"), shape);
}

void infer_random_bits_like(Inference& c) {
  check_random_bits(c);
  c.result(c.attributes.dtype("dtype"), c.shape(1));
}

ir::Value expand_random_bits_like(Expansion& e) {
  Attributes attributes = e.node.attributes;
  attributes.set_shape(e.operand_type(1).shape);
  return e.add("random_bits", {e.operand(0)}, std::move(attributes));
}

void evaluate_random_bits(Evaluation& e) {
  const auto& words = e.operands[0]->as<reference::wide>();
  const philox::State state{static_cast<std::uint64_t>(words[0]), static_cast<std::uint64_t>(words[1]), static_cast<std::uint64_t>(words[2])};
  const auto stride = static_cast<std::uint64_t>(e.node.attributes.integer("stride")),
             offset = static_cast<std::uint64_t>(e.node.attributes.integer("offset"));
  auto& out = e.results[0]->as<reference::wide>();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t first = i * stride + offset;
    const philox::Block block = state.block(first / 4);
    out[i] = block[first % 4];
    if (e.results[0]->type.dtype == u64) out[i] |= reference::wide(block[first % 4 + 1]) << 32;
  }
}

const Primitive table[] = {
    {.name = "random_bits", .min_operands = 1, .max_operands = 1, .kind = Kind::source, .infer = infer_random_bits, .evaluate = evaluate_random_bits},
    {.name = "random_bits_like", .min_operands = 2, .max_operands = 2, .infer = infer_random_bits_like, .expand = expand_random_bits_like},
};

}  // namespace

std::span<const Primitive> random() { return table; }

}  // namespace ops

namespace {

Tensor state_constant(GraphState& graph, const philox::State& state, std::source_location where) {
  return apply_source(graph, "constant", {{"value", Literal::of(NDArray::of<std::uint64_t>({3}, {state.low, state.high, state.key}))}}, where);
}

/// The state of an operation that was given none.
Tensor own_state(GraphState& graph, std::optional<std::uint64_t> seed, std::source_location where) {
  const auto node = static_cast<std::uint64_t>(graph.ir.size());
  const Tensor start = state_constant(graph, {.key = seed ? philox::key_of(*seed) : philox::operation_key(graph.seed, node)}, where);
  if (seed) return start;
  const CompositeScope scope("random", {Operand(start, where)});
  return start + state_constant(graph, {.high = 1}, where) * apply_source(graph, "run_index", {}, where);
}

/// Where the numbers of one operation come from: a state, and a shape, static or that of a tensor.
struct Source {
  std::string_view op;
  std::source_location where;
  Tensor state;
  Shape shape;
  Tensor like = {};
  std::int64_t words = 1;  ///< of the state, taken by each element

  [[noreturn]] void fail(const std::string& message) const { fail_graph(std::string(op) + ": " + message, ir::Location::of(where)); }

  Tensor bits(DType dtype, std::int64_t stride, std::int64_t offset = 0) {
    words = stride;
    Attributes attributes{{"dtype", dtype}, {"stride", stride}, {"offset", offset}};
    if (like) return apply("random_bits_like", {state, like}, std::move(attributes));
    attributes.set_shape(shape);
    return apply("random_bits", {state}, std::move(attributes));
  }

  /// In [0, 1), with as many bits as the type holds, so that nothing is rounded.
  Tensor unit(DType dtype) {
    if (dtype == f64) return cast(shift_right(bits(u64, 2), 11), f64) * 0x1p-53;
    const int precision = dtype == f16 ? 11 : dtype == bf16 ? 8 : 24;
    return cast(shift_right(bits(u32, 1), 32 - precision), dtype) * std::ldexp(1.0, -precision);
  }

  /// The type asked for, else that of `like`, else f32; fails unless floating.
  DType floating(std::optional<DType> asked) const {
    const DType dtype = asked ? *asked : like ? like.dtype() : f32;
    if (!is_floating(dtype)) fail("numbers of " + std::string(name_of(dtype)) + " can't be drawn, expects floating point");
    return dtype;
  }
};

template <class Options> using Draw = Tensor (*)(Source&, const Options&);

template <class Options>
Tensor draw(std::string_view op, Draw<Options> values, Graph& graph, Shape shape, const Options& options, std::source_location where) {
  if (!shape.is_static())
    fail_graph(std::string(op) + ": shape " + shape.str() + " has unknown sizes; take them from a tensor with " + std::string(op) + "_like",
               ir::Location::of(where));
  Source source{.op = op, .where = where, .state = own_state(*graph.state(), options.seed, where), .shape = shape};
  const CompositeScope scope(op, {Operand(source.state, where)});
  return values(source, options);
}

template <class Options> Tensor draw_like(std::string_view op, Draw<Options> values, const Operand& like, const Options& options) {
  const CompositeScope scope(op, {like});
  Source source{.op = op, .where = like.where(), .state = own_state(scope.graph(), options.seed, like.where()), .shape = {}, .like = like.tensor()};
  return values(source, options);
}

template <class Options>
RandomResult draw_from(std::string_view op, Draw<Options> values, const Operand& state, Shape shape, const Options& options) {
  const CompositeScope scope(op, {state});
  Source source{.op = op, .where = state.where(), .state = state.tensor(), .shape = shape};
  if (options.seed) source.fail("both a state and a seed are given");
  const Tensor numbers = values(source, options);
  const auto blocks = (static_cast<std::uint64_t>(shape.element_count()) * static_cast<std::uint64_t>(source.words) + 3) / 4;
  return {numbers, state.tensor() + state_constant(scope.graph(), {.low = blocks}, state.where())};
}

Tensor uniform(Source& source, const UniformOptions& options) {
  const DType dtype = source.floating(options.dtype);
  if (!(options.low < options.high) || !std::isfinite(reference::round_to(options.high - options.low, dtype)))
    source.fail("bounds " + std::to_string(options.low) + " and " + std::to_string(options.high) + " are not in order, or too far apart for " +
                std::string(name_of(dtype)));
  const Tensor unit = source.unit(dtype);
  if (options.low == 0 && options.high == 1) return unit;
  return minimum(options.low + unit * (options.high - options.low), ops::largest_below(options.high, dtype));
}

Tensor integers(Source& source, const IntegerOptions& options) {
  if (!is_integer(options.dtype)) source.fail("numbers of " + std::string(name_of(options.dtype)) + " can't be drawn, expects an integer type");
  auto fits = [&](std::int64_t v) { return reference::wrap(v, options.dtype) == v; };
  if (options.low > options.high || !fits(options.low) || !fits(options.high))
    source.fail("bounds " + std::to_string(options.low) + " and " + std::to_string(options.high) + " are not in order, or not values of " +
                std::string(name_of(options.dtype)));
  const std::uint64_t count = static_cast<std::uint64_t>(options.high) - static_cast<std::uint64_t>(options.low) + 1;
  const Tensor bits = source.bits(u64, 2);
  return cast(count == 0 ? bits : bits % count, options.dtype) + options.low;
}

Tensor standard_normal(Source& source, DType dtype) {
  auto number = [](Tensor radius, Tensor angle) { return sqrt(-2.0 * log(radius)) * cos(angle * (2 * std::numbers::pi)); };
  if (dtype == f64) {
    const Tensor u = shift_right(source.bits(u64, 4, 0), 11), v = shift_right(source.bits(u64, 4, 2), 11);
    return number((cast(u, f64) + 1.0) * 0x1p-53, cast(v, f64) * 0x1p-53);
  }
  const Tensor pair = source.bits(u64, 2);
  const Tensor u = shift_right(cast(pair, u32), 8), v = shift_right(pair, 40);
  return number((cast(u, f32) + 1.0) * 0x1p-24, cast(v, f32) * 0x1p-24);
}

Tensor normal(Source& source, const NormalOptions& options) {
  const DType dtype = source.floating(options.dtype);
  if (!(options.deviation >= 0)) source.fail("deviation " + std::to_string(options.deviation) + " is negative");
  return cast(options.mean + standard_normal(source, dtype) * options.deviation, dtype);
}

/// The x in (-1, 1) with erf(x) = y; see inverse_erf.h.
Tensor inverse_erf_of(Tensor y) {
  const Tensor w = -log((1.0 - y) * (1.0 + y));
  const Tensor near = w - 2.5, far = sqrt(w) - 3.0;
  auto polynomial = [](Tensor t, const auto& coefficients) {
    Tensor value = t * coefficients[0] + coefficients[1];
    for (std::size_t i = 2; i < coefficients.size(); ++i) value = value * t + coefficients[i];
    return value;
  };
  const Tensor x = y * select(w < 5.0, polynomial(near, inverse_erf::central), polynomial(far, inverse_erf::tail));
  return y.dtype() == f64 ? x - (erf(x) - y) * exp(square(x)) * (0.5 / std::numbers::inv_sqrtpi) : x;
}

Tensor truncated_normal(Source& source, const TruncatedNormalOptions& options) {
  const DType dtype = source.floating(options.dtype);
  if (!(options.deviation >= 0)) source.fail("deviation " + std::to_string(options.deviation) + " is negative");
  if (!(options.low < options.high && options.low >= -5 && options.high <= 5))
    source.fail("bounds of " + std::to_string(options.low) + " and " + std::to_string(options.high) + " deviations are not in order within -5 to 5");
  const double low = std::erf(options.low / std::numbers::sqrt2), high = std::erf(options.high / std::numbers::sqrt2);
  const Tensor y = low + source.unit(dtype == f64 ? f64 : f32) * (high - low);
  const Tensor number = clamp(inverse_erf_of(y) * std::numbers::sqrt2, options.low, options.high);
  return cast(options.mean + number * options.deviation, dtype);
}

}  // namespace

NDArray random_state(std::uint64_t seed) { return NDArray::of<std::uint64_t>({3}, {0, 0, philox::key_of(seed)}); }

#define WEFT_DISTRIBUTION(name, values, Options)                                                                         \
  Tensor name(Graph& graph, Shape shape, Options options, std::source_location where) {                                  \
    return draw<Options>(#name, values, graph, shape, options, where);                                                   \
  }                                                                                                                      \
  Tensor name##_like(Operand like, Options options) { return draw_like<Options>(#name "_like", values, like, options); } \
  RandomResult name(Operand state, Shape shape, Options options) { return draw_from<Options>(#name, values, state, shape, options); }
WEFT_DISTRIBUTION(random_uniform, uniform, UniformOptions)
WEFT_DISTRIBUTION(random_integers, integers, IntegerOptions)
WEFT_DISTRIBUTION(random_normal, normal, NormalOptions)
WEFT_DISTRIBUTION(random_truncated_normal, truncated_normal, TruncatedNormalOptions)
#undef WEFT_DISTRIBUTION

Tensor random_bernoulli_like(Operand like, Operand probability, SeedOptions options) {
  const CompositeScope scope("random_bernoulli_like", {like});
  const Tensor u = random_uniform_like(like, {.dtype = f32, .seed = options.seed});
  return u < (probability.tensor() ? Operand(cast(probability, f32)) : probability);
}

Tensor dropout(Operand x, Operand rate, SeedOptions options) {
  const CompositeScope scope("dropout", {x, rate});
  if (!is_floating(x.tensor().dtype()))
    fail_graph("dropout: operand is " + x.tensor().type().str() + ", expects floating point", ir::Location::of(x.where()));
  if (rate.is_scalar()) {
    const double r = std::visit([](auto v) { return static_cast<double>(v); }, rate.scalar());
    if (!(r >= 0 && r <= 1)) fail_graph("dropout: rate " + std::to_string(r) + " is not a probability", ir::Location::of(x.where()));
    // All is dropped at a rate of 1, and its scale doesn't matter.
    return select(random_bernoulli_like(x, 1 - r, options), x * (r < 1 ? 1 / (1 - r) : 0.0), 0.0);
  }
  const Tensor kept = 1.0 - rate;
  return select(random_bernoulli_like(x, kept, options), x * cast(div_no_nan(1.0, kept), x.tensor().dtype()), 0.0);
}

}  // namespace weft
