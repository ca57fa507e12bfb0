// weft generate
#include "apps/commands.h"

#include "apps/text_model.h"

#include <weft/error.h>

#include <cstdio>
#include <memory>
#include <string>

namespace weft::apps {
namespace {

struct GenerateOptions {
  std::string weights, text = "Romeo";
  std::int64_t length = 400;
  double temperature = 0.7;
  std::uint64_t seed = 1;
  Backend backend = Backend::automatic;
};

void generate(const GenerateOptions& o) {
  std::filesystem::path weights = o.weights;
  if (weights.empty()) {
    const auto found = find_model("shakespeare.safetensors");
    if (!found)
      throw RunError(
          "the weights that come with weft were not found (models/shakespeare.safetensors); --weights names others, which `weft train text` saves");
    weights = *found;
  }
  TextModel model = TextModel::load(weights, o.backend);
  model.begin(model.vocabulary().encode(o.text), o.seed);
  std::printf("%s", o.text.c_str());
  for (std::int64_t i = 0; i < o.length; ++i) {
    std::fflush(stdout);
    std::printf("%s", model.vocabulary().character(model.generate(o.temperature)).c_str());
  }
  std::printf("\n");
}

}  // namespace

void add_generate_command(CLI::App& weft) {
  const auto o = std::make_shared<GenerateOptions>();
  CLI::App* command = weft.add_subcommand("generate", "Go on with a text, character by character");
  command->add_option("--weights", o->weights, "What `weft train text --weights` has saved; Shakespeare's works if not given")
      ->type_name("FILE.safetensors");
  command->add_option("--text", o->text, "The beginning")->capture_default_str()->type_name("TEXT");
  command->add_option("--length", o->length, "Characters to generate")
      ->check(quietly(CLI::Range(0, 100000000)))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--temperature", o->temperature, "Below 1 the likely becomes likelier; towards 3 letters become soup")
      ->check(quietly(CLI::Range(0.01, 100.0)))
      ->capture_default_str()
      ->type_name("T");
  command->add_option("--seed", o->seed, "The same seed gives the same text")->capture_default_str()->type_name("N");
  add_backend_option(*command, o->backend);
  command->callback([o] { generate(*o); });
}

}  // namespace weft::apps
