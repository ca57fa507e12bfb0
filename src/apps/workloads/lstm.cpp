// A language model of characters, two LSTM layers: a training step, and a step of generation.
// S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997, with forget gates.
#include "apps/workloads/workload.h"

#include <weft/control.h>
#include <weft/elementwise.h>
#include <weft/indexing.h>
#include <weft/loss.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/optimizer.h>
#include <weft/random.h>
#include <weft/reduction.h>

namespace weft::apps {
namespace {

constexpr std::int64_t characters = 65;

struct State {
  Tensor h, c;
};

struct Layer {
  Tensor input, recurrent, bias;

  Layer(Graph& g, std::int64_t hidden)
      : input(g.variable(init::normal({hidden, 4 * hidden}, 0, 0.04))),
        recurrent(g.variable(init::normal({hidden, 4 * hidden}, 0, 0.04))),
        bias(g.variable(init::zeros({4 * hidden}))) {}

  Tensor projected(Tensor x) const { return matmul(x, input) + bias; }

  /// From the projected input and the state before.
  State step(Tensor projected, const State& before) const {
    const auto gates = split(projected + matmul(before.h, recurrent), 4, 1);
    const Tensor c = sigmoid(gates[1]) * before.c + sigmoid(gates[0]) * tanh(gates[2]);
    return {sigmoid(gates[3]) * tanh(c), c};
  }
};

struct Model {
  Tensor embedding;
  Layer layers[2];
  Tensor output, output_bias;

  Model(Graph& g, std::int64_t hidden)
      : embedding(g.variable(init::normal({characters, hidden}, 0, 1))),
        layers{Layer(g, hidden), Layer(g, hidden)},
        output(g.variable(init::normal({hidden, characters}, 0, 0.04))),
        output_bias(g.variable(init::zeros({characters}))) {}

  Tensor logits(Tensor x) const { return matmul(x, output) + output_bias; }
};

struct TrainingSize {
  std::int64_t batch, length, hidden;
};

/// The layer's states, one step's rows after the other's: built step by step, as the caller of a library without loops would.
Tensor stepped(const Layer& layer, Tensor x, Tensor zeros, TrainingSize n) {
  State state = {zeros, zeros};
  std::vector<Tensor> outputs;
  for (const Tensor& projected : split(layer.projected(x), static_cast<int>(n.length), 0)) {
    state = layer.step(projected, state);
    outputs.push_back(state.h);
  }
  return concat(outputs, 0);
}

Tensor scanned(const Layer& layer, Tensor x, Tensor zeros, TrainingSize n) {
  const Tensor sums = reshape(layer.projected(x), {n.length, n.batch, 4 * n.hidden});
  const LoopValues steps = scan(std::vector{sums}, std::vector{zeros, zeros}, [&](const Iteration& i) {
    const State after = layer.step(i.elements[0], {i.states[0], i.states[1]});
    return LoopValues{{after.h, after.c}, {after.h}};
  });
  return reshape(steps.outputs[0], {n.length * n.batch, n.hidden});
}

template <auto run_layer> void build_training(Setup& s, TrainingSize n) {
  const Model model(s.graph, n.hidden);
  const Tensor zeros = s.graph.constant(0.0, {n.batch, n.hidden});
  // One step after the other, so that a step's rows lie together.
  Tensor x = gather(model.embedding, s.feed_integers({n.length * n.batch}, characters));
  for (const Layer& layer : model.layers) x = run_layer(layer, x, zeros, n);
  const Tensor loss = softmax_cross_entropy(model.logits(x), s.feed_integers({n.length * n.batch}, characters));
  s.targets = {loss};
  s.operations = adam(s.graph.variables(), s.graph.gradients(loss, s.graph.variables()), 2e-3);
}

/// The character and the state are variables, so that a run goes on where the last one ended.
void build_generation(Setup& s, std::int64_t hidden) {
  Graph& g = s.graph;
  const Model model(g, hidden);
  const Tensor character = g.variable(init::zeros({1}, i32));
  Tensor x = gather(model.embedding, character);
  for (const Layer& layer : model.layers) {
    const State before = {g.variable(init::zeros({1, hidden})), g.variable(init::zeros({1, hidden}))};
    const State after = layer.step(layer.projected(x), before);
    s.operations.push_back(g.assign(before.h, after.h));
    s.operations.push_back(g.assign(before.c, after.c));
    x = after.h;
  }
  // The place of the largest sum of a log-probability and Gumbel noise is a draw from the distribution.
  const Tensor noise = -log(-log(random_uniform(g, {1, characters}, {.low = 1e-7})));
  const Tensor drawn = argmax(model.logits(x) / 0.8 + noise, 1);
  s.targets = {drawn};
  s.operations.push_back(g.assign(character, drawn));
}

}  // namespace

std::vector<Workload> lstm_workloads() {
  return {{.name = "train_charlstm_f32_b16_t32",
           .build =
               [](Setup& s) {
                 build_training<stepped>(s, {16, 32, 256});
               },
           .iterations = 10},
          {.name = "train_charlstm_f32_b64_t128",
           .build =
               [](Setup& s) {
                 build_training<scanned>(s, {64, 128, 512});
               },
           .iterations = 10,
           .is_large = true},
          {.name = "gen_charlstm_f32_step", .build = [](Setup& s) { build_generation(s, 256); }, .iterations = 200},
          {.name = "gen_charlstm_f32_h512_step", .build = [](Setup& s) { build_generation(s, 512); }, .iterations = 200, .is_large = true}};
}

}  // namespace weft::apps
