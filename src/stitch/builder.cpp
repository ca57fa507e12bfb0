#include "stitch/builder.h"

#include "ops/reference_array.h"
#include "stitch/classify.h"
#include "stitch/indexed.h"

#include <weft/error.h>

#include <algorithm>
#include <cstring>

namespace weft::kernel {

std::vector<std::int64_t> dense_strides(const Shape& shape) { return reference::strides_of(shape); }

namespace {

Affine scaled(const Affine& a, std::int64_t factor, std::int64_t constant = 0) {
  Affine r = a;
  for (auto& c : r.coefficients) c *= factor;
  r.constant = a.constant * factor + constant;
  return r;
}

void accumulate(Affine& sum, const Affine& a, std::int64_t factor) {
  for (std::size_t d = 0; d < sum.coefficients.size(); ++d) sum.coefficients[d] += a.coefficients[d] * factor;
  sum.constant += a.constant * factor;
}

bool operator==(const Affine& a, const Affine& b) { return a.coefficients == b.coefficients && a.constant == b.constant; }

bool same(const Map& a, const Map& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return x == y; });
}

}  // namespace

Map broadcast_map(const Map& map, const Shape& shape, const Builder& builder) {
  const std::size_t lead = map.size() - static_cast<std::size_t>(shape.rank());
  Map result;
  for (int d = 0; d < shape.rank(); ++d) result.push_back(shape[d] == 1 ? builder.number(0) : map[lead + static_cast<std::size_t>(d)]);
  return result;
}

Builder::Builder(const Program& program, const Schedule& schedule, std::vector<std::int64_t> extents, int parallel)
    : graph_(program.graph), schedule_(schedule) {
  kernel_.extents = std::move(extents);
  kernel_.parallel = parallel;
}

void Builder::enter(int region, std::vector<int> place) {
  region_ = region;
  place_ = std::move(place);
}

Map Builder::place_of(ir::NodeId member) const {
  const ir::Node& node = graph_[member];
  const auto& walked = schedule_.regions.walked[static_cast<std::size_t>(member)];
  auto at = [&](int l) { return l < 0 ? number(0) : loop(place_[static_cast<std::size_t>(l)]); };
  Map map;
  if (!stitching::is_reduction(node) && !stitching::is_product(node)) {
    for (int l : walked) map.push_back(at(l));
    return map;
  }
  const auto reduced = stitching::reduced_dimensions(graph_, node);
  for (std::size_t d = 0; d < reduced.size(); ++d) {
    if (!reduced[d]) map.push_back(at(walked[d]));
    else if (node.attributes.flag("keep")) map.push_back(number(0));
  }
  return map;
}

Affine Builder::number(std::int64_t constant) const { return {std::vector<std::int64_t>(kernel_.extents.size(), 0), constant}; }

Affine Builder::loop(int loop, std::int64_t factor, std::int64_t constant) const {
  Affine a = number(constant);
  a.coefficients[static_cast<std::size_t>(loop)] = factor;
  return a;
}

Map Builder::loops(int first, int count) const {
  Map map;
  for (int d = 0; d < count; ++d) map.push_back(loop(first + d));
  return map;
}

int Builder::add(Expr expr) {
  kernel_.exprs.push_back(std::move(expr));
  return static_cast<int>(kernel_.exprs.size()) - 1;
}

int Builder::buffer(ir::Value v, bool written) {
  v = schedule_.storage(v);
  for (std::size_t i = 0; i < kernel_.buffers.size(); ++i)
    if (kernel_.buffers[i].value == v) {
      kernel_.buffers[i].written = kernel_.buffers[i].written || written;
      return static_cast<int>(i);
    }
  kernel_.buffers.push_back({v, written});
  return static_cast<int>(kernel_.buffers.size()) - 1;
}

