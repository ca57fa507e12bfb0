// Loops, branches, calls. Bodies of loops and branches are built by functions of the caller's, once; whatever a body uses of the graph around it
// (tensors, variables, constants) it may use. What one iteration leaves to the next is a state; there are no assignments inside bodies.
//
// Loops of few iterations whose number is known when the graph is compiled are unrolled, and stitched with what is around them. Others run
// their body again and again, its states updated in place where that is possible; on a GPU, several iterations are begun at once where the
// host has nothing to decide.
#pragma once

#include <weft/tensor.h>

#include <functional>
#include <initializer_list>
#include <source_location>
#include <span>
#include <vector>

namespace weft {

/// What a branch gives.
using Branch = std::function<std::vector<Tensor>()>;

/// The results of `then` where the predicate, a scalar bool, holds, otherwise those of `otherwise`; only one of them is computed. Both
/// give as many tensors, of the same types. Has derivatives.
std::vector<Tensor> cond(Operand predicate, const Branch& then, const Branch& otherwise,
                         std::source_location where = std::source_location::current());

using Condition = std::function<Tensor(std::span<const Tensor> states)>;
using WhileBody = std::function<std::vector<Tensor>(std::span<const Tensor> states)>;

/// Replaces the states by what `body` gives, as often as `condition`, a scalar bool, holds for them; gives the last ones. Types stay the
/// same. Has no derivative: how many iterations there would be to go back is not known. At least one initial state is needed.
std::vector<Tensor> while_loop(std::span<const Tensor> initial, const Condition& condition, const WhileBody& body,
                               std::source_location where = std::source_location::current());

/// What an iteration of a counting loop sees.
struct Iteration {
  Tensor index;                  ///< i64 scalar: 0, 1, ...; the place in the sequences
  std::vector<Tensor> states;    ///< what the iteration before gave, at first the initial ones
  std::vector<Tensor> elements;  ///< element `index` of each sequence
};

/// What an iteration gives, and what a loop gives: states; and outputs, which a loop stacks along a new first axis.
struct LoopValues {
  std::vector<Tensor> states;
  std::vector<Tensor> outputs = {};
};

using ForBody = std::function<LoopValues(const Iteration& iteration)>;

/// The body for index 0, 1, ..., count - 1. Has derivatives; so that they can be computed, the states of all iterations are kept, and each
/// iteration is computed again on the way back. Throws GraphError for a negative count.
LoopValues for_loop(std::int64_t count, std::span<const Tensor> initial, const ForBody& body,
                    std::source_location where = std::source_location::current());
/// `count` is an integer scalar that is computed; a negative one is as 0. The body may have no outputs, as there would be no telling their
/// shape; there are no derivatives for the same reason.
std::vector<Tensor> for_loop(Tensor count, std::span<const Tensor> initial, const ForBody& body,
                             std::source_location where = std::source_location::current());

struct ScanOptions {
  bool reverse = false;  ///< from the last element to the first; outputs stand where the elements do
};
/// The body for each element of the sequences along their first axis, whose size is the same for all. Has derivatives, as for_loop.
LoopValues scan(std::span<const Tensor> sequences, std::span<const Tensor> initial, const ForBody& body, ScanOptions options = {},
                std::source_location where = std::source_location::current());

class Graph;

/// A value for a placeholder of a graph that is called.
struct Argument {
  Tensor placeholder;
  Tensor value;
};
/// Computes targets of another graph (or of this one, anew) in the arguments' graph: what they need is copied into it, with the arguments in place
/// of the placeholders, so it is differentiated and stitched with what is around it. An argument is of its placeholder's type and a shape that this
/// allows; sizes that it leaves open become the argument's. Throws GraphError for a placeholder that is needed and not given, and for targets
/// that need a variable.
std::vector<Tensor> call(const Graph& callee, std::span<const Argument> arguments, std::span<const Tensor> targets,
                         std::source_location where = std::source_location::current());
inline std::vector<Tensor> call(const Graph& callee, std::initializer_list<Argument> arguments, std::initializer_list<Tensor> targets,
                                std::source_location where = std::source_location::current()) {
  return call(callee, std::span(arguments.begin(), arguments.size()), std::span(targets.begin(), targets.size()), where);
}

}  // namespace weft
