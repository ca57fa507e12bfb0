#include "backend/cuda/bias_relu.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weft::cuda {
namespace {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Kernel;

/// Whether the address is that of an element for each iteration or, when not `all`, of one for each index of the last loop.
bool counts(const Kernel& k, const kernel::Affine& a, bool all) {
  std::int64_t stride = 1;
  for (int d = k.loops() - 1; d >= 0; --d) {
    const auto extent = k.extents[static_cast<std::size_t>(d)];
    if (extent != 1 && a.coefficients[static_cast<std::size_t>(d)] != stride) return false;
    stride = all ? stride * extent : 0;
  }
  return a.constant == 0;
}

}  // namespace

std::string match(const Kernel& k, ir::Value result, std::int64_t channels, BiasRelu& found) {
  const auto expr = [&](int e) -> const Expr& { return k.exprs[static_cast<std::size_t>(e)]; };
  const std::string other = k.name + " does more than a library does";
  if (k.stores.empty() || k.stores.size() > 2) return k.name + " has several results";
  const bool is_last = k.stores.size() == 2 && k.stores[0].access.dtype == boolean;
  const auto& store = k.stores[is_last ? 1 : 0];
  const DType dtype = store.access.dtype;
  if (!store.access.terms.empty() || !counts(k, store.access.address, true)) return k.name + " writes in another order";
  found = {};
  found.written = store.access.buffer;
  int e = store.value;
  if (expr(e).kind == ExprKind::op && expr(e).op == "relu") found.relu = true, e = expr(e).operands[0];
  if (k.stores.size() == 2) {
    const auto& asked = k.stores[is_last ? 0 : 1];
    const Expr& greater = expr(asked.value);
    if (greater.kind != ExprKind::op || greater.op != "greater" || (greater.operands[0] != store.value && greater.operands[0] != e)) return other;
    const Expr& zero = expr(greater.operands[1]);
    if (zero.kind != ExprKind::constant || std::ranges::any_of(zero.literal, [](std::byte b) { return b != std::byte{}; })) return other;
    if (!asked.access.terms.empty() || !counts(k, asked.access.address, true)) return k.name + " writes in another order";
    found.positive = asked.access.buffer;
  }
  int left = e, right = -1;
  if (expr(e).kind == ExprKind::op && expr(e).op == "add") left = expr(e).operands[0], right = expr(e).operands[1];
  const auto is_result = [&](int i) {
    const Expr& x = expr(i);
    return x.kind == ExprKind::load && x.dtype == dtype && x.access.terms.empty() &&
           k.buffers[static_cast<std::size_t>(x.access.buffer)].value == result;
  };
  if (!is_result(left) && right >= 0) std::swap(left, right);
  if (!is_result(left)) return other;
  if (right < 0) return found.relu ? "" : other;
  const Expr& bias = expr(right);
  if (bias.kind != ExprKind::load || bias.dtype != dtype || !bias.access.terms.empty() || is_result(right)) return other;
  if (k.extents.empty() || k.extents.back() != channels || !counts(k, bias.access.address, false)) return other;
  found.bias = bias.access.buffer;
  return {};
}

}  // namespace weft::cuda
