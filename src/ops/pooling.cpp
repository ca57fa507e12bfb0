// Primitives of pooling, each one loop nest over the places p and the window r:
//   pool_sum(x)                      y[p] = sum over r of x[at(p, r)]
//   pool_max(x)                      y[p] = max over r of x[at(p, r)]
//   pool_max_indices(x)              i[p] = the first r, counted in row-major order, where that is
//   pool_max_gather(x, i)            y[p] = x[at(p, i[p])]
//   pool_sum_gradient(dy, like)      dx[q] = sum over p, r with at(p, r) = q of dy[p]
//   pool_max_gradient(dy, i, like)   dx[q] = sum over p with at(p, i[p]) = q of dy[p]
//   pool_count(x)                    how many r have at(p, r) within x, or within x and its padding
// where at(p, r) = p * strides + r * dilations - low, and what lies outside of x is passed over.
//
// Attributes, integers for every dimension: window, strides, dilations, low, high. While sizes may be unknown `padding`
// ("same" or "same_lower") stands for low and high, `ceil` for a larger high, the operand like for the result's `shape`, and
// `global` and `counted` say what indices count (see PoolIndexOptions); `expand` resolves them.
#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/reference_array.h"
#include "ops/window.h"

#include <cmath>
#include <limits>

namespace weft {
namespace ops {
namespace {

using reference::wide;
using Sizes = std::vector<std::int64_t>;

struct Geometry {
  std::size_t rank;
  Sizes window, strides, dilations, low, high;
  std::string padding;
  bool ceil;

  explicit Geometry(const Attributes& a)
      : rank(a.integers("window").size()),
        window(a.integers("window")),
        strides(a.integers("strides")),
        dilations(a.integers("dilations")),
        ceil(a.flag("ceil")) {
    if (a.has("padding")) padding = a.text("padding");
    else low = a.integers("low"), high = a.integers("high");
  }
  bool resolved() const { return padding.empty() && !ceil; }
  Window along(std::size_t d) const { return {window[d], strides[d], dilations[d]}; }
  /// As given, before rounding up enlarges it.
  Pads pads(std::size_t d, std::int64_t in) const {
    return padding.empty() ? Pads{low[d], high[d]} : same_pads(in, along(d), padding == "same_lower");
  }

