// Which elementwise kernels become part of the contraction whose result they read.
#pragma once

#include "stitch/lower.h"

#include <functional>
#include <string>

namespace weft {

/// Why the backend can't run a kernel on parts of a node's result as they are computed; empty when it can, with the kernel's loops as it needs
/// them. `keeps_result`: the result is needed in memory too.
using FitEpilogue = std::function<std::string(ir::NodeId, kernel::Kernel&, bool keeps_result)>;

/// Gives each library step of the schedule the first kernel that can be its epilogue, and leaves a reason where there is
/// none. The step then runs where the first reader of its result ran.
void attach_epilogues(const Program& program, Schedule& schedule, const FitEpilogue& fit);

/// Makes the last loop two, the inner one of `inner` iterations, which must divide its extent.
void split_last_loop(kernel::Kernel& kernel, std::int64_t inner);

}  // namespace weft
