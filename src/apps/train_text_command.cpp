// weft train text
#include "apps/commands.h"

#include "apps/command_support.h"
#include "apps/plot.h"
#include "apps/progress.h"
#include "apps/text_training.h"
#include "compile/pipeline.h"

#include <weft/error.h>
#include <weft/io.h>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <unistd.h>

namespace weft::apps {
namespace {

namespace fs = std::filesystem;

struct TrainTextOptions {
  std::string corpus, weights, plot, json;
  TextModelOptions model;
  std::int64_t steps = 3000, epochs = 0, validate_every = 250;
  double learning_rate = 3e-3;
  bool resume = false, half = false;
};

NDArray draw_losses(const TextTraining& done, std::int64_t first) {
  Series training{.name = "training"}, validation{.name = "validation", .smooth = false};
  for (std::size_t i = 0; i < done.losses.size(); ++i)
    training.x.push_back(static_cast<double>(first + 1) + static_cast<double>(i)), training.y.push_back(done.losses[i]);
  for (const auto& [step, loss] : done.validations) validation.x.push_back(static_cast<double>(step)), validation.y.push_back(loss);
  const Series both[] = {training, validation};
  return plot(both, {.title = "Training the text model", .x_label = "step", .y_label = "nats a character", .smoothing = 0.9});
}

/// A few words of what the model would say, on one line.
std::string sample(TextModel& model, std::int32_t first, std::uint64_t seed) {
  model.begin({first}, seed);
  std::string text;
  for (int i = 0; i < 80; ++i) {
    const std::string& c = model.vocabulary().character(model.generate(0.7));
    text += c == "\n" ? "/" : c;
  }
  return text;
}

void train_text(TrainTextOptions o) {
  check_writable({o.weights, o.plot, o.json});
  if (o.resume && o.weights.empty()) throw RunError("--resume goes on with what --weights names, which is not given");
  const auto bytes = io::load_file(o.corpus);
  const std::string_view corpus(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Vocabulary vocabulary(corpus);
  const SplitText text = split_text(vocabulary.encode(corpus));
  const std::int64_t epoch = TextBatches(text.training, o.model.sequence, o.model.batch).steps_per_epoch();
  TextBatches(text.validation, o.model.sequence, 1);  // complains of a text that is too short
  if (o.epochs > 0) o.steps = o.epochs * epoch;
  const Backend backend = resolve(o.model.backend);
  std::printf("%s: %s characters, %lld different ones; the last tenth is for validation\n", o.corpus.c_str(),
              with_thousands(std::ssize(text.training) + std::ssize(text.validation)).c_str(), static_cast<long long>(vocabulary.size()));
  std::printf("%lld layers of %lld, %lld steps of %lld x %lld characters (%.1f times the text), learning rate %g, dropout %g, seed %llu, %s\n",
              static_cast<long long>(o.model.layers), static_cast<long long>(o.model.hidden), static_cast<long long>(o.steps),
              static_cast<long long>(o.model.batch), static_cast<long long>(o.model.sequence),
              static_cast<double>(o.steps) / static_cast<double>(epoch), o.learning_rate, o.model.dropout,
              static_cast<unsigned long long>(o.model.seed), how_it_runs(backend));
  std::fflush(stdout);

  TextModel model(std::move(vocabulary), o.model);
  TextTrainingOptions training{.schedule = {.steps = o.steps, .learning_rate = o.learning_rate}, .validate_every = o.validate_every};
  if (!o.weights.empty()) training.checkpoint = o.weights + ".checkpoint";
  if (o.resume) {
    training.schedule.first = model.restore(training.checkpoint);
    std::printf("going on after step %lld of %s\n", static_cast<long long>(training.schedule.first), training.checkpoint.c_str());
  }
  stop_on_interrupt();
  Progress progress(o.steps, ::isatty(STDOUT_FILENO));
  const auto characters = static_cast<double>(o.model.batch * o.model.sequence);
  training.progress = [&](std::int64_t step, double loss) {
    char note[80];
    std::snprintf(note, sizeof note, "%s characters/s  loss %.4f",
                  with_thousands(static_cast<std::int64_t>(progress.steps_per_second() * characters)).c_str(), loss);
    progress.update(step, note);
    return !was_interrupted();
  };
  training.validated = [&](std::int64_t step, double loss) {
    progress.finish();
    std::printf("step %lld  validation %.4f  %s\n", static_cast<long long>(step), loss, sample(model, text.validation[0], o.model.seed).c_str());
    std::fflush(stdout);
  };
  const TextTraining done = train(model, text, training);
  const std::int64_t steps = training.schedule.first + std::ssize(done.losses);
  const bool stopped = steps < o.steps;
  std::printf("%s %.1f s\n", stopped ? "stopped after" : "trained in", progress.seconds());
  if (!o.weights.empty()) {
    model.save(o.weights, o.half);
    std::printf("wrote %s\n", o.weights.c_str());
    if (stopped) std::printf("--resume goes on with %s\n", training.checkpoint.c_str());
    else fs::remove(training.checkpoint);
  }
  if (!o.plot.empty() && !done.losses.empty()) {
    io::save_png(o.plot, draw_losses(done, training.schedule.first));
    std::printf("wrote %s\n", o.plot.c_str());
  }
  if (!o.json.empty()) {
    const nlohmann::ordered_json record = {{"corpus", o.corpus},
                                           {"layers", o.model.layers},
                                           {"hidden", o.model.hidden},
                                           {"sequence", o.model.sequence},
                                           {"batch", o.model.batch},
                                           {"dropout", o.model.dropout},
                                           {"learning_rate", o.learning_rate},
                                           {"seed", o.model.seed},
                                           {"backend", name_of(backend)},
                                           {"steps", steps},
                                           {"interrupted", stopped},
                                           {"seconds", progress.seconds()},
                                           {"characters_per_second", progress.steps_per_second() * characters},
                                           {"validations", done.validations},
                                           {"losses", done.losses}};
    io::save_file(o.json, record.dump(1) + "\n");
    std::printf("wrote %s\n", o.json.c_str());
  }
}

}  // namespace

void add_train_text_command(CLI::App& train) {
  const auto o = std::make_shared<TrainTextOptions>();
  CLI::App* text = train.add_subcommand("text", "Train a model of characters on a text; `weft generate` goes on with what it has learnt");
  const auto count = [&](const char* name, std::int64_t& value, const char* what, std::int64_t most) {
    return text->add_option(name, value, what)->check(quietly(CLI::Range(std::int64_t{1}, most)))->capture_default_str()->type_name("N");
  };
  text->add_option("--corpus", o->corpus, "The text, UTF-8")->required()->type_name("FILE");
  count("--layers", o->model.layers, "LSTM layers", 16);
  count("--hidden", o->model.hidden, "Numbers of a layer's state", 8192);
  count("--sequence", o->model.sequence, "Characters that a step follows", 2048);
  count("--batch", o->model.batch, "Places of the text that a step follows side by side", 4096);
  auto* steps = count("--steps", o->steps, "Steps of training", 100000000);
  text->add_option("--epochs", o->epochs, "Times that the text is read, instead of --steps")
      ->check(quietly(CLI::Range(1, 1000000)))
      ->type_name("N")
      ->excludes(steps);
  text->add_option("--lr", o->learning_rate, "Learning rate of the first step; it falls to a tenth")
      ->check(positive_and_finite)
      ->capture_default_str()
      ->type_name("RATE");
  text->add_option("--dropout", o->model.dropout, "Part of what layers read that is left out at random")
      ->check(quietly(CLI::Range(0.0, 0.95)))
      ->capture_default_str()
      ->type_name("RATE");
  text->add_option("--seed", o->model.seed, "Of the first weights and of dropout")->capture_default_str()->type_name("N");
  count("--validate-every", o->validate_every, "Steps from one validation, sample and checkpoint to the next", 100000000);
  text->add_option("--weights", o->weights, "Save the weights; beside them, until the training is done, a checkpoint")->type_name("OUT.safetensors");
  text->add_flag("--half", o->half, "Save them as f16");
  text->add_flag("--resume", o->resume, "Go on after the last checkpoint of a training that was stopped, to the same bits as if it had not been");
  text->add_option("--plot", o->plot, "Draw the losses")->type_name("OUT.png");
  text->add_option("--json", o->json, "Record losses and time")->type_name("OUT.json");
  add_backend_option(*text, o->model.backend);
  text->callback([o] { train_text(*o); });
}

}  // namespace weft::apps
