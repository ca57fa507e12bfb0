// weft train
#include "apps/commands.h"

#include "apps/command_support.h"
#include "apps/digits_source.h"
#include "apps/digits_training.h"
#include "apps/plot.h"
#include "apps/progress.h"
#include "apps/sheet.h"
#include "compile/pipeline.h"

#include <weft/error.h>
#include <weft/io.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace weft::apps {
namespace {

struct TrainOptions {
  std::string data, weights, plot, sheet, json;
  std::int64_t steps = 300, batch = 32, test_images = 0;
  double learning_rate = 0;
  Optimizer optimizer = Optimizer::adam;
  std::uint64_t seed = 1;
  Backend backend = Backend::automatic;
};

NDArray first_of(const NDArray& array, std::int64_t count) { return array.slice(0, 0, std::min(count, array.shape()[0])); }

/// The first images of the test set, then the first of the others that were misread.
NDArray draw_sheet(const Digits& test, const Evaluation& evaluation) {
  constexpr std::size_t shown = 50, mistakes = 20;
  const auto labels = std::as_const(test.labels).elements<std::uint8_t>();
  std::vector<std::size_t> chosen(std::min(shown, labels.size()));
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  for (std::size_t i = chosen.size(); i < labels.size() && chosen.size() < shown + mistakes; ++i)
    if (evaluation.predictions[i] != labels[i]) chosen.push_back(i);

  NDArray images(u8, {std::ssize(chosen), 28, 28});
  std::vector<Caption> captions;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::size_t image = chosen[i];
    const auto at = static_cast<std::int64_t>(i), from = static_cast<std::int64_t>(image);
    images.slice(0, at, at + 1).assign(test.images.slice(0, from, from + 1));
    const std::string taken_for = std::to_string(evaluation.predictions[image]);
    if (evaluation.predictions[image] == labels[image]) captions.push_back({taken_for, Verdict::right});
    else captions.push_back({taken_for + " not " + std::to_string(labels[image]), Verdict::wrong});
  }
  char title[120];
  std::snprintf(title, sizeof title, "The first test digits and what they were taken for, then mistakes: %.2f %% of %s are right",
                100 * evaluation.accuracy(), with_thousands(test.count()).c_str());
  return sheet(images, captions, {.title = title});
}

NDArray draw_loss(const std::vector<double>& losses) {
  Series series{.y = losses};
  series.x.resize(losses.size());
  std::iota(series.x.begin(), series.x.end(), 1.0);
  return plot(std::span(&series, 1),
              {.title = "Training the digit classifier", .x_label = "step", .y_label = "loss (cross entropy)", .smoothing = 0.9});
}

