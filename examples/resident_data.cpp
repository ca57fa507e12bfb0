// Training whose data stays where the graph runs: the whole set is a variable, a counter that is a variable too says which rows the next batch
// is made of, and 50 steps are begun at once.
#include <weft/weft.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

using namespace weft;

int main() {
  constexpr std::int64_t points = 4096, batch = 64;
  NDArray places(f32, {points, 2}), rings(i32, {points});
  for (std::int64_t i = 0; i < points; ++i) {
    const float angle = 2.399963f * static_cast<float>(i), radius = i % 2 ? 1.0f : 0.4f;
    places.elements<float>()[static_cast<std::size_t>(2 * i)] = radius * std::cos(angle);
    places.elements<float>()[static_cast<std::size_t>(2 * i + 1)] = radius * std::sin(angle);
    rings.elements<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % 2);
  }

  Graph g;
  Tensor all_places = g.variable(places, "places"), all_rings = g.variable(rings, "rings");
  Tensor step = g.variable(NDArray::scalar<std::int32_t>(0), "step");
  // Rows that are always there need no check, which would hold the steps up.
  Tensor rows = (step * static_cast<std::int32_t>(batch) + iota(g, {batch})) % static_cast<std::int32_t>(points);
  Tensor x = gather(all_places, rows, 0, {.out_of_bounds = OutOfBounds::ignore});
  Tensor y = gather(all_rings, rows, 0, {.out_of_bounds = OutOfBounds::ignore});

  Tensor w1 = g.variable(init::he({2, 32}), "w1"), b1 = g.variable(init::zeros({32}), "b1"), w2 = g.variable(init::glorot({32, 2}), "w2");
  Tensor loss = softmax_cross_entropy(matmul(relu(matmul(x, w1) + b1), w2), y, Reduction::mean);
  const std::vector<Tensor> weights{w1, b1, w2};
  std::vector<Operation> updates = adam(weights, g.gradients(loss, weights), 0.01f);
  updates.push_back(g.assign(step, step + 1));

  const Executable training = g.compile({}, std::vector{loss}, updates);
  std::vector<TensorData> results{NDArray(f32, {})};
  for (int launch = 1; launch <= 6; ++launch) {
    training.run({}, results, {.steps_per_launch = 50});
    std::printf("step %3d  loss %.4f\n", 50 * launch, results[0].array().item());
  }
}
