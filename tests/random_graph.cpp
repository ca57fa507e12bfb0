#include "random_graph.h"

#include "graph/build.h"

#include <weft/weft.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

/// Whether a small change of a floating operand can change a result by much.
bool jumps(const OpCase& op, const std::vector<Tensor>& results) {
  return std::ranges::any_of(op.inputs, [](const Input& i) { return i.domain.whole || !i.domain.avoid.empty(); }) ||
         std::ranges::any_of(results, [](const Tensor& t) { return !is_floating(t.dtype()); });
}

const std::vector<OpCase>& elementwise_of(DType dtype) {
  static std::map<DType, std::vector<OpCase>> lists;
  const auto [at, is_new] = lists.try_emplace(dtype);
  if (is_new)
    for (const auto& op : op_cases())
      if (op.elementwise && std::ranges::find(op.dtypes, dtype) != op.dtypes.end()) at->second.push_back(op);
  return at->second;
}

/// Operations that need particular shapes. Those without an exact value of their own are left out.
const std::vector<OpCase>& shaped_of(DType dtype) {
  static std::map<DType, std::vector<OpCase>> lists;
  const auto [at, is_new] = lists.try_emplace(dtype);
  if (is_new)
    for (auto family :
         {movement_cases, reduction_cases, indexing_cases, matmul_cases, convolution_cases, pooling_cases, loss_cases, normalization_cases})
      for (auto& op : family())
        if (!op.elementwise && std::ranges::find(op.dtypes, dtype) != op.dtypes.end()) at->second.push_back(std::move(op));
  return at->second;
}

Domain usual(DType dtype) { return is_floating(dtype) ? real(-2, 2) : anything(); }

}  // namespace

RandomGraph::RandomGraph(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15ull + 7) {
  floating_ = any_of<DType>({f32, f32, f32, f32, f32, f64, f64, f16, bf16});
  integer_ = chance(0.5) ? i32 : any_of(integers());
  most_elements_ = chance(0.05) ? 40000 : 4096;
  smooth_ = chance(0.4);
  // Errors of some twenty operations that at worst triple them; wrong elements are off by far more. Types of 16 bits are
  // computed in f32, and rounded where they are stored.
  tolerance_ = size_of(floating_) == 2 ? Tolerance{.ulp = 64, .scale = 64} : Tolerance{.ulp = 4096, .scale = 4096};
  keep(placeholder(usual(floating_), floating_, any_shape()));
  const int steps = 3 + below(12);
  for (int i = 0; i < steps; ++i) {
    const int kind = below(24);
    keep(kind < 9    ? elementwise()
         : kind < 14 ? movement()
         : kind < 17 ? reduction()
         : kind < 20 ? pattern()
         : kind < 22 ? contraction()
                     : described());
  }
  choose_targets();
  if (chance(0.5)) assign_variables();
  if (smooth_ && chance(0.7)) differentiate();
}

Specimen RandomGraph::specimen() const {
  Specimen s;
  s.graph = g_.state()->ir;
  for (const auto& [t, value] : values_) s.values.emplace(t.node(), value);
  for (const auto& t : targets_) s.targets.push_back({t.node(), t.output()});
  for (const auto& o : updates_) s.updates.push_back(o.node());
  s.tolerance = tolerance_;
  return s.pruned();
}

Shape RandomGraph::any_shape() {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(below(5)));
  const bool large = most_elements_ > 4096;
  for (auto& s : sizes)
    s = large && chance(0.4) ? any_of<std::int64_t>({64, 127, 257, 1024}) : any_of<std::int64_t>({1, 1, 2, 3, 5, 7, 13, 16, 31, 67});
  if (!sizes.empty() && chance(0.04)) sizes[static_cast<std::size_t>(below(static_cast<int>(sizes.size())))] = 0;
  const Shape shape(sizes);
  return shape.element_count() > most_elements_ ? Shape{7, 13} : shape;
}

Tensor RandomGraph::placeholder(const Domain& domain, DType dtype, Shape shape) {
  const Tensor t = g_.placeholder(shape, dtype, "x" + std::to_string(values_.size()));
  values_.emplace_back(t, sample(domain, dtype, shape, random_()));
  exact_.push_back(t);
  return t;
}

Tensor RandomGraph::any(DType dtype) { return any_of_rank(dtype, 0); }

