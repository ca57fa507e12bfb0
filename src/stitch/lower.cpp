#include "stitch/lower.h"

#include "stitch/lowering.h"

#include <weft/error.h>

#include <algorithm>
#include <limits>

namespace weft {
namespace kernel {
namespace {

/// Reductions of at least this many elements to few results are split, so that all cores take part. The split depends on
/// the sizes alone, never on the number of threads: the same sizes always give the same bits.
constexpr std::int64_t split_from = 4096, elements_per_part = 2048, most_parts = 64, results_without_split = 512;

/// Drops expressions and buffers that nothing uses.
void compact(Kernel& kernel) {
  std::vector<bool> used(kernel.exprs.size());
  std::vector<int> work;
  auto need = [&](int e) {
    if (e >= 0 && !used[static_cast<std::size_t>(e)]) used[static_cast<std::size_t>(e)] = true, work.push_back(e);
  };
  for (const auto& s : kernel.stores) {
    need(s.value);
    for (const auto& t : s.access.terms) need(t.indirect);
  }
  while (!work.empty()) {
    const Expr& e = kernel.exprs[static_cast<std::size_t>(work.back())];
    work.pop_back();
    for (int o : e.operands) need(o);
    for (const auto& t : e.access.terms) need(t.indirect);
    if (e.kind == ExprKind::reduced)
      need(kernel.reductions[static_cast<std::size_t>(e.reduction)].value), need(kernel.reductions[static_cast<std::size_t>(e.reduction)].index);
  }
  std::vector<int> place(kernel.exprs.size(), -1), buffer_place(kernel.buffers.size(), -1);
  std::vector<Expr> exprs;
  std::vector<BufferUse> buffers;
  auto keep_buffer = [&](int& b) {
    auto& p = buffer_place[static_cast<std::size_t>(b)];
    if (p < 0) p = static_cast<int>(buffers.size()), buffers.push_back(kernel.buffers[static_cast<std::size_t>(b)]);
    b = p;
  };
  for (std::size_t i = 0; i < kernel.exprs.size(); ++i)
    if (used[i]) place[i] = static_cast<int>(exprs.size()), exprs.push_back(kernel.exprs[i]);
  auto moved = [&](int& e) {
    if (e >= 0) e = place[static_cast<std::size_t>(e)];
  };
  for (auto& e : exprs) {
    for (int& o : e.operands) moved(o);
    for (auto& t : e.access.terms) moved(t.indirect);
    if (e.kind == ExprKind::load) keep_buffer(e.access.buffer);
  }
  for (auto& r : kernel.reductions) moved(r.value), moved(r.index);
  for (auto& s : kernel.stores) {
    moved(s.value);
    for (auto& t : s.access.terms) moved(t.indirect);
    keep_buffer(s.access.buffer);
  }
  kernel.exprs = std::move(exprs);
  kernel.buffers = std::move(buffers);
}

std::string name_of_kernel(const ir::Graph& graph, ir::NodeId root) {
  const ir::Node& node = graph[root];
  std::string name(node.op->name);
  const Shape& shape = node.types[0].shape;
  for (int d = 0; d < shape.rank(); ++d) name += (d == 0 ? "_" : "x") + std::to_string(shape[d]);
  return name + "_" + std::string(name_of(node.types[0].dtype));
}

template <class F> void for_each_affine(Kernel& kernel, F&& f) {
  for (auto& e : kernel.exprs) {
    f(e.access.address);
    f(e.index);
    for (auto& t : e.access.terms) f(t.position);
  }
  for (auto& s : kernel.stores) {
    f(s.access.address);
    for (auto& t : s.access.terms) f(t.position);
  }
}

Affine without_loops(const Kernel& kernel) { return {std::vector<std::int64_t>(kernel.extents.size(), 0), 0}; }

/// What doesn't change a reduction, for the elements past the end of the last part. Integers take the infinities as their
/// own extremes.
double identity(ReduceOp op) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (op == ReduceOp::max || op == ReduceOp::min) return op == ReduceOp::max ? -infinity : infinity;
  return op == ReduceOp::prod || op == ReduceOp::all ? 1 : 0;
}

/// Whether a kernel's reductions can be computed in parts.
bool splits(const Kernel& k) {
  if (k.reductions.empty() || k.scatters) return false;
  std::int64_t results = 1, reduced = 1;
  for (int d = 0; d < k.loops(); ++d) (k.is_sequential(d) ? reduced : results) *= k.extents[static_cast<std::size_t>(d)];
  if (results == 0 || results >= results_without_split || reduced < split_from) return false;
  return std::all_of(k.reductions.begin(), k.reductions.end(), [](const auto& r) {
    return r.op == ReduceOp::sum || r.op == ReduceOp::prod || r.op == ReduceOp::max || r.op == ReduceOp::min || r.op == ReduceOp::all ||
           r.op == ReduceOp::any;
  });
}

}  // namespace

ir::Value Lowering::temporary(TensorType type) {
  schedule.temporaries.push_back(type);
  return {-static_cast<ir::NodeId>(schedule.temporaries.size()), 0};
}

void Lowering::finish(Builder& builder, ir::NodeId root) {
  Kernel whole = std::move(builder.kernel());
  whole.name = name_of_kernel(graph, root);
  compact(whole);
  normalise(whole);
  if (!splits(whole)) {
    schedule.steps.push_back(Schedule::KernelStep{std::move(whole)});
    return;
  }

  // The longest sequential loop is cut into parts; the loop over parts becomes the outermost parallel one.
  const auto first = whole.extents.begin() + whole.parallel;
  const auto cut = static_cast<std::size_t>(std::max_element(first, whole.extents.end()) - whole.extents.begin());
  const std::int64_t length = whole.extents[cut];
  std::int64_t reduced = 1;
  for (auto e = first; e != whole.extents.end(); ++e) reduced *= *e;
  std::int64_t parts = std::clamp<std::int64_t>(std::min(reduced / elements_per_part, length), 2, most_parts);
  const std::int64_t part = (length + parts - 1) / parts;
  parts = (length + part - 1) / part;

  Kernel partial = whole;
  partial.name += "_parts";
  partial.extents[cut] = part;
  partial.extents.insert(partial.extents.begin(), parts);
  ++partial.parallel;
  for_each_affine(partial, [&](Affine& a) {
    if (a.coefficients.empty()) return;
    a.coefficients.insert(a.coefficients.begin(), a.coefficients[cut] * part);
  });
  if (parts * part != length) {
    Term end;
    end.position = without_loops(partial);
    end.position.coefficients[0] = part;
    end.position.coefficients[cut + 1] = 1;
    end.extent = length;
    for (auto& e : partial.exprs)
      if (e.kind == ExprKind::load) e.access.terms.push_back(end);
    Expr inside;
    inside.kind = ExprKind::inside;
    inside.dtype = boolean;
    inside.access.address = without_loops(partial);
    inside.access.terms = {end};
    partial.exprs.push_back(inside);
    const int is_inside = static_cast<int>(partial.exprs.size()) - 1;
    for (auto& r : partial.reductions) {
      Expr number;
      number.kind = ExprKind::constant;
      number.dtype = r.dtype;
      NDArray scalar(r.dtype, {});
      const double value = identity(r.op);
      scalar.import_from(&value, f64);
      std::copy(scalar.data(), scalar.data() + size_of(r.dtype), number.literal.begin());
      partial.exprs.push_back(number);
      Expr select;
      select.kind = ExprKind::op;
      select.op = "select";
      select.dtype = r.dtype;
      select.operands = {is_inside, r.value, static_cast<int>(partial.exprs.size()) - 1};
      partial.exprs.push_back(select);
      r.value = static_cast<int>(partial.exprs.size()) - 1;
    }
  }

  // Partial results: [parts, results...].
  Kernel total = whole;
  std::vector<std::int64_t> sizes{parts};
  sizes.insert(sizes.end(), whole.extents.begin(), whole.extents.begin() + whole.parallel);
  const auto strides = dense_strides(Shape(sizes));
  partial.stores.clear();
  total.extents.resize(static_cast<std::size_t>(whole.parallel));
  total.extents.push_back(parts);
  for_each_affine(total, [&](Affine& a) {
    if (a.coefficients.empty()) return;
    a.coefficients.resize(total.extents.size());
    a.coefficients.back() = 0;
  });
  for (std::size_t r = 0; r < whole.reductions.size(); ++r) {
    int result = -1;
    for (std::size_t e = 0; e < whole.exprs.size(); ++e)
      if (whole.exprs[e].kind == ExprKind::reduced && whole.exprs[e].reduction == static_cast<int>(r)) result = static_cast<int>(e);
    const DType dtype = whole.exprs[static_cast<std::size_t>(result)].dtype;
    const ir::Value parts_value = temporary({dtype, Shape(sizes)});

    Store store;
    store.access.buffer = static_cast<int>(partial.buffers.size());
    store.access.dtype = dtype;
    store.access.address = without_loops(partial);
    for (std::size_t d = 0; d < sizes.size(); ++d) store.access.address.coefficients[d] = strides[d];
    store.value = result;
    partial.buffers.push_back({parts_value, true});
    partial.stores.push_back(store);

    Expr load;
    load.kind = ExprKind::load;
    load.dtype = dtype;
    load.access.buffer = static_cast<int>(total.buffers.size());
    load.access.dtype = dtype;
    load.access.address = without_loops(total);
    for (std::size_t d = 1; d < sizes.size(); ++d) load.access.address.coefficients[d - 1] = strides[d];
    load.access.address.coefficients.back() = strides[0];
    total.buffers.push_back({parts_value, false});
    total.exprs.push_back(load);
    total.reductions[r].value = static_cast<int>(total.exprs.size()) - 1;
    total.reductions[r].dtype = dtype;
  }
  for (Kernel* k : {&partial, &total}) {
    compact(*k);
    normalise(*k);
    schedule.steps.push_back(Schedule::KernelStep{std::move(*k)});
  }
}

namespace {

std::vector<std::int64_t> sizes_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

void lower_elementwise(Lowering& l, ir::NodeId id) {
  const Shape& shape = l.graph[id].types[0].shape;
  Builder b = l.builder(sizes_of(shape), shape.rank());
  const Map map = b.loops(0, shape.rank());
  b.store({id, 0}, map, b.compute({id, 0}, map));
  l.finish(b, id);
}

void lower_concat(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  auto axis = node.attributes.integer("axis");
  if (axis < 0) axis += node.types[0].shape.rank();
  std::int64_t start = 0;
  for (auto v : node.operands) {
    const Shape& shape = l.graph.type(v).shape;
    Builder b = l.builder(sizes_of(shape), shape.rank());
    const Map map = b.loops(0, shape.rank());
    Map to = map;
    to[static_cast<std::size_t>(axis)].constant += start;
    b.store({id, 0}, to, b.element(v, map));
    l.finish(b, id);
    start += shape[static_cast<int>(axis)];
  }
}

void lower_reduction(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const Shape& shape = l.graph.type(node.operands[0]).shape;
  std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), !node.attributes.has("axes"));
  if (node.attributes.has("axes"))
    for (auto a : node.attributes.integers("axes")) reduced[static_cast<std::size_t>(a < 0 ? a + shape.rank() : a)] = true;

