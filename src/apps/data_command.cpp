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

/// The folder that was named, or the one of this name in the user's cache.
std::filesystem::path folder_for(const DataOptions& options, const char* name) {
  if (!options.to.empty()) return options.to;
  const auto cache = mnist_cache();
  if (!cache) throw RunError("there is no home folder to keep data in; say where with --to");
  return cache->parent_path() / name;
}

void say(std::string_view line) {
  std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
  std::fflush(stdout);
}

void mnist(const DataOptions& options) {
  const auto folder = folder_for(options, "mnist");
  download_mnist(folder, options.mirrors.empty() ? mnist_mirrors() : options.mirrors, say);
  const DigitsData digits = load_mnist(folder);
  std::printf("MNIST is in %s: %lld training and %lld test images\n", folder.c_str(), static_cast<long long>(digits.train.count()),
              static_cast<long long>(digits.test.count()));
}

void shakespeare(const DataOptions& options) {
  const auto folder = folder_for(options, "shakespeare");
  download_shakespeare(folder, options.mirrors.empty() ? shakespeare_mirrors() : options.mirrors, say);
  std::printf("Shakespeare's text is %s\n", (folder / "input.txt").c_str());
}

}  // namespace

void add_data_command(CLI::App& weft) {
  CLI::App* data = weft.add_subcommand("data", "Download data sets");
  need_subcommand(*data);
  const auto add = [&](const char* name, const char* what, void (*download)(const DataOptions&)) {
    const auto options = std::make_shared<DataOptions>();
    CLI::App* set = data->add_subcommand(name, what);
    set->add_option("--to", options->to, "Folder; the user's cache if not given")->type_name("DIR");
    set->add_option("--mirror", options->mirrors, "Where the files are, instead of the known places; may be repeated")->type_name("URL");
    set->callback([=] { download(*options); });
  };
  add("mnist", "Download the handwritten digits of MNIST, checked by their SHA-256", mnist);
  add("shakespeare", "Download the text of Shakespeare that the text generator learns from, checked by its SHA-256", shakespeare);
}

}  // namespace weft::apps
