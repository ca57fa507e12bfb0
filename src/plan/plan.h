// When each step of a program runs and where its values live: the order, which steps start together, what is written over
// what is no longer needed, and offsets in one arena.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::plan {

/// A value of the program, known by its place in a list.
struct Value {
  std::int64_t bytes = 0;
  bool in_arena = true;  ///< otherwise others give its memory: a feed, a variable, a constant, a result
  bool is_kept = false;  ///< still read after the last step
  int replaces = -1;     ///< the old value of the variable whose new value this is
};

/// A kernel or a library's call. What it reads and writes are values.
struct Step {
  /// `written` may lie where `read` does: the step reads every element of that before it writes there, and only once it
  /// has no other use for it.
  struct Overlay {
    int read, written;
  };
  std::vector<int> reads, writes;
  std::vector<Overlay> overlays;
  std::int64_t scratch = 0;  ///< bytes of memory that only this step uses
  bool can_fail = false;     ///< may end the run with an error
  bool can_join = false;     ///< may start together with other steps
};

struct Plan {
  /// Steps in the order of execution. Those of one launch touch nothing that another of them writes.
  std::vector<std::vector<int>> launches;
  std::vector<std::int64_t> offsets;  ///< in the arena, by value; 64-byte aligned; -1 for what is not there
  std::vector<std::int64_t> scratch;  ///< in the arena, by step
  /// By value, for those that replace another: written where that one lies. Nothing can fail once such a value begins to be
  /// written, so a run that fails leaves the old values whole.
  std::vector<bool> is_in_place;
  std::int64_t bytes = 0;
  std::int64_t live_maximum = 0;  ///< the most bytes alive at any one launch: no arena can be smaller
};

/// The steps come in an order in which they can run.
Plan make_plan(const std::vector<Value>& values, const std::vector<Step>& steps);

}  // namespace weft::plan
