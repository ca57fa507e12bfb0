#include "stitch/split.h"

#include "stitch/builder.h"

#include <algorithm>
#include <limits>

namespace weft::kernel {

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

namespace {

/// Reductions of at least this many elements to few results are split, so that all cores take part. The split depends on
/// the sizes alone, never on the number of threads: the same sizes always give the same bits.
constexpr std::int64_t split_from = 4096, elements_per_part = 2048, most_parts = 64, results_without_split = 512;

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

/// Where a kernel is cut: a sequential loop becomes `parts` parts of `part` iterations, the last may be shorter.
struct Cut {
  std::size_t loop;
  std::int64_t length, part, parts;

  Cut(const Kernel& k, std::size_t loop, std::int64_t part) : loop(loop), length(k.extents[loop]), part(part), parts((length + part - 1) / part) {}
  bool is_even() const { return parts * part == length; }
};

/// The longest sequential loop, cut.
Cut best_cut(const Kernel& k) {
  const auto first = k.extents.begin() + k.parallel;
  const auto longest = std::max_element(first, k.extents.end());
  std::int64_t reduced = 1;
  for (auto e = first; e != k.extents.end(); ++e) reduced *= *e;
  const auto wanted = std::clamp<std::int64_t>(std::min(reduced / elements_per_part, *longest), 2, most_parts);
  return {k, static_cast<std::size_t>(longest - k.extents.begin()), (*longest + wanted - 1) / wanted};
}

int append(Kernel& k, Expr e) {
  k.exprs.push_back(std::move(e));
  return static_cast<int>(k.exprs.size()) - 1;
}

/// Has the iterations past the end of the last part read nothing and change nothing.
void guard_end(Kernel& k, const Cut& cut) {
  Term end;
  end.position = without_loops(k);
  end.position.coefficients[0] = cut.part;
  end.position.coefficients[cut.loop + 1] = 1;
  end.extent = cut.length;
  for (auto& e : k.exprs)
    if (e.kind == ExprKind::load) e.access.terms.push_back(end);
  Expr inside;
  inside.kind = ExprKind::inside;
  inside.dtype = boolean;
  inside.access.address = without_loops(k);
  inside.access.terms = {end};
  const int is_inside = append(k, std::move(inside));
  for (auto& r : k.reductions) {
    Expr neutral;
    neutral.dtype = r.dtype;
    NDArray scalar(r.dtype, {});
    const double value = identity(r.op);
    scalar.import_from(&value, f64);
    std::copy(scalar.data(), scalar.data() + size_of(r.dtype), neutral.literal.begin());
    Expr select;
    select.kind = ExprKind::op;
    select.op = "select";
    select.dtype = r.dtype;
    select.operands = {is_inside, r.value, append(k, std::move(neutral))};
    r.value = append(k, std::move(select));
  }
}

/// The kernel over parts: one more parallel loop, outermost. Its stores are still to come.
Kernel over_parts(const Kernel& whole, const Cut& cut) {
  Kernel k = whole;
  k.name += "_parts";
  k.extents[cut.loop] = cut.part;
  k.extents.insert(k.extents.begin(), cut.parts);
  ++k.parallel;
  for_each_affine(k, [&](Affine& a) { a.coefficients.insert(a.coefficients.begin(), a.coefficients[cut.loop] * cut.part); });
  k.stores.clear();
  return k;
}

/// The kernel that reduces the parts' results: one sequential loop. What it reduces is still to come.
Kernel of_parts(const Kernel& whole, const Cut& cut) {
  Kernel k = whole;
  k.extents.resize(static_cast<std::size_t>(whole.parallel));
  k.extents.push_back(cut.parts);
  for_each_affine(k, [&](Affine& a) {
    a.coefficients.resize(k.extents.size());
    a.coefficients.back() = 0;
  });
  return k;
}

/// An access to a dense array [parts, results...], the parts along loop `part`, the results along loops from `first` on.
Access access_to_parts(Kernel& k, ir::Value value, const TensorType& type, bool written, std::size_t part, std::size_t first) {
  const auto strides = dense_strides(type.shape);
  Access access;
  access.buffer = static_cast<int>(k.buffers.size());
  access.dtype = type.dtype;
  access.address = without_loops(k);
  access.address.coefficients[part] = strides[0];
  for (std::size_t d = 1; d < strides.size(); ++d) access.address.coefficients[first + d - 1] = strides[d];
  k.buffers.push_back({value, written});
  return access;
}

/// The kernels over parts and of parts.
std::pair<Kernel, Kernel> cut_in_two(const Kernel& whole, const Cut& cut, const std::function<ir::Value(TensorType)>& temporary) {
  Kernel partial = over_parts(whole, cut), total = of_parts(whole, cut);
  std::vector<std::int64_t> sizes{cut.parts};
  sizes.insert(sizes.end(), whole.extents.begin(), whole.extents.begin() + whole.parallel);
  for (int e = 0; e < static_cast<int>(whole.exprs.size()); ++e) {
    const Expr& result = whole.exprs[static_cast<std::size_t>(e)];
    if (result.kind != ExprKind::reduced) continue;
    const TensorType type{result.dtype, Shape(sizes)};
    const ir::Value value = temporary(type);
    partial.stores.push_back({access_to_parts(partial, value, type, true, 0, 1), e});
    Expr load;
    load.kind = ExprKind::load;
    load.dtype = type.dtype;
    load.access = access_to_parts(total, value, type, false, static_cast<std::size_t>(whole.parallel), 0);
    auto& reduction = total.reductions[static_cast<std::size_t>(result.reduction)];
    reduction.value = append(total, std::move(load));
    reduction.dtype = type.dtype;
    reduction.products = false;
  }
  compact(partial);
  compact(total);
  return {std::move(partial), std::move(total)};
}

}  // namespace

std::vector<Kernel> split(Kernel whole, const std::function<ir::Value(TensorType)>& temporary) {
  std::vector<Kernel> kernels;
  if (!splits(whole)) {
    kernels.push_back(std::move(whole));
    return kernels;
  }
  const Cut cut = best_cut(whole);
  auto [partial, total] = cut_in_two(whole, cut, temporary);
  if (!cut.is_even()) guard_end(partial, cut);
  for (Kernel* k : {&partial, &total}) {
    normalise(*k);
    kernels.push_back(std::move(*k));
  }
  return kernels;
}

std::pair<Kernel, Kernel> split_loop(const Kernel& whole, int loop, std::int64_t part, const std::function<ir::Value(TensorType)>& temporary) {
  return cut_in_two(whole, Cut(whole, static_cast<std::size_t>(loop), part), temporary);
}

}  // namespace weft::kernel
