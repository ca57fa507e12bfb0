#include "stitch/kernel.h"

#include <algorithm>
#include <functional>

namespace weft::kernel {
namespace {

void erase_loop(Kernel& kernel, int loop) {
  kernel.extents.erase(kernel.extents.begin() + loop);
  if (loop < kernel.parallel) --kernel.parallel;
  else if (loop < kernel.first_sequential()) --kernel.rows;
  if (loop < kernel.ended) --kernel.ended;
  for_each_affine(kernel, [&](Affine& a) { a.coefficients.erase(a.coefficients.begin() + loop); });
}

/// Whether every index map walks loops `outer` and `outer + 1` as one loop over their product.
bool can_join(Kernel& kernel, int outer) {
  const auto o = static_cast<std::size_t>(outer);
  bool joins = true;
  for_each_affine(kernel, [&](Affine& a) { joins = joins && a.coefficients[o] == a.coefficients[o + 1] * kernel.extents[o + 1]; });
  return joins;
}

/// Parallel, row or sequential.
int class_of(const Kernel& kernel, int loop) { return loop < kernel.parallel ? 0 : kernel.is_sequential(loop) ? 2 : 1; }

/// Parts and the loop that they are of can't be dropped or joined.
bool is_bound(const Kernel& kernel, int loop) { return kernel.ended >= 0 && (loop == 0 || loop == kernel.ended); }

}  // namespace

bool can_regroup(const Kernel& kernel) {
  return std::all_of(kernel.reductions.begin(), kernel.reductions.end(),
                     [](const auto& r) { return r.op != ReduceOp::linear && (r.op != ReduceOp::prod || is_integer(r.dtype)); });
}

bool is_inner(const Kernel& kernel, const Access& access) {
  auto moves = [&](const Affine& a) {
    for (int d = kernel.first_sequential(); d < kernel.loops(); ++d)
      if (a.coefficients[static_cast<std::size_t>(d)] != 0) return true;
    return false;
  };
  return moves(access.address) || std::any_of(access.terms.begin(), access.terms.end(), [&](const Term& t) { return moves(t.position); });
}

std::vector<int> passes_of(const Kernel& kernel) {
  std::vector<int> pass(kernel.exprs.size());
  for (std::size_t i = 0; i < pass.size(); ++i) {
    const Expr& e = kernel.exprs[i];
    auto after = [&](int operand) { pass[i] = std::max(pass[i], pass[static_cast<std::size_t>(operand)]); };
    for (int o : e.operands) after(o);
    for (const auto& t : e.access.terms)
      if (t.indirect >= 0) after(t.indirect);
    if (e.kind != ExprKind::reduced) continue;
    const Reduction& r = kernel.reductions[static_cast<std::size_t>(e.reduction)];
    after(r.value);
    if (r.index >= 0) after(r.index);
    ++pass[i];
  }
  return pass;
}

std::vector<bool> varying(const Kernel& kernel) {
  std::vector<bool> varies(kernel.exprs.size());
  for (std::size_t i = 0; i < varies.size(); ++i) {
    const Expr& e = kernel.exprs[i];
    bool v = false;
    if (e.kind == ExprKind::load || e.kind == ExprKind::inside) v = is_inner(kernel, e.access);
    if (e.kind == ExprKind::index)
      for (int d = kernel.first_sequential(); d < kernel.loops(); ++d) v = v || e.index.coefficients[static_cast<std::size_t>(d)] != 0;
    for (int o : e.operands) v = v || varies[static_cast<std::size_t>(o)];
    for (const auto& t : e.access.terms) v = v || (t.indirect >= 0 && varies[static_cast<std::size_t>(t.indirect)]);
    varies[i] = v;
  }
  return varies;
}

void normalise(Kernel& kernel) {
  for (int d = kernel.loops() - 1; d >= 0; --d)
    if (kernel.extents[static_cast<std::size_t>(d)] == 1 && !is_bound(kernel, d)) erase_loop(kernel, d);
  for (int d = kernel.loops() - 2; d >= 0; --d) {
    if (class_of(kernel, d) != class_of(kernel, d + 1) || is_bound(kernel, d) || is_bound(kernel, d + 1) || !can_join(kernel, d)) continue;
    kernel.extents[static_cast<std::size_t>(d)] *= kernel.extents[static_cast<std::size_t>(d) + 1];
    for_each_affine(kernel, [&](Affine& a) { a.coefficients[static_cast<std::size_t>(d)] = a.coefficients[static_cast<std::size_t>(d) + 1]; });
    erase_loop(kernel, d + 1);
  }

  auto contiguous = [&](int loop) {
    if (loop < 0) return false;
    for (const auto& e : kernel.exprs)
      // What a scan reads once for a row says nothing.
      if (e.kind == ExprKind::load && e.access.address.coefficients[static_cast<std::size_t>(loop)] == 1 &&
          !(kernel.scan && e.access.address.coefficients.back() == 0))
        return true;
    for (const auto& e : kernel.exprs)
      for (const auto& t : e.access.terms)
        if (e.kind == ExprKind::load && t.indirect < 0 && t.stride == 1 && t.divisor == 1 &&
            t.position.coefficients[static_cast<std::size_t>(loop)] == 1)
          return true;
    return false;
  };
  const int last_parallel = kernel.parallel - 1, last = kernel.loops() - 1;
  kernel.vector_loop = last_parallel;
  const bool has_sequential = last >= kernel.first_sequential() && !kernel.scatters;
  if (has_sequential && (kernel.rows > 0 || last_parallel < 0 || (contiguous(last) && !contiguous(last_parallel))))
    kernel.vector_loop = kernel.scan && !can_regroup(kernel) ? -1 : last;
}

namespace {

class Abstraction {
 public:
  explicit Abstraction(const Kernel& kernel) : kernel_(kernel) {}

