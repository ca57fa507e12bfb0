// How operations get into a graph.
#pragma once

#include "graph/primitive.h"

#include <weft/error.h>
#include <weft/tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft {

struct Initializer;
struct RuntimeState;
struct RuntimeStateDeleter {
  void operator()(RuntimeState*) const;
};

/// What a Graph owns.
struct GraphState {
  ir::Graph ir;
  std::vector<ir::NodeId> variables;
  std::uint64_t seed = 0;

  // What the next operation gets.
  std::string scope;
  std::vector<ir::NodeId> control;
  const ir::Location* user_call = nullptr;                    ///< set while a composite builds
  std::unordered_map<ir::NodeId, ir::NodeId> implicit_reads;  ///< variable -> its read at the start of the run

  /// Variables' values and compiled executables; made when first needed.
  std::unique_ptr<RuntimeState, RuntimeStateDeleter> runtime;
};

/// Adds an operation. Scalars take the element type of the first tensor operand that isn't excluded by `scalar_like`
/// (an operand index, -1 for the first tensor); variables are read. Throws GraphError.
ir::NodeId add_operation(std::string_view op, std::span<const Operand> operands, Attributes attributes = {}, int scalar_like = -1);
/// Adds an operation and gives its first result.
Tensor apply(std::string_view op, std::initializer_list<Operand> operands, Attributes attributes = {}, int scalar_like = -1);
/// Adds an operation without operands.
Tensor apply_source(GraphState& graph, std::string_view op, Attributes attributes, std::source_location where, std::string_view label = {});
/// Adds an operation and gives all its results.
std::vector<Tensor> apply_all(std::string_view op, std::span<const Operand> operands, Attributes attributes = {}, int scalar_like = -1);

/// The graph of the first tensor among operands; throws GraphError when there is none or they belong to different ones.
GraphState& graph_of(std::string_view op, std::span<const Operand> operands);
inline GraphState& graph_of(std::string_view op, const Operand& operand) { return graph_of(op, std::span(&operand, 1)); }

/// While a composite builds, errors and nodes point at the user's call of it rather than into the composite.
class CompositeScope {
 public:
  /// The graph is that of the first tensor among operands.
  CompositeScope(std::string_view name, std::initializer_list<Operand> operands);
  ~CompositeScope();
  CompositeScope(const CompositeScope&) = delete;
  CompositeScope& operator=(const CompositeScope&) = delete;
  GraphState& graph() const { return graph_; }
  /// A scalar operand as a constant of the type of the composite's first tensor operand.
  Tensor tensor(const Operand& operand) const;

 private:
  GraphState& graph_;
  ir::Location location_;
  const ir::Location* outer_;
  DType dtype_ = f32;
};

/// A scalar constant. Throws GraphError when the number has no place in the type (0.5 as i32, 300 as u8).
Tensor scalar_constant(GraphState& graph, const Scalar& value, DType dtype, std::source_location where = std::source_location::current());
/// What Graph::variable and Graph::assign do.
Tensor add_variable(GraphState& graph, const Initializer& initializer, std::string_view label, std::source_location where);
Operation add_assign(Tensor variable, Operand value);
/// A read of a variable, the tensor itself otherwise.
Tensor implicitly_read(Tensor t);

/// The derivatives of the sum of all elements of ys, each times its weight, with respect to xs, in the types of xs; zeros where no y depends on x.
std::vector<Tensor> differentiate(GraphState& graph, std::span<const Tensor> ys, std::span<const Tensor> weights, std::span<const Tensor> xs);

/// `[message] (at main.cpp:12)`.
[[noreturn]] void fail_graph(const std::string& message, const ir::Location& where);

}  // namespace weft