int Builder::load(ir::Value v, const Map& map, std::vector<Term> terms) {
  const TensorType& type = v.node < 0 ? schedule_.temporaries[static_cast<std::size_t>(-1 - v.node)] : graph_.type(v);
  Expr e;
  e.kind = ExprKind::load;
  e.dtype = type.dtype;
  e.access.buffer = buffer(v, false);
  e.access.dtype = type.dtype;
  e.access.address = number(0);
  const auto strides = dense_strides(type.shape);
  for (std::size_t d = 0; d < map.size(); ++d) accumulate(e.access.address, map[d], strides[d]);
  e.access.terms = std::move(terms);
  e.access.terms.insert(e.access.terms.end(), guards_.begin(), guards_.end());
  return add(std::move(e));
}

int Builder::constant(double value, DType dtype) {
  NDArray scalar(dtype, {});
  scalar.import_from(&value, f64);
  Expr e;
  e.kind = ExprKind::constant;
  e.dtype = dtype;
  std::memcpy(e.literal.data(), scalar.data(), size_of(dtype));
  return add(std::move(e));
}

int Builder::index(Affine affine) {
  Expr e;
  e.kind = ExprKind::index;
  e.dtype = i64;
  e.index = std::move(affine);
  return add(std::move(e));
}

int Builder::op(std::string_view name, DType dtype, std::vector<int> operands) {
  Expr e;
  e.kind = ExprKind::op;
  e.dtype = dtype;
  e.op = name;
  e.operands = std::move(operands);
  return add(std::move(e));
}

int Builder::cast(int expr, DType dtype) { return kernel_.exprs[static_cast<std::size_t>(expr)].dtype == dtype ? expr : op("cast", dtype, {expr}); }

int Builder::inside(std::vector<Term> terms) {
  Expr e;
  e.kind = ExprKind::inside;
  e.dtype = boolean;
  e.access.address = number(0);
  e.access.terms = std::move(terms);
  return add(std::move(e));
}

DType Builder::accumulator(DType dtype) { return is_floating(dtype) ? f64 : dtype; }

int Builder::reduce(ReduceOp op, int value, int index, bool crosses) {
  const bool accumulates = op == ReduceOp::sum || op == ReduceOp::prod || op == ReduceOp::linear;
  const DType dtype = kernel_.exprs[static_cast<std::size_t>(value)].dtype;
  kernel_.reductions.push_back({op, value, index, dtype, crosses});
  Expr e;
  e.kind = ExprKind::reduced;
  e.dtype = op == ReduceOp::arg_max || op == ReduceOp::arg_min ? i64 : accumulates ? accumulator(dtype) : dtype;
  e.reduction = static_cast<int>(kernel_.reductions.size()) - 1;
  return add(std::move(e));
}

int Builder::sum_of_products(int x, int y) {
  const int sum = reduce(ReduceOp::sum, op("mul", kernel_.exprs[static_cast<std::size_t>(x)].dtype, {x, y}));
  kernel_.reductions.back().products = true;
  return sum;
}

Access Builder::write(ir::Value v, const Map& map) {
  const TensorType& type = v.node < 0 ? schedule_.temporaries[static_cast<std::size_t>(-1 - v.node)] : graph_.type(v);
  Access access;
  access.buffer = buffer(v, true);
  access.dtype = type.dtype;
  access.address = number(0);
  const auto strides = dense_strides(type.shape);
  for (std::size_t d = 0; d < map.size(); ++d) accumulate(access.address, map[d], strides[d]);
  return access;
}

void Builder::store(ir::Value v, const Map& map, int expr, Combine combine) { kernel_.stores.push_back({write(v, map), expr, combine}); }

int Builder::element(ir::Value v, const Map& map) {
  auto& known = computed_[v];
  for (const auto& c : known)
    if (c.guard_set == guard_set_ && same(c.map, map)) return c.expr;
  const Regions& regions = schedule_.regions;
  const bool here = regions.inlined[static_cast<std::size_t>(v.node)] || regions.computes(region_, v.node);
  const int expr = here ? compute(v, map) : load(v, map);
  computed_[v].push_back({map, guard_set_, expr});
  return expr;
}

