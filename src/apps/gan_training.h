// Training the networks that draw digits.
#pragma once

#include "apps/digits_training.h"
#include "apps/gan_model.h"

#include <cstdint>

namespace weft::apps {

/// A training that goes on a step at a time.
class GanTrainer {
 public:
  /// The model must outlive it.
  GanTrainer(GanModel& model, const Digits& digits, std::int64_t batch, std::uint64_t seed) : model_(model), batches_(digits, batch, seed) {}

  /// The losses before it. Throws RunError when one is not finite.
  GanModel::Losses step();
  std::int64_t done() const { return done_; }

 private:
  GanModel& model_;
  DigitBatches batches_;
  std::int64_t done_ = 0;
};

}  // namespace weft::apps
