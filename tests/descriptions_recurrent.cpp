// Recurrent layers: three steps of two sequences of three numbers, with states of two. A step's sums are of some ten products; a state
// goes through up to three steps, and 16-bit types round at each operation.
#include "descriptions.h"

#include <weft/recurrent.h>

namespace weft {
namespace {

using Build = std::function<Tensors(const Tensors&)>;

constexpr std::int64_t steps = 3, sequences = 2, inputs = 3, hidden = 2;

/// Tried with one step, and with no sequences, too.
OpCase layer(std::string name, const std::function<Shapes(std::int64_t t, std::int64_t n)>& shapes, Build build) {
  const Shapes first = shapes(steps, sequences);
  std::vector<Input> operands(first.size(), Input{real(-1, 1)});
  std::vector<std::size_t> differentiable;
  for (std::size_t i = 0; i < first.size(); ++i) differentiable.push_back(i);
  return {.name = std::move(name),
          .build = [build = std::move(build)](Graph&, const Tensors& x) { return build(x); },
          .inputs = std::move(operands),
          .shapes = {first, shapes(1, sequences), shapes(steps, 0)},
          .dtypes = floats(),
          .tolerance = {.ulp = 64, .scale = 64},
          .differentiable = std::move(differentiable),
          .twice_differentiable = false,
          .unknown_sizes = false,
          .unknown_rank = false};
}

/// x, R, W, b and the state before the first step.
std::function<Shapes(std::int64_t, std::int64_t)> operands(std::int64_t gates, std::int64_t directions = 1, std::vector<Shape> more = {}) {
  return [=](std::int64_t t, std::int64_t n) {
    const std::int64_t rows = directions * gates * hidden;
    Shapes list{
        {t, n, inputs}, directions == 2 ? Shape{2, gates * hidden, hidden} : Shape{rows, hidden}, {rows, inputs}, {rows}, {n, directions * hidden}};
    list.insert(list.end(), more.begin(), more.end());
    return list;
  };
}

RnnOptions rnn_options(const Tensors& x) {
  RnnOptions o;
  o.input_weight = x[2], o.bias = x[3], o.initial_state = x[4], o.activation = GateActivation::tanh;
  return o;
}
LstmOptions lstm_options(const Tensors& x) {
  LstmOptions o;
  o.input_weight = x[2], o.bias = x[3], o.initial_state = x[4];
  return o;
}
GruOptions gru_options(const Tensors& x) {
  GruOptions o;
  o.input_weight = x[2], o.bias = x[3], o.initial_state = x[4];
  return o;
}

Tensors results(const Rnn& r) { return {r.y, r.state}; }
Tensors results(const Lstm& r) { return {r.y, r.state, r.cell, r.cells, r.gates}; }
Tensors results(const Gru& r) { return {r.y, r.state, r.gates}; }

template <auto Layer, auto Options, class Change> Build with(Change change) {
  return [change](const Tensors& x) {
    auto options = Options(x);
    change(options, x);
    return results(Layer(x[0], x[1], options));
  };
}

/// A single step from no state reads no recurrent weights.
OpCase with_more_steps(OpCase c) {
  c.shapes.erase(c.shapes.begin() + 1);
  return c;
}

/// The last operand has the sequences' lengths.
OpCase with_lengths(OpCase c) {
  c.inputs.push_back({whole(0, static_cast<double>(steps)), i32});
  for (auto& shapes : c.shapes) shapes.push_back({shapes[0][1]});
  return c;
}

}  // namespace

std::vector<OpCase> recurrent_cases() {
  const auto none = [](auto&, const Tensors&) {};
  const auto reverse = [](auto& o, const Tensors&) { o.reverse = true; };
  const auto both_ways = [](auto& o, const Tensors&) { o.bidirectional = true; };
  const auto lengths = [](auto& o, const Tensors& x) { o.lengths = x.back(); };
  const auto reversed_lengths = [](auto& o, const Tensors& x) { o.lengths = x.back(), o.reverse = true; };
  const auto mask = [](auto& o, const Tensors& x) { o.mask = x.back(); };
  const Shape masks{1, hidden};
  return {
      layer("rnn", operands(1), with<rnn, rnn_options>(none)),
      with_more_steps(layer(
          "rnn_of_what_the_gates_read",
          [](std::int64_t t, std::int64_t n) {
            return Shapes{{t, n, hidden}, {hidden, hidden}};
          },
          [](const Tensors& x) {
            RnnOptions o;
            o.activation = GateActivation::sigmoid;
            return results(rnn(x[0], x[1], o));
          })),
      layer("rnn_reverse", operands(1), with<rnn, rnn_options>(reverse)),
      layer("rnn_bidirectional", operands(1, 2), with<rnn, rnn_options>(both_ways)),
      layer("rnn_masked", operands(1, 1, {masks}), with<rnn, rnn_options>(mask)),
      with_lengths(layer("rnn_lengths", operands(1), with<rnn, rnn_options>(lengths))),
      layer("lstm", operands(4), with<lstm, lstm_options>(none)),
      with_more_steps(layer(
          "lstm_without_initial_state",
          [](std::int64_t t, std::int64_t n) {
            return Shapes{{t, n, 4 * hidden}, {4 * hidden, hidden}};
          },
          [](const Tensors& x) { return results(lstm(x[0], x[1])); })),
      layer(
          "lstm_peephole",
          [](std::int64_t t, std::int64_t n) {
            Shapes list = operands(4)(t, n);
            list.push_back({n, hidden});
            list.push_back({4 * hidden});
            return list;
          },
          with<lstm, lstm_options>([](LstmOptions& o, const Tensors& x) { o.initial_cell = x[5], o.peephole = x[6]; })),
      layer("lstm_forget_last", operands(4), with<lstm, lstm_options>([](LstmOptions& o, const Tensors&) {
              o.forget_last = true, o.forget = GateActivation::identity, o.result = GateActivation::sigmoid;
            })),
      layer("lstm_reverse", operands(4), with<lstm, lstm_options>(reverse)),
      layer("lstm_bidirectional", operands(4, 2), with<lstm, lstm_options>(both_ways)),
      layer("lstm_masked", operands(4, 1, {masks}), with<lstm, lstm_options>(mask)),
      with_lengths(layer("lstm_lengths", operands(4), with<lstm, lstm_options>(lengths))),
      with_lengths(layer("lstm_reversed_lengths", operands(4), with<lstm, lstm_options>(reversed_lengths))),
      layer("gru", operands(3), with<gru, gru_options>(none)),
      with_more_steps(layer(
          "gru_without_initial_state",
          [](std::int64_t t, std::int64_t n) {
            return Shapes{{t, n, 3 * hidden}, {3 * hidden, hidden}};
          },
          [](const Tensors& x) { return results(gru(x[0], x[1])); })),
      layer("gru_reset_after", operands(3, 1, {{hidden}}), with<gru, gru_options>([](GruOptions& o, const Tensors& x) {
              o.reset_after = true, o.reset_gate_first = true, o.secondary_bias = x[5];
            })),
      layer("gru_flipped", operands(3),
            with<gru, gru_options>([](GruOptions& o, const Tensors&) { o.flip_update = true, o.reset_gate_first = true; })),
      layer("gru_reverse", operands(3), with<gru, gru_options>(reverse)),
      layer("gru_bidirectional", operands(3, 2), with<gru, gru_options>(both_ways)),
      layer("gru_masked", operands(3, 1, {masks}), with<gru, gru_options>(mask)),
      with_lengths(layer("gru_lengths", operands(3), with<gru, gru_options>(lengths))),
  };
}

}  // namespace weft
