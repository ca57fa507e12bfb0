// What the files that lower one family of operations each share.
#pragma once

#include "stitch/builder.h"
#include "stitch/lower.h"

namespace weft::kernel {

/// Collects the steps of a schedule.
class Lowering {
 public:
  Lowering(const Program& program, const Target& target, Schedule& schedule)
      : program(program), graph(program.graph), target(target), schedule(schedule) {}

  const Program& program;
  const ir::Graph& graph;
  const Target& target;
  Schedule& schedule;

  Builder builder(std::vector<std::int64_t> extents, int parallel) const { return Builder(program, schedule, std::move(extents), parallel); }
  /// Adds the kernel as a step, in two stages when it reduces much to little. It is named after `members`.
  void finish(Builder& builder, std::span<const ir::NodeId> members);
  /// A value that only the kernels of one operation see.
  ir::Value temporary(TensorType type);
};

/// One kernel for a region with a space.
void lower_space(Lowering& l, int region);
/// Each lowers one kind of operation to kernels.
void lower_concat(Lowering& l, ir::NodeId id);
void lower_convolution(Lowering& l, ir::NodeId id);
/// With the others of its region, which look through the same windows.
void lower_pooling(Lowering& l, ir::NodeId id);
void lower_scatter(Lowering& l, ir::NodeId id);
void lower_scan(Lowering& l, ir::NodeId id);

}  // namespace weft::kernel
