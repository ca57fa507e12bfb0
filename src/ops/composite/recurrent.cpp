// Recurrent layers, step by step. What all steps read of the input is one product; what a step computes follows from its gates' sums.
#include "ops/composite/composite.h"
#include "ops/shape_like.h"

#include <weft/activation.h>
#include <weft/control.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/recurrent.h>
#include <weft/reduction.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

using ops::require_floating;

namespace {

Tensor activated(GateActivation a, Tensor x) {
  switch (a) {
    case GateActivation::identity: return x;
    case GateActivation::relu: return relu(x);
    case GateActivation::tanh: return tanh(x);
    case GateActivation::sigmoid: return sigmoid(x);
    case GateActivation::hard_sigmoid: return hard_sigmoid(x, 0.2, 0.5);
  }
  return x;
}

/// Weights and states of one direction; those that are not given are empty.
struct Parameters {
  Tensor recurrent, input, bias, state, mask;
  Tensor cell, peephole, secondary_bias;
};

/// Of one step. A state that is not there is 0.
struct State {
  Tensor h, c;
};
struct Step {
  State state;
  Tensor gates;
};

using StepFunction = std::function<Step(const Parameters&, Tensor sums, const State&)>;

/// What a layer gives, of one direction or both.
struct Layer {
  Tensor y, state, cell, cells, gates;
};

/// a + b, where b may not be there.
Tensor plus(Tensor a, Tensor b) { return b ? a + b : a; }
/// a * b, which is not there where b isn't.
Tensor times(Tensor a, Tensor b) { return b ? a * b : b; }

class Recurrence {
 public:
  Recurrence(std::string_view op, const Operand& x, const Operand& recurrent, Tensor input, Tensor bias, const RecurrentOptions& options,
             std::int64_t gates)
      : op_(op), x_(x), options_(options), gates_(gates) {
    require_floating(op, x);
    const Shape &s = x.tensor().shape(), &r = recurrent.tensor().shape();
    if (!s.ranked() || s.rank() != 3) fail("expects x [T, N, I], x is " + x.tensor().type().str());
    steps_ = s[0];
    const int rank = options.bidirectional ? 3 : 2;
    if (!r.ranked() || r.rank() != rank || r[rank - 1] == dynamic) fail(expected("recurrent_weight", recurrent.tensor(), expected_recurrent("H")));
    hidden_ = r[rank - 1];
    require("recurrent_weight", recurrent.tensor(), options.bidirectional ? Shape{2, gates * hidden_, hidden_} : Shape{gates * hidden_, hidden_});
    own_.recurrent = recurrent.tensor();
    give(&Parameters::state, "initial_state", options.initial_state, {s[1], rows(1)});
    give(&Parameters::input, "input_weight", input, {rows(gates), s[2]});
    give(&Parameters::bias, "bias", bias, {rows(gates)});
  }

  std::int64_t hidden() const { return hidden_; }
  /// Of a weight of `gates` gates.
  std::int64_t rows(std::int64_t gates) const { return directions() * gates * hidden_; }
  [[noreturn]] void fail(const std::string& message) const { fail_graph(std::string(op_) + ": " + message, ir::Location::of(x_.where())); }

  /// Takes what may be left out.
  void give(Tensor Parameters::*place, const char* role, Tensor t, Shape shape) {
    if (!t) return;
    require(role, t, shape);
    own_.*place = t;
  }

  Layer run(const StepFunction& step) {
    const std::int64_t columns = x_.tensor().shape()[2];
    if (!own_.input && columns != dynamic && columns != directions() * gates_ * hidden_)
      fail("without input weights x has the gates' inputs, [T, N, " + std::to_string(directions() * gates_ * hidden_) + "], x is " +
           x_.tensor().type().str());
    if (options_.lengths && (is_floating(options_.lengths.dtype()) || options_.lengths.dtype() == boolean))
      fail("lengths is " + options_.lengths.type().str() + ", expects integers [N]");
    if (steps_ == 0) return nothing();
    std::vector<Layer> layers;
    for (int d = 0; d < directions(); ++d) layers.push_back(run(of_direction(d), options_.bidirectional ? d == 1 : options_.reverse, d, step));
    if (layers.size() == 1) return layers[0];
    Layer both;
    for (auto part : {&Layer::y, &Layer::state, &Layer::cell, &Layer::cells, &Layer::gates})
      if (layers[0].*part) both.*part = concat({layers[0].*part, layers[1].*part}, -1);
    return both;
  }

 private:
  std::int64_t directions() const { return options_.bidirectional ? 2 : 1; }

  static std::string expected(const std::string& role, Tensor t, const std::string& shape) {
    return role + " is " + t.type().str() + ", expects " + shape;
  }
  std::string expected_recurrent(const std::string& h) const {
    return (options_.bidirectional ? "[2, " : "[") + std::to_string(gates_) + " " + h + ", " + h + "]";
  }

