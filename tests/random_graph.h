// Random graphs, for finding what nobody thought of.
#pragma once

#include "descriptions.h"
#include "specimen.h"

#include <weft/graph.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// A graph of operations from the test descriptions, views, reductions, normalisations and contractions in the usual
/// patterns, with several targets, variables and their updates. The same for the same seed. Rounding errors stay small in
/// it: operands are brought into the middle of an operation's domain, and functions that jump are given exact values only.
class RandomGraph {
 public:
  explicit RandomGraph(std::uint64_t seed);

  /// With what only the targets and updates need.
  Specimen specimen() const;

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  bool chance(double p) { return static_cast<double>(random_() >> 11) < p * 0x1p53; }
  template <class T> const T& any_of(const std::vector<T>& list) { return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))]; }

  Shape any_shape();
  Tensor placeholder(const Domain& domain, DType dtype, Shape shape);
  /// A tensor of the pool of this type; a new placeholder where there is none.
  Tensor any(DType dtype);
  /// One with at least this many dimensions.
  Tensor any_of_rank(DType dtype, int rank);
  /// A tensor of this type whose shape broadcasts with `beside`.
  Tensor any_beside(const Tensor& beside, DType dtype);
  /// One that every way of running computes to the last bit.
  Tensor any_exact(DType dtype, const Domain& domain, const Shape& otherwise);
  /// Values of x brought close to the middle of a domain.
  Tensor bounded(Tensor x, const Domain& domain);
  Tensor small(Tensor x) { return bounded(std::move(x), real(-1, 1)); }
  int any_axis(const Tensor& x) { return below(x.shape().rank()); }
  std::vector<std::int64_t> some_axes(const Tensor& x);

  Tensor elementwise();
  Tensor movement();
  Tensor moved(const Tensor& x);
  Tensor reduction();
  Tensor pattern();
  Tensor contraction();
  Tensor described();
  Tensor activated(Tensor x);
  void keep(Tensor t);
  void choose_targets();
  void assign_variables();
  void differentiate();

  mutable Graph g_;
  std::mt19937_64 random_;
  DType floating_, integer_;
  std::int64_t most_elements_;
  bool smooth_;  ///< nothing whose derivative jumps
  std::vector<Tensor> pool_, exact_, targets_;
  std::vector<Operation> updates_;
  std::vector<std::pair<Tensor, NDArray>> values_;  ///< of placeholders and variables
  Tolerance tolerance_;
};

}  // namespace weft
