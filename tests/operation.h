// An operation of the test descriptions in a graph of its own, ready to be run in several ways.
#pragma once

#include "descriptions.h"

#include <weft/graph.h>

#include <string>
#include <vector>

namespace weft {

/// What a graph is told of its placeholders' shapes.
enum class Known { sizes, rank, nothing };

/// What is known of a tensor of this shape.
Shape declared(const Shape& shape, Known known);

struct BuiltOperation {
  Graph g;
  Tensors inputs, outputs;
  Feeds feeds;

  BuiltOperation(const OpCase& op, DType dtype, const Shapes& shapes, Known known = Known::sizes);
  /// The inputs are fed by the caller.
  BuiltOperation(const OpCase& op, DType dtype, const Shapes& shapes, const std::vector<NDArray>& values, Known known = Known::sizes);
};

/// A weighted sum of the elements of tensors of one type, and its derivatives.
struct WeightedSum {
  Tensor value;
  Tensors gradients;
  Feeds weights;  ///< what the weights are fed with

  /// `shapes` are those of the tensors, whose types may know less.
  WeightedSum(Graph& g, const Tensors& tensors, const Shapes& shapes, const Tensors& with_respect_to, Known known);
};

/// A way to run a graph.
struct Way {
  std::string name;
  RunOptions options;
};
inline constexpr RunOptions reference_run{.backend = Backend::reference};
/// Every way that this build has, but for `reference_run`, with which they are compared.
const std::vector<Way>& ways();
/// Those that differ in the generated code for a type or shape: one a backend.
const std::vector<Way>& usual_ways();

/// Those that compile and can run here, with their names.
struct NamedBackend {
  std::string name;
  Backend backend;
};
const std::vector<NamedBackend>& compiling_backends();

/// The same elements, laid out with gaps, reversed and with the innermost dimension first.
NDArray scattered(const NDArray& dense);

}  // namespace weft
