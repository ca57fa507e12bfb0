#include "operation.h"

#include "compile/backend.h"

#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/reduction.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

std::vector<NDArray> sampled(const OpCase& op, DType dtype, const Shapes& shapes) {
  std::vector<NDArray> values;
  for (std::size_t i = 0; i < shapes.size(); ++i) values.push_back(sample(op.inputs[i].domain, dtype_of_input(op, i, dtype), shapes[i], i + 1));
  return values;
}

}  // namespace

Shape declared(const Shape& shape, Known known) {
  if (known == Known::sizes) return shape;
  return known == Known::nothing ? Shape::unranked() : Shape(std::vector<std::int64_t>(static_cast<std::size_t>(shape.rank()), dynamic));
}

BuiltOperation::BuiltOperation(const OpCase& op, DType dtype, const Shapes& shapes, Known known)
    : BuiltOperation(op, dtype, shapes, sampled(op, dtype, shapes), known) {}

BuiltOperation::BuiltOperation(const OpCase& op, DType dtype, const Shapes& shapes, const std::vector<NDArray>& values, Known known) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    inputs.push_back(g.placeholder(declared(shapes[i], known), dtype_of_input(op, i, dtype), "x" + std::to_string(i)));
    feeds.emplace(inputs[i], values[i]);
  }
  outputs = op.build(g, inputs);
}

WeightedSum::WeightedSum(Graph& g, const Tensors& tensors, const Shapes& shapes, const Tensors& with_respect_to, Known known) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const DType dtype = tensors[i].dtype();
    if (!is_floating(dtype)) continue;
    const Tensor weight = g.placeholder(declared(shapes[i], known), dtype);
    weights.emplace(weight, sample(real(-1, 1), dtype, shapes[i], 100 + i));
    const Tensor part = sum(tensors[i] * weight);
    value = value ? value + part : part;
  }
  if (value) gradients = g.gradients(value, with_respect_to);
}

const std::vector<NamedBackend>& compiling_backends() {
  static const auto list = [] {
    std::vector<NamedBackend> usable;
    for (const auto& b : {NamedBackend{"cpu", Backend::cpu}, NamedBackend{"cuda", Backend::cuda}})
      if (has_backend(b.backend)) usable.push_back(b);
    return usable;
  }();
  return list;
}

const std::vector<Way>& ways() {
  static const auto list = [] {
    std::vector<Way> ways{{"reference, not simplified", {.backend = Backend::reference, .simplify = false}}};
    for (const auto& [name, backend] : compiling_backends()) {
      ways.push_back({name, {.backend = backend}});
      ways.push_back({name + ", not stitched", {.backend = backend, .stitch = false}});
      ways.push_back({name + ", not simplified", {.backend = backend, .simplify = false}});
    }
    return ways;
  }();
  return list;
}

const std::vector<Way>& usual_ways() {
  static const auto list = [] {
    std::vector<Way> usual;
    std::ranges::copy_if(ways(), std::back_inserter(usual), [](const Way& w) { return w.options == RunOptions{.backend = w.options.backend}; });
    return usual;
  }();
  return list;
}

NDArray scattered(const NDArray& dense) {
  const int rank = dense.rank();
  std::vector<int> backwards(static_cast<std::size_t>(rank));
  std::iota(backwards.rbegin(), backwards.rend(), 0);
  std::vector<std::int64_t> sizes;
  for (int d = rank - 1; d >= 0; --d) sizes.push_back(2 * dense.shape()[d] + 1);
  NDArray view = NDArray(dense.dtype(), Shape(sizes)).transpose(backwards);
  for (int d = 0; d < rank; ++d)
    if (const auto n = dense.shape()[d]; n > 0) view = view.slice(d, 2 * n - 1, -1, -2);
    else view = view.slice(d, 0, 0);
  view.assign(dense);
  return view;
}

}  // namespace weft
