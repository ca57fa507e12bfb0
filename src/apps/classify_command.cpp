// weft classify
#include "apps/commands.h"

#include "apps/digits_data.h"
#include "apps/digits_model.h"

#include <weft/image_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace weft::apps {
namespace {

struct ClassifyOptions {
  std::string weights, image;
  bool json = false;
  Backend backend = Backend::automatic;
};

void classify(const ClassifyOptions& options) {
  DigitsModel model({.backend = options.backend});
  model.load(options.weights);
  const NDArray digit = to_mnist(io::load_image(options.image));
  const NDArray result = model.probabilities(digit.reshape({1, 28, 28}));
  const auto p = result.elements<float>();
  const auto best = std::max_element(p.begin(), p.end()) - p.begin();
  if (options.json) {
    const nlohmann::json record = {{"digit", best}, {"probabilities", std::vector<float>(p.begin(), p.end())}};
    std::printf("%s\n", record.dump().c_str());
    return;
  }
  for (std::size_t i = 0; i < p.size(); ++i) {
    const std::string bar(static_cast<std::size_t>(std::lround(p[i] * 40)), '#');
    std::printf("%c %zu %6.2f %% %s\n", static_cast<std::ptrdiff_t>(i) == best ? '>' : ' ', i, 100.0 * p[i], bar.c_str());
  }
}

}  // namespace

void add_classify_command(CLI::App& weft) {
  const auto options = std::make_shared<ClassifyOptions>();
  CLI::App* command = weft.add_subcommand("classify", "Say which digit a picture shows");
  command->add_option("image", options->image, "A picture, grey or colour, of any size, with one digit on it")->required()->type_name("IMAGE");
  command->add_option("--weights", options->weights, "What `weft train digits --weights` has saved")->required()->type_name("FILE.safetensors");
  command->add_flag("--json", options->json, "Print the digit and the ten probabilities as JSON");
  add_backend_option(*command, options->backend);
  command->callback([options] { classify(*options); });
}

}  // namespace weft::apps
