#include "backend/cuda/emit_kernel.h"

#include <algorithm>

namespace weft::cuda {

using namespace kernel;

namespace {

/// Whether results show all bits of an expression even where it isn't a number: it is written as it is, or read as something else.
std::vector<bool> showing_bits(const Kernel& k) {
  static constexpr std::string_view keeping[] = {"cast", "bitcast", "select", "neg", "abs", "min", "max", "fmin", "fmax", "relu"};
  std::vector<bool> shows(k.exprs.size());
  for (const auto& s : k.stores)
    if (s.combine == Combine::set) shows[static_cast<std::size_t>(s.value)] = true;
  for (std::size_t e = shows.size(); e-- > 0;) {
    const Expr& expr = k.exprs[e];
    if (expr.op != "bitcast" && (!shows[e] || std::ranges::find(keeping, expr.op) == std::end(keeping))) continue;
    for (int o : expr.operands) shows[static_cast<std::size_t>(o)] = true;
  }
  return shows;
}

}  // namespace

KernelCode::KernelCode(const Kernel& k, Mapping m, bool wide, std::string block_name)
    : kernel(k),
      mapping(std::move(m)),
      block(std::move(block_name)),
      arguments(k, wide),
      passes_(passes_of(k)),
      varies_(varying(k)),
      moves_(moving(k, k.vector_loop)),
      shows_bits_(showing_bits(k)),
      results_(k.reductions.size()) {}

int KernelCode::last_pass() const { return passes_.empty() ? 0 : *std::max_element(passes_.begin(), passes_.end()); }

// Indices ---------------------------------------------------------------------------------------------------------------

std::string KernelCode::extent(int loop) { return arguments.number("n" + std::to_string(loop), kernel.extents[at(loop)]); }

void KernelCode::indices(int first, int last, const std::string& iteration) {
  const std::string type = "const " + std::string(arguments.index_type()) + " ";
  std::string rest = iteration;
  for (int d = last - 1; d >= first; --d) {
    const std::string number = std::to_string(d), next = "rest" + number;
    if (d == first) {
      code.line(type + "i" + number + " = " + rest + ";");
      return;
    }
    code.line(type + next + " = " + arguments.quotient(rest, "n" + number, kernel.extents[at(d)]) + ";");
    code.line(type + "i" + number + " = " + rest + " - " + next + " * " + extent(d) + ";");
    rest = next;
  }
}

Text KernelCode::affine(const Form& form) const {
  Text sum{"0"};
  bool is_empty = true;
  auto add = [&](Text t) {
    sum = is_empty ? std::move(t) : binary("+", Text::sum, sum, t);
    is_empty = false;
  };
  for (std::size_t d = 0; d < form.coefficients.size(); ++d) {
    if (form.coefficients[d].empty()) continue;
    Text index{"i" + std::to_string(d)};
    if (in_lane_loop_ && static_cast<int>(d) == kernel.vector_loop) index = {index.text + " + k", Text::sum};
    add(form.coefficients[d] == "1" ? index : binary("*", Text::product, index, {form.coefficients[d]}));
  }
  if (!form.constant.empty()) add({form.constant});
  return sum;
}

KernelCode::Place KernelCode::place(const Access& access, const std::string& name, int first_check) {
  Place p{affine(arguments.form(access.address)), {}};
  const bool is_plain_zero = p.address.text == "0";
  bool is_empty = is_plain_zero;
  for (std::size_t k = 0; k < access.terms.size(); ++k) {
    const Term& term = access.terms[k];
    auto [found, is_new] = terms_.try_emplace({term.extent, term.stride});
    if (is_new) found->second = std::to_string(terms_.size() - 1);
    const std::string extent = arguments.number("t" + found->second, term.extent);
    const std::string index = "at_" + name + "_" + std::to_string(k);
    const std::string type(term.indirect >= 0 ? "i64" : arguments.index_type());
    std::string condition;
    if (term.indirect >= 0) {
      code.line("const i64 " + index + " = " + cast(value(term.indirect), kernel.exprs[at(term.indirect)].dtype, i64).text + ";");
    } else {
      const Text position = affine(arguments.form(term.position));
      if (term.divisor == 1) {
        code.line("const " + type + " " + index + " = " + position.text + ";");
      } else {
        const std::string divisor = std::to_string(term.divisor);
        code.line("const " + type + " whole_" + name + "_" + std::to_string(k) + " = " + position.text + ", " + index + " = whole_" + name + "_" +
                  std::to_string(k) + " / " + divisor + ";");
        condition = "whole_" + name + "_" + std::to_string(k) + " >= 0 && " + index + " * " + divisor + " == whole_" + name + "_" +
                    std::to_string(k) + " && ";
      }
    }
    condition += "within(" + index + ", " + extent + ")";
    if (term.checked) code.line("if (!(" + condition + ")) report(a.fault, " + std::to_string(first_check++) + ", " + index + ");");
    p.condition += (p.condition.empty() ? "" : " && ") + condition;
    if (term.stride == 0) continue;
    Text offset{term.indirect >= 0 && !arguments.wide() ? "int(" + index + ")" : index};
    if (term.stride != 1) offset = binary("*", Text::product, offset, {arguments.number("u" + found->second, term.stride)});
    p.address = is_empty ? offset : binary("+", Text::sum, p.address, offset);
    is_empty = false;
  }
  return p;
}

int KernelCode::first_check(int expr) const {
  int n = 0;
  for (int e = 0; e < expr; ++e)
    for (const auto& t : kernel.exprs[at(e)].access.terms) n += t.checked;
  return n;
}

int KernelCode::first_check_of_store(std::size_t store) const {
  int n = first_check(static_cast<int>(kernel.exprs.size()));
  for (std::size_t s = 0; s < store; ++s)
    for (const auto& t : kernel.stores[s].access.terms) n += t.checked;
  return n;
}

// Expressions -----------------------------------------------------------------------------------------------------------

std::string KernelCode::name_of(int expr) const {
  const Expr& e = kernel.exprs[at(expr)];
  std::string name;
  switch (e.kind) {
    case ExprKind::load: name = arguments.buffer(e.access.buffer); break;
    case ExprKind::inside: name = "inside"; break;
    case ExprKind::index: name = "index"; break;
    default: name = e.op;
  }
  return name + "_" + std::to_string(expr);
}

Text KernelCode::value(int expr) const {
  const Expr& e = kernel.exprs[at(expr)];
  if (e.kind == ExprKind::constant) return literal(e.literal.data(), e.dtype);
  if (e.kind == ExprKind::reduced) return results_[at(e.reduction)];
  if (const auto kept = kept_.find(expr); kept != kept_.end() && pass >= passes_[at(expr)]) return kept->second;
  return known_.at(expr);
}

std::string KernelCode::element(int load) {
  const Access& access = kernel.exprs[at(load)].access;
  return "a." + arguments.buffer(access.buffer) + "[" + place(access, std::to_string(load), first_check(load)).address.text + "]";
}

Text KernelCode::computed(int load, Text element) const {
  const DType dtype = kernel.exprs[at(load)].access.dtype;
  if (dtype == f16 && shows_bits_[at(load)]) return call("widened", element);
  return dtype == f16 || dtype == bf16 ? call("float", element) : element;
}

void KernelCode::know(int load, std::string element) { known_[load] = computed(load, Text{std::move(element)}); }

std::string KernelCode::pointer(int load) {
  const Access& access = kernel.exprs[at(load)].access;
  return "a." + arguments.buffer(access.buffer) + " + " + place(access, std::to_string(load), first_check(load)).address.within(Text::sum);
}

std::string KernelCode::pack_type(DType dtype) const {
  return "Pack<" + std::string(memory_type(dtype)) + ", " + std::to_string(mapping.width) + ">";
}

Text KernelCode::load(int expr) {
  const Access& access = kernel.exprs[at(expr)].access;
  const Place p = place(access, std::to_string(expr), first_check(expr));
  const Text element = computed(expr, {"a." + arguments.buffer(access.buffer) + "[" + p.address.text + "]"});
  if (p.condition.empty()) return element;
  return {"(" + p.condition + ") ? " + element.text + " : " + std::string(computed_type(access.dtype)) + (access.dtype == c64 ? "{}" : "(0)"),
          Text::conditional};
}

void KernelCode::load_pack(int expr) {
  const Access& access = kernel.exprs[at(expr)].access;
  const bool kept = mapping.kept[at(expr)];
  const std::string name = name_of(expr), type = pack_type(access.dtype);
  const Place p = fetched_.contains(expr) ? Place() : place(access, std::to_string(expr), first_check(expr));
  std::string text = fetched_.contains(expr) ? fetched_.at(expr)
                                             : "load<" + std::to_string(mapping.width) + ">(a." + arguments.buffer(access.buffer) + " + " +
                                                   p.address.within(Text::sum) + (mapping.has_rest ? ", count)" : ")");
  if (!p.condition.empty()) text = p.condition + " ? " + text + " : " + type + "{}";
  code.line((kept ? name + "[v]" : "const " + type + " " + name) + " = " + text + ";");
  const std::string element = name + (kept ? "[v][k]" : "[k]");
  (kept ? kept_ : known_)[expr] = computed(expr, {element});
}

Text KernelCode::expression(int expr) {
  const Expr& e = kernel.exprs[at(expr)];
  switch (e.kind) {
    case ExprKind::load: return load(expr);
    case ExprKind::index: return call("i64", affine(arguments.form(e.index)));
    case ExprKind::inside: {
      const Place p = place(e.access, std::to_string(expr), first_check(expr));
      return {p.condition.empty() ? "true" : p.condition, p.condition.empty() ? Text::primary : Text::logical_and};
    }
    case ExprKind::op: {
      std::vector<Text> operands;
      std::vector<DType> types;
      for (int o : e.operands) operands.push_back(value(o)), types.push_back(kernel.exprs[at(o)].dtype);
      if (const auto divisor = e.op == "div" ? reciprocals_.find(e.operands[1]) : reciprocals_.end(); divisor != reciprocals_.end())
        return call("quotient_by", operands[0], operands[1], Text{divisor->second});
      return operation(e.op, operands, types, e.dtype);
    }
    default: return value(expr);
  }
}

bool KernelCode::is_short(int expr, const Text& text) const {
  const Expr& e = kernel.exprs[at(expr)];
  constexpr std::size_t longest = 60;
  return (e.kind == ExprKind::op || e.kind == ExprKind::index) && text.text.size() <= longest;
}

void KernelCode::define(int expr, bool in_array) {
  const Text text = expression(expr);
  const std::string name = name_of(expr), type(computed_type(kernel.exprs[at(expr)].dtype));
  if (mapping.kept[at(expr)]) {
    const std::string element = name + (in_lanes(expr) ? "[v][k]" : "[v]");
    code.line(element + " = " + text.text + ";");
    kept_[expr] = {element};
  } else if (in_array) {
    code.line(name + "[k] = " + text.text + ";");
    known_[expr] = {name + "[k]"};
  } else if (!variable_[at(expr)] && is_short(expr, text)) {
    known_[expr] = text;
  } else {
    code.line("const " + type + " " + name + " = " + text.text + ";");
    known_[expr] = {name};
  }
}

void KernelCode::for_lanes(bool several, const std::function<void()>& body) {
  if (!several) return body();
  code.line("#pragma unroll");
  const std::string width = std::to_string(mapping.width);
  in_lane_loop_ = true;
  scope("for (int k = 0; k < " + width + "; ++k)", [&] {
    if (mapping.has_rest) scope("if (k < count)", body);
    else body();
  });
  in_lane_loop_ = false;
}

void KernelCode::compute(const std::vector<int>& roots, const std::function<void()>& use) {
  std::vector<bool> needed(kernel.exprs.size());
  std::vector<int> uses(kernel.exprs.size());
  variable_.assign(kernel.exprs.size(), false);
  auto is_known = [&](int e) {
    const auto kind = kernel.exprs[at(e)].kind;
    return kind == ExprKind::constant || kind == ExprKind::reduced || known_.contains(e) || (kept_.contains(e) && pass >= passes_[at(e)]);
  };
  auto need = [&](int e, bool by_lanes) {
    needed[at(e)] = !is_known(e);
    if (++uses[at(e)] > 1 || by_lanes != in_lanes(e)) variable_[at(e)] = true;
  };
  bool has_lanes = false;
  for (int r : roots) need(r, in_lanes(r)), has_lanes = has_lanes || in_lanes(r);
  for (int e = static_cast<int>(needed.size()) - 1; e >= 0; --e) {
    if (!needed[at(e)]) continue;
    const Expr& expr = kernel.exprs[at(e)];
    for (int o : expr.operands) need(o, in_lanes(e));
    for (const auto& t : expr.access.terms)
      if (t.indirect >= 0) need(t.indirect, in_lanes(e)), variable_[at(t.indirect)] = true;
  }
  for (int e = 0; e < static_cast<int>(needed.size()); ++e)
    if (needed[at(e)] && !in_lanes(e)) define(e, false);
  for (int e = 0; e < static_cast<int>(needed.size()); ++e)
    if (needed[at(e)] && in_lanes(e) && kernel.exprs[at(e)].kind == ExprKind::load) load_pack(e), needed[at(e)] = false;
  for_lanes(has_lanes, [&] {
    for (int e = 0; e < static_cast<int>(needed.size()); ++e)
      if (needed[at(e)] && in_lanes(e)) define(e, false);
    use();
  });
}

void KernelCode::hold(const std::vector<int>& exprs) {
  std::vector<int> arrays, scalars;
  for (int e : exprs) {
    const auto kind = kernel.exprs[at(e)].kind;
    if (kind == ExprKind::constant || kind == ExprKind::reduced || known_.contains(e)) continue;
    (in_lanes(e) ? arrays : scalars).push_back(e);
  }
  // Each twice, so that it gets a variable.
  auto twice = scalars;
  twice.insert(twice.end(), scalars.begin(), scalars.end());
  compute(twice, [] {});
  if (arrays.empty()) return;
  std::vector<int> packs;
  for (int e : arrays)
    if (kernel.exprs[at(e)].kind == ExprKind::load) load_pack(e);
    else packs.push_back(e);
  if (packs.empty()) return;
  for (int e : packs)
    code.line(std::string(computed_type(kernel.exprs[at(e)].dtype)) + " " + name_of(e) + "[" + std::to_string(mapping.width) + "];");
  std::vector<std::pair<int, Text>> held;
  compute(packs, [&] {
    for (int e : packs) {
      code.line(name_of(e) + "[k] = " + value(e).text + ";");
      held.emplace_back(e, Text{name_of(e) + "[k]"});
    }
  });
  for (auto& [e, text] : held) known_[e] = std::move(text);
}

void KernelCode::hold_reciprocals(const std::vector<int>& divisors) {
  for (int d : divisors) {
    const auto [found, is_new] = reciprocals_.try_emplace(d, "reciprocal_" + std::to_string(d));
    if (is_new) code.line("const float " + found->second + " = reciprocal(" + value(d).text + ");");
  }
}

void KernelCode::scope(std::string_view head, const std::function<void()>& body, std::string_view end) {
  const auto outside = known_;
  const auto reciprocals = reciprocals_;
  code.block(head, body, end);
  known_ = outside;
  reciprocals_ = reciprocals;
}

// Stores ----------------------------------------------------------------------------------------------------------------

Text KernelCode::combined(const Store& store, const Text& old, const Text& value) const {
  if (store.combine == Combine::set) return value;
  static constexpr std::string_view names[] = {"", "add", "sub", "mul", "div", "min", "max"};
  const DType dtype = store.access.dtype;
  const Text both = operation(names[static_cast<int>(store.combine)], {old, value}, {dtype, dtype}, dtype);
  if (!store.begins) return both;
  return {"begins ? " + value.within(Text::logical_or) + " : " + both.within(Text::logical_or), Text::conditional};
}

void KernelCode::store(const std::vector<std::size_t>& which, const std::vector<int>& more_roots, const std::function<void()>& body) {
  std::vector<int> roots = more_roots;
  for (auto s : which) {
    roots.push_back(kernel.stores[s].value);
    // Read before anything is written.
    if (which.size() > 1) roots.push_back(kernel.stores[s].value);
    for (const auto& t : kernel.stores[s].access.terms)
      if (t.indirect >= 0) roots.push_back(t.indirect), roots.push_back(t.indirect);
  }
  auto is_pack = [&](std::size_t s) {
    return mapping.width > 1 && !is_carried(s) && moves_along(kernel, kernel.stores[s].access, kernel.vector_loop);
  };
  struct Target {
    std::string pointer, condition;
  };
  std::vector<Target> packs(which.size());
  auto target_name = [&](std::size_t s) { return "to_" + arguments.buffer(kernel.stores[s].access.buffer) + "_" + std::to_string(s); };
  const std::string width = std::to_string(mapping.width), rest = mapping.has_rest ? ", count" : "";
  bool has_packs = false;
  for (std::size_t i = 0; i < which.size(); ++i) {
    const Store& s = kernel.stores[which[i]];
    has_packs = has_packs || (mapping.width > 1 && moves_along(kernel, s.access, kernel.vector_loop));
    if (!is_pack(which[i])) continue;
    const Place p = place(s.access, "s" + std::to_string(which[i]), first_check_of_store(which[i]));
    packs[i] = {"a." + arguments.buffer(s.access.buffer) + " + " + p.address.within(Text::sum), p.condition};
    code.line(pack_type(s.access.dtype) + " " + target_name(which[i]) +
              (s.combine == Combine::set ? "" : " = load<" + width + ">(" + packs[i].pointer + rest + ")") + ";");
  }
  auto write = [&] {
    body();
    for (std::size_t i = 0; i < which.size(); ++i) {
      const Store& s = kernel.stores[which[i]];
      if (is_carried(which[i])) {
        const std::string element = carried(which[i]) + (mapping.width > 1 ? "[v][k]" : "[v]");
        code.line(element + " = " + combined(s, {element}, value(s.value)).text + ";");
        continue;
      }
      if (is_pack(which[i])) {
        const std::string element = target_name(which[i]) + "[k]";
        const Text old = s.access.dtype == f16 || s.access.dtype == bf16 ? call("float", Text{element}) : Text{element};
        code.line(element + " = " + combined(s, old, value(s.value)).text + ";");
        continue;
      }
      const Place p = place(s.access, "s" + std::to_string(which[i]), first_check_of_store(which[i]));
      const std::string element = "a." + arguments.buffer(s.access.buffer) + "[" + p.address.text + "]";
      const Text old = s.access.dtype == f16 || s.access.dtype == bf16 ? call("float", Text{element}) : Text{element};
      code.line((p.condition.empty() ? "" : "if (" + p.condition + ") ") + element + " = " + combined(s, old, value(s.value)).text + ";");
    }
  };
  // A value that is the same for all elements is still written to each, and counts in a reduction for each.
  const bool is_for_each = has_packs || (mapping.width > 1 && !more_roots.empty());
  const bool only_uniform = is_for_each && std::none_of(roots.begin(), roots.end(), [&](int r) { return in_lanes(r); });
  if (only_uniform) {
    compute(roots, [] {});
    for_lanes(true, write);
  } else {
    compute(roots, write);
  }
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (packs[i].pointer.empty()) continue;
    const std::string text = "store(" + packs[i].pointer + ", " + target_name(which[i]) + rest + ");";
    code.line(packs[i].condition.empty() ? text : "if (" + packs[i].condition + ") " + text);
  }
}

