// What a compiled graph became: which operations each step computes, what it moves, and why operations stayed apart.
#pragma once

#include <weft/dtype.h>
#include <weft/shape.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// The steps of a run. Operations are known by their places in `operations`, which are their numbers in dumps ("%12"); steps by
/// their places in `steps`, the order in which they run.
struct Explanation {
  enum class Place : std::uint8_t {
    source,    ///< there before the run's first step: placeholders, variables, constants
    step,      ///< computed by `step`
    readers,   ///< computed in each step that reads it, never stored
    view,      ///< another operation's memory, seen with another shape
    unneeded,  ///< computed nowhere
  };
  struct Operation {
    std::string name;   ///< "matmul"
    std::string label;  ///< the user's; empty when there is none
    std::vector<TensorType> results;
    std::vector<int> operands;  ///< operations whose results it reads
    Place place = Place::unneeded;
    int step = -1;           ///< the first that computes it, when that is its place
    std::int64_t bytes = 0;  ///< that it would move by itself: operands and results, each once; nothing for sources and views
    std::int64_t flops = 0;  ///< as CompileStatistics counts them
  };
  struct Step {
    bool is_library = false;
    std::string name;             ///< the generated kernel's, or the library's kernel: "onednn brgemm:avx512_core"
    std::string epilogue;         ///< the generated kernel that runs on each part of a library's result; empty when none does
    std::vector<int> operations;  ///< that it computes, with those that are computed wherever they are read
    int continues = -1;           ///< the step whose partial results it completes; both list the same operations, whose flops count there
    std::int64_t bytes_read = 0, bytes_written = 0;  ///< whole operands and results in memory, each once
    std::int64_t bytes_unstitched = 0;               ///< that its operations would move each by itself
    std::int64_t flops = 0;                          ///< of its operations; what several steps compute counts in each
    std::string code;                                ///< the generated kernel in its loop-and-index form
  };
  /// Why `consumer` isn't computed together with `producer`, which it reads; without a consumer, why an operation isn't left to a
  /// library or has no epilogue.
  struct Refusal {
    int producer = -1, consumer = -1;
    std::string why;
  };

  std::vector<Operation> operations;
  std::vector<Step> steps;
  std::vector<Refusal> refusals;
};

}  // namespace weft