int Builder::compute(ir::Value v, const Map& map) {
  const ir::Node& node = graph_[v.node];
  const auto name = node.op->name;
  if (name == "constant") {
    Expr e;
    e.kind = ExprKind::constant;
    e.dtype = node.types[0].dtype;
    const auto& bytes = node.attributes.literal("value").bytes;
    std::copy(bytes.begin(), bytes.end(), e.literal.begin());
    return add(std::move(e));
  }
  if (node.op->kind == Kind::elementwise) {
    std::vector<int> operands;
    for (auto o : node.operands) operands.push_back(element(o, broadcast_map(map, graph_.type(o).shape, *this)));
    return op(name, node.types[0].dtype, std::move(operands));
  }
  if (name == "iota") {
    const auto axis = node.attributes.integer("axis");
    return cast(index(map[static_cast<std::size_t>(axis < 0 ? axis + node.types[0].shape.rank() : axis)]), node.types[0].dtype);
  }
  if (name == "random_bits") return random_bits(node, map);
  if (stitching::is_reduction(node)) return reduction(v.node);
  if (stitching::is_product(node)) return product(v.node);
  if (name == "gather") {
    IndexedAccess access = indexed_access(*this, v.node, map);
    return load(node.operands[0], access.map, std::move(access.terms));
  }
  return movement(v, node, map);
}

int Builder::movement(ir::Value v, const ir::Node& node, const Map& map) {
  const ir::Value from = node.operands[0];
  const Shape& shape = graph_.type(from).shape;
  const auto name = node.op->name;
  if (name == "broadcast") return element(from, broadcast_map(map, shape, *this));
  if (name == "transpose") {
    const auto& permutation = node.attributes.integers("permutation");
    Map inner(map.size());
    for (std::size_t d = 0; d < map.size(); ++d) inner[static_cast<std::size_t>(permutation[d])] = map[d];
    return element(from, inner);
  }
  if (name == "slice") {
    const auto &start = node.attributes.integers("start"), &stride = node.attributes.integers("stride");
    Map inner;
    for (std::size_t d = 0; d < map.size(); ++d) inner.push_back(scaled(map[d], stride[d], start[d]));
    return element(from, inner);
  }
  if (name == "reshape") {
    // Only sizes of 1 come and go (see stitch.cpp), the others keep their order.
    std::vector<Affine> kept;
    for (std::size_t d = 0; d < map.size(); ++d)
      if (node.types[0].shape[static_cast<int>(d)] != 1) kept.push_back(map[d]);
    Map inner;
    std::size_t next = 0;
    for (auto s : shape) inner.push_back(s == 1 ? number(0) : kept[next++]);
    return element(from, inner);
  }
  if (name == "pad") return pad(node, map);
  if (name == "concat") return concat(node, map);
  throw InternalError(ir::describe(graph_[v.node]) + " can't be stitched");
}

int Builder::pad(const ir::Node& node, const Map& map) {
  const auto &low = node.attributes.integers("low"), &interior = node.attributes.integers("interior");
  const auto& high = node.attributes.integers("high");
  const ir::Value from = node.operands[0];
  const Shape& shape = graph_.type(from).shape;
  const auto strides = dense_strides(shape);
  const int fill = element(node.operands[1], {});
  if (shape.element_count() == 0) return fill;

  std::vector<Term> terms;  // what may lie outside
  Map inner = map;
  bool spread = false;
  for (std::size_t d = 0; d < map.size(); ++d) {
    inner[d].constant -= low[d];
    if (low[d] == 0 && high[d] == 0 && interior[d] == 0) continue;
    Term term;
    term.position = inner[d];
    term.divisor = interior[d] + 1;
    term.extent = shape[static_cast<int>(d)];
    if (interior[d] != 0) {
      spread = true;
      term.stride = strides[d];
      inner[d] = number(0);
    }
    terms.push_back(std::move(term));
  }
  int value = 0;
  if (spread) {
    value = load(from, inner, terms);
  } else {
    value = guarded(from, inner, terms);
  }
  for (auto& t : terms) t.stride = 0;
  return op("select", node.types[0].dtype, {inside(terms), value, fill});
}

int Builder::guarded(ir::Value v, const Map& map, const std::vector<Term>& terms) {
  const auto outer = guards_.size();
  const int outer_set = guard_set_;
  guards_.insert(guards_.end(), terms.begin(), terms.end());
  guard_set_ = ++guard_sets_;
  const int value = element(v, map);
  guards_.resize(outer);
  guard_set_ = outer_set;
  return value;
}

