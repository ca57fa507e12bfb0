// The pair of networks that learns to draw digits: trained together, asked for images.
#pragma once

#include "apps/gan_networks.h"

#include <weft/executable.h>
#include <weft/graph.h>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace weft::apps {

struct GanModelOptions {
  double learning_rate = 2e-4;
  std::uint64_t seed = 1;  ///< of the first weights, and of noise and dropout while training
  Backend backend = Backend::automatic;
};

class GanModel {
 public:
  explicit GanModel(const GanModelOptions& options = {});

  struct Losses {
    double discriminator = 0, generator = 0;
  };
  /// One step of both networks, on images f32 [n, 28, 28] from 0 to 1. Returns the losses before it: binary cross entropies, the
  /// discriminator's of real and drawn images together.
  Losses train(const NDArray& images);

  /// Images f32 [count, 28, 28] from 0 to 1, which depend on the seed.
  NDArray draw(std::int64_t count, std::uint64_t seed);

  /// Saves what drawing takes, as f16 with `half`.
  void save(const std::filesystem::path& path, bool half) const;
  /// Throws RunError, naming the file, when it can't be read or holds other tensors than the generator's; weights then stay.
  void load(const std::filesystem::path& path);

  /// Where runs take place from now on.
  void use(Backend backend) { run_options_.backend = backend; }

  Graph& graph() { return *graph_; }
  const Generator& generator() const { return *generator_; }
  const Discriminator& discriminator() const { return *discriminator_; }
  const GanStep& step() const { return step_; }

 private:
  std::vector<Tensor> saved() const;

  std::unique_ptr<Graph> graph_;
  RunOptions run_options_;
  std::unique_ptr<Generator> generator_;
  std::unique_ptr<Discriminator> discriminator_;
  Tensor images_, noise_, drawn_;
  GanStep step_;
};

}  // namespace weft::apps
