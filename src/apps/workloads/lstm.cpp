// A language model of characters, two LSTM layers, unrolled: a training step, and a step of generation.
// S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997, with forget gates.
#include "apps/workloads/workload.h"

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

constexpr std::int64_t characters = 65, hidden = 256;

struct State {
  Tensor h, c;
};

struct Layer {
  Tensor input, recurrent, bias;

  explicit Layer(Graph& g)
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

  explicit Model(Graph& g)
      : embedding(g.variable(init::normal({characters, hidden}, 0, 1))),
        layers{Layer(g), Layer(g)},
        output(g.variable(init::normal({hidden, characters}, 0, 0.04))),
        output_bias(g.variable(init::zeros({characters}))) {}

  Tensor logits(Tensor x) const { return matmul(x, output) + output_bias; }
};

void build_training(Setup& s, std::int64_t batch, std::int64_t length) {
  const Model model(s.graph);
  const Tensor zeros = s.graph.constant(0.0, {batch, hidden});
  // One step after the other, so that a step's rows lie together.
  Tensor x = gather(model.embedding, s.feed_integers({length * batch}, characters));
  for (const Layer& layer : model.layers) {
    State state = {zeros, zeros};
    std::vector<Tensor> outputs;
    for (const Tensor& projected : split(layer.projected(x), static_cast<int>(length), 0)) {
      state = layer.step(projected, state);
      outputs.push_back(state.h);
    }
    x = concat(outputs, 0);
  }
  const Tensor loss = softmax_cross_entropy(model.logits(x), s.feed_integers({length * batch}, characters));
  s.targets = {loss};
  s.operations = adam(s.graph.variables(), s.graph.gradients(loss, s.graph.variables()), 2e-3);
}

/// The character and the state are variables, so that a run goes on where the last one ended.
void build_generation(Setup& s) {
  Graph& g = s.graph;
  const Model model(g);
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
  return {{.name = "train_charlstm_f32_b16_t32", .build = [](Setup& s) { build_training(s, 16, 32); }, .iterations = 10},
          {.name = "gen_charlstm_f32_step", .build = build_generation, .iterations = 200}};
}

}  // namespace weft::apps