int Builder::concat(const ir::Node& node, const Map& map) {
  auto axis = node.attributes.integer("axis");
  if (axis < 0) axis += node.types[0].shape.rank();
  const auto a = static_cast<std::size_t>(axis);
  std::int64_t start = 0;
  int value = -1;
  for (auto v : node.operands) {
    const auto size = graph_.type(v).shape[static_cast<int>(a)];
    if (size == 0) continue;
    Map inner = map;
    inner[a].constant -= start;
    start += size;
    Term term;
    term.position = inner[a];
    term.extent = size;
    const int own = guarded(v, inner, {term});
    value = value < 0 ? own : op("select", node.types[0].dtype, {inside({term}), own, value});
  }
  return value < 0 ? constant(0, node.types[0].dtype) : value;
}

int Builder::reduction(ir::NodeId id) {
  if (const auto known = reduced_.find(id); known != reduced_.end()) return known->second;
  static constexpr std::pair<std::string_view, ReduceOp> names[] = {
      {"reduce_sum", ReduceOp::sum},   {"reduce_prod", ReduceOp::prod}, {"reduce_max", ReduceOp::max}, {"reduce_min", ReduceOp::min},
      {"reduce_fmax", ReduceOp::fmax}, {"reduce_fmin", ReduceOp::fmin}, {"reduce_and", ReduceOp::all}, {"reduce_or", ReduceOp::any},
      {"arg_max", ReduceOp::arg_max},  {"arg_min", ReduceOp::arg_min}};
  const ir::Node& node = graph_[id];
  const auto reduced = stitching::reduced_dimensions(graph_, node);
  const auto& walked = schedule_.regions.walked[static_cast<std::size_t>(id)];
  const Region& region = schedule_.regions.list[static_cast<std::size_t>(region_)];
  Map map;
  Affine place = number(0);
  bool crosses = false;
  for (std::size_t d = 0; d < walked.size(); ++d) {
    map.push_back(walked[d] < 0 ? number(0) : loop(place_[static_cast<std::size_t>(walked[d])]));
    if (reduced[d]) place = map.back();
    if (reduced[d] && walked[d] >= 0) crosses = (region.reduced >> walked[d] & 1) == 0;
  }
  const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == node.op->name; });
  const bool arg = found->second == ReduceOp::arg_max || found->second == ReduceOp::arg_min;
  const int value = element(node.operands[0], map);
  return reduced_[id] = cast(reduce(found->second, value, arg ? index(place) : -1, crosses), node.types[0].dtype);
}

int Builder::product(ir::NodeId id) {
  if (const auto known = reduced_.find(id); known != reduced_.end()) return known->second;
  const ir::Node& node = graph_[id];
  const auto& walked = schedule_.regions.walked[static_cast<std::size_t>(id)];
  auto factor = [&](std::size_t operand) {
    const auto dims = stitching::product_dimensions(graph_, node, operand);
    const Shape& shape = graph_.type(node.operands[operand]).shape;
    Map map;
    for (int d = 0; d < shape.rank(); ++d) {
      const int l = walked[static_cast<std::size_t>(dims[static_cast<std::size_t>(d)])];
      map.push_back(shape[d] == 1 || l < 0 ? number(0) : loop(place_[static_cast<std::size_t>(l)]));
    }
    return element(node.operands[operand], map);
  };
  const int left = factor(0), right = factor(1);
  return reduced_[id] = cast(sum_of_products(left, right), node.types[0].dtype);
}

int Builder::random_bits(const ir::Node& node, const Map& map) {
  Affine word = number(0);
  const auto strides = dense_strides(node.types[0].shape);
  for (std::size_t d = 0; d < map.size(); ++d) accumulate(word, map[d], strides[d]);
  const auto step = node.attributes.integer("stride");
  const int position = index(scaled(word, step, node.attributes.integer("offset")));
  std::vector<int> operands{position};
  for (int i = 0; i < 3; ++i) operands.push_back(element(node.operands[0], {number(i)}));
  return op("philox", node.types[0].dtype, std::move(operands));
}

}  // namespace weft::kernel
