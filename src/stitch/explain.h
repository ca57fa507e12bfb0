// What a schedule does, for those who want to know.
#pragma once

#include "stitch/lower.h"

#include <weft/explanation.h>

#include <functional>
#include <span>
#include <string>

namespace weft {

/// `order` lists the schedule's steps in the order in which they run; `library_kernel` names what the library runs for a node.
Explanation explain(const Program& program, const Schedule& schedule, std::span<const int> order,
                    const std::function<std::string(ir::NodeId)>& library_kernel);

}  // namespace weft
