#include "apps/command_support.h"

#include <weft/error.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace weft::apps {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> interrupted = false;

}  // namespace

void stop_on_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
}

bool was_interrupted() { return interrupted; }

void check_writable(std::initializer_list<std::string> paths) {
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : ".";
    if (!fs::is_directory(folder)) throw RunError("\"" + path + "\" can't be written: there is no folder \"" + folder.string() + "\"");
    if (fs::is_directory(path)) throw RunError("\"" + path + "\" can't be written: it is a folder");
  }
}

std::string positive_and_finite(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == 0 && std::isfinite(value) && value > 0 ? "" : text + " is not a positive number";
}

const char* name_of(Backend backend) { return backend == Backend::cuda ? "cuda" : backend == Backend::cpu ? "cpu" : "reference"; }

const char* how_it_runs(Backend backend) {
  return backend == Backend::cuda  ? "compiled for the GPU"
         : backend == Backend::cpu ? "compiled for the CPU"
                                   : "evaluated by the reference, which is slow";
}

}  // namespace weft::apps
