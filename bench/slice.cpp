// GELU over 16M floats, stitched and not, against a copy of the same bytes; and one training step of the digits network:
// compile time for a first and a second batch size, and steps a second. Prints one line a figure, medians of several runs.
#include <weft/weft.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

using namespace weft;

namespace {

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median_seconds(int runs, const std::function<void()>& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(seconds_of(f));
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return times[static_cast<std::size_t>(runs / 2)];
}

Tensor gelu_chain(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

void bench_gelu() {
  constexpr std::int64_t n = 1 << 24;
  NDArray input(f32, {n}), output(f32, {n});
  for (std::int64_t i = 0; i < n; ++i) input.elements<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % 8191) / 1024.0f - 4.0f;
  const double copy = median_seconds(9, [&] {
    std::thread half([&] { std::memcpy(output.data(), input.data(), n * 2); });
    std::memcpy(output.data() + n * 2, input.data() + n * 2, n * 2);
    half.join();
  });
  std::printf("copy of 16M f32, two threads: %.2f ms, %.1f GB/s\n", copy * 1e3, 8e-9 * n / copy);
  for (const bool stitch : {true, false}) {
    Graph g;
    const Tensor x = g.placeholder({dynamic}, f32, "x");
    const Tensor y = gelu_chain(x);
    const Executable e = g.compile({{x, {f32, {n}}}}, {y}, {}, {.stitch = stitch});
    TensorData result(output);
    const double t = median_seconds(9, [&] { e.run(std::vector<TensorData>{input}, std::span(&result, 1)); });
    const auto& s = e.statistics();
    std::printf("gelu of 16M f32, %s: %.2f ms, %d kernels, %.0f MB read, %.0f MB written, %.2f of the copy's speed\n",
                stitch ? "stitched" : "not stitched", t * 1e3, s.kernels, s.bytes_read / 1e6, s.bytes_written / 1e6, copy / t);
  }
}

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

int main() {
  bench_gelu();
  bench_step();
}
