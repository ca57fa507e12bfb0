// What weft knows of a primitive operation. The instances, one a primitive, stand in src/ops by family.
#pragma once

#include "graph/ir.h"

#include <weft/tensor.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

namespace reference {
struct Array;
}

/// What type inference sees of an operation, while a graph is built (sizes may be unknown) and again when it is
/// specialised for the fed types (all sizes known).
class Inference {
 public:
  Inference(const Primitive& op, std::vector<TensorType> operands, const Attributes& attributes, std::string_view label)
      : op(op), operands(std::move(operands)), attributes(attributes), label(label) {}

  const Primitive& op;
  const std::vector<TensorType> operands;
  const Attributes& attributes;
  const std::string_view label;
  std::vector<TensorType> results;

  std::size_t count() const { return operands.size(); }
  const TensorType& operator[](std::size_t i) const { return operands[i]; }
  const Shape& shape(std::size_t i) const { return operands[i].shape; }
  DType dtype(std::size_t i) const { return operands[i].dtype; }
  void result(DType dtype, Shape shape) { results.push_back({dtype, shape}); }
  void result(TensorType type) { results.push_back(type); }

  /// Throws GraphError: operation, label, then the message, which says what is wrong and what would be right.
  [[noreturn]] void fail(const std::string& message) const;
  /// Fails unless operand i's type is one of those for which `accepted` holds; `wanted` names them.
  void require(bool (*accepted)(DType), std::size_t i, std::string_view wanted) const;
  /// Fails unless operands i and j have the same element type.
  void require_same_dtype(std::size_t i, std::size_t j) const;
  /// The axis counted from the front; fails when out of range.
  int axis(std::int64_t axis, int rank) const;
  /// Axes counted from the front, in the order given; fails for one out of range or twice there.
  std::vector<int> axes(std::span<const std::int64_t> axes, int rank) const;
};

/// What a gradient rule sees: the operation, and the derivatives with respect to its results. Rules are written with
/// the public functions.
class Gradient {
 public:
  Gradient(GraphState* graph, ir::NodeId node, std::vector<Tensor> cotangents, std::vector<bool> wanted);

  /// Operand i of the operation (for a variable's implicit read, what was read).
  Tensor operand(std::size_t i) const;
  Tensor result(std::size_t i = 0) const;
  /// The derivative with respect to result i; zeros where nothing depends on it.
  Tensor cotangent(std::size_t i = 0) const;
  /// Whether anything depends on result i.
  bool has_cotangent(std::size_t i) const { return static_cast<bool>(cotangents_[i]); }
  /// Whether operand i's derivative is asked for.
  bool wanted(std::size_t i) const { return wanted_[i]; }
  const Attributes& attributes() const;
  std::size_t operand_count() const;

  /// Gives operand i's derivative. Operands left without one have derivative zero.
  void set(std::size_t i, Tensor derivative) { derivatives[i] = derivative; }
  std::vector<Tensor> derivatives;

 private:
  GraphState* graph_;
  ir::NodeId node_;
  std::vector<Tensor> cotangents_;
  std::vector<bool> wanted_;
};

/// What reference evaluation sees: operands in, results out. Types are static. Results come allocated, zero-filled.
struct Evaluation {
  const ir::Node& node;
  std::vector<const reference::Array*> operands;
  std::vector<reference::Array*> results;
  std::uint64_t run_index = 0;
};

/// What a shape-dependent operation is rewritten with once all sizes are known, before everything else.
class Expansion {
 public:
  Expansion(ir::Graph& graph, const ir::Node& node) : graph_(graph), node(node) {}
  /// Adds an operation (types inferred, itself expanded unless it is of the kind being expanded) and gives its first result.
  ir::Value add(std::string_view op, std::vector<ir::Value> operands, Attributes attributes = {});
  ir::Value operand(std::size_t i) const { return node.operands[i]; }
  TensorType type(ir::Value v) const { return graph_.type(v); }
  TensorType operand_type(std::size_t i) const { return graph_.type(node.operands[i]); }
  /// A scalar constant of the given type. It may stand for a size, so rules don't look at its value.
  ir::Value constant(double value, DType dtype);
  /// A scalar 0 that stands for no size.
  ir::Value zero(DType dtype);
  /// A rank 1 constant of i64.
  ir::Value constant(std::span<const std::int64_t> values);

 private:
  ir::Graph& graph_;

 public:
  const ir::Node& node;
};

/// What an elementwise primitive computes on one element, for reference evaluation; null where it has no meaning.
/// Operands are a, b, c in order; results are rounded or wrapped to the result's type by the caller.
struct ScalarFunctions {
  double (*real)(double, double, double) = nullptr;
  __int128 (*integer)(__int128, __int128, __int128, DType) = nullptr;
  std::complex<double> (*complex)(std::complex<double>, std::complex<double>, std::complex<double>) = nullptr;
};

/// How far stitching can see into a primitive.
enum class Kind : std::uint8_t {
  opaque,       ///< a kernel of its own
  elementwise,  ///< result[i] depends on the operands' [i] only, operands broadcast as NumPy
  movement,     ///< result elements are operand elements or a fill value, at places known from the shapes
  source,       ///< no operands: constants, placeholders, iota, random bits
  state,        ///< variables, read, assign
  control,      ///< loops and branches
};

struct Primitive {
  std::string_view name;
  int min_operands = 0;
  int max_operands = 0;  ///< -1: any number
  Kind kind = Kind::opaque;
  void (*infer)(Inference&) = nullptr;
  /// Null: the operation has no derivative, and one asked for through it is an error.
  void (*gradient)(Gradient&) = nullptr;
  void (*evaluate)(Evaluation&) = nullptr;
  /// Not null: replaced by other operations once all sizes are known. Gives the replacement of the first result (of all
  /// results when it has as many), or an empty Value when the operation already is in its final form.
  ir::Value (*expand)(Expansion&) = nullptr;
  ScalarFunctions scalar = {};
  bool commutative = false;
  bool is_pure() const { return kind != Kind::state; }
};

/// The primitive of that name; null when there is none.
const Primitive* find_primitive(std::string_view name);
/// Throws InternalError when there is none.
const Primitive& primitive(std::string_view name);

/// Infers `node`'s types from its operands' and its attributes; throws GraphError with label, operand types and place.
void infer_types(const ir::Graph& graph, ir::Node& node);

/// An operation with its types, made in place of `like` or a part of it: it has its label and its place in the user's source.
ir::Node make_node(const ir::Graph& graph, std::string_view op, std::vector<ir::Value> operands, Attributes attributes, const ir::Node& like);

}  // namespace weft
