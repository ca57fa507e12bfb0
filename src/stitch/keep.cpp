#include "stitch/keep.h"

#include <algorithm>
#include <array>

namespace weft::kernel {

bool is_dear(std::string_view op) {
  static constexpr std::array<std::string_view, 23> names = {"exp",  "exp2",  "exp10", "expm1", "log",  "log2", "log10",  "log1p",
                                                             "sin",  "cos",   "tan",   "asin",  "acos", "atan", "sinh",   "cosh",
                                                             "tanh", "asinh", "acosh", "atanh", "erf",  "pow",  "sigmoid"};
  return op == "philox" || std::find(names.begin(), names.end(), op) != names.end();
}

namespace {

/// Rows kept by one kernel: what they take of the first-level cache is missing for what the kernel reads.
constexpr int most_kept = 2;
/// Vector lanes at most, of any processor and type that is kept.
constexpr std::int64_t most_lanes = 16;

class Keeper {
 public:
  explicit Keeper(Kernel& kernel) : kernel_(kernel), passes_(passes_of(kernel)), varies_(varying(kernel)), dear_(varies_.size()) {
    for (std::size_t e = 0; e < dear_.size(); ++e) {
      const Expr& expr = kernel_.exprs[e];
      dear_[e] = expr.kind == ExprKind::op && varies_[e] &&
                 (is_dear(expr.op) || std::any_of(expr.operands.begin(), expr.operands.end(), [&](int o) { return dear_[at(o)]; }));
    }
  }

  void run() {
    std::int64_t length = kernel_.vector_loop >= 0 && !kernel_.is_sequential(kernel_.vector_loop) ? most_lanes : 1;
    for (int d = kernel_.first_sequential(); d < kernel_.loops(); ++d) length *= kernel_.extents[at(d)];
    if (length > kept_elements) return;
    const int passes = passes_.empty() ? 0 : *std::max_element(passes_.begin(), passes_.end());
    for (int p = 0; p < passes; ++p) computed_.push_back(computed_in(p));
    for (pass_ = 1; pass_ <= passes; ++pass_) {
      seen_.assign(kernel_.exprs.size(), false);
      for (int root : roots(pass_)) visit(root);
    }
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  /// What pass p computes.
  std::vector<int> roots(int p) const {
    std::vector<int> list;
    for (const auto& r : kernel_.reductions)
      if (passes_[at(r.value)] == p) list.push_back(r.value);
    for (const auto& s : kernel_.stores)
      if (is_inner(kernel_, s.access) && passes_[at(s.value)] == p) list.push_back(s.value);
    return list;
  }

  /// Looks, below an expression that the present pass computes, for those that an earlier one has computed.
  void visit(int e) {
    Expr& expr = kernel_.exprs[at(e)];
    if (!varies_[at(e)] || expr.kept || seen_[at(e)]) return;
    seen_[at(e)] = true;
    const int own = passes_[at(e)];
    if (own < pass_ && (expr.dtype == f32 || expr.dtype == f64) && dear_[at(e)] && computed_[at(own)][at(e)]) {
      if (kept_ == most_kept) return;
      expr.kept = true;
      ++kept_;
      return;
    }
    for (int o : expr.operands) visit(o);
  }

  std::vector<bool> computed_in(int p) const {
    std::vector<bool> computed(kernel_.exprs.size());
    for (int r : roots(p)) computed[at(r)] = true;
    for (std::size_t e = computed.size(); e-- > 0;)
      if (computed[e])
        for (int o : kernel_.exprs[e].operands) computed[at(o)] = true;
    return computed;
  }

  Kernel& kernel_;
  std::vector<int> passes_;
  std::vector<bool> varies_;
  std::vector<bool> dear_;                   ///< by expression: dear itself, or in what it is computed from
  std::vector<std::vector<bool>> computed_;  ///< by pass and expression
  std::vector<bool> seen_;
  int pass_ = 0, kept_ = 0;
};

}  // namespace

void keep_dear(Kernel& kernel) { Keeper(kernel).run(); }

}  // namespace weft::kernel
