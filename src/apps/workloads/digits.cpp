// Training steps of networks that classify 28 x 28 images: forward, backward and SGD's update in one run.
#include "apps/workloads/workload.h"

#include <weft/convolution.h>
#include <weft/elementwise.h>
#include <weft/loss.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/optimizer.h>
#include <weft/pooling.h>

namespace weft::apps {
namespace {

void train(Setup& s, Tensor logits, std::int64_t batch) {
  const Tensor loss = softmax_cross_entropy(logits, s.feed_integers({batch}, 10));
  s.targets = {loss};
  s.operations = sgd(s.graph.variables(), s.graph.gradients(loss, s.graph.variables()), 0.01);
}

Tensor bias(Setup& s, std::int64_t size) { return s.graph.variable(init::zeros({size})); }

/// One convolution whose result is the ten logits.
void build_one_convolution(Setup& s, std::int64_t batch) {
  const Tensor y = conv2d(s.feed({batch, 28, 28, 1}), s.graph.variable(init::he({28, 28, 1, 10})));
  train(s, reshape(relu(y + bias(s, 10)), {batch, 10}), batch);
}

}  // namespace

void build_lenet(Setup& s, std::int64_t batch) {
  const auto convolve_and_pool = [&](Tensor x, Shape weights) {
    const Tensor y = conv2d(x, s.graph.variable(init::he(weights)), {.padding = Padding::same});
    return max_pool2d(relu(y + bias(s, weights[3])), {2});
  };
  const auto dense = [&](Tensor x, Shape weights) { return matmul(x, s.graph.variable(init::he(weights))) + bias(s, weights[1]); };
  Tensor x = convolve_and_pool(s.feed({batch, 28, 28, 1}), {5, 5, 1, 32});
  x = convolve_and_pool(x, {5, 5, 32, 64});
  x = relu(dense(reshape(x, {batch, 7 * 7 * 64}), {7 * 7 * 64, 1024}));
  train(s, dense(x, {1024, 10}), batch);
}

std::vector<Workload> digits_workloads() {
  std::vector<Workload> rows;
  for (const std::int64_t batch : {16, 64, 1024}) {
    const bool large = batch == 1024;
    const std::string suffix = "_f32_b" + std::to_string(batch);
    rows.push_back(
        {.name = "train_oneconv" + suffix, .build = [=](Setup& s) { build_one_convolution(s, batch); }, .iterations = 100, .is_large = large});
    rows.push_back({.name = "train_lenet" + suffix, .build = [=](Setup& s) { build_lenet(s, batch); }, .iterations = 100, .is_large = large});
  }
  return rows;
}

}  // namespace weft::apps
