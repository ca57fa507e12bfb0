// The rules of stitching that can be left out.
#include "compile/switches.h"

namespace weft {

std::span<const Switch> stitching_rules() { return {}; }

}  // namespace weft
