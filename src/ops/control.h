// How the operands of loops and branches stand. Their functions take, in this order:
//   if     then, otherwise: what both use of the graph around them. Operands: the predicate, then that.
//   while  condition, body: the states, then what both use of the graph around them. Operands: the same.
//   for    body: the index, the states, the sequences' elements, what it uses of the graph around it. Operands: the count where the
//          attribute `counted` says so, the states, the sequences, the rest. The body gives the states, then the outputs. Without
//          sequences and `counted`, the attribute `count` has the number of iterations.
#pragma once

#include "graph/primitive.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace weft::ops {

bool is_control(const Primitive& op);

/// The names of the operation's functions.
std::span<const std::string_view> functions_of(const Primitive& op);
/// What the operation's functions are given for operands of these types.
std::vector<TensorType> parameter_types(const Primitive& op, const Attributes& attributes, std::span<const TensorType> operands);

/// Where in the operands of a `for` what stands.
struct ForOperands {
  explicit ForOperands(const Attributes& attributes);
  bool counted;
  std::size_t states, sequences;                           ///< how many
  std::size_t first_state, first_sequence, first_capture;  ///< where
  bool reverse;
};
/// `dynamic` while unknown.
std::int64_t iterations(const Attributes& attributes, std::span<const TensorType> operands);

}  // namespace weft::ops
