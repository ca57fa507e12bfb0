// One training step of the digits network (two convolutions, two dense layers) with SGD: what compiling takes for a first
// and for further batch sizes, and steps a second.
#include <weft/weft.h>

#include <cstdio>
#include <vector>

#include "timing.h"

using namespace weft;

namespace {

struct Network {
  Graph g;
  Tensor images, labels, loss;
  std::vector<Operation> updates;

  Network() {
    images = g.placeholder({dynamic, 28, 28, 1}, f32, "images");
    labels = g.placeholder({dynamic, 10}, f32, "labels");
    auto layer = [&](Tensor x, Shape shape) {
      const Tensor w = g.variable(init::he(shape)), b = g.variable(init::zeros({shape[shape.rank() - 1]}));
      return relu((shape.rank() == 4 ? conv2d(x, w, {.padding = Padding::same}) : matmul(x, w)) + b);
    };
    Tensor x = max_pool2d(layer(images, {5, 5, 1, 32}), {2, 2});
    x = max_pool2d(layer(x, {5, 5, 32, 64}), {2, 2});
    x = layer(reshape(x, {dynamic, 7 * 7 * 64}), {7 * 7 * 64, 1024});
    const Tensor logits = matmul(x, g.variable(init::he({1024, 10}))) + g.variable(init::zeros({10}));
    loss = softmax_cross_entropy(logits, labels, Reduction::mean);
    updates = sgd(g.variables(), g.gradients(loss, g.variables()), 0.01f);
  }

  Executable compile(std::int64_t batch) {
    return g.compile(std::vector<FeedType>{{images, {f32, {batch, 28, 28, 1}}}, {labels, {f32, {batch, 10}}}}, std::vector{loss}, updates);
  }
};

void bench_step() {
  Network net;
  for (const std::int64_t batch : {16, 32, 64}) {
    Executable e;
    const double compile = seconds_of([&] { e = net.compile(batch); });
    NDArray images(f32, {batch, 28, 28, 1}), labels(f32, {batch, 10});
    for (auto& v : images.elements<float>()) v = static_cast<float>((&v - images.elements<float>().data()) % 97) / 97.0f;
    for (std::int64_t i = 0; i < batch; ++i) labels.elements<float>()[static_cast<std::size_t>(i * 10 + i % 10)] = 1;
    std::vector<TensorData> feeds;
    for (const auto& f : e.feeds()) feeds.emplace_back(f.placeholder == net.images ? images : labels);
    const double t = median_seconds(30, [&] { e.run(feeds); });
    const auto& s = e.statistics();
    std::printf("digits step, batch %lld: compile %.1f ms (%d of %d kernels new), step %.2f ms, %.0f steps/s, %d library calls, arena %.1f MB\n",
                static_cast<long long>(batch), compile * 1e3, s.kernels_compiled, s.kernels, t * 1e3, 1 / t, s.library_calls, s.arena_bytes / 1e6);
    for (const auto& [name, seconds] : s.passes) std::printf("    %-16s %.2f ms\n", name.c_str(), seconds * 1e3);
  }
}

}  // namespace

int main() { bench_step(); }
