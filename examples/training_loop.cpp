// The training loop of the talk: while one step runs, the next batch is made. Two steps are in flight; the loss is read when a step is done.
#include <weft/weft.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <semaphore>

using namespace weft;

/// Points of two rings, and which ring each is from.
struct Batch {
  NDArray points{f32, {64, 2}}, rings{f32, {64, 2}};
};

Batch make_batch(std::mt19937& random) {
  Batch batch;
  std::normal_distribution<float> noise(0, 0.1f);
  std::uniform_real_distribution<float> angle(0, 6.2831853f);
  const auto points = batch.points.elements<float>(), rings = batch.rings.elements<float>();
  for (std::size_t i = 0; i < 64; ++i) {
    const float a = angle(random), radius = i % 2 ? 1.0f : 0.4f;
    points[2 * i] = radius * std::cos(a) + noise(random);
    points[2 * i + 1] = radius * std::sin(a) + noise(random);
    rings[2 * i + i % 2] = 1;
  }
  return batch;
}

int main() {
  Graph g;
  Tensor points = g.placeholder({64, 2}, f32, "points"), rings = g.placeholder({64, 2}, f32, "rings");
  Tensor w1 = g.variable(init::he({2, 32}), "w1"), b1 = g.variable(init::zeros({32}), "b1");
  Tensor w2 = g.variable(init::glorot({32, 2}), "w2");
  Tensor loss = softmax_cross_entropy(matmul(relu(matmul(points, w1) + b1), w2), rings, Reduction::mean);
  std::vector<Operation> updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.01f);

  constexpr int steps = 300;
  std::mt19937 random(1);
  Queue queue;
  std::counting_semaphore<2> slots(2);
  for (int step = 1; step <= steps; ++step) {
    const Batch batch = make_batch(random);
    slots.acquire();
    auto completed = [&, step](const RunResult& result, std::exception_ptr error) {
      if (error) std::printf("step %d failed\n", step);
      else if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, result[loss].item());
      slots.release();
    };
    run_async(queue, g, {{points, batch.points}, {rings, batch.rings}}, {loss}, updates, {.completed = completed});
  }
  queue.wait();
}
