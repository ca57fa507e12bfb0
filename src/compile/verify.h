// Checks what every pass must keep true.
#pragma once

#include "compile/program.h"

namespace weft {

/// Throws InternalError, naming the pass, unless nodes follow their operands, all types are static and as inferred, and
/// every target, update, feed and variable exists.
void verify(const Program& program, const char* pass);

}  // namespace weft
