// The `weft` command. Exit status: 0 when all went well, 1 when something failed, 2 when the command line was wrong.
#include "apps/commands.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <unistd.h>

namespace {

int fail(int status, std::string message) {
  for (char& c : message)
    if (c == '\n') c = ' ';
  std::fprintf(stderr, "weft: %s\n", message.c_str());
  return status;
}

/// Has OpenMP's threads spin only briefly while they wait for each other, then sleep. Spinning without end (GNU OpenMP's
/// default) makes training eight times slower as soon as another program wants the cores; not spinning at all costs a
/// fifth on an idle machine. The runtime reads the variable before main, so the program has to start anew.
void spin_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("GOMP_SPINCOUNT", "20000", 1);
  ::execv("/proc/self/exe", argv);  // returns only when it isn't possible, which is no reason not to go on
}

}  // namespace

int main(int argc, char** argv) {
  spin_briefly(argv);
  CLI::App weft("Tensor graphs, differentiated, stitched into few kernels, and run.", "weft");
  weft.set_version_flag("--version", "weft " WEFT_VERSION);
  weft::apps::need_subcommand(weft);
  weft.get_formatter()->column_width(34);
  weft::apps::add_train_command(weft);
  weft::apps::add_classify_command(weft);
  weft::apps::add_generate_command(weft);
  weft::apps::add_generate_digits_command(weft);
  weft::apps::add_data_command(weft);
  weft::apps::add_image_command(weft);
  weft::apps::add_bench_command(weft);
  weft::apps::add_explain_command(weft);
  weft::apps::add_info_command(weft);
  weft::apps::add_rules_command(weft);
  weft::apps::add_cache_command(weft);
#ifdef WEFT_WITH_STUDIO
  weft::apps::add_studio_command(weft);
#endif
  try {
    weft.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return weft.exit(e);  // --help and --version
  } catch (const CLI::ParseError& e) { return fail(2, std::string(e.what()) + " (weft --help tells more)"); } catch (const std::exception& e) {
    return fail(1, e.what());
  }
  return 0;
}