void train_digits(TrainOptions options) {
  check_writable({options.weights, options.plot, options.sheet, options.json});
  if (options.learning_rate == 0) options.learning_rate = default_learning_rate(options.optimizer);
  DigitsSource source = find_digits(options.data, std::clamp<std::int64_t>(options.steps * options.batch, 1, 20000), options.seed);
  std::printf("%s\n", source.description.c_str());
  Digits& test = source.digits.test;
  if (options.test_images > 0) test = {first_of(test.images, options.test_images), first_of(test.labels, options.test_images)};
  const std::string optimizer = options.optimizer == Optimizer::adam ? "adam" : "sgd";
  const Backend backend = resolve(options.backend);
  std::printf("%lld steps of %lld images, %s with learning rate %g, seed %llu, %s\n", static_cast<long long>(options.steps),
              static_cast<long long>(options.batch), optimizer.c_str(), options.learning_rate, static_cast<unsigned long long>(options.seed),
              how_it_runs(backend));
  std::fflush(stdout);

  DigitsModel model({options.optimizer, options.learning_rate, options.seed, options.backend});
  stop_on_interrupt();
  Progress progress(options.steps, ::isatty(STDOUT_FILENO));
  const auto losses = train(model, source.digits.train, {options.steps, options.batch, options.seed, [&](std::int64_t step, double loss) {
                                                           char note[40];
                                                           std::snprintf(note, sizeof note, "loss %.4f", loss);
                                                           progress.update(step, note);
                                                           return !was_interrupted();
                                                         }});
  progress.finish();
  const double seconds = progress.seconds();
  const bool stopped = std::ssize(losses) < options.steps;
  if (stopped) std::printf("stopped after step %zu\n", losses.size());
  std::printf("trained in %.1f s\n", seconds);

  const Evaluation evaluation = evaluate(model, test);
  std::printf("accuracy on %s test images%s: %.2f %%\n", with_thousands(test.count()).c_str(), source.real ? "" : " (drawn)",
              100 * evaluation.accuracy());

  if (!options.weights.empty()) model.save(options.weights);
  if (!options.plot.empty()) io::save_png(options.plot, draw_loss(losses));
  if (!options.sheet.empty()) io::save_png(options.sheet, draw_sheet(test, evaluation));
  if (!options.json.empty()) {
    const nlohmann::ordered_json record = {{"data", source.real ? "mnist" : "drawn"},
                                           {"optimizer", optimizer},
                                           {"learning_rate", options.learning_rate},
                                           {"batch", options.batch},
                                           {"seed", options.seed},
                                           {"backend", name_of(backend)},
                                           {"steps", losses.size()},
                                           {"interrupted", stopped},
                                           {"test_images", test.count()},
                                           {"test_accuracy", evaluation.accuracy()},
                                           {"seconds", seconds},
                                           {"steps_per_second", progress.steps_per_second()},
                                           {"losses", losses}};
    io::save_file(options.json, record.dump(1) + "\n");
  }
  for (const std::string& path : {options.weights, options.plot, options.sheet, options.json})
    if (!path.empty()) std::printf("wrote %s\n", path.c_str());
}

}  // namespace

void add_train_command(CLI::App& weft) {
  const auto o = std::make_shared<TrainOptions>();
  CLI::App* train = weft.add_subcommand("train", "Train a network");
  need_subcommand(*train);
  CLI::App* digits = train->add_subcommand("digits", "Train the classifier of handwritten digits and measure it on test images");
  digits->add_option("--data", o->data, "Folder with MNIST's four files; if not given $WEFT_DATA_DIR, the user's cache, or drawn digits")
      ->type_name("DIR");
  digits->add_option("--steps", o->steps, "Steps of training")->check(quietly(CLI::Range(1, 1000000)))->capture_default_str()->type_name("N");
  digits->add_option("--batch", o->batch, "Images in a step")->check(quietly(CLI::Range(1, 10000)))->capture_default_str()->type_name("N");
  digits->add_option("--lr", o->learning_rate, "Learning rate; if not given what suits the optimizer")->check(positive_and_finite)->type_name("RATE");
  const std::map<std::string, Optimizer> optimizers = {{"sgd", Optimizer::sgd}, {"adam", Optimizer::adam}};
  digits->add_option("--optimizer", o->optimizer, "adam, or sgd with momentum 0.9; adam if not given")
      ->transform(quietly(CLI::Transformer(optimizers)))
      ->type_name("NAME");
  digits->add_option("--seed", o->seed, "Of the first weights and the order of images")->capture_default_str()->type_name("N");
  digits->add_option("--test-images", o->test_images, "Test on the first N images only")->check(quietly(CLI::Range(1, 10000000)))->type_name("N");
  digits->add_option("--weights", o->weights, "Save the weights")->type_name("OUT.safetensors");
  digits->add_option("--plot", o->plot, "Draw the loss")->type_name("OUT.png");
  digits->add_option("--sheet", o->sheet, "Draw test digits and what they were taken for")->type_name("OUT.png");
  digits->add_option("--json", o->json, "Record losses, accuracy and time")->type_name("OUT.json");
  add_backend_option(*digits, o->backend);
  digits->callback([o] { train_digits(*o); });
  add_train_text_command(*train);
  add_train_gan_command(*train);
}

}  // namespace weft::apps
