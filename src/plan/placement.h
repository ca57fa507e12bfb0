// Where the values of a program lie, and in which order its steps run.
#pragma once

#include "stitch/lower.h"

#include <weft/explanation.h>
#include <weft/ndarray.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace weft::plan {

/// Where a value's elements are.
struct Place {
  enum class Kind : std::uint8_t { feed, variable, target, update, constant, run_index, arena };
  Kind kind = Kind::arena;
  std::int64_t index = 0;  ///< in the list of its kind; offset in the arena

  /// Given anew for each run.
  bool is_given() const { return kind <= Kind::update; }
};

struct Copy {
  Place from, to;
  std::int64_t bytes;
};

struct Placement {
  std::map<ir::Value, Place> places;  ///< of the values that have memory of their own
  std::vector<NDArray> constants;
  /// Targets that are feeds, variables or constants are copied before the first launch; other results that already lie
  /// elsewhere after the last one.
  std::vector<Copy> first_copies, last_copies;
  std::vector<std::vector<int>> launches;  ///< steps of the schedule
  std::vector<Place> scratch;              ///< by step
  std::vector<bool> is_in_place;           ///< by update: written where the variable's present value lies
  std::int64_t arena_bytes = 0, live_maximum = 0;

  Place of(const Schedule& schedule, ir::Value v) const { return places.at(schedule.storage(v)); }
};

/// What a step needs besides what the schedule says.
struct StepMemory {
  std::size_t scratch = 0;  ///< bytes that only it uses
  bool has_results = true;  ///< of a library call: in memory, rather than in the hands of its epilogue only
  /// What its epilogue writes may lie where that reads the same elements, unless the call itself reads it.
  bool can_overlay = false;
};

/// How a run meets an index that is out of range; nothing else fails once steps begin, but a library that computes on the host.
enum class Failure : std::uint8_t {
  stops,    ///< no later step begins
  is_late,  ///< all steps run, and the run fails when they have: no variable may be written in place where one can
};

/// `memory` is by step.
Placement place_values(const Program& program, const Schedule& schedule, const std::vector<StepMemory>& memory, Failure failure = Failure::stops);

/// What the plan says of a run: launches, memory, and bytes moved.
void describe(const Program& program, const Schedule& schedule, const Placement& placement, CompileStatistics& statistics);

/// The steps in the order of the launches; `library_kernel` names what the library runs for a node, `refusals` are the library's.
Explanation explain(const Program& program, const Schedule& schedule, const Placement& placement,
                    const std::function<std::string(ir::NodeId)>& library_kernel, std::span<const Explanation::Refusal> refusals);
/// What was not stitched and why, and the arena: the end of a dump.
std::string print(const Program& program, const Placement& placement, const Explanation& explanation);

}  // namespace weft::plan
