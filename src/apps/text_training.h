// Training the character model and measuring it.
#pragma once

#include "apps/text_model.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace weft::apps {

/// The last part of a text is kept for validation.
struct SplitText {
  std::vector<std::int32_t> training, validation;
};
SplitText split_text(const std::vector<std::int32_t>& text);

/// A training that goes on a step at a time.
class TextTrainer {
 public:
  struct Schedule {
    std::int64_t steps = 3000;
    std::int64_t first = 0;       ///< steps that were done before
    double learning_rate = 3e-3;  ///< at first; it falls in a straight line to a tenth at the last step
  };
  /// The model must outlive it. Throws RunError when the text is too short.
  TextTrainer(TextModel& model, const std::vector<std::int32_t>& text, const Schedule& schedule);

  /// The loss before it. Throws RunError when that is not finite.
  double step();
  std::int64_t done() const { return done_; }
  bool is_complete() const { return done_ >= schedule_.steps; }

 private:
  TextModel& model_;
  Schedule schedule_;
  TextBatches batches_;
  std::int64_t done_;
};

struct TextTrainingOptions {
  TextTrainer::Schedule schedule = {};
  std::int64_t validate_every = 250;
  std::filesystem::path checkpoint = {};  ///< written when validating, unless empty
  /// Called after each step with the number of steps so far and the step's loss; training ends, with a checkpoint, when it returns false.
  std::function<bool(std::int64_t step, double loss)> progress = {};
  /// Called with the loss on the validation text.
  std::function<void(std::int64_t step, double loss)> validated = {};
};

struct TextTraining {
  std::vector<double> losses;  ///< of each step
  std::vector<std::pair<std::int64_t, double>> validations;
};

/// Throws RunError when a loss is not finite.
TextTraining train(TextModel& model, const SplitText& text, const TextTrainingOptions& options);

}  // namespace weft::apps
