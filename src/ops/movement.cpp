#include "ops/families.h"

namespace weft::ops {

std::span<const Primitive> movement() { return {}; }

}  // namespace weft::ops
