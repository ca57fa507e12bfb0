#include "apps/studio/text_demonstration.h"

#include "apps/digits_data.h"
#include "apps/studio/worker_routes.h"

#include <weft/error.h>
#include <weft/io.h>

#include <algorithm>
#include <cstdlib>

namespace weft::apps::studio {
namespace {

namespace fs = std::filesystem;

constexpr const char* topic = "text";
constexpr const char* trained_here = "trained here";
constexpr const char* shipped = "shakespeare.safetensors";
/// A burst of characters when there is nothing that slows it down; between bursts commands are heard.
constexpr double burst_seconds = 0.03;
/// Characters that a validation reads, so that it doesn't take long.
constexpr std::size_t validation_characters = 20000;
constexpr std::int64_t validate_every = 100;

/// Nobody else can write to it; removed with what it holds.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::string pattern = (fs::temp_directory_path() / "weft-studio-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw RunError("there is no folder for temporary files");
    path_ = pattern;
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  ~PrivateFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

fs::path find_shakespeare() {
  std::vector<fs::path> folders;
  if (const char* data = std::getenv("WEFT_DATA_DIR"); data && *data) folders.emplace_back(data);
  if (const auto mnist = mnist_cache()) folders.push_back(mnist->parent_path());
  std::error_code error;
  for (const auto& folder : folders)
    if (const fs::path path = folder / "shakespeare" / "input.txt"; fs::is_regular_file(path, error)) return path;
  return {};
}

TextDemonstration::TextDemonstration(Board& board, Options options, Backend backend)
    : board_(board),
      backend_(backend),
      corpus_(options.corpus.empty() ? find_shakespeare() : options.corpus),
      worker_([this] { return work(); },
              [this](const std::string& why) {
                speech_.reset();
                learns_ = false;
                board_.set(topic, {{"error", why}, {"generating", false}, {"training", false}});
              }) {
  if (const auto path = find_model(shipped)) choices_.push_back({"Shakespeare", *path});
  for (const auto& path : options.weights) choices_.push_back({path.filename().string(), path});
  board_.set(topic, {{"error", ""},
                     {"text", ""},
                     {"generating", false},
                     {"training", false},
                     {"steps", 0},
                     {"target", 0},
                     {"rate", 0},
                     {"losses", Json::array()},
                     {"validations", Json::array()},
                     {"temperature", 0.7},
                     {"corpus", corpus_.string()}});
  tell_choices();
}

void TextDemonstration::tell_choices() {
  Json names = Json::array();
  for (const auto& c : choices_) names.push_back(c.name);
  board_.set(topic, {{"weights", names}});
}

void TextDemonstration::add_to(Routes& routes) {
  WorkerRoutes mine(routes, worker_, "/api/text/");
  mine.post("generate", [this](const Call& call) { generate(call); });
  mine.post("stop", [this](const Call&) {
    speech_.reset();
    board_.set(topic, {{"generating", false}});
  });
  mine.post("temperature", [this](const Call& call) { set_temperature(number(call, "temperature", 0.05, 5, 0.7)); });
  mine.post("play", [this](const Call& call) { play(call); });
  mine.post("pause", [this](const Call&) {
    learns_ = false;
    tell_training();
  });
  mine.post("reset", [this](const Call&) { reset(); });
  routes.gets["/api/text/corpus"] = [this](const Call&) { return corpus(); };
  routes.gets["/api/text/weights"] = [this](const Call&) { return trained_weights(); };
}

void TextDemonstration::use(Backend backend) {
  worker_.post([this, backend] {
    backend_ = backend;
    if (loaded_) loaded_->use(backend);
    if (learner_) learner_->use(backend);
  });
}

TextModel& TextDemonstration::model_named(const std::string& name) {
  if (choices_.empty())
    throw BadRequest("there are no weights: models/" + std::string(shipped) +
                     " was not found, so train here first, or start weft studio with --weights");
  const auto choice = name.empty() ? choices_.begin() : std::ranges::find(choices_, name, &Choice::name);
  if (choice == choices_.end()) throw BadRequest("there are no weights called \"" + name + "\"");
  if (choice->path.empty()) return *learner_;
  if (loaded_name_ != choice->name) {
    loaded_name_.clear();
    loaded_ = std::make_unique<TextModel>(TextModel::load(choice->path, backend_));
    loaded_name_ = choice->name;
  }
  return *loaded_;
}

void TextDemonstration::generate(const Call& call) {
  const std::string start = text(call, "text", 4000, "Romeo"), weights = text(call, "weights", 200, "");
  const std::int64_t length = whole_number(call, "length", 1, 20000, 400);
  const double temperature = number(call, "temperature", 0.05, 5, 0.7), pace = number(call, "pace", 0, 1e6, 0);
  const auto seed = static_cast<std::uint64_t>(whole_number(call, "seed", 0, 1ll << 52, 1));
  speech_.reset();
  board_.set(topic, {{"generating", false}});
  TextModel& model = model_named(weights);
  if (start.empty()) throw BadRequest("the text needs a beginning of at least one character");
  model.begin(model.vocabulary().encode(start), seed);
  speech_ = Speech{.model = &model, .length = length, .temperature = temperature, .pace = pace};
  board_.set(topic, {{"generating", true},
                     {"error", ""},
                     {"text", ""},
                     {"start", start},
                     {"length", length},
                     {"temperature", temperature},
                     {"chosen", weights},
                     {"characters", 0},
                     {"speed", 0}});
}

void TextDemonstration::set_temperature(double temperature) {
  if (speech_) speech_->temperature = temperature;
  board_.set(topic, {{"temperature", temperature}});
}

std::string TextDemonstration::read_corpus() const {
  // It may have come since the studio was started.
  const fs::path path = corpus_.empty() ? find_shakespeare() : corpus_;
  if (path.empty())
    throw BadRequest(
        "there is no training text: `weft data shakespeare` downloads one (1 MB), or start weft studio with --corpus FILE (any UTF-8 text)");
  board_.set(topic, {{"corpus", path.string()}});
  const auto bytes = io::load_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Answer TextDemonstration::corpus() const { return {read_corpus(), "text/plain; charset=utf-8"}; }

Answer TextDemonstration::trained_weights() {
  return worker_.ask([this]() -> Answer {
    if (!learner_) throw BadRequest("nothing has been trained here");
    const PrivateFolder folder;
    learner_->save(folder.path() / "text.safetensors", false);
    const auto bytes = io::load_file(folder.path() / "text.safetensors");
    return {{reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "application/octet-stream", "text.safetensors"};
  });
}

void TextDemonstration::play(const Call& call) {
  if (!trainer_ || trainer_->is_complete()) {
    const std::int64_t steps = whole_number(call, "steps", 1, 10000000, 1000);
    TextModelOptions options{.layers = whole_number(call, "layers", 1, 4, 1), .hidden = whole_number(call, "hidden", 16, 1024, 128)};
    options.backend = backend_;
    reset();
    const std::string corpus = read_corpus();
    Vocabulary vocabulary(corpus);
    text_ = split_text(vocabulary.encode(corpus));
    text_.validation.resize(std::min(text_.validation.size(), validation_characters));
    learner_ = std::make_unique<TextModel>(std::move(vocabulary), options);
    trainer_ = std::make_unique<TextTrainer>(*learner_, text_.training, TextTrainer::Schedule{.steps = steps});
    text_.training = {};
    choices_.push_back({trained_here, {}});
    tell_choices();
    board_.set(topic, {{"target", steps}, {"network", std::to_string(options.layers) + " x " + std::to_string(options.hidden)}});
  }
  learns_ = true;
  board_.set(topic, {{"error", ""}});
  tell_training();
}

void TextDemonstration::reset() {
  if (speech_ && speech_->model == learner_.get()) {
    speech_.reset();
    board_.set(topic, {{"generating", false}});
  }
  learns_ = false;
  trainer_.reset();
  learner_.reset();
  rate_ = {};
  new_losses_ = Json::array();
  std::erase_if(choices_, [](const Choice& c) { return c.path.empty(); });
  tell_choices();
  board_.set(topic, {{"training", false}, {"steps", 0}, {"target", 0}, {"rate", 0}, {"losses", Json::array()}, {"validations", Json::array()}});
}

Worker::Duration TextDemonstration::work() {
  const Worker::Duration wait = speech_ ? speak() : Worker::idle;
  if (!learns_) return wait;
  learn();
  return Worker::Duration::zero();
}

Worker::Duration TextDemonstration::speak() {
  Speech& s = *speech_;
  const std::int64_t due = s.pace == 0 ? s.length : std::min(s.length, 1 + static_cast<std::int64_t>(s.pace * seconds_since(s.begun)));
  const auto begun = Clock::now();
  std::string words;
  const std::int64_t before = s.done;
  while (s.done < due && seconds_since(begun) < burst_seconds) {
    words += s.model->vocabulary().character(s.model->generate(s.temperature));
    ++s.done;
  }
  if (s.done > before) {
    // The first burst compiles.
    if (before > 0) s.rate.add(static_cast<double>(s.done - before), seconds_since(begun));
    board_.append(topic, {{"text", words}});
    board_.set(topic, {{"characters", s.done}, {"speed", s.rate.value()}});
  }
  if (s.done == s.length) {
    speech_.reset();
    board_.set(topic, {{"generating", false}});
    return Worker::idle;
  }
  return std::chrono::milliseconds(s.done < due ? 0 : 30);
}

void TextDemonstration::learn() {
  const auto begun = Clock::now();
  const double loss = trainer_->step();
  if (trainer_->done() > 1) rate_.add(1, seconds_since(begun));
  new_losses_.push_back({trainer_->done(), loss});
  if (trainer_->done() % validate_every == 0 || trainer_->is_complete()) validate();
  if (trainer_->is_complete()) learns_ = false;
  if (tells_() || !learns_) tell_training();
}

void TextDemonstration::validate() { board_.append(topic, {{"validations", {{trainer_->done(), learner_->loss(text_.validation)}}}}); }

void TextDemonstration::tell_training() {
  if (!new_losses_.empty()) board_.append(topic, {{"losses", std::exchange(new_losses_, Json::array())}});
  const auto& o = learner_ ? learner_->options() : TextModelOptions{};
  board_.set(topic, {{"training", learns_},
                     {"steps", trainer_ ? trainer_->done() : 0},
                     {"rate", rate_.value()},
                     {"learnt", rate_.value() * static_cast<double>(o.batch * o.sequence)}});
}

}  // namespace weft::apps::studio
