// A pair of convolutional networks that learn from each other to draw 28 x 28 images: one step updates both.
// A. Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks", 2016.
#include "apps/workloads/workload.h"

#include <weft/activation.h>
#include <weft/convolution.h>
#include <weft/loss.h>
#include <weft/matmul.h>
#include <weft/movement.h>
#include <weft/normalization.h>
#include <weft/optimizer.h>
#include <weft/random.h>

namespace weft::apps {
namespace {

constexpr double slope = 0.3, dropped = 0.3;

class Network {
 public:
  explicit Network(Graph& graph) : graph_(graph) {}
  const std::vector<Tensor>& parameters() const { return parameters_; }

 protected:
  Tensor parameter(Initializer initializer) { return parameters_.emplace_back(graph_.variable(std::move(initializer))); }
  Tensor weights(Shape shape) { return parameter(init::normal(shape, 0, 0.02)); }
  Tensor zeros(std::int64_t size) { return parameter(init::zeros({size})); }
  Tensor ones(std::int64_t size) { return parameter(init::constant({size}, 1)); }

 private:
  Graph& graph_;
  std::vector<Tensor> parameters_;
};

class Generator : public Network {
 public:
  using Network::Network;

  Tensor operator()(Tensor noise) const {
    const auto layer = [](Tensor x, const Norm& norm) { return leaky_relu(batch_norm(x, {norm.gamma, norm.beta}).y, slope); };
    Tensor x = layer(reshape(matmul(noise, dense_), {dynamic, 7, 7, 256}), norm0_);
    x = layer(conv_transpose2d(x, first_, {.padding = Padding::same}), norm1_);
    x = layer(conv_transpose2d(x, second_, {.strides = {2}, .padding = Padding::same}), norm2_);
    return tanh(conv_transpose2d(x, third_, {.strides = {2}, .padding = Padding::same}));
  }

 private:
  struct Norm {
    Tensor gamma, beta;
  };
  Norm norm(std::int64_t channels) { return {ones(channels), zeros(channels)}; }

  Tensor dense_ = weights({100, 7 * 7 * 256});
  Norm norm0_ = norm(256);
  Tensor first_ = weights({5, 5, 128, 256});
  Norm norm1_ = norm(128);
  Tensor second_ = weights({5, 5, 64, 128});
  Norm norm2_ = norm(64);
  Tensor third_ = weights({5, 5, 1, 64});
};

class Discriminator : public Network {
 public:
  using Network::Network;

  /// One logit an image. Each call drops other elements.
  Tensor operator()(Tensor images) const {
    const auto layer = [](Tensor x, Tensor w, Tensor b) {
      return dropout(leaky_relu(conv2d(x, w, {.strides = {2}, .padding = Padding::same}) + b, slope), dropped);
    };
    const Tensor x = layer(layer(images, first_, first_bias_), second_, second_bias_);
    return matmul(flatten(x), dense_) + dense_bias_;
  }

 private:
  Tensor first_ = weights({5, 5, 1, 64}), first_bias_ = zeros(64);
  Tensor second_ = weights({5, 5, 64, 128}), second_bias_ = zeros(128);
  Tensor dense_ = weights({7 * 7 * 128, 1}), dense_bias_ = zeros(1);
};

/// Both gradients are taken at the parameters from before the step, so one pass of the generator serves both.
void build_step(Setup& s, std::int64_t batch) {
  Generator generator(s.graph);
  Discriminator discriminator(s.graph);
  const Tensor real = s.feed({batch, 28, 28, 1}), fake = generator(random_normal(s.graph, {batch, 100}));
  const auto judged = [&](Tensor images, double truth) { return binary_cross_entropy_with_logits(discriminator(images), truth); };
  const Tensor discriminator_loss = judged(real, 1) + judged(stop_gradient(fake), 0), generator_loss = judged(fake, 1);
  s.targets = {discriminator_loss, generator_loss};
  const auto update = [&](const Network& network, Tensor loss) {
    const auto operations = adam(network.parameters(), s.graph.gradients(loss, network.parameters()), 1e-4);
    s.operations.insert(s.operations.end(), operations.begin(), operations.end());
  };
  update(discriminator, discriminator_loss);
  update(generator, generator_loss);
}

}  // namespace

std::vector<Workload> gan_workloads() {
  return {{.name = "train_dcgan_f32_b16", .build = [](Setup& s) { build_step(s, 16); }, .iterations = 20},
          {.name = "train_dcgan_f32_b128", .build = [](Setup& s) { build_step(s, 128); }, .iterations = 20, .is_large = true}};
}

}  // namespace weft::apps
