#include "team.h"

#include <dlfcn.h>

namespace weft {
namespace {

// Looked up, since OpenMP comes with the CPU backend only.
int most_threads() {
  static const auto f = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  return f ? f() : 1;
}

void use_threads(int n) {
  static const auto f = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (f) f(n);
}

#ifdef __SANITIZE_THREAD__
constexpr bool is_alone = true;
#else
constexpr bool is_alone = false;
#endif

}  // namespace

Team::Team(int threads) : before_(most_threads()) {
  if (!is_alone) use_threads(threads);
}

Team::~Team() { use_threads(before_); }

}  // namespace weft
