#include "stitch/split.h"

#include "stitch/builder.h"

#include <algorithm>

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
    if (e.kind != ExprKind::reduced) continue;
    const Reduction& r = kernel.reductions[static_cast<std::size_t>(e.reduction)];
    need(r.value), need(r.index), need(r.initial);
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
  std::vector<int> reduction_place(kernel.reductions.size(), -1);
  std::vector<Reduction> reductions;
  for (auto& e : exprs) {
    if (e.kind != ExprKind::reduced) continue;
    auto& p = reduction_place[static_cast<std::size_t>(e.reduction)];
    if (p < 0) p = static_cast<int>(reductions.size()), reductions.push_back(kernel.reductions[static_cast<std::size_t>(e.reduction)]);
    e.reduction = p;
  }
  kernel.reductions = std::move(reductions);
  for (auto& r : kernel.reductions) moved(r.value), moved(r.index), moved(r.initial);
  for (auto& s : kernel.stores) {
    moved(s.value);
    for (auto& t : s.access.terms) moved(t.indirect);
    keep_buffer(s.access.buffer);
  }
  kernel.exprs = std::move(exprs);
  kernel.buffers = std::move(buffers);
}

namespace {

Affine without_loops(const Kernel& kernel) { return {std::vector<std::int64_t>(kernel.extents.size(), 0), 0}; }

bool adds_up(ReduceOp op) { return op == ReduceOp::sum || op == ReduceOp::prod || op == ReduceOp::max || op == ReduceOp::min; }

std::int64_t extent_of(const Kernel& k, int first, int last) {
  std::int64_t n = 1;
  for (int d = first; d < last; ++d) n *= k.extents[static_cast<std::size_t>(d)];
  return n;
}

/// Everything happens in one walk of the sequential loops.
bool is_single_pass(const Kernel& k) {
  const auto pass = passes_of(k);
  auto first = [&](int e) { return pass[static_cast<std::size_t>(e)] == 0; };
  return std::all_of(k.reductions.begin(), k.reductions.end(), [&](const auto& r) { return first(r.value) && (r.index < 0 || first(r.index)); }) &&
         std::all_of(k.stores.begin(), k.stores.end(), [&](const auto& s) { return !is_inner(k, s.access) || first(s.value); });
}

const Cutting& cutting_of(const Kernel& k, const Target& target) { return k.is_sequential(k.vector_loop) ? target.rows : target.columns; }

/// Whether a kernel's reductions can be computed in parts of their own loops, and should be.
bool splits(const Kernel& k, const Target& target) {
  if (k.reductions.empty() || k.scatters || k.scan || !is_single_pass(k)) return false;
  const std::int64_t results = extent_of(k, 0, k.parallel), reduced = extent_of(k, k.parallel, k.loops());
  const Cutting& cutting = cutting_of(k, target);
  if (results == 0 || results >= cutting.results) return false;
  const std::int64_t elements = results * reduced;
  const bool is_long = reduced >= cutting.long_reduced && elements >= cutting.long_elements;
  if (!is_long && (reduced < cutting.reduced || elements < cutting.elements)) return false;
  return std::all_of(k.reductions.begin(), k.reductions.end(),
                     [](const auto& r) { return adds_up(r.op) || r.op == ReduceOp::all || r.op == ReduceOp::any; });
}

/// Where a kernel is cut: a sequential loop becomes `parts` parts of `part` iterations, the last may be shorter.
struct Cut {
  std::size_t loop;
  std::int64_t length, part, parts;

