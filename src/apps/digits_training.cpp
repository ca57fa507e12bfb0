#include "apps/digits_training.h"

#include <weft/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace weft::apps {
namespace {

constexpr std::int64_t pixels = 28 * 28;

/// SplitMix64. G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

void copy_image(std::span<const std::uint8_t> from, std::int64_t index, float* to) {
  const std::uint8_t* image = from.data() + index * pixels;
  for (std::int64_t i = 0; i < pixels; ++i) to[i] = static_cast<float>(image[i]) / 255.0f;
}

}  // namespace

DigitBatches::DigitBatches(Digits digits, std::int64_t size, std::uint64_t seed)
    : digits_(std::move(digits)),
      state_(seed),
      order_(static_cast<std::size_t>(digits_.count())),
      batch_{NDArray(f32, {size, 28, 28}), NDArray(u8, {size})} {
  std::iota(order_.begin(), order_.end(), 0);
  position_ = order_.size();
}

void DigitBatches::shuffle() {
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[next_random(state_) % i]);
  position_ = 0;
}

const DigitBatches::Batch& DigitBatches::next() {
  const auto images = std::as_const(digits_.images).elements<std::uint8_t>(), labels = std::as_const(digits_.labels).elements<std::uint8_t>();
  const auto chosen_images = batch_.images.elements<float>();
  const auto chosen_labels = batch_.labels.elements<std::uint8_t>();
  for (std::size_t i = 0; i < chosen_labels.size(); ++i) {
    if (position_ == order_.size()) shuffle();
    const std::int64_t index = order_[position_++];
    copy_image(images, index, &chosen_images[i * pixels]);
    chosen_labels[i] = labels[static_cast<std::size_t>(index)];
  }
  return batch_;
}

double DigitsTrainer::step() {
  const auto& batch = batches_.next();
  const double loss = model_.train(batch.images, batch.labels);
  ++done_;
  if (!std::isfinite(loss))
    throw RunError("training diverged: the loss of step " + std::to_string(done_) + " is not finite; try a lower learning rate");
  return loss;
}

std::vector<double> train(DigitsModel& model, const Digits& digits, const TrainingOptions& options) {
  DigitsTrainer trainer(model, digits, options.batch, options.seed);
  std::vector<double> losses;
  while (trainer.done() < options.steps) {
    losses.push_back(trainer.step());
    if (options.progress && !options.progress(trainer.done(), losses.back())) break;
  }
  return losses;
}

void Evaluator::step(DigitsModel& model) {
  constexpr std::int64_t at_once = 500;
  const auto images = std::as_const(digits_.images).elements<std::uint8_t>(), labels = std::as_const(digits_.labels).elements<std::uint8_t>();
  const std::int64_t first = std::ssize(result_.predictions), n = std::min(at_once, digits_.count() - first);
  NDArray batch(f32, {n, 28, 28});
  for (std::int64_t i = 0; i < n; ++i) copy_image(images, first + i, batch.elements<float>().data() + i * pixels);
  const NDArray probabilities = model.probabilities(batch);
  const auto p = probabilities.elements<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto digit = static_cast<std::uint8_t>(std::max_element(p.begin() + i * 10, p.begin() + (i + 1) * 10) - (p.begin() + i * 10));
    result_.predictions.push_back(digit);
    result_.correct += digit == labels[static_cast<std::size_t>(first + i)];
  }
}

Evaluation evaluate(DigitsModel& model, const Digits& digits) {
  Evaluator evaluator(digits);
  while (!evaluator.is_complete()) evaluator.step(model);
  return evaluator.result();
}

}  // namespace weft::apps
