// Pooling as loop nests: places of the result in parallel, the window in sequence.
#include "stitch/lowering.h"

#include <weft/error.h>

#include <limits>
#include <string_view>

namespace weft::kernel {
namespace {

/// No place in a window; larger than any that is one.
constexpr double nowhere = 0x1p62;

/// The gradients of windows that neither overlap nor leave anything out: an element belongs to one place, so nothing is
/// summed. The loops are over places and, within them, the window.
void lower_disjoint_gradient(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const auto& window = node.attributes.integers("window");
  const Shape& from = l.graph.type(node.operands[0]).shape;
  std::vector<std::int64_t> extents;
  for (int d = 0; d < from.rank(); ++d) {
    extents.push_back(from[d]);
    extents.push_back(window[static_cast<std::size_t>(d)]);
  }
  const int parallel = static_cast<int>(extents.size());
  Builder b = l.builder(std::move(extents), parallel);
  Map places, elements;
  Affine step = b.number(0);
  const auto window_strides = dense_strides(Shape(window));
  for (int d = 0; d < from.rank(); ++d) {
    const auto i = static_cast<std::size_t>(d);
    places.push_back(b.loop(2 * d));
    Affine element = b.loop(2 * d, window[i]);
    element.coefficients[2 * i + 1] = 1;
    elements.push_back(std::move(element));
    step.coefficients[2 * i + 1] = window_strides[i];
  }
  int value = b.load(node.operands[0], places);
  if (node.op->name == "pool_max_gradient") {
    const int here = b.op("equal", boolean, {b.load(node.operands[1], places), b.cast(b.index(step), i32)});
    value = b.op("select", node.types[0].dtype, {here, value, b.constant(0, node.types[0].dtype)});
  }
  b.store({id, 0}, elements, value);
  l.finish(b, {&id, 1});
}

bool is_disjoint(const ir::Node& node, const Shape& from) {
  const auto &window = node.attributes.integers("window"), &strides = node.attributes.integers("strides"),
             &dilations = node.attributes.integers("dilations"), &low = node.attributes.integers("low");
  for (int d = 0; d < from.rank(); ++d) {
    const auto i = static_cast<std::size_t>(d);
    if (window[i] != strides[i] || (window[i] > 1 && dilations[i] != 1) || low[i] != 0 || from[d] * window[i] != node.types[0].shape[d]) return false;
  }
  return true;
}

}  // namespace

void lower_pooling(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const std::string_view name = node.op->name;
  const auto &window = node.attributes.integers("window"), &strides = node.attributes.integers("strides"),
             &dilations = node.attributes.integers("dilations"), &low = node.attributes.integers("low");
  const Shape& result = node.types[0].shape;
  const int rank = result.rank();
  // A gradient's result has the shape of x; its window looks back to the places that saw an element.
  const bool backward = name == "pool_sum_gradient" || name == "pool_max_gradient";
  const Shape& from = l.graph.type(node.operands[0]).shape;
  if (backward && is_disjoint(node, from)) return lower_disjoint_gradient(l, id);

  std::vector<std::int64_t> extents(result.begin(), result.end());
  extents.insert(extents.end(), window.begin(), window.end());
  Builder b = l.builder(extents, rank);
  const Map places = b.loops(0, rank);

  Map map;
  std::vector<Term> terms;
  Affine step = b.number(0);  // the place within the window, in row-major order
  const auto window_strides = dense_strides(Shape(window));
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<std::size_t>(d), r = i + static_cast<std::size_t>(rank);
    step.coefficients[r] = window_strides[i];
    Affine at = b.number(backward ? low[i] : -low[i]);
    at.coefficients[i] = backward ? 1 : strides[i];
    at.coefficients[r] = backward ? -dilations[i] : dilations[i];
    const bool trivial = window[i] == 1 && strides[i] == 1 && low[i] == 0 && result[d] == from[d];
    const bool fits = !backward && low[i] <= 0 && (result[d] - 1) * strides[i] + (window[i] - 1) * dilations[i] - low[i] < from[d];
    if (trivial || fits) {
      map.push_back(at);
      continue;
    }
    Term term;
    term.position = at;
    term.divisor = backward ? strides[i] : 1;
    term.extent = from[d];
    term.stride = dense_strides(from)[i];
    terms.push_back(std::move(term));
    map.push_back(b.number(0));
  }
  const DType value_type = l.graph.type(node.operands[0]).dtype;
  auto where_inside = [&](int value, int otherwise) {
    if (terms.empty()) return value;
    auto bounds = terms;
    for (auto& t : bounds) t.stride = 0;
    const DType type = b.kernel().exprs[static_cast<std::size_t>(value)].dtype;
    return b.op("select", type, {b.inside(bounds), value, otherwise});
  };
  auto chosen = [&](int indices, int value) {
    const int here = b.op("equal", boolean, {b.cast(indices, i64), b.index(step)});
    return b.op("select", value_type, {here, value, b.constant(0, value_type)});
  };
  const int element = b.load(node.operands[0], map, terms);
  auto total_of = [&](std::string_view name) {
    int total = -1;
    if (name == "pool_sum" || name == "pool_sum_gradient") {
      total = b.reduce(ReduceOp::sum, element);
    } else if (name == "pool_max") {
      total = b.reduce(ReduceOp::max, where_inside(element, b.constant(-std::numeric_limits<double>::infinity(), value_type)));
    } else if (name == "pool_max_indices") {
      const int value = where_inside(element, b.constant(-std::numeric_limits<double>::infinity(), value_type));
      const int place = b.reduce(ReduceOp::arg_max, value, where_inside(b.index(step), b.constant(nowhere, i64)));
      const int found = b.op("less", boolean, {place, b.constant(nowhere, i64)});
      total = b.op("select", i64, {found, place, b.constant(-1, i64)});
    } else if (name == "pool_max_gather") {
      total = b.reduce(ReduceOp::sum, chosen(b.load(node.operands[1], places), element));
    } else if (name == "pool_max_gradient") {
      total = b.reduce(ReduceOp::sum, chosen(b.load(node.operands[1], map, terms), element));
    } else {
      throw InternalError(ir::describe(node) + " has no kernel");
    }
    return total;
  };
  const Regions& regions = l.schedule.regions;
  const auto& members = regions.list[static_cast<std::size_t>(regions.region_of[static_cast<std::size_t>(id)])].members;
  for (auto m : members) b.store({m, 0}, places, b.cast(total_of(l.graph[m].op->name), l.graph[m].types[0].dtype));
  l.finish(b, members);
}

}  // namespace weft::kernel
