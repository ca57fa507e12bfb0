// What can be left out of compiling, by name: RunOptions::without and the environment variable WEFT_WITHOUT list names.
#pragma once

#include <weft/executable.h>

#include <span>
#include <string_view>
#include <vector>

namespace weft {

struct Switch {
  std::string_view name;
  std::string_view statement;  ///< what it does, in a line
};

/// The algebraic rules and passes, then the rules of stitching.
std::vector<Switch> switches();
/// The part of the table that src/stitch has.
std::span<const Switch> stitching_rules();

/// The options with everything decided: the backend, and in `without` also what WEFT_WITHOUT ("rule,rule") names, in order and once.
/// Throws RunError for a name that `switches` lacks and for a backend that was not built.
RunOptions settled(RunOptions options);

/// Whether settled options leave `name` in. Throws InternalError for a name that `switches` lacks.
bool is_on(const RunOptions& options, std::string_view name);

}  // namespace weft