  Structure run() {
    auto& s = structure_;
    text(kernel_.parallel), text(kernel_.rows), text(kernel_.vector_loop), text(kernel_.blocked), text(kernel_.scatters);
    text(kernel_.scan ? 1 + 2 * kernel_.scan->exclusive + 4 * kernel_.scan->reverse : 0);
    for (auto e : kernel_.extents) s.extents.push_back(runtime(e));
    text(kernel_.ended);
    s.end = kernel_.ended < 0 ? fixed(0) : runtime(kernel_.end);
    text(kernel_.loops());
    const Tiling& t = kernel_.tiling;
    text(t.rows), text(t.columns), text(t.depth), text(t.cut), text(t.one_section);
    s.total = t.total == 0 ? fixed(0) : runtime(t.total);
    // With every list its length, so that no two kernels have the same key.
    text(count(kernel_.exprs));
    for (const auto& e : kernel_.exprs) {
      text(static_cast<int>(e.kind)), text(static_cast<int>(e.dtype));
      s.key += e.op;
      text(count(e.operands));
      for (int o : e.operands) text(o);
      Structure::AccessForm access;
      Structure::Form index;
      if (e.kind == ExprKind::load || e.kind == ExprKind::inside) access = form(e.access);
      if (e.kind == ExprKind::index) index = form(e.index);
      // Numbers in the user's formulas are part of the code: they decide how it can be simplified.
      if (e.kind == ExprKind::constant) s.key.append(reinterpret_cast<const char*>(e.literal.data()), e.literal.size());
      if (e.kind == ExprKind::reduced) text(e.reduction);
      text(e.kept);
      s.exprs.push_back(std::move(access));
      s.indices.push_back(std::move(index));
    }
    text(count(kernel_.reductions)), text(count(kernel_.stores));
    for (const auto& r : kernel_.reductions)
      text(static_cast<int>(r.op)), text(r.value), text(r.index), text(static_cast<int>(r.dtype)), text(r.products), text(r.initial);
    for (const auto& store : kernel_.stores) {
      text(store.value), text(static_cast<int>(store.combine)), text(store.begins), text(store.streams);
      s.stores.push_back(form(store.access));
    }
    return std::move(structure_);
  }

 private:
  template <class T> static std::int64_t count(const std::vector<T>& list) { return static_cast<std::int64_t>(list.size()); }
  void text(std::int64_t n) { structure_.key += std::to_string(n) + ','; }

  Number fixed(std::int64_t n) {
    text(n);
    return {Number::Kind::fixed, n};
  }
  Number runtime(std::int64_t n) {
    structure_.key += 'p';
    structure_.parameters.push_back(n);
    return {Number::Kind::runtime, static_cast<std::int64_t>(structure_.parameters.size()) - 1};
  }

  Structure::Form form(const Affine& a) {
    Structure::Form f;
    for (std::size_t d = 0; d < a.coefficients.size(); ++d) {
      const auto c = a.coefficients[d];
      const int loop = static_cast<int>(d);
      const bool in_tile = kernel_.tiling.rows > 0 && !kernel_.is_sequential(loop) && loop + 2 >= kernel_.parallel;
      const bool shapes = c == 0 || (c == 1 && (loop == kernel_.vector_loop || in_tile));
      f.coefficients.push_back(shapes ? fixed(c) : runtime(c));
    }
    f.constant = a.constant == 0 ? fixed(0) : runtime(a.constant);
    return f;
  }

  Structure::AccessForm form(const Access& access) {
    text(access.buffer), text(static_cast<int>(access.dtype));
    Structure::AccessForm f{form(access.address), {}};
    text(count(access.terms));
    for (const auto& t : access.terms) {
      text(t.indirect), text(t.divisor), text(t.checked);
      Structure::TermForm term{form(t.position), t.divisor, runtime(t.extent), t.stride <= 1 ? fixed(t.stride) : runtime(t.stride)};
      f.terms.push_back(std::move(term));
    }
    return f;
  }