  std::int64_t out(std::size_t d, std::int64_t in) const {
    if (in == dynamic) return dynamic;
    const Pads p = pads(d, in);
    const std::int64_t down = places(in, along(d), p);
    if (!ceil || !padding.empty()) return std::max<std::int64_t>(down, 0);
    const std::int64_t up = ceil_div(in + p.low + p.high - along(d).width(), strides[d]) + 1;
    return std::max<std::int64_t>((up - 1) * strides[d] >= in + p.low ? up - 1 : up, 0);
  }
  /// With which the number of places, rounded down, is out().
  Pads resolved_pads(std::size_t d, std::int64_t in) const {
    Pads p = pads(d, in);
    if (ceil) p.high = std::max<std::int64_t>((out(d, in) - 1) * strides[d] + along(d).width() - in - p.low, 0);
    return p;
  }
  std::int64_t window_count() const {
    std::int64_t n = 1;
    for (auto w : window) n *= w;
    return n;
  }
};

Geometry checked(const Inference& c) {
  check_window(c, c.attributes.integers("window").size(), {"window", "strides", "dilations"});
  return Geometry(c.attributes);
}

Sizes sizes_of(const Inference& c, std::size_t i, std::size_t rank) {
  const Shape& s = c.shape(i);
  if (!s.ranked()) return Sizes(rank, dynamic);
  if (static_cast<std::size_t>(s.rank()) != rank)
    c.fail("operand " + c[i].str() + " has rank " + std::to_string(s.rank()) + ", the window " + std::to_string(rank) + " entries; they must agree");
  return {s.begin(), s.end()};
}

/// The places of the window over operand i, checked.
Sizes places_over(const Inference& c, const Geometry& g, const Sizes& in, const std::string& type) {
  Sizes out;
  for (std::size_t d = 0; d < g.rank; ++d) {
    out.push_back(g.out(d, in[d]));
    if (in[d] > 0 && g.padding.empty() && in[d] + g.low[d] + g.high[d] < g.along(d).width())
      c.fail("a window of " + std::to_string(g.along(d).width()) + " doesn't fit into the padded size " +
             std::to_string(in[d] + g.low[d] + g.high[d]) + " of dimension " + std::to_string(d) + " of " + type);
  }
  return out;
}

Shape agree(const Inference& c, const Sizes& places, std::size_t i, const std::string& what) {
  Sizes given = sizes_of(c, i, places.size());
  for (std::size_t d = 0; d < given.size(); ++d) {
    if (given[d] != dynamic && places[d] != dynamic && given[d] != places[d])
      c.fail(what + " " + c[i].str() + " has size " + std::to_string(given[d]) + " in dimension " + std::to_string(d) + ", the window has " +
             std::to_string(places[d]) + " places there");
    if (given[d] == dynamic) given[d] = places[d];
  }
  return Shape(given);
}

template <bool (*accepted)(DType)> void infer_pool(Inference& c) {
  c.require(accepted, 0, accepted == is_real ? "a real number" : "a number");
  const Geometry g = checked(c);
  c.result(c.dtype(0), Shape(places_over(c, g, sizes_of(c, 0, g.rank), c[0].str())));
}

/// Fails unless indices count every dimension with a window, so that they can be read back.
void require_readable(const Inference& c, const Geometry& g) {
  const auto counted = c.attributes.has("counted") ? static_cast<std::size_t>(c.attributes.integer("counted")) : g.rank;
  for (std::size_t d = 0; d + counted < g.rank; ++d)
    if (g.window[d] != 1)
      c.fail("indices that count the " + std::to_string(counted) + " innermost dimensions don't say where in the window of dimension " +
             std::to_string(d) + " an element was");
}

void infer_max_indices(Inference& c) {
  c.require(is_real, 0, "a real number");
  const Geometry g = checked(c);
  const Sizes in = sizes_of(c, 0, g.rank);
  if (g.window_count() > std::numeric_limits<std::int32_t>::max())
    c.fail("indices of i32 can't count a window of " + std::to_string(g.window_count()) + " elements");
  if (const Shape& s = c.shape(0); c.attributes.flag("global") && s.is_static() && s.element_count() > std::numeric_limits<std::int32_t>::max())
    c.fail("indices of i32 can't count the elements of " + c[0].str());
  c.result(i32, Shape(places_over(c, g, in, c[0].str())));
}

void infer_max_gather(Inference& c) {
  c.require(is_number, 0, "a number");
  c.require([](DType t) { return t == i32; }, 1, "indices of i32");
  const Geometry g = checked(c);
  require_readable(c, g);
  c.result(c.dtype(0), agree(c, places_over(c, g, sizes_of(c, 0, g.rank), c[0].str()), 1, "indices"));
}

/// Operands dy, indices when `indexed`, and x unless its shape is known.
template <bool indexed> void infer_pool_gradient(Inference& c) {
  c.require(is_number, 0, "a number");
  const Geometry g = checked(c);
  const std::size_t like = indexed ? 2 : 1;
  if (indexed) {
    c.require([](DType t) { return t == i32; }, 1, "indices of i32");
    require_readable(c, g);
  }
  Sizes in;
  if (c.count() > like) in = sizes_of(c, like, g.rank);
  else in = c.attributes.integers("shape");
  if (in.size() != g.rank)
    c.fail("the window has " + std::to_string(g.rank) + " entries, the shape " + std::to_string(in.size()) + "; they must agree");
  const Sizes out = places_over(c, g, in, c.count() > like ? c[like].str() : Shape(in).str());
  agree(c, out, 0, "cotangent");
  if (indexed) agree(c, out, 1, "indices");
  c.result(c.dtype(0), Shape(in));
}

void infer_pool_count(Inference& c) {
  const Geometry g = checked(c);
  Sizes out = places_over(c, g, sizes_of(c, 0, g.rank), c[0].str());
  for (std::size_t d = 0; d < g.rank; ++d)
    if (g.window[d] == 1) out[d] = 1;
  c.result(c.attributes.dtype("dtype"), Shape(out));
}

// Expansion -----------------------------------------------------------------------------------------------------------

/// The attributes with padding resolved for data of this shape.
Attributes resolved(const Attributes& given, const Shape& in) {
  const Geometry g(given);
  Sizes low, high;
  for (std::size_t d = 0; d < g.rank; ++d) {
    const Pads p = g.resolved_pads(d, in[static_cast<int>(d)]);
    low.push_back(p.low);
    high.push_back(p.high);
  }
  Attributes a = given;
  for (const char* name : {"padding", "ceil", "global", "counted"}) a.erase(name);
  a.set("low", low);
  a.set("high", high);
  return a;
}

/// Integer arithmetic on indices, elementwise over the places.
struct IndexArithmetic {
  Expansion& e;
  Shape places;