bool KernelCode::is_carried(std::size_t store) const {
  const Store& s = kernel.stores[store];
  if (!s.begins || mapping.vectors == 0 || !s.access.terms.empty() || !is_inner(kernel, s.access) || is_complex(s.access.dtype)) return false;
  for (int d = kernel.parallel; d < kernel.first_sequential(); ++d)
    if (s.access.address.coefficients[at(d)] != 0) return false;
  return size_of(s.access.dtype) >= 4;
}

void KernelCode::declare_carried() {
  for (std::size_t s = 0; s < kernel.stores.size(); ++s) {
    if (!is_carried(s)) continue;
    const DType dtype = kernel.stores[s].access.dtype;
    code.line((mapping.width > 1 ? pack_type(dtype) : std::string(memory_type(dtype))) + " " + carried(s) + "[" + std::to_string(mapping.vectors) +
              "];");
  }
}

void KernelCode::write_carried(std::size_t store) {
  const Access& access = kernel.stores[store].access;
  const Place p = place(access, "s" + std::to_string(store), 0);
  const std::string buffer = "a." + arguments.buffer(access.buffer);
  if (mapping.width == 1) code.line(buffer + "[" + p.address.text + "] = " + carried(store) + "[v];");
  else code.line("store(" + buffer + " + " + p.address.within(Text::sum) + ", " + carried(store) + "[v]" + (mapping.has_rest ? ", count);" : ");"));
}

}  // namespace weft::cuda
