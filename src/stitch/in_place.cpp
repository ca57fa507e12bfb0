#include "stitch/in_place.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace weft::kernel {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// A store there writes no element twice: the address moves with every loop in which the store happens.
bool is_injective(const Kernel& kernel, const Access& access) {
  const Affine& form = access.address;
  const bool inner = is_inner(kernel, access);
  std::vector<int> loops(kernel.extents.size());
  std::iota(loops.begin(), loops.end(), 0);
  auto step = [&](int d) { return std::abs(form.coefficients[at(d)]); };
  std::sort(loops.begin(), loops.end(), [&](int a, int b) { return step(a) < step(b); });
  std::int64_t reach = 0;
  for (int d : loops) {
    if (kernel.extents[at(d)] <= 1 || (!inner && kernel.is_sequential(d))) continue;
    if (step(d) <= reach) return false;
    reach += step(d) * (kernel.extents[at(d)] - 1);
  }
  return true;
}

bool same_address(const Affine& a, const Affine& b) { return a.coefficients == b.coefficients && a.constant == b.constant; }

/// Marks what has been computed once expression `id` has.
void mark(const Kernel& kernel, int id, std::vector<bool>& computed) {
  if (id < 0 || computed[at(id)]) return;
  computed[at(id)] = true;
  const Expr& e = kernel.exprs[at(id)];
  for (int o : e.operands) mark(kernel, o, computed);
  for (const auto& t : e.access.terms) mark(kernel, t.indirect, computed);
  if (e.kind != ExprKind::reduced) return;
  mark(kernel, kernel.reductions[at(e.reduction)].value, computed);
  mark(kernel, kernel.reductions[at(e.reduction)].index, computed);
}

}  // namespace

bool is_copy(const Kernel& kernel) {
  if (kernel.stores.size() != 1 || kernel.scatters || kernel.scan || !kernel.reductions.empty()) return false;
  const Store& store = kernel.stores[0];
  const Expr& value = kernel.exprs[at(store.value)];
  return value.kind == ExprKind::load && value.access.dtype == store.access.dtype && value.access.terms.empty() && store.access.terms.empty() &&
         store.combine == Combine::set && !store.begins && same_address(value.access.address, store.access.address);
}

std::vector<Overlay> overlays(const Kernel& kernel, std::span<const int> values) {
  std::vector<Overlay> list;
  // Several results of a reducing kernel may be written by passes that each read its operands again, and those of a tile
  // before others are computed.
  if (kernel.scatters || kernel.scan || kernel.tiling.rows > 0 || (!kernel.reductions.empty() && kernel.stores.size() > 1)) return list;
  std::vector<bool> computed(kernel.exprs.size());
  for (const auto& store : kernel.stores) {
    mark(kernel, store.value, computed);
    const int written = values[at(store.access.buffer)];
    const auto writers =
        std::count_if(kernel.stores.begin(), kernel.stores.end(), [&](const auto& s) { return values[at(s.access.buffer)] == written; });
    if (store.combine != Combine::set || store.begins || !store.access.terms.empty() || writers != 1 || !is_injective(kernel, store.access)) continue;

    // Terms without a stride only say where nothing is read.
    auto reads_own_element = [&](std::size_t id) {
      const Access& access = kernel.exprs[id].access;
      return computed[id] && size_of(access.dtype) == size_of(store.access.dtype) && same_address(access.address, store.access.address) &&
             std::all_of(access.terms.begin(), access.terms.end(), [](const auto& t) { return t.stride == 0; });
    };
    std::vector<int> candidates;
    std::vector<bool> refused;
    for (std::size_t id = 0; id < kernel.exprs.size(); ++id) {
      if (kernel.exprs[id].kind != ExprKind::load) continue;
      const int read = values[at(kernel.exprs[id].access.buffer)];
      auto found = std::find(candidates.begin(), candidates.end(), read) - candidates.begin();
      if (found == static_cast<std::ptrdiff_t>(candidates.size())) candidates.push_back(read), refused.push_back(read == written);
      if (!reads_own_element(id)) refused[static_cast<std::size_t>(found)] = true;
    }
    for (std::size_t c = 0; c < candidates.size(); ++c)
      if (!refused[c]) list.push_back({candidates[c], written});
  }
  return list;
}

}  // namespace weft::kernel
