// What the studio shows of a function: its plot, its kernels, and what stitching gains.
#pragma once

#include "apps/explained.h"
#include "apps/studio/board.h"

#include <weft/executable.h>

#include <string>

namespace weft::apps::studio {

struct Playground {
  Json shown;        ///< {x, y, slope, kernels: [{name, code}], table: [{what, stitched, unstitched}]}
  std::string page;  ///< the graph of function and gradient; empty on the reference backend
};

/// Throws ExpressionError.
Playground play(const std::string& expression, double low, double high, Backend backend, const Machine& machine);

}  // namespace weft::apps::studio
