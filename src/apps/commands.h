// The subcommands of `weft`. Each adds itself to the command line and runs when it is given there.
#pragma once

#include <weft/executable.h>

#include <CLI/CLI.hpp>

#include <map>
#include <string>

namespace weft::apps {

void add_train_command(CLI::App& weft);
/// To `weft train`.
void add_train_text_command(CLI::App& train);
void add_train_gan_command(CLI::App& train);
void add_generate_command(CLI::App& weft);
void add_generate_digits_command(CLI::App& weft);
void add_classify_command(CLI::App& weft);
void add_data_command(CLI::App& weft);
void add_bench_command(CLI::App& weft);
void add_explain_command(CLI::App& weft);
void add_info_command(CLI::App& weft);
void add_rules_command(CLI::App& weft);
void add_cache_command(CLI::App& weft);
void add_image_command(CLI::App& weft);
/// To `weft image`.
void add_image_distance_command(CLI::App& image);
void add_image_lines_command(CLI::App& image);
void add_studio_command(CLI::App& weft);

/// Unlike require_subcommand, lets the parser complain of a misspelt one first.
inline void need_subcommand(CLI::App& app) {
  app.callback([&app] {
    if (!app.get_subcommands().empty()) return;
    std::string names;
    for (const CLI::App* s : app.get_subcommands({})) names += (names.empty() ? "" : ", ") + s->get_name();
    throw CLI::RequiredError(app.get_name() + " needs a subcommand: " + names, CLI::ExitCodes::RequiredError);
  });
}

/// A validator whose own description, which repeats what the option's says, stays out of the help.
template <class Validator> CLI::Validator quietly(Validator validator) {
  validator.description("");
  return validator;
}

inline void add_backend_option(CLI::App& command, Backend& backend) {
  const std::map<std::string, Backend> backends = {{"cuda", Backend::cuda}, {"cpu", Backend::cpu}, {"reference", Backend::reference}};
  command.add_option("--device,--backend", backend, "cuda, cpu or reference; the fastest that there is if not given")
      ->transform(quietly(CLI::Transformer(backends)))
      ->type_name("NAME");
}

}  // namespace weft::apps
