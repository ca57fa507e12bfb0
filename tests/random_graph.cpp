#include "random_graph.h"

#include "graph/build.h"

#include <weft/weft.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

constexpr std::int64_t most_elements = 4096;

/// Whether a small change of a floating operand can change a result by much.
bool jumps(const OpCase& op, const std::vector<Tensor>& results) {
  return std::ranges::any_of(op.inputs, [](const Input& i) { return i.domain.whole || !i.domain.avoid.empty(); }) ||
         std::ranges::any_of(results, [](const Tensor& t) { return !is_floating(t.dtype()); });
}

std::vector<OpCase> elementwise_cases(DType dtype) {
  std::vector<OpCase> list;
  for (const auto& op : op_cases())
    if (op.elementwise && std::ranges::find(op.dtypes, dtype) != op.dtypes.end()) list.push_back(op);
  return list;
}

const std::vector<OpCase>& cases_of(DType dtype) {
  static const auto single = elementwise_cases(f32), twice = elementwise_cases(f64), integer = elementwise_cases(i32),
                    logical = elementwise_cases(boolean);
  return dtype == f32 ? single : dtype == f64 ? twice : dtype == i32 ? integer : logical;
}

}  // namespace

RandomGraph::RandomGraph(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15ull + 7) {
  floating_ = chance(0.5) ? f32 : f64;
  smooth_ = chance(0.4);
  // Errors of some twenty operations that at worst triple them; wrong elements are off by far more.
  tolerance = {.ulp = 4096, .scale = 4096};
  pool_.push_back(placeholder(real(-2, 2), floating_, any_shape()));
  const int steps = 3 + below(12);
  for (int i = 0; i < steps; ++i) {
    const int kind = below(20);
    keep(kind < 10 ? elementwise() : kind < 15 ? movement() : kind < 19 ? reduction() : contraction());
  }
  choose_targets();
  drop_unused_feeds();
}

Shape RandomGraph::any_shape() {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(below(5)));
  for (auto& s : sizes) s = any_of<std::int64_t>({1, 1, 2, 3, 5, 7, 13, 31});
  if (!sizes.empty() && chance(0.04)) sizes[static_cast<std::size_t>(below(static_cast<int>(sizes.size())))] = 0;
  const Shape shape(sizes);
  return shape.element_count() > most_elements ? Shape{7, 13} : shape;
}

Tensor RandomGraph::placeholder(const Domain& domain, DType dtype, Shape shape) {
  const Tensor t = g.placeholder(shape, dtype, "x" + std::to_string(feeds.size()));
  feeds.emplace(t, sample(domain, dtype, shape, random_()));
  return t;
}

Tensor RandomGraph::any(DType dtype) {
  std::vector<Tensor> list;
  std::ranges::copy_if(pool_, std::back_inserter(list), [&](const Tensor& t) { return t.dtype() == dtype; });
  if (!list.empty()) return any_of(list);
  pool_.push_back(placeholder(anything(), dtype, any_shape()));
  return pool_.back();
}

Tensor RandomGraph::any_beside(const Tensor& beside, DType dtype) {
  std::vector<Tensor> list;
  for (const auto& t : pool_) {
    const auto joined = broadcast(t.shape(), beside.shape());
    if (t.dtype() == dtype && joined && joined->element_count() <= most_elements) list.push_back(t);
  }
  if (!list.empty() && chance(0.8)) return any_of(list);
  return placeholder(is_floating(dtype) ? real(-2, 2) : anything(), dtype, chance(0.3) ? Shape{} : beside.shape());
}

Tensor RandomGraph::bounded(Tensor x, const Domain& domain) {
  const double middle = (domain.low + domain.high) / 2, radius = std::min(1.0, (domain.high - domain.low) / 2);
  return x / (1.0 + abs(x)) * radius + middle;
}

std::vector<std::int64_t> RandomGraph::some_axes(const Tensor& x) {
  std::vector<std::int64_t> axes;
  for (int d = 0; d < x.shape().rank(); ++d)
    if (chance(0.5)) axes.push_back(chance(0.5) ? d : d - x.shape().rank());
  return axes;
}

Tensor RandomGraph::elementwise() {
  const DType dtype = chance(0.75) ? floating_ : chance(0.6) ? i32 : boolean;
  const OpCase& op = any_of(cases_of(dtype));
  // What it makes of such operands shows whether it takes any value.
  std::vector<Tensor> operands;
  Graph trial;
  for (const auto& input : op.inputs) operands.push_back(trial.placeholder({}, input.dtype.value_or(dtype)));
  const std::vector<Tensor> results = op.build(trial, operands);
  const bool has_floating_result = std::ranges::any_of(results, [](const Tensor& t) { return is_floating(t.dtype()); });
  if (smooth_ && is_floating(dtype) && op.differentiable.empty() && has_floating_result) return elementwise();
  const bool exact = is_floating(dtype) && ((smooth_ && op.kinked) || jumps(op, results));

  operands.clear();
  for (const auto& input : op.inputs) {
    const DType wanted = input.dtype.value_or(dtype);
    if (exact && is_floating(wanted)) {
      operands.push_back(placeholder(input.domain, wanted, operands.empty() ? any_shape() : operands[0].shape()));
    } else {
      Tensor t = operands.empty() ? any(wanted) : any_beside(operands[0], wanted);
      // Three operands that broadcast in pairs needn't do so together.
      if (operands.size() == 2 && !broadcast(*broadcast(operands[0].shape(), operands[1].shape()), t.shape()))
        t = placeholder(anything(), wanted, {});
      operands.push_back(is_floating(wanted) ? bounded(t, input.domain) : t);
    }
  }
  return any_of(op.build(g, operands));
}

