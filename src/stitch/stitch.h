// Decides which operations become one kernel.
#pragma once

#include "compile/program.h"

#include <functional>
#include <string>
#include <vector>

namespace weft {

/// Which operations are computed where they are used, inside their consumer's kernel, and which get memory of their own.
struct Regions {
  std::vector<bool> inlined;          ///< by node
  std::vector<std::string> refusals;  ///< by node: why it is not stitched into its consumer; empty when it is, or has none
};

/// Views and cheap sources are inlined wherever they are read; an elementwise operation when all its consumers are in one
/// kernel and none of them would compute it more than once.
Regions stitch(const Program& program, bool enabled);

}  // namespace weft
