#include "apps/studio/gan_demonstration.h"

#include "apps/studio/worker_routes.h"

#include <utility>

namespace weft::apps::studio {
namespace {

constexpr const char* topic = "gan";
constexpr std::int64_t shown = 64;

}  // namespace

GanDemonstration::GanDemonstration(Board& board, DigitsShelf& shelf, Backend backend)
    : board_(board),
      digits_(board, topic, shelf),
      backend_(backend),
      worker_([this] { return work(); },
              [this](const std::string& why) {
                plays_ = false;
                board_.set(topic, {{"error", why}, {"playing", false}});
              }) {
  board_.set(topic, {{"error", ""}});
  worker_.post([this] { reset(); });
}

void GanDemonstration::add_to(Routes& routes) {
  WorkerRoutes mine(routes, worker_, "/api/gan/");
  mine.post("play", [this](const Call& call) { play(call); });
  mine.post("pause", [this](const Call&) { pause(); });
  mine.post("reset", [this](const Call&) { reset(); });
  mine.post("sample", [this](const Call&) { sample(); });
  mine.get("sheet", sheet_);
  mine.get("samples", samples_);
}

void GanDemonstration::use(Backend backend) {
  worker_.post([this, backend] {
    backend_ = backend;
    if (model_) model_->use(backend);
  });
}

void GanDemonstration::play(const Call& call) {
  const std::int64_t batch = whole_number(call, "batch", 2, 512, 32);
  if (digits_.take(call) && trainer_) reset();
  if (!trainer_) {
    trainer_ = std::make_unique<GanTrainer>(*model_, digits_.source().digits.train, batch, 1);
    board_.set(topic, {{"batch", batch}});
  }
  plays_ = true;
  board_.set(topic, {{"error", ""}});
  tell();
}

void GanDemonstration::pause() {
  if (plays_) draw_sheet();
  plays_ = false;
  tell();
}

void GanDemonstration::reset() {
  plays_ = false;
  trainer_.reset();
  model_ = std::make_unique<GanModel>(GanModelOptions{.backend = backend_});
  rate_ = {};
  seed_ = 1;
  new_discriminator_ = new_generator_ = Json::array();
  samples_.clear();
  sheet_.clear();
  board_.set(topic, {{"discriminator", Json::array()}, {"generator", Json::array()}, {"sheet", 0}, {"sheet_steps", 0}, {"samples", 0}});
  tell();
}

void GanDemonstration::draw_sheet() {
  sheet_ = bytes_of(model_->draw(shown, 1));
  board_.set(topic, {{"sheet", ++sheets_}, {"sheet_steps", trainer_ ? trainer_->done() : 0}});
}

void GanDemonstration::sample() {
  samples_ = bytes_of(model_->draw(shown, ++seed_));
  board_.set(topic, {{"samples", ++sheets_}, {"samples_steps", trainer_ ? trainer_->done() : 0}});
}

Worker::Duration GanDemonstration::work() {
  if (!plays_) return Worker::idle;
  if (sheet_.empty()) draw_sheet();
  const auto begun = Clock::now();
  const GanModel::Losses losses = trainer_->step();
  // The first one compiles.
  if (trainer_->done() > 1) rate_.add(1, seconds_since(begun));
  new_discriminator_.push_back({trainer_->done(), losses.discriminator});
  new_generator_.push_back({trainer_->done(), losses.generator});
  if (draws_()) draw_sheet();
  if (tells_()) tell();
  return Worker::Duration::zero();
}

void GanDemonstration::tell() {
  if (!new_generator_.empty())
    board_.append(topic,
                  {{"discriminator", std::exchange(new_discriminator_, Json::array())}, {"generator", std::exchange(new_generator_, Json::array())}});
  board_.set(topic, {{"playing", plays_}, {"steps", trainer_ ? trainer_->done() : 0}, {"rate", rate_.value()}});
}

}  // namespace weft::apps::studio
