#include "apps/text_training.h"

#include <weft/error.h>

#include <cmath>

namespace weft::apps {

SplitText split_text(const std::vector<std::int32_t>& text) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(text.size() - text.size() / 10);
  return {{text.begin(), end}, {end, text.end()}};
}

TextTraining train(TextModel& model, const SplitText& text, const TextTrainingOptions& options) {
  TextBatches batches(text.training, model.options().sequence, model.options().batch);
  TextTraining done;
  for (std::int64_t step = options.first; step < options.steps; ++step) {
    const double part = static_cast<double>(step) / static_cast<double>(options.steps);
    done.losses.push_back(model.train(batches.of_step(step), options.learning_rate * (1 - 0.9 * part)));
    const std::int64_t count = step + 1;
    if (!std::isfinite(done.losses.back()))
      throw RunError("training diverged: the loss of step " + std::to_string(count) + " is not finite; try a lower learning rate");
    const bool goes_on = !options.progress || options.progress(count, done.losses.back());
    if (count % options.validate_every == 0 || count == options.steps || !goes_on) {
      if (!options.checkpoint.empty()) model.save_checkpoint(options.checkpoint, count);
      done.validations.emplace_back(count, model.loss(text.validation));
      if (options.validated) options.validated(count, done.validations.back().second);
    }
    if (!goes_on) break;
  }
  return done;
}

}  // namespace weft::apps
