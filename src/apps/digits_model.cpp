#include "apps/digits_model.h"

#include "apps/weights.h"

#include <weft/weft.h>

#include <string>

namespace weft::apps {
namespace {

Tensor dense(Graph& graph, Tensor x, Initializer weights, const std::string& name) {
  const Tensor w = graph.variable(std::move(weights), name + ".weights");
  const Tensor b = graph.variable(init::zeros({w.shape()[1]}), name + ".bias");
  return matmul(x, w) + b;
}

/// Halves height and width.
Tensor convolve_and_pool(Graph& graph, Tensor x, Initializer weights, const std::string& name) {
  const Tensor w = graph.variable(std::move(weights), name + ".weights");
  const Tensor b = graph.variable(init::zeros({w.shape()[3]}), name + ".bias");
  return max_pool2d(relu(conv2d(x, w, {.padding = Padding::same}) + b), {2});
}

}  // namespace

double default_learning_rate(Optimizer optimizer) { return optimizer == Optimizer::adam ? 5e-4 : 0.03; }

DigitsModel::DigitsModel(const DigitsModelOptions& options) : run_options_{.backend = options.backend} {
  Graph& g = graph_;
  g.set_seed(options.seed);
  images_ = g.placeholder({dynamic, 28, 28}, f32, "images");
  labels_ = g.placeholder({dynamic}, u8, "labels");

  Tensor x = expand_dims(images_, -1);
  x = convolve_and_pool(g, x, init::he({5, 5, 1, 32}), "conv1");
  x = convolve_and_pool(g, x, init::he({5, 5, 32, 64}), "conv2");
  x = relu(dense(g, reshape(x, {dynamic, 7 * 7 * 64}), init::he({7 * 7 * 64, 1024}), "dense1"));
  const Tensor logits = dense(g, x, init::glorot({1024, 10}), "dense2").named("logits");

  probabilities_ = softmax(logits).named("probabilities");
  loss_ = softmax_cross_entropy(logits, labels_, Reduction::mean).named("loss");
  weights_ = g.variables();
  const auto gradients = g.gradients(loss_, weights_);
  updates_ = options.optimizer == Optimizer::adam ? adam(weights_, gradients, options.learning_rate)
                                                  : sgd(weights_, gradients, options.learning_rate, {.momentum = 0.9});
}

double DigitsModel::train(const NDArray& images, const NDArray& labels) {
  return graph_.run({{images_, images}, {labels_, labels}}, {loss_}, updates_, run_options_)[loss_].item();
}

NDArray DigitsModel::probabilities(const NDArray& images) {
  return graph_.run({{images_, images}}, {probabilities_}, {}, run_options_)[probabilities_];
}

void DigitsModel::save(const std::filesystem::path& path) const { io::save_safetensors(path, weights_of(graph_, weights_, "weft digits")); }

void DigitsModel::load(const std::filesystem::path& path) {
  const auto content = io::load_safetensors(path);
  const auto fail = [&](const std::string& what) { throw RunError("weights \"" + path.string() + "\": " + what); };
  for (const Tensor& w : weights_) {
    const auto found = content.tensors.find(w.name());
    if (found == content.tensors.end()) fail("there is no tensor \"" + w.name() + "\", so these are not weights of the digit classifier");
    if (found->second.type() != w.type())
      fail("\"" + w.name() + "\" is " + found->second.type().str() + ", the digit classifier's is " + w.type().str());
  }
  if (content.tensors.size() != weights_.size())
    fail("there are " + std::to_string(content.tensors.size()) + " tensors, the digit classifier has " + std::to_string(weights_.size()));
  for (const Tensor& w : weights_) graph_.set_value(w, content.tensors.at(w.name()));
}

}  // namespace weft::apps
