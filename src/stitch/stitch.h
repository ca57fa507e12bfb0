// Decides which operations become one kernel.
#pragma once

#include "compile/program.h"
#include "stitch/rules.h"

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace weft {

/// Operations that one kernel computes over one space of loops; or a single operation that has a way of its own.
struct Region {
  std::vector<ir::NodeId> members;  ///< in an order in which they can be computed
  std::vector<std::int64_t> loops;  ///< outermost first, none of extent 1; empty for a single operation with its own way
  std::uint32_t reduced = 0;        ///< bit l: loop l is one that the reductions run over
  std::vector<ir::NodeId> stored;   ///< members that get memory: others than the region read them, or the run returns them
  bool is_space = false;            ///< members are elementwise operations and reductions over `loops`
};

/// Two operations that are not computed in one kernel although one reads the other.
struct Refusal {
  ir::NodeId producer, consumer;
  std::string_view why;
};

struct Regions {
  std::vector<bool> inlined;             ///< by node: computed wherever it is read, in the reader's kernel
  std::vector<int> region_of;            ///< by node: -1 for what is inlined only, and for sources
  std::vector<Region> list;              ///< in an order in which they can run
  std::vector<std::vector<int>> walked;  ///< by member of a space: the loop of each dimension of its operand (reductions) or result; -1: size 1
  std::vector<Refusal> refusals;

  bool computes(int region, ir::NodeId node) const { return region >= 0 && region_of[static_cast<std::size_t>(node)] == region; }
};

/// Which operations become one kernel:
///  - Views, casts to larger types and sources that cost nothing are computed wherever they are read.
///  - An operation joins the regions that it reads element by element, so that they become one: elementwise chains, reductions with
///    what precedes them and, where a row or a column of the space fits into a cache, with what follows over the full space.
///  - Regions that read the same memory element by element become one with several results; column sums join row reductions, and what is done
///    with them alone joins both, unless it only leads to new values of variables.
///  - A matrix product that no library computes is a reduction of its space: what follows its results is computed with it.
///  - What others read only in part (slices, pads, concatenations) is computed there; what is cheap is repeated rather than stored.
/// `in_library` says whether a library computes the node, and is asked about products once each.
Regions stitch(const Program& program, const StitchRules& rules, const std::function<bool(ir::NodeId)>& in_library);

}  // namespace weft
