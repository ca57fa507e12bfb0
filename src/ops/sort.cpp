#include "graph/build.h"
#include "ops/families.h"
#include "ops/movement.h"
#include "ops/shape_like.h"

#include <weft/error.h>
#include <weft/indexing.h>
#include <weft/sort.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace weft {
namespace ops {
namespace {

using reference::complex;
using reference::wide;

// Everything here goes along the last dimension; the public functions move others there.

constexpr std::int64_t last_i32 = std::numeric_limits<std::int32_t>::max();

// Inference -----------------------------------------------------------------------------------------------------------

/// Checks the keys and gives the size of their last dimension; `dynamic` while it is unknown.
std::int64_t length_of_keys(Inference& c) {
  c.require([](DType t) { return t != c64; }, 0, "a real number or bool");
  const Shape& shape = c.shape(0);
  if (!shape.ranked()) return dynamic;
  if (shape.rank() == 0) c.fail("operand 0 is the scalar " + c[0].str() + ", expects a dimension to sort along");
  return shape[shape.rank() - 1];
}

DType index_type(Inference& c, std::int64_t length) {
  const DType dtype = c.attributes.dtype("dtype");
  if (dtype != i32 && dtype != i64) c.fail("a place is i32 or i64, not " + std::string(name_of(dtype)));
  if (dtype == i32 && length > last_i32) c.fail("places along the axis of operand " + c[0].str() + " don't fit i32; ask for i64");
  return dtype;
}

void infer_sort(Inference& c) {
  length_of_keys(c);
  for (std::size_t i = 0; i < c.count(); ++i) {
    const Shape &keys = c.shape(0), &other = c.shape(i);
    bool fits = !keys.ranked() || !other.ranked() || keys.rank() == other.rank();
    for (int d = 0; fits && keys.ranked() && other.ranked() && d < keys.rank(); ++d)
      fits = keys[d] == other[d] || keys[d] == dynamic || other[d] == dynamic;
    if (!fits) c.fail("operand " + std::to_string(i) + " is " + c[i].str() + ", expects the shape of the keys " + c[0].str());
    c.result(c[i]);
  }
}

void infer_arg_sort(Inference& c) {
  const auto length = length_of_keys(c);
  c.result(index_type(c, length), c.shape(0));
}

void infer_top_k(Inference& c) {
  const auto length = length_of_keys(c), k = c.attributes.integer("k");
  if (k < 0 || (length != dynamic && k > length))
    c.fail("k is " + std::to_string(k) + ", expects 0 to " + (length == dynamic ? "the size of the axis" : std::to_string(length)) + " for operand " +
           c[0].str());
  const DType dtype = index_type(c, length);
  const Shape shape = c.shape(0).ranked() ? c.shape(0).with(c.shape(0).rank() - 1, k) : Shape::unranked();
  c.result(c.dtype(0), shape);
  c.result(dtype, shape);
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// NaN is larger than everything else.
bool precedes(double a, double b) { return a < b || (a == a && b != b); }
bool precedes(wide a, wide b) { return a < b; }

/// Calls f(first place of the row, the places of its elements in order, counted from there) for every row of the keys.
template <class F> void for_each_row(const Evaluation& e, F&& f) {
  const Shape& shape = e.operands[0]->type.shape;
  const auto length = shape[shape.rank() - 1];
  const bool descending = e.node.attributes.flag("descending");
  std::vector<std::int64_t> order(static_cast<std::size_t>(length));
  std::visit(
      [&](const auto& keys) {
        using Element = typename std::decay_t<decltype(keys)>::value_type;
        if constexpr (!std::is_same_v<Element, complex>) {
          for (std::int64_t row = 0; row < shape.element_count(); row += length) {
            const auto* key = keys.data() + row;
            std::iota(order.begin(), order.end(), std::int64_t{0});
            std::stable_sort(order.begin(), order.end(),
                             [&](std::int64_t a, std::int64_t b) { return descending ? precedes(key[b], key[a]) : precedes(key[a], key[b]); });
            f(row, order);
          }
        }
      },
      e.operands[0]->elements);
}

void evaluate_sort(Evaluation& e) {
  for_each_row(e, [&](std::int64_t row, const std::vector<std::int64_t>& order) {
    for (std::size_t i = 0; i < e.operands.size(); ++i)
      std::visit(
          [&](auto& to) {
            const auto& from = std::get<std::decay_t<decltype(to)>>(e.operands[i]->elements);
            for (std::size_t j = 0; j < order.size(); ++j) to[static_cast<std::size_t>(row) + j] = from[static_cast<std::size_t>(row + order[j])];
          },
          e.results[i]->elements);
  });
}

void evaluate_arg_sort(Evaluation& e) {
  auto& to = e.results[0]->as<wide>();
  for_each_row(e, [&](std::int64_t row, const std::vector<std::int64_t>& order) { std::copy(order.begin(), order.end(), to.begin() + row); });
}

void evaluate_top_k(Evaluation& e) {
  auto& indices = e.results[1]->as<wide>();
  const auto k = e.node.attributes.integer("k");
  std::size_t next = 0;
  for_each_row(e, [&](std::int64_t row, const std::vector<std::int64_t>& order) {
    std::visit(
        [&](auto& values) {
          const auto& from = std::get<std::decay_t<decltype(values)>>(e.operands[0]->elements);
          for (std::int64_t j = 0; j < k; ++j, ++next) {
            const auto place = order[static_cast<std::size_t>(j)];
            indices[next] = place;
            values[next] = from[static_cast<std::size_t>(row + place)];
          }
        },
        e.results[0]->elements);
  });
}

// Gradients -----------------------------------------------------------------------------------------------------------

/// Zeros of like's shape, with dy's elements at the places that they came from.
Tensor put_back(Tensor dy, Tensor places, Tensor like) { return scatter_along_axis(broadcast_like(0, like), places, dy, -1); }

void gradient_sort(Gradient& g) {
  const Tensor keys = g.operand(0);
  const Shape& shape = keys.shape();
  const bool is_short = shape.ranked() && shape[shape.rank() - 1] != dynamic && shape[shape.rank() - 1] <= last_i32;
  const Tensor places = apply("arg_sort", {keys}, {{"descending", std::int64_t{g.attributes().flag("descending")}}, {"dtype", is_short ? i32 : i64}});
  for (std::size_t i = 0; i < g.operand_count(); ++i)
    if (g.wanted(i) && g.has_cotangent(i)) g.set(i, put_back(g.cotangent(i), places, g.operand(i)));
}

void gradient_top_k(Gradient& g) {
  if (g.has_cotangent(0)) g.set(0, put_back(g.cotangent(0), g.result(1), g.operand(0)));
}

// Attributes: descending; of arg_sort and top_k dtype, of the places; k.
const Primitive table[] = {
    {.name = "sort", .min_operands = 1, .max_operands = -1, .infer = infer_sort, .gradient = gradient_sort, .evaluate = evaluate_sort},
    {.name = "arg_sort", .min_operands = 1, .max_operands = 1, .infer = infer_arg_sort, .evaluate = evaluate_arg_sort},
    {.name = "top_k", .min_operands = 1, .max_operands = 1, .infer = infer_top_k, .gradient = gradient_top_k, .evaluate = evaluate_top_k},
};

TopK first_k(std::string_view op, const Operand& x, std::int64_t k, int axis, bool descending, DType dtype) {
  CompositeScope scope(op, {x});
  const auto results =
      apply_all("top_k", std::vector<Operand>{axis_last(x, axis)}, {{"k", k}, {"descending", std::int64_t{descending}}, {"dtype", dtype}});
  return {axis_last(results[0], axis), axis_last(results[1], axis)};
}

}  // namespace

std::span<const Primitive> sorting() { return table; }

}  // namespace ops

using ops::axis_last;

Tensor sort(Operand x, int axis, SortOptions options) { return sort_together(x, {}, axis, options)[0]; }

std::vector<Tensor> sort_together(Operand keys, const std::vector<Tensor>& others, int axis, SortOptions options) {
  CompositeScope scope("sort", {keys});
  std::vector<Operand> operands{axis_last(keys, axis)};
  for (const auto& t : others) operands.emplace_back(axis_last(t, axis));
  auto results = apply_all("sort", operands, {{"descending", std::int64_t{options.descending}}});
  for (auto& t : results) t = axis_last(t, axis);
  return results;
}

Tensor argsort(Operand x, int axis, ArgSortOptions options) {
  CompositeScope scope("argsort", {x});
  return axis_last(apply("arg_sort", {axis_last(x, axis)}, {{"descending", std::int64_t{options.descending}}, {"dtype", options.dtype}}), axis);
}

TopK top_k(Operand x, std::int64_t k, int axis, TopKOptions options) { return ops::first_k("top_k", x, k, axis, true, options.dtype); }
TopK bottom_k(Operand x, std::int64_t k, int axis, TopKOptions options) { return ops::first_k("bottom_k", x, k, axis, false, options.dtype); }

}  // namespace weft
