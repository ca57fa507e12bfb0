// weft studio
#include "apps/commands.h"

#include "apps/command_support.h"
#include "apps/studio/studio.h"

#include <weft/error.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include <unistd.h>

namespace weft::apps {
namespace {

void run_studio(const studio::StudioOptions& o) {
  for (const auto& path : o.text.weights)
    if (!std::filesystem::is_regular_file(path)) throw RunError("--weights " + path.string() + ": there is no such file");
  if (!o.text.corpus.empty() && !std::filesystem::is_regular_file(o.text.corpus))
    throw RunError("--corpus " + o.text.corpus.string() + ": there is no such file");
  stop_on_interrupt();
  const studio::Studio studio(o);
  std::printf("the studio is at %s (Ctrl-C ends it)\n", studio.address().c_str());
  std::fflush(stdout);
  while (!was_interrupted()) ::usleep(100000);
}

}  // namespace

void add_studio_command(CLI::App& weft) {
  const auto o = std::make_shared<studio::StudioOptions>();
  CLI::App* command = weft.add_subcommand("studio", "Play with the demonstrations in a browser");
  command->add_option("--port", o->server.port, "Port to listen on; 0: any that is free")
      ->check(quietly(CLI::Range(0, 65535)))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--host", o->server.host, "Address to listen on; 0.0.0.0 lets other machines in, so think first")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--data", o->data, "Folder with MNIST's four files; if not given $WEFT_DATA_DIR, the user's cache, or drawn digits")
      ->type_name("DIR");
  command
      ->add_option("--corpus", o->text.corpus,
                   "Text to train the text generator on, UTF-8; if not given Shakespeare's in $WEFT_DATA_DIR or the cache")
      ->type_name("FILE");
  command->add_option("--weights", o->text.weights, "What `weft train text --weights` has saved, to generate with; may be repeated")
      ->allow_extra_args(false)
      ->type_name("FILE.safetensors");
  add_backend_option(*command, o->backend);
  command->callback([o] { run_studio(*o); });
}

}  // namespace weft::apps
