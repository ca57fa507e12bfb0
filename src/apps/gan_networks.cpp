#include "apps/gan_networks.h"

#include <weft/weft.h>

namespace weft::apps {
namespace {

constexpr double slope = 0.3, dropped = 0.3;

}  // namespace

Tensor GanNetwork::parameter(Initializer initializer, const char* part) {
  return parameters_.emplace_back(graph_.variable(std::move(initializer), named(part)));
}

Generator::Generator(Graph& graph)
    : GanNetwork(graph, "generator"),
      dense_(weights({noise_size, 7 * 7 * 256}, "dense")),
      norm0_(norm(256, "norm0")),
      first_(weights({5, 5, 128, 256}, "first")),
      norm1_(norm(128, "norm1")),
      second_(weights({5, 5, 64, 128}, "second")),
      norm2_(norm(64, "norm2")),
      third_(weights({5, 5, 1, 64}, "third")) {}

Generator::Norm Generator::norm(std::int64_t channels, const char* part) {
  const std::string own = part;
  Norm n{parameter(init::constant({channels}, 1), (own + ".gamma").c_str()), zeros(channels, (own + ".beta").c_str()), {}, {}};
  n.mean = graph().variable(init::zeros({channels}), named((own + ".mean").c_str()));
  n.variance = graph().variable(init::constant({channels}, 1), named((own + ".variance").c_str()));
  statistics_.push_back(n.mean);
  statistics_.push_back(n.variance);
  return n;
}

Tensor Generator::draw(Tensor noise, bool trains, std::vector<Operation>* updates) const {
  const auto layer = [&](Tensor x, const Norm& n) {
    const ChannelNormOptions options{n.gamma, n.beta};
    if (!trains) return leaky_relu(batch_norm(x, n.mean, n.variance, options), slope);
    const BatchNorm b = batch_norm(x, options);
    if (updates)
      for (const Operation& o : update_running_statistics(n.mean, n.variance, b)) updates->push_back(o);
    return leaky_relu(b.y, slope);
  };
  Tensor x = layer(reshape(matmul(noise, dense_), {dynamic, 7, 7, 256}), norm0_);
  x = layer(conv_transpose2d(x, first_, {.padding = Padding::same}), norm1_);
  x = layer(conv_transpose2d(x, second_, {.strides = {2}, .padding = Padding::same}), norm2_);
  return tanh(conv_transpose2d(x, third_, {.strides = {2}, .padding = Padding::same}));
}

Discriminator::Discriminator(Graph& graph)
    : GanNetwork(graph, "discriminator"),
      first_(weights({5, 5, 1, 64}, "first")),
      first_bias_(zeros(64, "first.bias")),
      second_(weights({5, 5, 64, 128}, "second")),
      second_bias_(zeros(128, "second.bias")),
      dense_(weights({7 * 7 * 128, 1}, "dense")),
      dense_bias_(zeros(1, "dense.bias")) {}

Tensor Discriminator::operator()(Tensor images) const {
  const auto layer = [](Tensor x, Tensor w, Tensor b) {
    return dropout(leaky_relu(conv2d(x, w, {.strides = {2}, .padding = Padding::same}) + b, slope), dropped);
  };
  const Tensor x = layer(layer(images, first_, first_bias_), second_, second_bias_);
  return matmul(flatten(x), dense_) + dense_bias_;
}

GanStep gan_step(Graph& graph, const Generator& generator, const Discriminator& discriminator, Tensor real, Tensor noise, double learning_rate,
                 bool keeps_statistics) {
  GanStep step;
  const Tensor fake = generator.train(noise, keeps_statistics ? &step.updates : nullptr);
  const auto judged = [&](Tensor images, double truth) { return binary_cross_entropy_with_logits(discriminator(images), truth); };
  step.discriminator_loss = judged(real, 1) + judged(stop_gradient(fake), 0);
  step.generator_loss = judged(fake, 1);
  const auto update = [&](const GanNetwork& network, Tensor loss) {
    const auto operations = adam(network.parameters(), graph.gradients(loss, network.parameters()), learning_rate, {.beta1 = 0.5});
    step.updates.insert(step.updates.end(), operations.begin(), operations.end());
  };
  update(discriminator, step.discriminator_loss);
  update(generator, step.generator_loss);
  return step;
}

}  // namespace weft::apps
