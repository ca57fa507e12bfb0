#include "apps/gan_networks.h"

#include <weft/weft.h>

namespace weft::apps {
namespace {

constexpr double slope = 0.3, dropped = 0.3;

}  // namespace

Tensor GanNetwork::parameter(Initializer initializer, const char* part) {
  return parameters_.emplace_back(graph_.variable(std::move(initializer), named(part)));
}

Generator::Generator(Graph& graph) : GanNetwork(graph, "generator") {
  learnt_.dense = weights({noise_size, 7 * 7 * 256}, "dense");
  learnt_.norm0 = norm(256, "norm0");
  learnt_.first = weights({5, 5, 128, 256}, "first");
  learnt_.norm1 = norm(128, "norm1");
  learnt_.second = weights({5, 5, 64, 128}, "second");
  learnt_.norm2 = norm(64, "norm2");
  learnt_.third = weights({5, 5, 1, 64}, "third");

  averaged_ = learnt_;
  for (auto part : {&Layers::dense, &Layers::first, &Layers::second, &Layers::third}) averaged_.*part = average_of(learnt_.*part);
  for (auto part : {&Layers::norm0, &Layers::norm1, &Layers::norm2})
    for (auto of : {&Norm::gamma, &Norm::beta}) averaged_.*part.*of = average_of(learnt_.*part.*of);
  steps_ = graph.variable(init::zeros({}), named("steps"));
}

Tensor Generator::average_of(Tensor parameter) {
  averages_.push_back({graph().variable(init::zeros(parameter.shape()), parameter.name() + ".average"), parameter});
  return averages_.back().average;
}

std::vector<Tensor> Generator::averages() const {
  std::vector<Tensor> list;
  for (const auto& a : averages_) list.push_back(a.average);
  return list;
}

std::vector<Operation> Generator::follow(const std::vector<Operation>& updates) const {
  std::vector<Operation> all;
  // The first steps, which differ much, count little.
  const Tensor kept = minimum((steps_ + 1) / (steps_ + 10), 0.999);
  all.push_back(graph().assign(steps_, steps_ + 1));
  graph().control_dependencies(updates, [&] {
    for (const auto& a : averages_) all.push_back(graph().assign(a.average, a.average * kept + graph().read(a.parameter) * (1 - kept)));
  });
  return all;
}

Generator::Norm Generator::norm(std::int64_t channels, const char* part) {
  const std::string own = part;
  Norm n{parameter(init::constant({channels}, 1), (own + ".gamma").c_str()), zeros(channels, (own + ".beta").c_str()), {}, {}};
  n.mean = graph().variable(init::zeros({channels}), named((own + ".mean").c_str()));
  n.variance = graph().variable(init::constant({channels}, 1), named((own + ".variance").c_str()));
  statistics_.push_back(n.mean);
  statistics_.push_back(n.variance);
  return n;
}

Tensor Generator::draw(Tensor noise, const Layers& l, std::vector<Operation>* updates, bool trains) const {
  const auto layer = [&](Tensor x, const Norm& n) {
    const ChannelNormOptions options{n.gamma, n.beta};
    if (!trains) return leaky_relu(batch_norm(x, n.mean, n.variance, options), slope);
    const BatchNorm b = batch_norm(x, options);
    if (updates)
      for (const Operation& o : update_running_statistics(n.mean, n.variance, b, 0.99)) updates->push_back(o);
    return leaky_relu(b.y, slope);
  };
  Tensor x = layer(reshape(matmul(noise, l.dense), {dynamic, 7, 7, 256}), l.norm0);
  x = layer(conv_transpose2d(x, l.first, {.padding = Padding::same}), l.norm1);
  x = layer(conv_transpose2d(x, l.second, {.strides = {2}, .padding = Padding::same}), l.norm2);
  return tanh(conv_transpose2d(x, l.third, {.strides = {2}, .padding = Padding::same}));
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
                 bool keeps_averages) {
  GanStep step;
  const Tensor fake = generator.train(noise, keeps_averages ? &step.updates : nullptr);
  const auto judged = [&](Tensor images, double truth) { return binary_cross_entropy_with_logits(discriminator(images), truth); };
  step.discriminator_loss = judged(real, 1) + judged(stop_gradient(fake), 0);
  step.generator_loss = judged(fake, 1);
  const auto update = [&](const GanNetwork& network, Tensor loss) {
    const auto operations = adam(network.parameters(), graph.gradients(loss, network.parameters()), learning_rate, {.beta1 = 0.5});
    step.updates.insert(step.updates.end(), operations.begin(), operations.end());
    return operations;
  };
  update(discriminator, step.discriminator_loss);
  const auto learnt = update(generator, step.generator_loss);
  if (keeps_averages)
    for (const Operation& o : generator.follow(learnt)) step.updates.push_back(o);
  return step;
}

}  // namespace weft::apps
