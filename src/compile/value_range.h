// Least and most of integers, as far as a graph says: an index that can't be out of range need not be looked at while a program runs.
#pragma once

#include "graph/ir.h"

#include <cstddef>
#include <optional>
#include <vector>

namespace weft {

/// Both ends included. Wide, so that u64 has one.
struct ValueRange {
  __extension__ using Wide = __int128;
  Wide least = 0, most = 0;

  bool within(const ValueRange& other) const { return other.least <= least && most <= other.most; }
  friend bool operator==(const ValueRange&, const ValueRange&) = default;
};

/// Of all values of an integer type, or of booleans as 0 and 1; none for other types.
std::optional<ValueRange> range_of_type(DType dtype);
/// Of dense elements; none when there are none, or of another type.
std::optional<ValueRange> range_of_elements(DType dtype, const std::byte* elements, std::int64_t count);

/// What is known of each integer of a graph, whatever it is fed with: interval arithmetic from the sources on.
/// R. Moore, "Interval analysis", 1966.
class ValueRanges {
 public:
  explicit ValueRanges(const ir::Graph& graph);

  /// None for floating-point and complex numbers.
  const std::optional<ValueRange>& operator[](ir::Value v) const {
    return ranges_[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)];
  }
  /// The placeholder or variable that all of the value's elements are elements of; -1: there is none.
  ir::NodeId source(ir::Value v) const;

 private:
  std::optional<ValueRange> result(const ir::Node& node, std::size_t output) const;

  const ir::Graph& graph_;
  std::vector<std::vector<std::optional<ValueRange>>> ranges_;
};

/// That of an index along each of the operation's axes; none unless it is a gather or scatter that checks its indices.
std::optional<ValueRange> checked_range(const ir::Graph& graph, const ir::Node& node);

}  // namespace weft