Tensor RandomGraph::any_of_rank(DType dtype, int rank) {
  std::vector<Tensor> list;
  std::ranges::copy_if(pool_, std::back_inserter(list), [&](const Tensor& t) { return t.dtype() == dtype && t.shape().rank() >= rank; });
  if (!list.empty()) return any_of(list);
  Shape shape = any_shape();
  if (shape.rank() < rank) shape = rank == 4 ? Shape{2, 5, 7, 3} : rank == 3 ? Shape{2, 7, 5} : Shape{7, 13};
  keep(placeholder(usual(dtype), dtype, shape));
  return pool_.back();
}

Tensor RandomGraph::any_beside(const Tensor& beside, DType dtype) {
  std::vector<Tensor> list;
  for (const auto& t : pool_) {
    const auto joined = broadcast(t.shape(), beside.shape());
    if (t.dtype() == dtype && joined && joined->element_count() <= most_elements_) list.push_back(t);
  }
  if (!list.empty() && chance(0.8)) return any_of(list);
  return placeholder(usual(dtype), dtype, chance(0.3) ? Shape{} : beside.shape());
}

Tensor RandomGraph::any_exact(DType dtype, const Domain& domain, const Shape& otherwise) {
  std::vector<Tensor> list;
  for (const auto& t : exact_)
    if (const auto joined = broadcast(t.shape(), otherwise); t.dtype() == dtype && joined && joined->element_count() <= most_elements_)
      list.push_back(t);
  const bool takes_usual = domain.low <= -2 && domain.high >= 2 && !domain.whole && domain.avoid.empty();
  return takes_usual && !list.empty() && chance(0.5) ? any_of(list) : placeholder(domain, dtype, otherwise);
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
  const DType dtype = chance(0.75) ? floating_ : chance(0.6) ? integer_ : boolean;
  const OpCase& op = any_of(elementwise_of(dtype));
  // What it makes of such operands shows whether it takes any value.
  std::vector<Tensor> operands;
  Graph trial;
  for (const auto& input : op.inputs) operands.push_back(trial.placeholder({}, input.dtype.value_or(dtype)));
  const std::vector<Tensor> results = op.build(trial, operands);
  const bool has_floating_result = std::ranges::any_of(results, [](const Tensor& t) { return is_floating(t.dtype()); });
  if (smooth_ && is_floating(dtype) && op.differentiable.empty() && has_floating_result) return elementwise();
  const bool exact = is_floating(dtype) && ((smooth_ && op.kinked) || jumps(op, results));

  operands.clear();
  Shape joined;
  for (const auto& input : op.inputs) {
    const DType wanted = input.dtype.value_or(dtype);
    Tensor t;
    if (exact && is_floating(wanted)) {
      t = any_exact(wanted, input.domain, operands.empty() ? any_shape() : joined);
    } else {
      t = operands.empty() ? any(wanted) : any_beside(operands[0], wanted);
      if (is_floating(wanted)) t = bounded(t, input.domain);
    }
    // Operands that broadcast in pairs needn't do so together.
    const auto both = broadcast(joined, t.shape());
    if (!both || both->element_count() > most_elements_) t = placeholder(exact ? input.domain : usual(wanted), wanted, {});
    joined = *broadcast(joined, t.shape());
    operands.push_back(t);
  }
  return any_of(op.build(g_, operands));
}

Tensor RandomGraph::movement() {
  const Tensor x = any(chance(0.7) ? floating_ : chance(0.7) ? integer_ : boolean);
  const Tensor y = moved(x);
  if (std::ranges::find(exact_, x) != exact_.end()) exact_.push_back(y);
  return y;
}

Tensor RandomGraph::moved(const Tensor& x) {
  const int rank = x.shape().rank();
  if (rank == 0) return broadcast_to(x, {static_cast<std::int64_t>(1 + below(4)), 3});
  const int axis = any_axis(x);
  const auto size = x.shape()[axis];
  switch (below(13)) {
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
    case 10: {
      // Parts put together in another order.
      const auto parts = split(x, 2, axis);
      return concat({parts[1], chance(0.5) ? reverse(parts[0], {axis}) : parts[0]}, axis);
    }
    case 11: {
      if (size == 0) return reverse(x, {axis});
      const Tensor rows = placeholder(whole(0, static_cast<double>(size - 1)), chance(0.5) ? i32 : i64, chance(0.5) ? Shape{3} : Shape{2, 2});
      return gather(x, rows, axis);
    }
    default: return split(x, 2, axis)[static_cast<std::size_t>(below(2))];
  }
}

