#include "backend/cpu/walk.h"

#include <algorithm>

namespace weft::cpu {

using namespace kernel;

namespace {

/// Below, everything fits a cache; and blocks have up to 16 places each way.
constexpr std::int64_t least_elements = 1 << 12, least_extent = 16;
/// What is computed is repeated for each row of a block.
constexpr std::size_t most_expressions = 24;

bool suits_blocks(const Kernel& k) {
  if (k.parallel < 2 || k.loops() > k.parallel || k.vector_loop != k.parallel - 1 || k.tiling.rows > 0 || k.scan) return false;
  std::int64_t elements = 1;
  for (auto e : k.extents) elements *= e;
  if (elements < least_elements || std::min(k.extents.back(), k.extents[k.extents.size() - 2]) < least_extent) return false;
  return k.exprs.size() <= most_expressions && std::any_of(k.exprs.begin(), k.exprs.end(), [&](const Expr& e) { return is_turned(k, e); });
}

}  // namespace

bool is_turned(const Kernel& kernel, const Expr& e) {
  if (e.kind != ExprKind::load || e.access.dtype == c64 || !e.access.terms.empty()) return false;
  const auto& steps = e.access.address.coefficients;
  const auto last = static_cast<std::size_t>(kernel.vector_loop);
  return steps[last] != 0 && steps[last] != 1 && steps[last - 1] == 1;
}

void choose_walks(Schedule& schedule) {
  for (auto& step : schedule.steps)
    if (auto* s = std::get_if<Schedule::KernelStep>(&step)) s->kernel.blocked = suits_blocks(s->kernel);
}

}  // namespace weft::cpu
