#include "apps/studio/digits_demonstration.h"

#include "apps/studio/worker_routes.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft::apps::studio {
namespace {

constexpr const char* topic = "digits";
constexpr std::size_t most_mistakes = 45;
constexpr std::int64_t pixels = 28 * 28;

}  // namespace

DigitsDemonstration::DigitsDemonstration(Board& board, DigitsShelf& shelf, Backend backend)
    : board_(board),
      digits_(board, topic, shelf),
      backend_(backend),
      worker_([this] { return work(); },
              [this](const std::string& why) {
                plays_ = false;
                evaluator_.reset();
                board_.set(topic, {{"error", why}, {"playing", false}, {"testing", false}});
              }) {
  board_.set(topic, {{"error", ""}});
  worker_.post([this] { reset(); });
}

void DigitsDemonstration::add_to(Routes& routes) {
  WorkerRoutes mine(routes, worker_, "/api/digits/");
  mine.post("play", [this](const Call& call) { play(call); });
  mine.post("pause", [this](const Call&) { pause(); });
  mine.post("reset", [this](const Call&) { reset(); });
  mine.post("test", [this](const Call&) { test(); });
  routes.posts["/api/digits/classify"] = [this](const Call& call) { return worker_.ask([&] { return answer(classify(call.body)); }); };
  mine.get("mistakes", mistakes_);
}

void DigitsDemonstration::use(Backend backend) {
  worker_.post([this, backend] {
    backend_ = backend;
    if (model_) model_->use(backend);
  });
}

void DigitsDemonstration::play(const Call& call) {
  const std::int64_t steps = whole_number(call, "steps", 1, 1000000, 300), batch = whole_number(call, "batch", 1, 1024, 32);
  if (digits_.take(call) && trainer_) reset();
  if (!trainer_) trainer_ = std::make_unique<DigitsTrainer>(*model_, digits_.source().digits.train, batch, 1);
  if (trainer_->done() >= target_) target_ = trainer_->done() + steps;
  evaluator_.reset();
  plays_ = true;
  board_.set(topic, {{"error", ""}});
  tell();
}

void DigitsDemonstration::pause() {
  plays_ = false;
  evaluator_.reset();
  tell();
}

void DigitsDemonstration::reset() {
  plays_ = false;
  evaluator_.reset();
  trainer_.reset();
  model_ = std::make_unique<DigitsModel>(DigitsModelOptions{.backend = backend_});
  target_ = 0;
  rate_ = {};
  mistakes_.clear();
  new_losses_ = Json::array();
  board_.set(topic, {{"losses", Json::array()}, {"accuracy", nullptr}, {"mistakes", Json::array()}, {"tested", 0}});
  tell();
}

void DigitsDemonstration::test() {
  plays_ = false;
  evaluator_.emplace(digits_.source().digits.test);
  tell();
}

Json DigitsDemonstration::classify(const std::string& drawing) {
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(drawing.size()))));
  if (side < 8 || side > 500 || side * side != std::ssize(drawing))
    throw BadRequest("a drawing is a square of at least 8 x 8 grey pixels, a byte each");
  NDArray picture(u8, {side, side});
  std::ranges::transform(drawing, picture.elements<std::uint8_t>().begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  if (std::ranges::all_of(drawing, [&](char c) { return c == drawing[0]; })) return {{"empty", true}};
  const NDArray seen = to_mnist(picture);
  const NDArray probabilities = model_->probabilities(seen.reshape({1, 28, 28}));
  Json shares = Json::array(), grey = Json::array();
  for (const float p : probabilities.elements<float>()) shares.push_back(std::round(1e4 * p) / 1e4);
  for (const char c : bytes_of(seen)) grey.push_back(static_cast<std::uint8_t>(c));
  return {{"probabilities", shares}, {"seen", grey}};
}

Worker::Duration DigitsDemonstration::work() {
  if (evaluator_) measure();
  else if (plays_) learn();
  return evaluator_ || plays_ ? Worker::Duration::zero() : Worker::idle;
}

void DigitsDemonstration::learn() {
  const auto begun = Clock::now();
  const double loss = trainer_->step();
  // The first one compiles.
  if (trainer_->done() > 1) rate_.add(1, seconds_since(begun));
  new_losses_.push_back({trainer_->done(), loss});
  if (trainer_->done() >= target_) test();
  else if (tells_()) tell();
}

void DigitsDemonstration::measure() {
  evaluator_->step(*model_);
  const Evaluation& result = evaluator_->result();
  board_.set(topic, {{"tested", result.predictions.size()}});
  if (!evaluator_->is_complete()) return;
  const Digits& digits = digits_.source().digits.test;
  const auto labels = std::as_const(digits.labels).elements<std::uint8_t>();
  const std::string images = bytes_of(digits.images);
  Json mistakes = Json::array();
  mistakes_.clear();
  for (std::size_t i = 0; i < labels.size() && mistakes.size() < most_mistakes; ++i) {
    if (result.predictions[i] == labels[i]) continue;
    mistakes.push_back({{"is", labels[i]}, {"taken", result.predictions[i]}});
    mistakes_ += images.substr(i * pixels, pixels);
  }
  board_.set(topic, {{"accuracy", result.accuracy()}, {"wrong", std::ssize(result.predictions) - result.correct}, {"mistakes", mistakes}});
  evaluator_.reset();
  tell();
}

void DigitsDemonstration::tell() {
  if (!new_losses_.empty()) board_.append(topic, {{"losses", std::exchange(new_losses_, Json::array())}});
  board_.set(topic, {{"playing", plays_},
                     {"testing", evaluator_.has_value()},
                     {"steps", trainer_ ? trainer_->done() : 0},
                     {"target", target_},
                     {"rate", rate_.value()}});
}

}  // namespace weft::apps::studio
