#include "backend/cuda/finish.h"

#include <weft/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

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

double number(const Expr& constant) {
  NDArray scalar(constant.dtype, {});
  std::memcpy(scalar.data(), constant.literal.data(), size_of(constant.dtype));
  return scalar.cast(f64).elements<double>()[0];
}

}  // namespace

std::string match(const Kernel& k, ir::Value result, std::int64_t channels, Finish& found) {
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
  const auto is_plain = [&](int i) { return expr(i).kind == ExprKind::load && expr(i).dtype == dtype && expr(i).access.terms.empty(); };
  const auto is_result = [&](int i) { return is_plain(i) && k.buffers[static_cast<std::size_t>(expr(i).access.buffer)].value == result; };
  const auto is_bias = [&](int i) {
    return is_plain(i) && !is_result(i) && !k.extents.empty() && k.extents.back() == channels && counts(k, expr(i).access.address, false);
  };
  const auto is_base = [&](int i) { return is_plain(i) && !is_result(i) && counts(k, expr(i).access.address, true); };
  const auto operand = [&](int i, std::size_t which) { return expr(i).operands[which]; };
  const auto is = [&](int i, std::string_view op) { return expr(i).kind == ExprKind::op && expr(i).op == op; };
  /// The result, the same times a number, or the same plus a bias.
  const auto inner = [&](int i) {
    if (is_result(i)) return true;
    if (!is(i, "mul") && !is(i, "add")) return false;
    for (const std::size_t which : {0, 1}) {
      const int other = operand(i, 1 - which);
      if (!is_result(operand(i, which))) continue;
      if (is(i, "add") && is_bias(other)) return found.bias = expr(other).access.buffer, true;
      if (is(i, "mul") && expr(other).kind == ExprKind::constant) return found.scale = number(expr(other)), true;
    }
    return false;
  };
  if (inner(e)) return found.scale != 1 || (found.bias < 0 && !found.relu) ? other : "";
  if (is(e, "add") || is(e, "sub")) {
    for (const std::size_t which : {1, 0}) {
      if (is(e, "sub") && which == 0) break;
      const int base = operand(e, 1 - which);
      if (!is_base(base)) continue;
      found.bias = -1, found.scale = 1;
      if (!inner(operand(e, which)) || found.bias == expr(base).access.buffer || (is(e, "sub") && found.bias >= 0)) continue;
      found.base = expr(base).access.buffer;
      if (is(e, "sub")) found.scale = -found.scale;
      return {};
    }
  }
  return other;
}

void Finish::add_bytes(std::int64_t element_count, std::int64_t channels, DType dtype, std::vector<std::size_t>& operands,
                       std::vector<std::size_t>& results) const {
  const auto elements = static_cast<std::size_t>(element_count);
  operands.resize(operands.size() + static_cast<std::size_t>(bias >= 0) + static_cast<std::size_t>(base >= 0));
  if (bias >= 0) operands[bias_operand()] = static_cast<std::size_t>(channels) * size_of(dtype);
  if (base >= 0) operands[base_operand()] = elements * size_of(dtype);
  if (positive >= 0) results.insert(is_positive_first() ? results.begin() : results.end(), elements);
}

}  // namespace weft::cuda