  /// Sizes that are -1 are not known, in what is expected or in what is given.
  void require(const char* role, Tensor t, const Shape& shape) const {
    const Shape& s = t.shape();
    bool fits = t.dtype() == x_.tensor().dtype() && (!s.ranked() || s.rank() == shape.rank());
    for (int d = 0; fits && s.ranked() && d < s.rank(); ++d) fits = s[d] == dynamic || shape[d] == dynamic || s[d] == shape[d];
    if (!fits) fail(expected(role, t, TensorType{x_.tensor().dtype(), shape}.str()));
  }

  /// A direction's share of rows (`axis` 0) or columns (-1).
  Tensor share(Tensor t, int direction, int axis) const {
    return !t || directions() == 1 ? t : split(t, 2, axis)[static_cast<std::size_t>(direction)];
  }

  Parameters of_direction(int d) const {
    Parameters p = own_;
    if (directions() == 2) p.recurrent = squeeze(slice(p.recurrent, 0, d, 1), 0);
    for (auto part : {&Parameters::input, &Parameters::bias, &Parameters::peephole, &Parameters::secondary_bias}) p.*part = share(p.*part, d, 0);
    for (auto part : {&Parameters::state, &Parameters::cell}) p.*part = share(p.*part, d, -1);
    // One that has a single column is for both.
    const Tensor mask = options_.mask;
    const bool is_wide = mask && mask.shape().ranked() && mask.shape().rank() > 0 && mask.shape()[mask.shape().rank() - 1] == 2 * hidden_;
    p.mask = is_wide ? share(mask, d, -1) : mask;
    return p;
  }

  Layer run(const Parameters& p, bool reversed, int direction, const StepFunction& step) {
    Tensor inputs = p.input ? matmul(x_, transpose(p.input, {1, 0})) : share(x_.tensor(), direction, -1);
    inputs = plus(inputs, p.bias);
    if (steps_ == dynamic) return loop(inputs, p, reversed, step);
    const auto sums = split(inputs, static_cast<int>(steps_), 0);
    const auto count = static_cast<std::size_t>(steps_);
    std::vector<Tensor> y(count), cells, gates(count);
    State state{p.state, p.cell};
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t t = reversed ? count - 1 - i : i;
      const auto goes_on = [&] { return options_.lengths > static_cast<std::int64_t>(t); };
      const auto [now, shown] = one_step(p, squeeze(sums[t], 0), state, goes_on, step);
      state = now.state;
      y[t] = shown;
      if (state.c) cells.resize(count), cells[t] = state.c;
      gates[t] = now.gates;
    }
    return {stack(y), state.h, state.c, state.c ? stack(cells) : Tensor{}, stack(gates)};
  }

  /// A step and what y shows of it.
  std::pair<Step, Tensor> one_step(const Parameters& p, Tensor sums, const State& state, const std::function<Tensor()>& goes_on,
                                   const StepFunction& step) const {
    Step now = step(p, sums, {p.mask ? times(p.mask, state.h) : state.h, state.c});
    if (!options_.lengths) return {now, now.state.h};
    const Tensor is_within = expand_dims(goes_on(), 1);
    const auto kept = [&](Tensor after, Tensor before) { return before ? select(is_within, after, before) : select(is_within, after, 0); };
    const Tensor shown = kept(now.state.h, {});
    now.state.h = kept(now.state.h, state.h);
    if (now.state.c) now.state.c = kept(now.state.c, state.c);
    return {now, shown};
  }

  /// As many steps as turn out to be there.
  Layer loop(Tensor inputs, const Parameters& p, bool reversed, const StepFunction& step) const {
    const bool has_cell = gates_ == 4;
    const Tensor like = slice(sum(inputs, Axes{0}), 1, 0, hidden_);  // only its shape counts
    const auto given = [&](Tensor state) { return state ? state : broadcast_like(scalar_constant(*like.graph(), 0.0, like.dtype()), like); };
    std::vector<Tensor> initial{given(p.state)};
    if (has_cell) initial.push_back(given(p.cell));
    const LoopValues all = scan(
        {&inputs, 1}, initial,
        [&](const Iteration& i) {
          const State before{i.states[0], has_cell ? i.states[1] : Tensor{}};
          const auto goes_on = [&] { return options_.lengths > cast(i.index, options_.lengths.dtype()); };
          const auto [now, shown] = one_step(p, i.elements[0], before, goes_on, step);
          return has_cell ? LoopValues{{now.state.h, now.state.c}, {shown, now.gates, now.state.c}} : LoopValues{{now.state.h}, {shown, now.gates}};
        },
        {.reverse = reversed});
    return {all.outputs[0], all.states[0], has_cell ? all.states[1] : Tensor{}, has_cell ? all.outputs[2] : Tensor{}, all.outputs[1]};
  }

