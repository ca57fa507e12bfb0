// Random graphs, for finding what nobody thought of.
#pragma once

#include "descriptions.h"

#include <weft/graph.h>

#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// A graph of elementwise operations from the test descriptions, movement, reductions and a few more, with several targets, a
/// variable and its update. The same for the same seed. Rounding errors stay small in it: operands are brought into
/// the middle of an operation's domain, and functions that jump are given exact values only.
class RandomGraph {
 public:
  explicit RandomGraph(std::uint64_t seed);

  Graph g;
  Feeds feeds;  ///< of all that the targets and updates need
  std::vector<Tensor> targets;
  std::vector<Operation> updates;
  Tensor variable;
  NDArray initial;      ///< the variable's value
  Tolerance tolerance;  ///< of the targets and of the variable

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  bool chance(double p) { return static_cast<double>(random_() >> 11) < p * 0x1p53; }
  template <class T> const T& any_of(const std::vector<T>& list) { return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))]; }

  Shape any_shape();
  Tensor placeholder(const Domain& domain, DType dtype, Shape shape);
  /// A tensor of the pool of this type; a new placeholder where there is none.
  Tensor any(DType dtype);
  /// A tensor of this type whose shape broadcasts with `beside`.
  Tensor any_beside(const Tensor& beside, DType dtype);
  /// Values of x brought close to the middle of a domain.
  Tensor bounded(Tensor x, const Domain& domain);
  int any_axis(const Tensor& x) { return below(x.shape().rank()); }
  std::vector<std::int64_t> some_axes(const Tensor& x);

  Tensor elementwise();
  Tensor movement();
  Tensor reduction();
  Tensor contraction();
  void keep(Tensor t);
  void choose_targets();
  void drop_unused_feeds();

  std::mt19937_64 random_;
  DType floating_;
  bool smooth_;  ///< nothing whose derivative jumps
  std::vector<Tensor> pool_;
};

}  // namespace weft
