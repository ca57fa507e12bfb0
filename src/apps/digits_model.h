// The classifier of handwritten digits: one graph that is trained, tested and asked.
#pragma once

#include <weft/executable.h>
#include <weft/graph.h>
#include <weft/io.h>

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace weft::apps {

enum class Optimizer { sgd, adam };

/// The step that works well for each: see docs/digits.md.
double default_learning_rate(Optimizer optimizer);

struct DigitsModelOptions {
  Optimizer optimizer = Optimizer::adam;
  double learning_rate = default_learning_rate(Optimizer::adam);
  std::uint64_t seed = 1;  ///< of the first weights
  Backend backend = Backend::automatic;
};

/// Convolution 5x5x32, relu, max pool 2, convolution 5x5x64, relu, max pool 2, dense 1024, relu, dense 10; every layer has a
/// bias, convolutions keep the size (SAME), layouts are NHWC and HWIO. Images are fed as f32 [n, 28, 28] from 0 to 1 with any
/// n: the graph is the same for a training batch, a thousand test images and one drawing.
class DigitsModel {
 public:
  explicit DigitsModel(const DigitsModelOptions& options = {});

  /// One step of the optimizer, on images f32 [n, 28, 28] and labels u8 [n]. Returns the mean cross entropy before it.
  double train(const NDArray& images, const NDArray& labels);
  /// f32 [n, 10].
  NDArray probabilities(const NDArray& images);

  /// Saves what has been learnt, under the layers' names.
  void save(const std::filesystem::path& path) const;
  /// Throws RunError, naming the file, when it can't be read or holds other tensors than this network's; weights then stay.
  void load(const std::filesystem::path& path);

  /// Where runs take place from now on.
  void use(Backend backend) { run_options_.backend = backend; }

  Graph& graph() { return graph_; }

 private:
  Graph graph_;
  Tensor images_, labels_, probabilities_, loss_;
  std::vector<Tensor> weights_;
  std::vector<Operation> updates_;
  RunOptions run_options_;
};

}  // namespace weft::apps
