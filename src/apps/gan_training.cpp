#include "apps/gan_training.h"

#include <weft/error.h>

#include <cmath>
#include <string>

namespace weft::apps {

GanModel::Losses GanTrainer::step() {
  const GanModel::Losses losses = model_.train(batches_.next().images);
  ++done_;
  if (!std::isfinite(losses.discriminator) || !std::isfinite(losses.generator))
    throw RunError("training diverged: a loss of step " + std::to_string(done_) + " is not finite; try a lower learning rate");
  return losses;
}

}  // namespace weft::apps
