// weft data
#include "apps/commands.h"

#include "apps/digits_data.h"
#include "apps/download.h"

#include <weft/error.h>

#include <cstdio>
#include <memory>

namespace weft::apps {
namespace {

struct DataOptions {
  std::string to;
  std::vector<std::string> mirrors;
};

void download(const DataOptions& options) {
  std::filesystem::path folder = options.to;
  if (folder.empty()) {
    const auto cache = mnist_cache();
    if (!cache) throw RunError("there is no home folder to keep data in; say where with --to");
    folder = *cache;
  }
  const auto mirrors = options.mirrors.empty() ? mnist_mirrors() : options.mirrors;
  download_mnist(folder, mirrors, [](std::string_view line) {
    std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    std::fflush(stdout);
  });
  const DigitsData digits = load_mnist(folder);
  std::printf("MNIST is in %s: %lld training and %lld test images\n", folder.c_str(), static_cast<long long>(digits.train.count()),
              static_cast<long long>(digits.test.count()));
}

}  // namespace

void add_data_command(CLI::App& weft) {
  const auto options = std::make_shared<DataOptions>();
  CLI::App* data = weft.add_subcommand("data", "Download data sets");
  need_subcommand(*data);
  CLI::App* mnist = data->add_subcommand("mnist", "Download the handwritten digits of MNIST, checked by their SHA-256");
  mnist->add_option("--to", options->to, "Folder; the user's cache if not given")->type_name("DIR");
  mnist->add_option("--mirror", options->mirrors, "Where the four files are, instead of the known places; may be repeated")->type_name("URL");
  mnist->callback([options] { download(*options); });
}

}  // namespace weft::apps