  std::vector<std::int64_t> extents;
  std::vector<int> loop_of(reduced.size());
  for (const bool sequential : {false, true})
    for (std::size_t d = 0; d < reduced.size(); ++d)
      if (reduced[d] == sequential) loop_of[d] = static_cast<int>(extents.size()), extents.push_back(shape[static_cast<int>(d)]);
  const int parallel = static_cast<int>(std::count(reduced.begin(), reduced.end(), false));

  Builder b = l.builder(extents, parallel);
  Map map, result;
  const bool keep = node.attributes.flag("keep");
  Affine place = b.number(0);
  for (std::size_t d = 0; d < reduced.size(); ++d) {
    map.push_back(b.loop(loop_of[d]));
    if (!reduced[d]) result.push_back(map.back());
    else if (keep) result.push_back(b.number(0));
    if (reduced[d]) place = map.back();
  }
  static constexpr std::pair<std::string_view, ReduceOp> names[] = {
      {"reduce_sum", ReduceOp::sum},   {"reduce_prod", ReduceOp::prod}, {"reduce_max", ReduceOp::max}, {"reduce_min", ReduceOp::min},
      {"reduce_fmax", ReduceOp::fmax}, {"reduce_fmin", ReduceOp::fmin}, {"reduce_and", ReduceOp::all}, {"reduce_or", ReduceOp::any},
      {"arg_max", ReduceOp::arg_max},  {"arg_min", ReduceOp::arg_min}};
  const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == node.op->name; });
  const bool arg = found->second == ReduceOp::arg_max || found->second == ReduceOp::arg_min;
  const int value = b.element(node.operands[0], map);
  const int index = arg ? b.index(place) : -1;
  b.store({id, 0}, result, b.cast(b.reduce(found->second, value, index), node.types[0].dtype));
  l.finish(b, id);
}

}  // namespace kernel

