// The graph as plain data: nodes in an order in which every node follows its operands.
#pragma once

#include "graph/attributes.h"

#include <weft/shape.h>

#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <vector>

namespace weft {

struct Primitive;

namespace ir {

using NodeId = std::int32_t;

/// One result of one node.
struct Value {
  NodeId node = -1;
  std::int32_t output = 0;
  friend auto operator<=>(const Value&, const Value&) = default;
};

/// Where in the user's code an operation was made. The strings are literals of the program.
struct Location {
  const char* file = "";
  std::uint32_t line = 0;
  static Location of(const std::source_location& where) { return {where.file_name(), where.line()}; }
  /// "main.cpp:12", empty when unknown.
  std::string str() const;
};

struct Node {
  const Primitive* op = nullptr;
  std::vector<Value> operands;
  Attributes attributes;
  std::vector<NodeId> control;  ///< operations that run before this one
  std::vector<TensorType> types;
  std::string label;
  Location where;
};

struct Graph {
  std::vector<Node> nodes;

  const Node& operator[](NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
  Node& operator[](NodeId id) { return nodes[static_cast<std::size_t>(id)]; }
  const TensorType& type(Value v) const { return (*this)[v.node].types[static_cast<std::size_t>(v.output)]; }
  NodeId size() const { return static_cast<NodeId>(nodes.size()); }
  NodeId add(Node node) {
    nodes.push_back(std::move(node));
    return size() - 1;
  }
};

/// What a loop or a branch computes: its first nodes are placeholders for what it is given, in order, and there are no others.
struct Function {
  Graph graph;
  std::vector<Value> results;

  std::vector<TensorType> parameter_types() const;
  std::vector<TensorType> result_types() const;
};

/// Whether two functions compute the same, whatever labels say.
bool equal(const Function& a, const Function& b);

/// `conv2d "stem"`, for errors and dumps.
std::string describe(const Node& node);

}  // namespace ir
}  // namespace weft
