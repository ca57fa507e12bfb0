// A pair of convolutional networks that learn from each other to draw images: one step updates both.
#include "apps/gan_networks.h"
#include "apps/workloads/workload.h"

#include <weft/random.h>

namespace weft::apps {
namespace {

void build_step(Setup& s, std::int64_t batch) {
  const Generator generator(s.graph);
  const Discriminator discriminator(s.graph);
  const Tensor noise = random_normal(s.graph, {batch, Generator::noise_size});
  const GanStep step = gan_step(s.graph, generator, discriminator, s.feed({batch, 28, 28, 1}), noise, 1e-4, false);
  s.targets = {step.discriminator_loss, step.generator_loss};
  s.operations = step.updates;
}

}  // namespace

std::vector<Workload> gan_workloads() {
  return {{.name = "train_dcgan_f32_b16", .build = [](Setup& s) { build_step(s, 16); }, .iterations = 20},
          {.name = "train_dcgan_f32_b128", .build = [](Setup& s) { build_step(s, 128); }, .iterations = 20, .is_large = true}};
}

}  // namespace weft::apps
