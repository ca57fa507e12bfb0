// The table of algebraic rules, open to tests: each is checked by evaluating both sides.
#pragma once

#include "compile/program.h"

#include <optional>
#include <span>
#include <string_view>

namespace weft {

struct Rule {
  std::string_view name;
  std::string_view op;
  /// The value that may stand for the node's result, if the rule applies.
  std::optional<ir::Value> (*apply)(const ir::Graph& graph, const ir::Node& node);
};

std::span<const Rule> rules();

}  // namespace weft
