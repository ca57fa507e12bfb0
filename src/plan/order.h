// The order of execution.
#pragma once

#include "plan/plan.h"

namespace weft::plan {

struct Order {
  std::vector<std::vector<int>> launches;
  std::vector<bool> is_in_place;  ///< by value
};

/// What replaces variables' values is written last, so that nothing is left that can fail or that reads an old value. Otherwise the
/// given order is kept, unless one that always takes the step which frees the most memory needs less of it.
Order order_steps(const std::vector<Value>& values, const std::vector<Step>& steps);

}  // namespace weft::plan
