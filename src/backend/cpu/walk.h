// In which order a kernel goes through its space.
#pragma once

#include "stitch/lower.h"

namespace weft::cpu {

/// Has kernels that read across the order in which they write, as transposes do, walk their last two loops in blocks. Elements come out
/// in another order then, so not for epilogues.
void choose_walks(Schedule& schedule);

/// Whether a load of a blocked kernel goes along the loop before the vector loop, element by element.
bool is_turned(const kernel::Kernel& kernel, const kernel::Expr& expr);

}  // namespace weft::cpu
