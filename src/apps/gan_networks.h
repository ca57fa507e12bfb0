// A pair of convolutional networks that learn from each other to draw 28 x 28 images.
// A. Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks", 2016.
#pragma once

#include <weft/graph.h>

#include <string>
#include <vector>

namespace weft::apps {

class GanNetwork {
 public:
  explicit GanNetwork(Graph& graph, std::string name) : graph_(graph), name_(std::move(name)) {}
  const std::vector<Tensor>& parameters() const { return parameters_; }

 protected:
  Graph& graph() const { return graph_; }
  std::string named(const char* part) const { return name_ + "." + part; }
  Tensor parameter(Initializer initializer, const char* part);
  Tensor weights(Shape shape, const char* part) { return parameter(init::normal(shape, 0, 0.02), part); }
  Tensor zeros(std::int64_t size, const char* part) { return parameter(init::zeros({size}), part); }

 private:
  Graph& graph_;
  std::string name_;
  std::vector<Tensor> parameters_;
};

/// Images [n, 28, 28, 1] from -1 to 1 from noise [n, 100]: a dense layer to 7 x 7 x 256, then transposed convolutions 5x5x128, 5x5x64 and
/// 5x5x1, the last two with stride 2, with batch normalisation and leaky ReLU between them.
class Generator : public GanNetwork {
 public:
  explicit Generator(Graph& graph);

  /// With the statistics of this batch; unless null, `updates` get what has the running ones follow them.
  Tensor train(Tensor noise, std::vector<Operation>* updates = nullptr) const { return draw(noise, learnt_, updates, true); }
  /// With averages of parameters and statistics over many steps, which draw better than any one step's (Y. Yazıcı et al., "The unusual
  /// effectiveness of averaging in GAN training", 2019). An image depends on its own noise only.
  Tensor infer(Tensor noise) const { return draw(noise, averaged_, nullptr, false); }
  /// What has the averages follow the parameters when `updates` have changed these.
  std::vector<Operation> follow(const std::vector<Operation>& updates) const;
  std::vector<Tensor> averages() const;
  const std::vector<Tensor>& statistics() const { return statistics_; }

  static constexpr std::int64_t noise_size = 100;

 private:
  struct Norm {
    Tensor gamma, beta, mean, variance;
  };
  struct Layers {
    Tensor dense;
    Norm norm0;
    Tensor first;
    Norm norm1;
    Tensor second;
    Norm norm2;
    Tensor third;
  };
  Norm norm(std::int64_t channels, const char* part);
  Tensor average_of(Tensor parameter);
  Tensor draw(Tensor noise, const Layers& layers, std::vector<Operation>* updates, bool trains) const;

  struct Average {
    Tensor average, parameter;
  };
  std::vector<Tensor> statistics_;
  std::vector<Average> averages_;
  Layers learnt_, averaged_;
  Tensor steps_;
};

/// One logit for each image: that it is real. Convolutions 5x5x64 and 5x5x128 with stride 2, leaky ReLU and dropout, and a dense layer.
class Discriminator : public GanNetwork {
 public:
  explicit Discriminator(Graph& graph);
  /// Each call drops other elements.
  Tensor operator()(Tensor images) const;

 private:
  Tensor first_, first_bias_, second_, second_bias_, dense_, dense_bias_;
};

/// Both networks' losses and Adam's updates with beta1 = 1/2, as the paper has it, for images [n, 28, 28, 1] from -1 to 1 and noise [n, 100].
/// Gradients are taken at the parameters from before the step, so that one pass of the generator serves both. With `keeps_averages` the
/// generator's statistics and averages follow.
struct GanStep {
  Tensor discriminator_loss, generator_loss;
  std::vector<Operation> updates;
};
GanStep gan_step(Graph& graph, const Generator& generator, const Discriminator& discriminator, Tensor real, Tensor noise, double learning_rate,
                 bool keeps_averages);

}  // namespace weft::apps
