#include "stitch/rules.h"

#include "compile/switches.h"

#include <vector>

namespace weft {
namespace {

struct Row {
  Switch name;
  bool StitchRules::*rule;
};

constexpr Row rows[] = {
    {{"read views in place", "transposes, broadcasts, slices and reshapes are index maps of what reads them"}, &StitchRules::views},
    {{"join chains", "elementwise operations are computed in the kernel of what they read"}, &StitchRules::chains},
    {{"join before reductions", "what a reduction reads is computed in its kernel"}, &StitchRules::before_reductions},
    {{"join after reductions", "what reads a reduction's result, in other walks over the same rows too, is computed in its kernel"},
     &StitchRules::after_reductions},
    {{"join column sums", "sums over columns are computed beside reductions of the rows"}, &StitchRules::column_sums},
    {{"join gathers", "gathers are computed in the kernel of what reads their result or computes their indices"}, &StitchRules::gathers},
    {{"join siblings", "what reads the same memory is computed in one kernel"}, &StitchRules::siblings},
    {{"read parts in place", "what others read only in part is computed there"}, &StitchRules::parts},
    {{"repeat what is cheap", "cheap operations are repeated in each reader rather than stored"}, &StitchRules::repetition},
    {{"join after contractions", "what reads the result of a matrix product or convolution is computed on its parts"}, &StitchRules::epilogues},
};

}  // namespace

std::span<const Switch> stitching_rules() {
  static const auto names = [] {
    std::vector<Switch> list;
    for (const auto& row : rows) list.push_back(row.name);
    return list;
  }();
  return names;
}

StitchRules stitch_rules(const RunOptions& options) {
  StitchRules rules;
  if (options.stitch)
    for (const auto& row : rows) rules.*row.rule = is_on(options, row.name.name);
  return rules;
}

}  // namespace weft
