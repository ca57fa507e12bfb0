// Handles to the values and operations of a graph.
#pragma once

#include <weft/shape.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>

namespace weft {

struct GraphState;
class Operation;

/// A value in a graph: one result of one operation. A small handle, valid as long as its Graph.
class Tensor {
 public:
  Tensor() = default;
  Tensor(GraphState* graph, std::int32_t node, std::int32_t output) : graph_(graph), node_(node), output_(output) {}

  /// What is known of the type while building. Throws GraphError for an empty handle, as all members but these two do.
  const TensorType& type() const;
  DType dtype() const { return type().dtype; }
  const Shape& shape() const { return type().shape; }
  /// The operation that computes this value.
  Operation operation() const;
  /// Labels the operation that computes this value, for errors, explanations and names of generated code.
  Tensor named(std::string_view label) const;
  /// The label, or "%<node>" when it has none.
  std::string name() const;

  explicit operator bool() const { return graph_ != nullptr; }
  GraphState* graph() const { return graph_; }
  std::int32_t node() const { return node_; }
  std::int32_t output() const { return output_; }
  friend bool operator==(const Tensor&, const Tensor&) = default;

 private:
  GraphState* graph_ = nullptr;
  std::int32_t node_ = 0;
  std::int32_t output_ = 0;
};

/// An operation in a graph, to be run for its effect or to be waited for. A small handle, valid as long as its Graph.
class Operation {
 public:
  Operation() = default;
  Operation(GraphState* graph, std::int32_t node) : graph_(graph), node_(node) {}
  Operation(Tensor t) : graph_(t.graph()), node_(t.node()) {}

  std::string_view name() const;
  std::string label() const;
  int result_count() const;
  Tensor result(int index) const;
  Operation named(std::string_view label) const;

  explicit operator bool() const { return graph_ != nullptr; }
  GraphState* graph() const { return graph_; }
  std::int32_t node() const { return node_; }
  friend bool operator==(const Operation&, const Operation&) = default;

 private:
  GraphState* graph_ = nullptr;
  std::int32_t node_ = 0;
};

/// A C++ number that stands for a constant of whatever type the other operands have.
using Scalar = std::variant<bool, std::int64_t, std::uint64_t, double>;

/// What operations take: a tensor, or a number that becomes a scalar constant of the other operands' type. Remembers
/// where in the user's code it was made, so that an error can point there.
class Operand {
 public:
  Operand(Tensor tensor, std::source_location where = std::source_location::current()) : tensor_(tensor), where_(where) {}
  template <class T>
  requires std::is_arithmetic_v<T> Operand(T value, std::source_location where = std::source_location::current())
      : scalar_(widened(value)), is_scalar_(true), where_(where) {}

  /// Made from a number. An operand made from an empty Tensor is neither tensor nor number; operations refuse it.
  bool is_scalar() const { return is_scalar_; }
  Tensor tensor() const { return tensor_; }
  Scalar scalar() const { return scalar_; }
  std::source_location where() const { return where_; }

 private:
  template <class T> static Scalar widened(T value) {
    if constexpr (std::same_as<T, bool>) return value;
    else if constexpr (std::floating_point<T>) return static_cast<double>(value);
    else if constexpr (std::unsigned_integral<T>) return static_cast<std::uint64_t>(value);
    else return static_cast<std::int64_t>(value);
  }
  Tensor tensor_;
  Scalar scalar_ = false;
  bool is_scalar_ = false;
  std::source_location where_;
};

}  // namespace weft

template <> struct std::hash<weft::Tensor> {
  std::size_t operator()(const weft::Tensor& t) const noexcept {
    return std::hash<const void*>{}(t.graph()) ^ (static_cast<std::size_t>(t.node()) * 0x9e3779b97f4a7c15ull + static_cast<std::size_t>(t.output()));
  }
};
template <> struct std::hash<weft::Operation> {
  std::size_t operator()(const weft::Operation& o) const noexcept {
    return std::hash<const void*>{}(o.graph()) ^ (static_cast<std::size_t>(o.node()) * 0x9e3779b97f4a7c15ull);
  }
};