  const Kernel& kernel_;
  Structure structure_;
};

std::string text_of(const Affine& a) {
  std::string s;
  for (std::size_t d = 0; d < a.coefficients.size(); ++d) {
    const auto c = a.coefficients[d];
    if (c == 0) continue;
    if (!s.empty()) s += " + ";
    s += (c == 1 ? "" : std::to_string(c) + "*") + "i" + std::to_string(d);
  }
  if (a.constant != 0 || s.empty()) s += (s.empty() ? "" : " + ") + std::to_string(a.constant);
  return s;
}

std::string text_of(const Access& access) {
  std::string s = "b" + std::to_string(access.buffer) + "[" + text_of(access.address);
  for (const auto& t : access.terms) {
    s += " + " + std::to_string(t.stride) + "*{" + (t.indirect >= 0 ? "e" + std::to_string(t.indirect) : text_of(t.position));
    if (t.divisor != 1) s += " / " + std::to_string(t.divisor);
    s += std::string(t.checked ? " must be" : " if") + " below " + std::to_string(t.extent) + "}";
  }
  return s + "]";
}

}  // namespace

Structure structure_of(const Kernel& kernel) { return Abstraction(kernel).run(); }

std::string print(const Kernel& kernel, const std::function<TensorType(ir::Value)>& type_of) {
  std::string s = "kernel " + kernel.name + "\n  loops";
  for (int d = 0; d < kernel.loops(); ++d)
    s += " i" + std::to_string(d) + "<" + std::to_string(kernel.extents[static_cast<std::size_t>(d)]) +
         (d < kernel.parallel       ? ""
          : kernel.is_sequential(d) ? " sequential"
                                    : " row") +
         (d == kernel.vector_loop ? " vector" : "");
  if (const Tiling& t = kernel.tiling; t.rows > 0)
    s += " tiles of " + std::to_string(t.rows) + "x" + std::to_string(t.columns) +
         (t.depth > 0 ? ", " + std::to_string(t.depth) + " iterations a pass" : "") +
         (t.total > 0 ? ", parts of " + std::to_string(t.total) + " iterations" : "");
  if (kernel.scan) s += std::string(" scan") + (kernel.scan->exclusive ? " exclusive" : "") + (kernel.scan->reverse ? " reverse" : "");
  s += "\n";
  for (std::size_t b = 0; b < kernel.buffers.size(); ++b) {
    const auto v = kernel.buffers[b].value;
    s += "  b" + std::to_string(b) + (kernel.buffers[b].written ? " out " : " in ") +
         (v.node < 0 ? "temporary " + std::to_string(-1 - v.node) : "%" + std::to_string(v.node)) + " " + type_of(v).str() + "\n";
  }
  for (std::size_t i = 0; i < kernel.exprs.size(); ++i) {
    const auto& e = kernel.exprs[i];
    s += "  e" + std::to_string(i) + " : " + std::string(name_of(e.dtype)) + " = ";
    switch (e.kind) {
      case ExprKind::load: s += text_of(e.access); break;
      case ExprKind::constant: {
        NDArray value(e.dtype, {});
        value.write_bytes({e.literal.data(), size_of(e.dtype)});
        s += std::to_string(value.item());
        break;
      }
      case ExprKind::index: s += text_of(e.index); break;
      case ExprKind::inside: s += "inside " + text_of(e.access); break;
      case ExprKind::reduced: s += "r" + std::to_string(e.reduction); break;
      case ExprKind::op:
        s += e.op;
        for (int o : e.operands) s += " e" + std::to_string(o);
        break;
    }
    s += e.kept ? " kept\n" : "\n";
  }
  constexpr const char* reduce_names[] = {"sum", "prod", "max", "min", "fmax", "fmin", "all", "any", "arg_max", "arg_min", "linear"};
  for (std::size_t r = 0; r < kernel.reductions.size(); ++r)
    s += "  r" + std::to_string(r) + " = " + reduce_names[static_cast<int>(kernel.reductions[r].op)] + " e" +
         std::to_string(kernel.reductions[r].value) + (kernel.reductions[r].index < 0 ? "" : " e" + std::to_string(kernel.reductions[r].index)) +
         (kernel.reductions[r].initial < 0 ? "" : " from e" + std::to_string(kernel.reductions[r].initial)) +
         (kernel.reductions[r].crosses ? " across the parallel loops\n" : "\n");
  constexpr const char* combine_names[] = {"=", "+=", "-=", "*=", "/=", "min=", "max="};
  for (const auto& store : kernel.stores)
    s += "  " + text_of(store.access) + " " + combine_names[static_cast<int>(store.combine)] + " e" + std::to_string(store.value) +
         (store.streams ? " past the caches\n" : "\n");
  return s;
}

}  // namespace weft::kernel