  Cut(const Kernel& k, std::size_t loop, std::int64_t part) : loop(loop), length(k.extents[loop]), part(part), parts((length + part - 1) / part) {}
};

/// The longest sequential loop, cut.
Cut best_cut(const Kernel& k, const Target& target) {
  const auto first = k.extents.begin() + k.parallel;
  const auto longest = std::max_element(first, k.extents.end());
  std::int64_t reduced = 1;
  for (auto e = first; e != k.extents.end(); ++e) reduced *= *e;
  const Cutting& cutting = cutting_of(k, target);
  const std::int64_t most = std::min(cutting.most_parts, cutting.most_results / extent_of(k, 0, k.parallel));
  const auto wanted = std::clamp<std::int64_t>(std::min(reduced / cutting.part_elements, *longest), 2, std::max<std::int64_t>(most, 2));
  const std::int64_t part = (*longest + wanted - 1) / wanted, whole = target.part_multiple;
  return {k, static_cast<std::size_t>(longest - k.extents.begin()), (part + whole - 1) / whole * whole};
}

int append(Kernel& k, Expr e) {
  k.exprs.push_back(std::move(e));
  return static_cast<int>(k.exprs.size()) - 1;
}

/// The kernel over parts: one more parallel loop, outermost. The stores of the parts' results are still to come.
Kernel over_parts(const Kernel& whole, const Cut& cut) {
  Kernel k = whole;
  std::erase_if(k.stores, [&](const Store& s) { return !is_inner(whole, s.access); });
  k.name += "_parts";
  k.extents[cut.loop] = cut.part;
  k.extents.insert(k.extents.begin(), cut.parts);
  ++k.parallel;
  for_each_affine(k, [&](Affine& a) { a.coefficients.insert(a.coefficients.begin(), a.coefficients[cut.loop] * cut.part); });
  return k;
}

/// The kernel that reduces the parts' results: one sequential loop. What it reduces is still to come.
Kernel of_parts(const Kernel& whole, const Cut& cut) {
  Kernel k = whole;
  std::erase_if(k.stores, [&](const Store& s) { return is_inner(whole, s.access); });
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

/// Column sums of at least this many elements, over at least this many rows of a length within these bounds, are better added row
/// by row to sums in memory, which stay in a cache, than column by column, which would read memory in small pieces.
constexpr std::int64_t add_rows_from = 4096, least_added_rows = 8, shortest_added_row = 32, longest_added_row = 65536;

/// Whether the kernel's reductions are sums over columns that are better added row by row.
bool adds_rows(const Kernel& k) {
  if (k.reductions.empty() || k.scatters || k.parallel == 0 || k.vector_loop != k.parallel - 1 || !is_single_pass(k)) return false;
  const std::int64_t length = extent_of(k, 0, k.parallel), count = extent_of(k, k.parallel, k.loops());
  if (k.extents[static_cast<std::size_t>(k.vector_loop)] < shortest_added_row || length > longest_added_row) return false;
  if (count < least_added_rows || length * count < add_rows_from) return false;
  return std::all_of(k.reductions.begin(), k.reductions.end(), [](const auto& r) { return adds_up(r.op); });
}

/// The kernel with its sequential loops parallel and its parallel ones sequential.
Kernel turned(Kernel k) {
  const auto p = static_cast<std::ptrdiff_t>(k.parallel);
  std::rotate(k.extents.begin(), k.extents.begin() + p, k.extents.end());
  for_each_affine(k, [&](Affine& a) { std::rotate(a.coefficients.begin(), a.coefficients.begin() + p, a.coefficients.end()); });
  k.parallel = static_cast<int>(k.extents.size()) - k.parallel;
  for (auto& r : k.reductions) r.crosses = true;
  return k;
}

/// Rows added to one sum in f32, so that rounding stays within a few units; more of them, where there must be, in f64.
constexpr std::int64_t rows_in_f32 = 64;

/// Rows of a part, at least, where there are more parts than the target's most.
constexpr std::int64_t least_part_rows = 4;

/// Parts of the rows, at most: of short ones more, as each is soon over and few threads work on it.
std::int64_t most_row_parts(const Target& target, std::int64_t rows, std::int64_t width) {
  const std::int64_t of_short = std::min(target.row_part_results / std::max<std::int64_t>(width, 1), rows / least_part_rows);
  return std::max(target.most_row_parts, std::min(of_short, 8 * target.most_row_parts));
}

/// A kernel that reduces over its parallel loops as two: one takes blocks of rows, with sums in memory for each; the other adds
/// the blocks'.
std::vector<Kernel> split_rows(const Kernel& whole, const Target& target, const std::function<ir::Value(TensorType)>& temporary) {
  const auto begin = whole.extents.begin();
  const auto longest = static_cast<std::size_t>(std::max_element(begin, begin + whole.parallel) - begin);
  const std::int64_t length = whole.extents[longest], all_rows = extent_of(whole, 0, whole.parallel);
  const std::int64_t width = extent_of(whole, whole.parallel, whole.loops());
  std::int64_t block = 1, parts = 0;
  if (all_rows != 0) {
    const auto wanted =
        std::clamp<std::int64_t>(std::min(all_rows * width / target.row_part_elements, length), 1, most_row_parts(target, all_rows, width));
    block = std::min((length + wanted - 1) / wanted, std::max<std::int64_t>(rows_in_f32 / (all_rows / length), 1));
    parts = (length + block - 1) / block;
  }

  Kernel rows = whole;
  rows.name += "_rows";
  rows.parallel = 1;
  rows.rows = whole.parallel;
  rows.ended = 1;
  rows.end = length;
  auto blocked = [&](std::vector<std::int64_t> list, std::int64_t part, std::int64_t row) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(longest));
    list.insert(list.begin(), {part, row});
    return list;
  };
  rows.extents = blocked(whole.extents, parts, block);
  for_each_affine(rows, [&](Affine& a) { a.coefficients = blocked(a.coefficients, a.coefficients[longest] * block, a.coefficients[longest]); });