  ir::Value operator()(std::string_view op, ir::Value a, std::int64_t b) { return e.add(op, {a, e.constant(static_cast<double>(b), i32)}); }
  ir::Value add(ir::Value a, ir::Value b) { return e.add("add", {a, b}); }
  /// p * stride - low along dimension d: where the window of each place begins.
  ir::Value begin(std::size_t d, std::int64_t stride, std::int64_t low) {
    Attributes a{{"dtype", i32}, {"axis", static_cast<std::int64_t>(d)}};
    a.set_shape(places);
    return (*this)("sub", (*this)("mul", e.add("iota", {}, std::move(a)), stride), low);
  }
};

/// Whether indices count something else than the places of the whole window.
bool counts_otherwise(const Attributes& a, const Geometry& g) {
  return a.flag("global") || (a.has("counted") && static_cast<std::size_t>(a.integer("counted")) < g.rank);
}

std::size_t first_counted(const Attributes& a, const Geometry& g) {
  return a.has("counted") ? g.rank - static_cast<std::size_t>(a.integer("counted")) : 0;
}

/// Indices into the window, as the index options of `given` want them.
ir::Value count_as_asked(Expansion& e, ir::Value local, const Attributes& given, const Geometry& g, const Shape& in) {
  IndexArithmetic index{e, e.type(local).shape};
  const Sizes window_strides = reference::strides_of(Shape(g.window)), strides = reference::strides_of(in);
  ir::Value sum = e.constant(0, i32);
  for (std::size_t d = first_counted(given, g); d < g.rank; ++d) {
    ir::Value at = index("rem", index("div", local, window_strides[d]), g.window[d]);
    if (given.flag("global")) at = index.add(index.begin(d, g.strides[d], g.low[d]), index("mul", at, g.dilations[d]));
    sum = index.add(sum, index("mul", at, given.flag("global") ? strides[d] : window_strides[d]));
  }
  return e.add("select", {index("less", local, 0), local, sum});
}

/// The inverse.
ir::Value count_in_window(Expansion& e, ir::Value indices, const Attributes& given, const Geometry& g, const Shape& in) {
  if (!given.flag("global")) return indices;  // what isn't counted has a window of 1
  IndexArithmetic index{e, e.type(indices).shape};
  const Sizes window_strides = reference::strides_of(Shape(g.window)), strides = reference::strides_of(in);
  ir::Value sum = e.constant(0, i32);
  for (std::size_t d = first_counted(given, g); d < g.rank; ++d) {
    const ir::Value at = index("rem", index("div", indices, strides[d]), in[static_cast<int>(d)]);
    const ir::Value r = index("div", e.add("sub", {at, index.begin(d, g.strides[d], g.low[d])}), g.dilations[d]);
    sum = index.add(sum, index("mul", r, window_strides[d]));
  }
  return e.add("select", {index("less", indices, 0), indices, sum});
}

ir::Value expand_pool(Expansion& e) {
  const Attributes& given = e.node.attributes;
  if (Geometry(given).resolved()) return {};
  return e.add(e.node.op->name, {e.operand(0)}, resolved(given, e.operand_type(0).shape));
}

ir::Value expand_max_indices(Expansion& e) {
  const Attributes& given = e.node.attributes;
  const Shape& in = e.operand_type(0).shape;
  if (Geometry(given).resolved() && !given.has("global")) return {};
  const Attributes attributes = resolved(given, in);
  const ir::Value local = e.add("pool_max_indices", {e.operand(0)}, attributes);
  const Geometry g(attributes);
  return counts_otherwise(given, g) ? count_as_asked(e, local, given, g, in) : local;
}

ir::Value expand_max_gather(Expansion& e) {
  const Attributes& given = e.node.attributes;
  const Shape& in = e.operand_type(0).shape;
  if (Geometry(given).resolved() && !given.has("global")) return {};
  const Attributes attributes = resolved(given, in);
  return e.add("pool_max_gather", {e.operand(0), count_in_window(e, e.operand(1), given, Geometry(attributes), in)}, attributes);
}

template <bool indexed> ir::Value expand_pool_gradient(Expansion& e) {
  const Attributes& given = e.node.attributes;
  if (e.node.operands.size() == (indexed ? 2 : 1) && Geometry(given).resolved() && !given.has("global")) return {};
  const Shape in = e.node.types[0].shape;
  Attributes attributes = resolved(given, in);
  const Geometry g(attributes);
  attributes.set_shape(in);
  std::vector<ir::Value> operands{e.operand(0)};
  if (indexed) operands.push_back(count_in_window(e, e.operand(1), given, g, in));
  return e.add(e.node.op->name, std::move(operands), std::move(attributes));
}

/// A product of one vector for each dimension with a window; a number where no window reaches over an edge.
ir::Value expand_pool_count(Expansion& e) {
  const Attributes& given = e.node.attributes;
  const DType dtype = given.dtype("dtype");
  const Shape &in = e.operand_type(0).shape, &result = e.node.types[0].shape;
  const Geometry g(given);
  ir::Value product = e.constant(1, dtype);
  for (std::size_t d = 0; d < g.rank; ++d) {
    if (g.window[d] == 1) continue;
    const std::int64_t size = in[static_cast<int>(d)], out = result[static_cast<int>(d)];
    const Pads p = g.pads(d, size);
    const bool with_padding = given.flag("count_padding");
    const std::int64_t begin = with_padding ? -p.low : 0, end = with_padding ? size + p.high : size;
    std::vector<double> counts(static_cast<std::size_t>(out));
    for (std::int64_t i = 0; i < out; ++i)
      for (std::int64_t r = 0; r < g.window[d]; ++r) {
        const std::int64_t at = i * g.strides[d] + r * g.dilations[d] - p.low;
        counts[static_cast<std::size_t>(i)] += at >= begin && at < end;
      }
    for (auto& c : counts) c = std::max(c, 1.0);
    const bool uniform = std::all_of(counts.begin(), counts.end(), [&](double c) { return c == counts[0]; });
    Sizes shape(g.rank, 1);
    shape[d] = out;
    const NDArray vector = NDArray::of<double>(Shape(shape), std::span<const double>(counts)).cast(dtype);
    const ir::Value factor = uniform && out > 0 ? e.constant(counts[0], dtype) : e.add("constant", {}, {{"value", Literal::of(vector)}});
    product = e.add("mul", {product, factor});
  }
  Attributes shape;
  shape.set_shape(result);
  return e.type(product).shape == result ? product : e.add("broadcast", {product}, std::move(shape));
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// Calls f(x, y, r) with the linear index of every element of x that place y's window covers, and its place r in the
/// window, in row-major order of (y, r).
template <class F> void for_each_covered(const Attributes& attributes, const Shape& x, const Shape& y, F&& f) {
  const Geometry g(attributes);
  const Sizes strides = reference::strides_of(x);
  reference::for_each_index(y.sizes(), [&](auto place, std::int64_t linear) {
    reference::for_each_index(g.window, [&](auto offset, std::int64_t r) {
      std::int64_t at = 0;
      for (std::size_t d = 0; d < g.rank; ++d) {
        const std::int64_t q = place[d] * g.strides[d] + offset[d] * g.dilations[d] - g.low[d];
        if (q < 0 || q >= x[static_cast<int>(d)]) return;
        at += q * strides[d];
      }
      f(static_cast<std::size_t>(at), static_cast<std::size_t>(linear), r);
    });
  });
}

template <class T> T sum_of(T a, T b, DType dtype) {
  if constexpr (std::is_same_v<T, wide>) return reference::wrap(a + b, dtype);
  else return a + b;
}

/// Visits the result's elements as the vector that they are.
template <class F> void with_elements(Evaluation& e, F&& f) {
  std::visit([&](auto& out) { f(out, e.operands[0]->as<typename std::decay_t<decltype(out)>::value_type>()); }, e.results[0]->elements);
}

void evaluate_pool_sum(Evaluation& e) {
  with_elements(e, [&](auto& out, const auto& in) {
    for_each_covered(e.node.attributes, e.operands[0]->type.shape, e.results[0]->type.shape,
                     [&](std::size_t x, std::size_t y, std::int64_t) { out[y] = sum_of(out[y], in[x], e.results[0]->type.dtype); });
  });
}

void evaluate_pool_sum_gradient(Evaluation& e) {
  with_elements(e, [&](auto& out, const auto& in) {
    for_each_covered(e.node.attributes, e.results[0]->type.shape, e.operands[0]->type.shape,
                     [&](std::size_t x, std::size_t y, std::int64_t) { out[x] = sum_of(out[x], in[y], e.results[0]->type.dtype); });
  });
}

template <class T> T lowest(DType dtype) {
  if constexpr (std::is_same_v<T, wide>) return is_signed_integer(dtype) ? -(wide(1) << (8 * size_of(dtype) - 1)) : wide(0);
  else return -std::numeric_limits<T>::infinity();
}

/// Calls f(y, x, r) whenever element x at place r of y's window is the largest so far.
template <class T, class F> void for_each_maximum(const Attributes& attributes, const reference::Array& from, const Shape& y, F&& f) {
  const auto& in = from.as<T>();
  std::vector<T> best(static_cast<std::size_t>(y.element_count()));
  std::vector<bool> found(best.size());
  for_each_covered(attributes, from.type.shape, y, [&](std::size_t x, std::size_t p, std::int64_t r) {
    bool better = !found[p] || in[x] > best[p];
    if constexpr (std::is_same_v<T, double>) better = better || (std::isnan(in[x]) && !std::isnan(best[p]));
    if (!better) return;
    best[p] = in[x], found[p] = true;
    f(p, x, r);
  });
}

void evaluate_pool_max(Evaluation& e) {
  std::visit(
      [&](auto& out) {
        using T = typename std::decay_t<decltype(out)>::value_type;
        if constexpr (!std::is_same_v<T, reference::complex>) {
          std::fill(out.begin(), out.end(), lowest<T>(e.results[0]->type.dtype));
          const auto& in = e.operands[0]->as<T>();
          for_each_maximum<T>(e.node.attributes, *e.operands[0], e.results[0]->type.shape,
                              [&](std::size_t y, std::size_t x, std::int64_t) { out[y] = in[x]; });
        }
      },
      e.results[0]->elements);
}

void evaluate_pool_max_indices(Evaluation& e) {
  auto& out = e.results[0]->as<wide>();
  std::fill(out.begin(), out.end(), wide(-1));
  auto note = [&](std::size_t y, std::size_t, std::int64_t r) { out[y] = r; };
  if (is_floating(e.operands[0]->type.dtype)) for_each_maximum<double>(e.node.attributes, *e.operands[0], e.results[0]->type.shape, note);
  else for_each_maximum<wide>(e.node.attributes, *e.operands[0], e.results[0]->type.shape, note);
}

void evaluate_pool_max_gather(Evaluation& e) {
  const auto& indices = e.operands[1]->as<wide>();
  with_elements(e, [&](auto& out, const auto& in) {
    for_each_covered(e.node.attributes, e.operands[0]->type.shape, e.results[0]->type.shape, [&](std::size_t x, std::size_t y, std::int64_t r) {
      if (indices[y] == r) out[y] = in[x];
    });
  });
}

void evaluate_pool_max_gradient(Evaluation& e) {
  const auto& indices = e.operands[1]->as<wide>();
  with_elements(e, [&](auto& out, const auto& in) {
    for_each_covered(e.node.attributes, e.results[0]->type.shape, e.operands[0]->type.shape, [&](std::size_t x, std::size_t y, std::int64_t r) {
      if (indices[y] == r) out[x] = sum_of(out[x], in[y], e.results[0]->type.dtype);
    });
  });
}

// Gradients -----------------------------------------------------------------------------------------------------------

Attributes without_shape(Gradient& g) {
  Attributes a = g.attributes();
  a.erase("shape");
  return a;
}

void pool_max_rule(Gradient& g) {
  g.set(0, apply("pool_max_gradient", {g.cotangent(), apply("pool_max_indices", {g.operand(0)}, g.attributes()), g.operand(0)}, g.attributes()));
}

const Primitive table[] = {
    {.name = "pool_sum",
     .min_operands = 1,
     .max_operands = 1,
     .infer = infer_pool<is_number>,
     .gradient =
         [](Gradient& g) {
           g.set(0, apply("pool_sum_gradient", {g.cotangent(), g.operand(0)}, g.attributes()));
         },
     .evaluate = evaluate_pool_sum,
     .expand = expand_pool},
    {.name = "pool_sum_gradient",
     .min_operands = 1,
     .max_operands = 2,
     .infer = infer_pool_gradient<false>,
     .gradient =
         [](Gradient& g) {
           if (g.wanted(0)) g.set(0, apply("pool_sum", {g.cotangent()}, without_shape(g)));
         },
     .evaluate = evaluate_pool_sum_gradient,
     .expand = expand_pool_gradient<false>},
    {.name = "pool_max",
     .min_operands = 1,
     .max_operands = 1,
     .infer = infer_pool<is_real>,
     .gradient = pool_max_rule,
     .evaluate = evaluate_pool_max,
     .expand = expand_pool},
    {.name = "pool_max_indices",
     .min_operands = 1,
     .max_operands = 1,
     .infer = infer_max_indices,
     .evaluate = evaluate_pool_max_indices,
     .expand = expand_max_indices},
    {.name = "pool_max_gather",
     .min_operands = 2,
     .max_operands = 2,
     .infer = infer_max_gather,
     .gradient =
         [](Gradient& g) {
           g.set(0, apply("pool_max_gradient", {g.cotangent(), g.operand(1), g.operand(0)}, g.attributes()));
         },
     .evaluate = evaluate_pool_max_gather,
     .expand = expand_max_gather},
    {.name = "pool_max_gradient",
     .min_operands = 2,
     .max_operands = 3,
     .infer = infer_pool_gradient<true>,
     .gradient =
         [](Gradient& g) {
           if (g.wanted(0)) g.set(0, apply("pool_max_gather", {g.cotangent(), g.operand(1)}, without_shape(g)));
         },
     .evaluate = evaluate_pool_max_gradient,
     .expand = expand_pool_gradient<true>},
    {.name = "pool_count",
     .min_operands = 1,
     .max_operands = 1,
     .infer = infer_pool_count,
     .gradient = [](Gradient&) {},
     .expand = expand_pool_count},
};

}  // namespace

std::span<const Primitive> pooling() { return table; }

}  // namespace ops
}  // namespace weft
