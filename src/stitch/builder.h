// Builds the kernel of one region.
#pragma once

#include "compile/program.h"
#include "stitch/kernel.h"
#include "stitch/lower.h"

#include <map>
#include <vector>

namespace weft::kernel {

/// One affine form for each dimension of a value.
using Map = std::vector<Affine>;

/// Elements from one index to the next along each dimension of a dense array.
std::vector<std::int64_t> dense_strides(const Shape& shape);

class Builder {
 public:
  Builder(const Program& program, const Schedule& schedule, std::vector<std::int64_t> extents, int parallel);

  /// Builds the kernel of a space: its members are computed here. `place` gives each of the region's loops a loop of the kernel.
  void enter(int region, std::vector<int> place);
  /// Where the region's member has its result, in the region's loops.
  Map place_of(ir::NodeId member) const;

  /// The index of loop `loop`, times a factor, plus a constant.
  Affine loop(int loop, std::int64_t factor = 1, std::int64_t constant = 0) const;
  Affine number(std::int64_t constant) const;
  /// Loops first, first + 1, ... as a map.
  Map loops(int first, int count) const;

  /// The value's element at `map`: computed here when its operation is inlined or a member of the region, otherwise loaded.
  int element(ir::Value v, const Map& map);
  /// The value's element at `map`, computed here. For elementwise operations, movement, gathers, iota and random bits.
  int compute(ir::Value v, const Map& map);
  /// The element in memory. `terms` replace dimensions of the map that are not affine.
  int load(ir::Value v, const Map& map, std::vector<Term> terms = {});
  int constant(double value, DType dtype);
  int index(Affine affine);
  int op(std::string_view name, DType dtype, std::vector<int> operands);
  int cast(int expr, DType dtype);
  int inside(std::vector<Term> terms);
  /// The type in which sums and products of `dtype` are accumulated.
  static DType accumulator(DType dtype);
  /// A reduction's result.
  int reduce(ReduceOp op, int value, int index = -1, bool crosses = false);
  /// The sum of x * y.
  int sum_of_products(int x, int y);

  Access write(ir::Value v, const Map& map);
  void store(ir::Value v, const Map& map, int expr, Combine combine = Combine::set);

  Kernel& kernel() { return kernel_; }
  const ir::Graph& graph() const { return graph_; }

 private:
  int add(Expr expr);
  int buffer(ir::Value v, bool written);
  int movement(ir::Value v, const ir::Node& node, const Map& map);
  int pad(const ir::Node& node, const Map& map);
  int concat(const ir::Node& node, const Map& map);
  int reduction(ir::NodeId id);
  int product(ir::NodeId id);
  /// The operand's element at `map` where all terms are inside; anything elsewhere.
  int guarded(ir::Value v, const Map& map, const std::vector<Term>& terms);
  int random_bits(const ir::Node& node, const Map& map);

  const ir::Graph& graph_;
  const Schedule& schedule_;
  Kernel kernel_;
  /// Loads made while this holds terms read nothing where one of them is outside.
  std::vector<Term> guards_;
  /// Tells sets of guards apart, so that what was computed under one isn't taken under another.
  int guard_set_ = 0, guard_sets_ = 0;
  struct Computed {
    Map map;
    int guard_set;
    int expr;
  };
  std::map<ir::Value, std::vector<Computed>> computed_;
  int region_ = -1;
  std::vector<int> place_;
  std::map<ir::NodeId, int> reduced_;
};

/// The map of an operand of `shape` that broadcasts to a value read at `map`.
Map broadcast_map(const Map& map, const Shape& shape, const Builder& builder);

}  // namespace weft::kernel