Schedule lower(const Program& program, bool stitch_enabled, const std::function<bool(ir::NodeId)>& in_library) {
  using namespace kernel;
  Schedule schedule;
  schedule.regions = stitch(program, stitch_enabled);
  Lowering l(program, schedule);
  const auto live = Rewriter::live(program);

  struct Rule {
    std::string_view prefix;
    void (*lower)(Lowering&, ir::NodeId);
  };
  static constexpr Rule rules[] = {{"concat", lower_concat},    {"reduce_", lower_reduction}, {"arg_", lower_reduction}, {"matmul", lower_matmul},
                                   {"conv", lower_convolution}, {"pool_", lower_pooling},     {"gather", lower_gather},  {"scatter", lower_scatter}};

  for (ir::NodeId id = 0; id < program.graph.size(); ++id) {
    const ir::Node& node = program.graph[id];
    const auto name = node.op->name;
    if (!live[static_cast<std::size_t>(id)] || schedule.regions.inlined[static_cast<std::size_t>(id)]) continue;
    if (name == "placeholder" || name == "variable" || name == "constant" || name == "run_index") continue;
    if (in_library(id)) {
      schedule.steps.push_back(Schedule::LibraryStep{id});
      continue;
    }
    if (name == "reshape" && !schedule.regions.inlined[static_cast<std::size_t>(node.operands[0].node)]) {
      schedule.aliases[{id, 0}] = node.operands[0];
      continue;
    }
    // "complex" and "conj" also begin like a convolution's name.
    const auto rule = node.op->kind == Kind::opaque || name == "concat"
                          ? std::find_if(std::begin(rules), std::end(rules), [&](const Rule& r) { return name.starts_with(r.prefix); })
                          : std::end(rules);
    if (rule != std::end(rules)) rule->lower(l, id);
    else if (node.op->kind == Kind::elementwise || node.op->kind == Kind::movement || node.op->kind == Kind::source) lower_elementwise(l, id);
    else throw InternalError(ir::describe(node) + " has no kernel");
  }
  return schedule;
}

}  // namespace weft