Tensor RandomGraph::movement() {
  const Tensor x = any(chance(0.7) ? floating_ : chance(0.7) ? i32 : boolean);
  const int rank = x.shape().rank();
  if (rank == 0) return broadcast_to(x, {static_cast<std::int64_t>(1 + below(4)), 3});
  const int axis = any_axis(x);
  const auto size = x.shape()[axis];
  switch (below(11)) {
    case 0: {
      std::vector<int> permutation(static_cast<std::size_t>(rank));
      std::iota(permutation.begin(), permutation.end(), 0);
      std::shuffle(permutation.begin(), permutation.end(), random_);
      return transpose(x, permutation);
    }
    case 1: return reverse(x, some_axes(x));
    case 2:
      return rank < 4 && x.shape().element_count() < 500 ? tile(x, std::vector<std::int64_t>(static_cast<std::size_t>(rank), 2)) : flatten(x, axis);
    case 3: {
      const auto start = below(static_cast<int>(size) + 1);
      return slice(x, axis, start, below(static_cast<int>(size) - start + 1));
    }
    case 4: {
      StridedSlice range;
      for (int d = 0; d < rank; ++d) {
        range.begin.push_back(below(40) - 20);
        range.end.push_back(below(40) - 20);
        range.stride.push_back(any_of<std::int64_t>({1, 1, 2, 3, -1, -2}));
      }
      range.begin_mask = static_cast<std::uint32_t>(below(16)) | static_cast<std::uint32_t>(below(16));
      range.end_mask = static_cast<std::uint32_t>(below(16)) | static_cast<std::uint32_t>(below(16));
      return slice(x, range);
    }
    case 5: {
      std::vector<std::int64_t> low, high;
      PadOptions options;
      for (int d = 0; d < rank; ++d) {
        low.push_back(below(3));
        high.push_back(below(3));
        options.interior.push_back(chance(0.2));
      }
      return pad(x, low, high, options);
    }
    case 6: return concat({x, slice(x, axis, 0, size / 2), x}, axis);
    case 7: return x.shape().element_count() > 0 ? reshape(x, {dynamic, size}) : reshape(x, {0, 3});
    case 8: return expand_dims(x, {below(rank + 1)});
    case 9: return size == 1 ? broadcast_to(x, x.shape().with(axis, 5)) : squeeze(x);
    default: return split(x, 2, axis)[static_cast<std::size_t>(below(2))];
  }
}

Tensor RandomGraph::reduction() {
  const Tensor x = any(chance(0.8) ? floating_ : i32);
  const auto axes = some_axes(x);
  const ReduceOptions options{.keep = chance(0.5)};
  const int rank = x.shape().rank(), kind = below(smooth_ ? 6 : 9);
  switch (kind) {
    case 0: return sum(x, axes, options);
    case 1: return mean(x, axes, options);
    case 2: return chance(0.5) ? sum(x) : mean(x);
    case 3:
    case 4: return rank > 0 && is_floating(x.dtype()) ? softmax(bounded(x, real(-1, 1)), any_axis(x)) : sum(x, axes, options);
    case 5: return rank > 0 && is_floating(x.dtype()) ? log_softmax(bounded(x, real(-1, 1)), any_axis(x)) : sum(x, axes, options);
    case 6: return max(x, axes, options);
    case 7: return min(x, axes, options);
    default: return is_floating(x.dtype()) ? variance(x, axes, {.keep = options.keep}) : prod(x, axes, options);
  }
}

Tensor RandomGraph::contraction() {
  const Tensor x = bounded(any(floating_), real(-1, 1));
  if (x.shape().rank() < 2) return sum(x * x);
  return matmul(x, x, {.transpose_b = true});
}

void RandomGraph::keep(Tensor t) {
  if (t.shape().element_count() <= most_elements && t.shape().rank() < 8) pool_.push_back(t);
}

void RandomGraph::choose_targets() {
  targets.push_back(pool_.back());
  for (int i = below(4); i > 0; --i) targets.push_back(any_of(pool_));
  if (chance(0.5)) {
    const Tensor value = any(floating_);
    initial = sample(real(-1, 1), floating_, value.shape(), 3);
    variable = g.variable(initial, "v");
    targets.push_back(variable * 2.0 + value);
    updates.push_back(g.assign(variable, variable - bounded(value, real(-1, 1)) * 0.25));
    if (chance(0.3)) g.control_dependencies({updates[0]}, [&] { targets.push_back(g.read(variable) * 3.0); });
  }
  if (smooth_ && chance(0.7)) {
    std::vector<Tensor> inputs;
    for (const auto& [t, data] : feeds)
      if (is_floating(t.dtype())) inputs.push_back(t);
    std::ranges::sort(inputs, {}, &Tensor::node);
    const Tensor y = any(floating_);
    for (const auto& d : g.gradients(sum(bounded(y, real(-1, 1))), inputs)) targets.push_back(d);
  }
}

void RandomGraph::drop_unused_feeds() {
  const auto& nodes = g.state()->ir;
  std::vector<bool> needed(nodes.nodes.size());
  for (const auto& t : targets) needed[static_cast<std::size_t>(t.node())] = true;
  for (const auto& o : updates) needed[static_cast<std::size_t>(o.node())] = true;
  for (auto id = nodes.size() - 1; id >= 0; --id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    for (auto v : nodes[id].operands) needed[static_cast<std::size_t>(v.node)] = true;
    for (auto c : nodes[id].control) needed[static_cast<std::size_t>(c)] = true;
  }
  std::erase_if(feeds, [&](const auto& f) { return !needed[static_cast<std::size_t>(f.first.node())]; });
}

}  // namespace weft
