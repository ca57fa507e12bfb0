// The graph: where placeholders, constants, variables and operations live, and how they are run.
#pragma once

#include <weft/executable.h>
#include <weft/init.h>
#include <weft/ndarray.h>
#include <weft/tensor.h>

#include <functional>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A symbolic graph of tensor operations. Owns everything in it; movable, not copyable. Building is for one thread at a
/// time; running is safe from several.
class Graph {
 public:
  Graph();
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  // Sources -------------------------------------------------------------------------------------------------------------
  /// A value that is fed when the graph is run. Sizes may be `dynamic`, the shape unranked.
  Tensor placeholder(Shape shape, DType dtype = f32, std::string_view label = {}, std::source_location where = std::source_location::current());
  /// A tensor with these elements (copied).
  Tensor constant(const NDArray& value, std::source_location where = std::source_location::current());
  /// A tensor of static shape whose elements are all `value`.
  Tensor constant(Scalar value, Shape shape = {}, DType dtype = f32, std::source_location where = std::source_location::current());
  Tensor constant(double value, Shape shape = {}, DType dtype = f32, std::source_location where = std::source_location::current()) {
    return constant(Scalar(value), shape, dtype, where);
  }
  /// A tensor that keeps its value from run to run. Used as an operand it is read implicitly: the operation sees the
  /// value at the start of the run.
  Tensor variable(Initializer initializer, std::string_view label = {}, std::source_location where = std::source_location::current());
  Tensor variable(const NDArray& value, std::string_view label = {}, std::source_location where = std::source_location::current());

  // State ---------------------------------------------------------------------------------------------------------------
  /// Reads a variable at this point of execution: sees the last assignment that the read depends on, directly or not,
  /// through operands or control dependencies; without one, the value at the start of the run.
  Tensor read(Tensor variable, std::source_location where = std::source_location::current());
  /// Gives the variable a new value when the run ends well, in the old one's memory where that is safe. Runs only as a target operation or
  /// when one that runs depends on it. Of several in one run that don't depend on each other the one made last wins.
  Operation assign(Tensor variable, Operand value);
  /// Operations made inside `body` run after the given ones.
  void control_dependencies(std::span<const Operation> operations, const std::function<void()>& body);
  void control_dependencies(std::initializer_list<Operation> operations, const std::function<void()>& body) {
    control_dependencies(std::span(operations.begin(), operations.size()), body);
  }
  /// Operations made inside `body` are labelled "label" (or "outer/label" when nested) unless they get one of their own.
  void scope(std::string_view label, const std::function<void()>& body);

  /// All variables, in the order in which they were made.
  std::vector<Tensor> variables() const;
  /// The present value of a variable, copied: later runs don't change the copy.
  NDArray value(Tensor variable) const;
  /// Throws RunError when the type differs.
  void set_value(Tensor variable, const NDArray& value);
  /// Seeds initialisers and random operations that have no seed of their own. 0 until set. Variables that have not been
  /// read, run or assigned yet start from the new seed.
  void set_seed(std::uint64_t seed);

  // Differentiation -----------------------------------------------------------------------------------------------------
  /// The derivatives of the sum of y's elements with respect to each of xs, with xs' types; zeros where y doesn't depend
  /// on x. Tensors and variables both serve as xs. Throws GraphError, naming the operation, where the path from x to y
  /// goes through one that has no derivative, and for integer y or x.
  std::vector<Tensor> gradients(Tensor y, std::span<const Tensor> xs, std::source_location where = std::source_location::current());
  std::vector<Tensor> gradients(Tensor y, std::initializer_list<Tensor> xs, std::source_location where = std::source_location::current()) {
    return gradients(y, std::span(xs.begin(), xs.size()), where);
  }

  // Running -------------------------------------------------------------------------------------------------------------
  /// Computes the targets and runs the target operations. Placeholders that none of them needs may be left out; feeding
  /// what is not needed is an error. The first run for given feed types compiles; later ones find the executable in a
  /// cache. Throws RunError; variables then keep their values.
  RunResult run(const Feeds& feeds, std::span<const Tensor> targets, std::span<const Operation> operations = {}, const RunOptions& options = {});
  RunResult run(const Feeds& feeds, std::initializer_list<Tensor> targets, std::span<const Operation> operations = {},
                const RunOptions& options = {}) {
    return run(feeds, std::span(targets.begin(), targets.size()), operations, options);
  }
  RunResult run(const Feeds& feeds, std::initializer_list<Tensor> targets, std::initializer_list<Operation> operations,
                const RunOptions& options = {}) {
    return run(feeds, std::span(targets.begin(), targets.size()), std::span(operations.begin(), operations.size()), options);
  }
  /// Writes the targets into the caller's storage, whose types must be the targets'; the keys imply the targets. A run that fails leaves the
  /// storage undefined.
  void run(const Feeds& feeds, Results& results, std::span<const Operation> operations = {}, const RunOptions& options = {});

  /// Compiles for the given feed types. The executable refers to this graph's variables and must not outlive it.
  Executable compile(std::span<const FeedType> feeds, std::span<const Tensor> targets, std::span<const Operation> operations = {},
                     const RunOptions& options = {});
  Executable compile(std::initializer_list<FeedType> feeds, std::initializer_list<Tensor> targets, std::initializer_list<Operation> operations = {},
                     const RunOptions& options = {}) {
    return compile(std::span(feeds.begin(), feeds.size()), std::span(targets.begin(), targets.size()),
                   std::span(operations.begin(), operations.size()), options);
  }

  CacheStatistics cache_statistics() const;
  void clear_cache();
  /// How many executables `run` keeps; 64 until set. The least recently used goes first.
  void set_cache_capacity(std::size_t executables);

  // Text ----------------------------------------------------------------------------------------------------------------
  /// The graph as text, one line an operation; `parse` gives the same graph back.
  std::string str() const;
  /// Throws GraphError with the line for text that is not a graph.
  static Graph parse(std::string_view text);
  /// The tensor of the operation labelled so. Throws GraphError when there is none or more than one.
  Tensor find(std::string_view label) const;

  GraphState* state() const { return state_.get(); }

 private:
  std::unique_ptr<GraphState> state_;
};

}  // namespace weft
