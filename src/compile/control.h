// Programs with loops and branches: they are cut into parts without, which a backend makes ready like any program, and the loops and
// branches between them, whose functions are programs in turn. A loop's states are its body's variables, which are updated in place where a
// variable would be.
#pragma once

#include "compile/backend.h"
#include "compile/program.h"

#include <memory>

namespace weft {

bool has_control(const Program& program);
std::unique_ptr<CompiledProgram> make_controlled(const Program& program, const RunOptions& options);

}  // namespace weft