  // Along the sequential loops of the whole; its parallel ones are gone, the blocks come last.
  Kernel total = whole;
  total.name += "_total";
  auto columns = [&](std::vector<std::int64_t> list, std::int64_t part) {
    list.erase(list.begin(), list.begin() + whole.parallel);
    list.push_back(part);
    return list;
  };
  total.extents = columns(whole.extents, parts);
  total.parallel = static_cast<int>(total.extents.size()) - 1;
  for_each_affine(total, [&](Affine& a) { a.coefficients = columns(a.coefficients, 0); });

  // Stores of columns belong to the total, all others to the rows.
  auto moves_with_rows = [&](const Affine& a) {
    return std::any_of(a.coefficients.begin(), a.coefficients.begin() + whole.parallel, [](auto c) { return c != 0; });
  };
  std::vector<Store> of_rows, of_columns;
  for (std::size_t i = 0; i < whole.stores.size(); ++i) {
    const Access& access = whole.stores[i].access;
    const bool is_row = moves_with_rows(access.address) ||
                        std::any_of(access.terms.begin(), access.terms.end(), [&](const Term& t) { return moves_with_rows(t.position); });
    (is_row ? of_rows : of_columns).push_back((is_row ? rows : total).stores[i]);
  }
  rows.stores = std::move(of_rows);
  total.stores = std::move(of_columns);

  std::vector<std::int64_t> sizes{parts};
  sizes.insert(sizes.end(), whole.extents.begin() + whole.parallel, whole.extents.end());
  const auto first_column = static_cast<std::size_t>(1 + rows.rows);
  for (int e = 0; e < static_cast<int>(whole.exprs.size()); ++e) {
    const Expr& result = whole.exprs[static_cast<std::size_t>(e)];
    if (result.kind != ExprKind::reduced || !whole.reductions[static_cast<std::size_t>(result.reduction)].crosses) continue;
    const Reduction& r = whole.reductions[static_cast<std::size_t>(result.reduction)];
    DType dtype = result.dtype;
    if (dtype == f64 && r.dtype != f64 && block * (all_rows / std::max<std::int64_t>(length, 1)) <= rows_in_f32) dtype = f32;
    if (is_floating(dtype) && size_of(dtype) < size_of(f32)) dtype = f32;
    const TensorType type{dtype, Shape(sizes)};
    const ir::Value value = temporary(type);
    int part = r.value;
    if (r.dtype != dtype) {
      Expr cast;
      cast.kind = ExprKind::op;
      cast.op = "cast";
      cast.dtype = dtype;
      cast.operands = {r.value};
      part = append(rows, std::move(cast));
    }
    static constexpr Combine combines[] = {Combine::add, Combine::mul, Combine::max, Combine::min};
    rows.stores.push_back({access_to_parts(rows, value, type, true, 0, first_column), part, combines[static_cast<int>(r.op)], true});
    Expr load;
    load.kind = ExprKind::load;
    load.dtype = dtype;
    load.access = access_to_parts(total, value, type, false, static_cast<std::size_t>(total.parallel), 0);
    auto& reduction = total.reductions[static_cast<std::size_t>(result.reduction)];
    reduction.value = append(total, std::move(load));
    reduction.dtype = dtype;
    reduction.crosses = false;
    reduction.products = false;
  }
  std::vector<Kernel> kernels;
  for (Kernel* k : {&rows, &total}) {
    compact(*k);
    normalise(*k);
    kernels.push_back(std::move(*k));
  }
  return kernels;
}

}  // namespace

std::vector<Kernel> split(Kernel whole, const Target& target, const std::function<ir::Value(TensorType)>& temporary) {
  if (std::any_of(whole.reductions.begin(), whole.reductions.end(), [](const auto& r) { return r.crosses; }))
    return split_rows(whole, target, temporary);
  if (target.adds_rows && adds_rows(whole)) return split_rows(turned(std::move(whole)), target, temporary);
  std::vector<Kernel> kernels;
  if (!splits(whole, target)) {
    kernels.push_back(std::move(whole));
    return kernels;
  }
  const Cut cut = best_cut(whole, target);
  auto [partial, total] = cut_in_two(whole, cut, temporary);
  partial.ended = static_cast<int>(cut.loop) + 1;
  partial.end = cut.length;
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
