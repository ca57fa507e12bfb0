// Training the digit classifier and measuring it.
#pragma once

#include "apps/digits_data.h"
#include "apps/digits_model.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace weft::apps {

/// Batches of images f32 [n, 28, 28] from 0 to 1 and labels u8 [n], in an order that depends on the seed alone. Each image
/// comes once before one comes again; a batch may go on into the next round.
class DigitBatches {
 public:
  DigitBatches(Digits digits, std::int64_t size, std::uint64_t seed);

  struct Batch {
    NDArray images, labels;
  };
  const Batch& next();

 private:
  void shuffle();

  Digits digits_;
  std::uint64_t state_;
  std::vector<std::int64_t> order_;
  std::size_t position_ = 0;
  Batch batch_;
};

/// A training that goes on a step at a time.
class DigitsTrainer {
 public:
  /// The model must outlive it.
  DigitsTrainer(DigitsModel& model, const Digits& digits, std::int64_t batch, std::uint64_t seed) : model_(model), batches_(digits, batch, seed) {}

  /// The loss before it. Throws RunError when that is not finite.
  double step();
  std::int64_t done() const { return done_; }

 private:
  DigitsModel& model_;
  DigitBatches batches_;
  std::int64_t done_ = 0;
};

struct TrainingOptions {
  std::int64_t steps = 300;
  std::int64_t batch = 32;
  std::uint64_t seed = 1;  ///< of the order of images
  /// Called after each step with the number of steps so far and the step's loss; training ends early when it returns false.
  std::function<bool(std::int64_t step, double loss)> progress = {};
};

/// The loss of each step. Throws RunError when one is not finite.
std::vector<double> train(DigitsModel& model, const Digits& digits, const TrainingOptions& options);

struct Evaluation {
  std::vector<std::uint8_t> predictions;
  std::int64_t correct = 0;
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(predictions.size()); }
};

/// Asks a model for all images, 500 at a time.
class Evaluator {
 public:
  explicit Evaluator(Digits digits) : digits_(std::move(digits)) {}
  void step(DigitsModel& model);
  bool is_complete() const { return std::ssize(result_.predictions) == digits_.count(); }
  const Evaluation& result() const { return result_; }

 private:
  Digits digits_;
  Evaluation result_;
};
Evaluation evaluate(DigitsModel& model, const Digits& digits);

}  // namespace weft::apps
