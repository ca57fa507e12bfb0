#include "compile/backend.h"

#ifdef WEFT_WITH_CUDA
#include "backend/cuda/gpu.h"
#endif

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
  std::size_t count = 0;
#ifdef WEFT_WITH_CPU
  count += cpu::kernels_compiled();
#endif
#ifdef WEFT_WITH_CUDA
  count += cuda::kernels_compiled();
#endif
  return count;
}

#ifdef WEFT_WITH_CUDA
std::string gpu_refusal() { return cuda::refusal(); }
int gpu_count() { return cuda::gpu_count(); }
DeviceProperties gpu_properties(int index) {
  const cuda::Gpu& gpu = cuda::Gpu::at(index);
  const cuda::GpuProperties& p = gpu.properties();
  return {p.name, static_cast<std::int64_t>(p.memory), static_cast<std::int64_t>(gpu.free_memory()), p.compute_capability, p.multiprocessors};
}
void wait_for_gpu(int index) { cuda::Gpu::at(index).wait(); }
#else
namespace {
[[noreturn]] void no_gpu() { throw RunError("cuda: " + gpu_refusal()); }
}  // namespace
std::string gpu_refusal() { return "the cuda backend is not part of this build; configure with WEFT_CUDA=ON"; }
int gpu_count() { return 0; }
DeviceProperties gpu_properties(int) { no_gpu(); }
void wait_for_gpu(int) { no_gpu(); }
#endif

}  // namespace weft
