#include "compile/backend.h"

#include <weft/error.h>

namespace weft {

bool has_backend([[maybe_unused]] Backend backend) {
#ifdef WEFT_WITH_CPU
  return true;
#else
  return backend != Backend::cpu;
#endif
}

std::unique_ptr<CompiledProgram> make_code(Backend backend, const Program& program, [[maybe_unused]] const RunOptions& options) {
#ifdef WEFT_WITH_CPU
  if (backend == Backend::cpu) return cpu::make_code(program, options);
#endif
  if (backend != Backend::reference) throw InternalError("backend is not resolved");
  return reference::make_code(program);
}

std::size_t kernels_compiled() {
#ifdef WEFT_WITH_CPU
  return cpu::kernels_compiled();
#else
  return 0;
#endif
}

}  // namespace weft
