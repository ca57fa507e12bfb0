// weft train gan, weft generate-digits
#include "apps/commands.h"

#include "apps/command_support.h"
#include "apps/digits_source.h"
#include "apps/gan_score.h"
#include "apps/gan_training.h"
#include "apps/plot.h"
#include "apps/progress.h"
#include "apps/sheet.h"
#include "compile/pipeline.h"

#include <weft/io.h>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <unistd.h>

namespace weft::apps {
namespace {

struct TrainGanOptions {
  std::string data, weights, sheet, plot, json;
  std::int64_t steps = 3000, batch = 64, sheet_every = 250;
  GanModelOptions model;
  bool half = false, score = false;
};

constexpr std::int64_t shown = 64;

NDArray sheet_of(const NDArray& images, const std::string& title) { return sheet(images, {}, {.title = title, .columns = 16, .magnification = 2}); }

NDArray draw_losses(const std::vector<double>& discriminator, const std::vector<double>& generator) {
  Series both[] = {{.name = "discriminator", .y = discriminator}, {.name = "generator", .y = generator}};
  for (Series& s : both) {
    s.x.resize(s.y.size());
    std::iota(s.x.begin(), s.x.end(), 1.0);
  }
  return plot(both, {.title = "Two networks that learn from each other", .x_label = "step", .y_label = "loss (cross entropy)", .smoothing = 0.9});
}

/// Trains a classifier as `weft train digits` does, twice over 60,000 digits, and asks it what the drawn images show, and real ones.
GanScore ask_classifier(GanModel& model, const DigitsSource& source, const TrainGanOptions& o) {
  DigitsModel classifier({.seed = o.model.seed, .backend = o.model.backend});
  train(classifier, source.digits.train, {.steps = 1875, .batch = 64, .seed = o.model.seed});
  const GanScore s = score(classifier, model.draw(1000, o.model.seed + 1));
  std::printf("a classifier recognises %.1f %% of 1,000 drawn digits (probability above 0.9):", 100 * s.share());
  for (std::size_t d = 0; d < 10; ++d) std::printf(" %zu: %lld", d, static_cast<long long>(s.of_each[d]));
  const GanScore real = score(classifier, DigitBatches(source.digits.test, 1000, o.model.seed).next().images);
  std::printf("; of 1,000 real ones %.1f %%\n", 100 * real.share());
  return s;
}

void train_gan(const TrainGanOptions& o) {
  check_writable({o.weights, o.sheet, o.plot, o.json});
  const DigitsSource source = find_digits(o.data, 10000, o.model.seed);
  const Backend backend = resolve(o.model.backend);
  std::printf("%s\n%lld steps of %lld images, learning rate %g, seed %llu, %s\n", source.description.c_str(), static_cast<long long>(o.steps),
              static_cast<long long>(o.batch), o.model.learning_rate, static_cast<unsigned long long>(o.model.seed), how_it_runs(backend));
  std::fflush(stdout);

  GanModel model(o.model);
  GanTrainer trainer(model, source.digits.train, o.batch, o.model.seed);
  std::vector<double> discriminator, generator;
  const auto save_sheet = [&](std::int64_t step) {
    if (!o.sheet.empty()) io::save_png(o.sheet, sheet_of(model.draw(shown, o.model.seed), "The same noise after " + with_thousands(step) + " steps"));
  };
  stop_on_interrupt();
  Progress progress(o.steps, ::isatty(STDOUT_FILENO));
  while (trainer.done() < o.steps && !was_interrupted()) {
    const GanModel::Losses losses = trainer.step();
    discriminator.push_back(losses.discriminator);
    generator.push_back(losses.generator);
    char note[80];
    std::snprintf(note, sizeof note, "discriminator %.4f  generator %.4f", losses.discriminator, losses.generator);
    progress.update(trainer.done(), note);
    if (trainer.done() % o.sheet_every == 0) save_sheet(trainer.done());
  }
  const std::int64_t step = trainer.done();
  progress.finish();
  std::printf("%s %.1f s\n", step < o.steps ? "stopped after" : "trained in", progress.seconds());
  save_sheet(step);
  if (!o.weights.empty()) model.save(o.weights, o.half);
  if (!o.plot.empty()) io::save_png(o.plot, draw_losses(discriminator, generator));
  nlohmann::ordered_json record = {{"data", source.real ? "mnist" : "drawn"},
                                   {"batch", o.batch},
                                   {"learning_rate", o.model.learning_rate},
                                   {"seed", o.model.seed},
                                   {"backend", name_of(backend)},
                                   {"steps", step},
                                   {"interrupted", step < o.steps},
                                   {"seconds", progress.seconds()},
                                   {"steps_per_second", progress.steps_per_second()}};
  if (o.score) {
    const GanScore s = ask_classifier(model, source, o);
    record["recognised"] = s.share();
    record["of_each"] = s.of_each;
  }
  record["discriminator_losses"] = discriminator;
  record["generator_losses"] = generator;
  if (!o.json.empty()) io::save_file(o.json, record.dump(1) + "\n");
  for (const std::string& path : {o.weights, o.sheet, o.plot, o.json})
    if (!path.empty()) std::printf("wrote %s\n", path.c_str());
}

struct GenerateDigitsOptions {
  std::string weights, sheet = "digits.png";
  std::int64_t count = shown;
  std::uint64_t seed = 1;
  Backend backend = Backend::automatic;
};

void generate_digits(const GenerateDigitsOptions& o) {
  check_writable({o.sheet});
  GanModel model({.backend = o.backend});
  model.load(o.weights);
  io::save_png(o.sheet, sheet_of(model.draw(o.count, o.seed), {}));
  std::printf("wrote %s\n", o.sheet.c_str());
}

}  // namespace

void add_train_gan_command(CLI::App& train) {
  const auto o = std::make_shared<TrainGanOptions>();
  CLI::App* gan = train.add_subcommand("gan", "Train a pair of networks, of which one learns to draw digits");
  gan->add_option("--data", o->data, "Folder with MNIST's four files; if not given $WEFT_DATA_DIR, the user's cache, or drawn digits")
      ->type_name("DIR");
  const auto count = [&](const char* name, std::int64_t& value, const char* what, std::int64_t most) {
    gan->add_option(name, value, what)->check(quietly(CLI::Range(std::int64_t{1}, most)))->capture_default_str()->type_name("N");
  };
  count("--steps", o->steps, "Steps of training", 100000000);
  count("--batch", o->batch, "Images in a step", 10000);
  gan->add_option("--lr", o->model.learning_rate, "Learning rate")->check(positive_and_finite)->capture_default_str()->type_name("RATE");
  gan->add_option("--seed", o->model.seed, "Of the first weights, noise, dropout and the order of images")->capture_default_str()->type_name("N");
  gan->add_option("--weights", o->weights, "Save the network that draws")->type_name("OUT.safetensors");
  gan->add_flag("--half", o->half, "Save it as f16");
  gan->add_option("--sheet", o->sheet, "Draw digits, anew every --sheet-every steps")->type_name("OUT.png");
  count("--sheet-every", o->sheet_every, "Steps from one sheet to the next", 100000000);
  gan->add_flag("--score", o->score, "Train a classifier and have it say how many drawn digits it recognises");
  gan->add_option("--plot", o->plot, "Draw both losses")->type_name("OUT.png");
  gan->add_option("--json", o->json, "Record losses and time")->type_name("OUT.json");
  add_backend_option(*gan, o->model.backend);
  gan->callback([o] { train_gan(*o); });
}

void add_generate_digits_command(CLI::App& weft) {
  const auto o = std::make_shared<GenerateDigitsOptions>();
  CLI::App* command = weft.add_subcommand("generate-digits", "Draw digits");
  command->add_option("--weights", o->weights, "What `weft train gan --weights` has saved")->required()->type_name("FILE.safetensors");
  command->add_option("--count", o->count, "Digits to draw")->check(quietly(CLI::Range(1, 10000)))->capture_default_str()->type_name("N");
  command->add_option("--sheet", o->sheet, "Where to")->capture_default_str()->type_name("OUT.png");
  command->add_option("--seed", o->seed, "The same seed draws the same digits")->capture_default_str()->type_name("N");
  add_backend_option(*command, o->backend);
  command->callback([o] { generate_digits(*o); });
}

}  // namespace weft::apps