Tensor RandomGraph::reduction() {
  const Tensor x = any(chance(0.8) ? floating_ : integer_);
  const auto axes = some_axes(x);
  const ReduceOptions options{.keep = chance(0.5)};
  const int rank = x.shape().rank(), kind = below(smooth_ ? 6 : 9);
  switch (kind) {
    case 0: return sum(x, axes, options);
    case 1: return mean(x, axes, options);
    case 2: return chance(0.5) ? sum(x) : mean(x);
    case 3:
    case 4: return rank > 0 && is_floating(x.dtype()) ? softmax(small(x), any_axis(x)) : sum(x, axes, options);
    case 5: return rank > 0 && is_floating(x.dtype()) ? log_softmax(small(x), any_axis(x)) : sum(x, axes, options);
    case 6: return max(x, axes, options);
    case 7: return min(x, axes, options);
    default: return is_floating(x.dtype()) ? variance(x, axes, {.keep = options.keep}) : prod(x, axes, options);
  }
}

Tensor RandomGraph::activated(Tensor x) {
  switch (below(smooth_ ? 5 : 6)) {
    case 0: return tanh(x);
    case 1: return sigmoid(x);
    case 2: return x * sigmoid(x);
    case 3: return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
    case 4: return exp(small(x));
    default: return maximum(x, 0);
  }
}

/// What networks are made of: statistics along some axes that come back to the elements, one or several times.
Tensor RandomGraph::pattern() {
  const Tensor x = small(any_of_rank(floating_, 1 + below(4)));
  const int rank = x.shape().rank(), axis = any_axis(x);
  const ReduceOptions kept{.keep = true};
  switch (below(8)) {
    case 0: {  // layer normalisation with scale and offset
      const Tensor centred = x - mean(x, axis, kept), y = centred * rsqrt(mean(square(centred), axis, kept) + 0.1);
      const Tensor scale = placeholder(real(-1, 1), floating_, {x.shape()[rank - 1]}), offset = placeholder(real(-1, 1), floating_, scale.shape());
      return activated(y * scale + offset);
    }
    case 1: {  // sums of the rows, of the columns and of all of one product
      const Tensor y = x * small(any_beside(x, floating_));
      std::vector<std::int64_t> others;
      for (int d = 0; d < y.shape().rank(); ++d)
        if (d != axis) others.push_back(d);
      targets_.push_back(sum(y, others));
      targets_.push_back(sum(y));
      return sum(y, y.shape().rank() - 1);
    }
    case 2: {  // statistics over all axes but one
      std::vector<std::int64_t> others;
      for (int d = 0; d < rank; ++d)
        if (d != axis) others.push_back(d);
      const Tensor centre = mean(x, others, kept), spread = variance(x, others, {.keep = true});
      targets_.push_back(centre);
      return (x - centre) / sqrt(spread + 0.1);
    }
    case 3: {  // attention: weights of one row applied to others
      const Tensor w = softmax(x * 2.0, rank - 1);
      keep(w);
      return rank > 1 ? sum(w * activated(x), rank - 2) : w * x;
    }
    case 4: {  // cross entropy
      const Tensor wanted = softmax(placeholder(real(-1, 1), floating_, x.shape()), rank - 1);
      return -sum(wanted * log_softmax(x, rank - 1), rank - 1);
    }
    case 5: {  // one reduction of another, brought back twice
      const Tensor s = small(sum(x, axis, kept)), t = small(mean(s * x, rank - 1, kept));
      return s * t + x;
    }
    case 6: {  // one producer, several shapes of consumer
      const Tensor y = activated(x);
      keep(y);
      keep(transpose(y, 0, -1));
      return reverse(y, {axis}) * sum(y, axis, kept);
    }
    default: {  // an exponential that is used by its own sum
      const Tensor e = exp(x);
      targets_.push_back(sum(e, axis));
      return e / (1.0 + sum(e, axis, kept));
    }
  }
}