  /// Of no steps: what it began with.
  Layer nothing() const {
    const Tensor none = sum(x_, Axes{2}, {.keep = true}), rows = sum(none, 0);
    const std::int64_t columns = directions() * hidden_;
    const auto zeros = [&](Tensor rows, std::int64_t n) { return rows + broadcast_to(scalar_constant(*rows.graph(), 0.0, rows.dtype()), {n}); };
    const auto given = [&](Tensor state) { return state ? state : zeros(rows, columns); };
    return {zeros(none, columns), given(own_.state), given(own_.cell), zeros(none, columns), zeros(none, gates_ * columns)};
  }

  std::string_view op_;
  const Operand& x_;
  const RecurrentOptions& options_;
  std::int64_t gates_, steps_ = 0, hidden_ = 0;
  Parameters own_;
};

/// A recurrent part, of a state that may be 0.
Tensor recurrent_part(Tensor h, Tensor weight) { return h ? matmul(h, transpose(weight, {1, 0})) : Tensor{}; }

}  // namespace

Rnn rnn(Operand x, Operand recurrent_weight, const RnnOptions& options) {
  CompositeScope scope("rnn", {x, recurrent_weight});
  Recurrence r("rnn", x, recurrent_weight, options.input_weight, options.bias, options, 1);
  const Layer layer = r.run([&](const Parameters& p, Tensor sums, const State& before) {
    const Tensor h = activated(options.activation, plus(sums, recurrent_part(before.h, p.recurrent)));
    return Step{{h, {}}, h};
  });
  return {layer.y, layer.state};
}

Lstm lstm(Operand x, Operand recurrent_weight, const LstmOptions& options) {
  CompositeScope scope("lstm", {x, recurrent_weight});
  Recurrence r("lstm", x, recurrent_weight, options.input_weight, options.bias, options, 4);
  r.give(&Parameters::peephole, "peephole", options.peephole, {r.rows(4)});
  r.give(&Parameters::cell, "initial_cell", options.initial_cell, {x.tensor().shape()[1], r.rows(1)});
  // Where in the gates' order each of them stands.
  const std::size_t input = 0, forget = options.forget_last ? 2 : 1, cell = options.forget_last ? 1 : 2, output = 3;
  std::array<GateActivation, 4> activations{options.input, options.forget, options.cell, options.output};
  if (options.forget_last) std::swap(activations[1], activations[2]);
  const Layer layer = r.run([&](const Parameters& p, Tensor sums, const State& before) {
    auto parts = split(plus(sums, recurrent_part(before.h, p.recurrent)), 4, 1);
    std::vector<Tensor> peepholes;
    if (p.peephole && before.c) peepholes = split(p.peephole, 4, 0);
    for (std::size_t g = 0; g < 4; ++g) parts[g] = activated(activations[g], peepholes.empty() ? parts[g] : parts[g] + peepholes[g] * before.c);
    const Tensor c = plus(parts[input] * parts[cell], times(parts[forget], before.c));
    return Step{{parts[output] * activated(options.result, c), c}, concat(parts, 1)};
  });
  return {layer.y, layer.state, layer.cell, layer.cells, layer.gates};
}

Gru gru(Operand x, Operand recurrent_weight, const GruOptions& options) {
  CompositeScope scope("gru", {x, recurrent_weight});
  Recurrence r("gru", x, recurrent_weight, options.input_weight, options.bias, options, 3);
  r.give(&Parameters::secondary_bias, "secondary_bias", options.secondary_bias, {r.rows(1)});
  if (options.secondary_bias && !options.reset_after) r.fail("secondary_bias is for reset_after only");
  const std::size_t update = options.reset_gate_first ? 1 : 0, reset = 1 - update;
  const Layer layer = r.run([&](const Parameters& p, Tensor sums, const State& before) {
    const std::int64_t h = r.hidden();
    const auto in = split(sums, 3, 1);
    const Tensor whole = options.reset_after ? p.recurrent : slice(p.recurrent, 0, 0, 2 * h);
    std::vector<Tensor> recurrent(3);
    if (before.h) {
      const auto parts = split(recurrent_part(before.h, whole), options.reset_after ? 3 : 2, 1);
      std::copy(parts.begin(), parts.end(), recurrent.begin());
    }
    const Tensor z = activated(options.update, plus(in[update], recurrent[update])), rr = activated(options.reset, plus(in[reset], recurrent[reset]));
    Tensor last = recurrent[2];
    if (options.reset_after) {
      last = p.secondary_bias ? plus(p.secondary_bias, last) : last;
      last = times(rr, last);
    } else {
      last = recurrent_part(times(rr, before.h), slice(p.recurrent, 0, 2 * h, h));
    }
    const Tensor o = activated(options.output, plus(in[2], last));
    const Tensor fresh = (options.flip_update ? z : 1.0 - z) * o;
    const std::vector<Tensor> gates = options.reset_gate_first ? std::vector{rr, z, o} : std::vector{z, rr, o};
    return Step{{plus(fresh, times(options.flip_update ? 1.0 - z : z, before.h)), {}}, concat(gates, 1)};
  });
  return {layer.y, layer.state, layer.gates};
}

}  // namespace weft
