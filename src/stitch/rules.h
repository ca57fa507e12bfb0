// The rules of stitching, each of which can be left out.
#pragma once

#include <weft/executable.h>

namespace weft {

struct StitchRules {
  bool views = false, chains = false, before_reductions = false, after_reductions = false, column_sums = false, gathers = false, siblings = false;
  bool parts = false, repetition = false, epilogues = false;
};

/// All rules but those left out; none when the options have stitching off. The options must be settled.
StitchRules stitch_rules(const RunOptions& options);

}  // namespace weft