Tensor RandomGraph::contraction() {
  const Tensor x = small(any_of_rank(floating_, 2));
  const int rank = x.shape().rank();
  if (rank == 4 && chance(0.5) && x.shape().element_count() > 0) {
    const auto channels = x.shape()[3];
    const Tensor w = placeholder(real(-1, 1), floating_,
                                 {any_of<std::int64_t>({1, 3}), any_of<std::int64_t>({1, 2, 3}), channels, any_of<std::int64_t>({1, 4, 7})});
    Tensor y = conv2d(x, w, {.padding = Padding::same});
    if (chance(0.7)) y = y + placeholder(real(-1, 1), floating_, {w.shape()[3]});
    return chance(0.7) ? activated(y) : y;
  }
  const auto k = x.shape()[rank - 1];
  Tensor y;
  if (chance(0.3)) y = matmul(x, x, {.transpose_b = true});
  else if (chance(0.5)) y = matmul(x, placeholder(real(-1, 1), floating_, {k, any_of<std::int64_t>({1, 5, 16, 31})}));
  else y = matmul(x, transpose(placeholder(real(-1, 1), floating_, {any_of<std::int64_t>({1, 5, 17}), k}), 0, 1));
  y = y / static_cast<double>(k + 1);
  if (chance(0.6)) y = y + placeholder(real(-1, 1), floating_, {y.shape()[-1 + y.shape().rank()]});
  if (chance(0.4)) keep(y);
  if (chance(0.7)) y = activated(y);
  if (chance(0.4)) y = y * small(any_beside(y, floating_));
  if (chance(0.3)) targets_.push_back(sum(y, 0));
  return y;
}

/// An operation of the test descriptions with operands of its own.
Tensor RandomGraph::described() {
  const DType dtype = chance(0.7) ? floating_ : integer_;
  const OpCase& op = any_of(shaped_of(dtype));
  if (smooth_ && op.differentiable.empty() && is_floating(dtype)) return described();
  const Shapes& shapes = any_of(op.shapes);
  std::vector<Tensor> operands;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) operands.push_back(placeholder(op.inputs[i].domain, dtype_of_input(op, i, dtype), shapes[i]));
  const auto results = op.build(g_, operands);
  for (const auto& t : results) keep(t);
  return any_of(results);
}

void RandomGraph::keep(Tensor t) {
  if (t.shape().element_count() <= most_elements_ && t.shape().rank() < 8) pool_.push_back(t);
}

void RandomGraph::choose_targets() {
  targets_.push_back(pool_.back());
  for (int i = below(4); i > 0; --i) targets_.push_back(any_of(pool_));
}

void RandomGraph::assign_variables() {
  const auto variable = [&](const Shape& shape) {
    const NDArray initial = sample(real(-1, 1), floating_, shape, random_());
    const Tensor v = g_.variable(init::zeros(shape, floating_), "v" + std::to_string(values_.size()));
    values_.emplace_back(v, initial);
    return v;
  };
  const Tensor value = any(floating_), v = variable(value.shape());
  targets_.push_back(v * 2.0 + value);
  updates_.push_back(g_.assign(v, v - small(value) * 0.25));
  if (chance(0.3)) g_.control_dependencies({updates_[0]}, [&] { targets_.push_back(g_.read(v) * 3.0); });
  const int rank = value.shape().rank();
  if (rank == 0 || chance(0.5)) return;
  // Two that exchange their elements, moved about: neither may be written before both are read.
  const Tensor a = variable(value.shape()), b = variable(value.shape());
  const int axis = any_axis(a);
  updates_.push_back(g_.assign(a, chance(0.5) ? reverse(b, {axis}) : b + a * 0.5));
  if (chance(0.7)) updates_.push_back(g_.assign(b, chance(0.5) ? reverse(a, {axis}) : a + 0.0));
  if (chance(0.5)) targets_.push_back(sum(a * b, axis, {.keep = chance(0.5)}));
  if (chance(0.3)) targets_.push_back(concat({b, a}, axis));
}

void RandomGraph::differentiate() {
  std::vector<Tensor> inputs;
  for (const auto& [t, data] : values_)
    if (is_floating(t.dtype()) && t.operation().name() == "placeholder") inputs.push_back(t);
  const Tensor y = any(floating_);
  for (const auto& d : g_.gradients(sum(small(y)), inputs))
    if (chance(0.5)) targets_.push_back(d);
}

}  // namespace weft
