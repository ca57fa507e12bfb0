#include "apps/text_training.h"

#include <weft/error.h>

#include <cmath>

namespace weft::apps {

SplitText split_text(const std::vector<std::int32_t>& text) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(text.size() - text.size() / 10);
  return {{text.begin(), end}, {end, text.end()}};
}

TextTrainer::TextTrainer(TextModel& model, const std::vector<std::int32_t>& text, const Schedule& schedule)
    : model_(model), schedule_(schedule), batches_(text, model.options().sequence, model.options().batch), done_(schedule.first) {}

double TextTrainer::step() {
  const double part = static_cast<double>(done_) / static_cast<double>(schedule_.steps);
  const double loss = model_.train(batches_.of_step(done_), schedule_.learning_rate * (1 - 0.9 * part));
  ++done_;
  if (!std::isfinite(loss))
    throw RunError("training diverged: the loss of step " + std::to_string(done_) + " is not finite; try a lower learning rate");
  return loss;
}

TextTraining train(TextModel& model, const SplitText& text, const TextTrainingOptions& options) {
  TextTrainer trainer(model, text.training, options.schedule);
  TextTraining done;
  while (!trainer.is_complete()) {
    done.losses.push_back(trainer.step());
    const std::int64_t count = trainer.done();
    const bool goes_on = !options.progress || options.progress(count, done.losses.back());
    if (count % options.validate_every == 0 || trainer.is_complete() || !goes_on) {
      if (!options.checkpoint.empty()) model.save_checkpoint(options.checkpoint, count);
      done.validations.emplace_back(count, model.loss(text.validation));
      if (options.validated) options.validated(count, done.validations.back().second);
    }
    if (!goes_on) break;
  }
  return done;
}

}  // namespace weft::apps
