#include "compile/backend.h"

#ifdef WEFT_WITH_CUDA
#include "backend/cuda/compiler.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/cudnn.h"
#include "backend/cuda/gpu.h"
#endif

#include <weft/error.h>

namespace weft {

std::string why_not(Backend backend) {
#ifndef WEFT_WITH_CPU
  if (backend == Backend::cpu) return "the cpu backend is not part of this build; configure with WEFT_CPU=ON, or run on the reference backend";
#endif
  return backend == Backend::cuda ? gpu_refusal() : "";
}

std::unique_ptr<CompiledProgram> make_code(Backend backend, const Program& program, [[maybe_unused]] const RunOptions& options) {
#ifdef WEFT_WITH_CPU
  if (backend == Backend::cpu) return cpu::make_code(program, options);
#endif
#ifdef WEFT_WITH_CUDA
  if (backend == Backend::cuda) return cuda::make_code(program, options);
#endif
  if (backend != Backend::reference) throw InternalError("backend is not resolved");
  return reference::make_code(program);
}

bool wants_rows_laid_out(Backend backend) { return backend == Backend::cpu; }

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
std::vector<std::string> gpu_libraries() {
  if (gpu_count() == 0) return {};
  const auto line = [](const std::string& name, const std::string& version, const std::string& why) {
    return name + " " + (why.empty() ? version : "not used: " + why);
  };
  return {line("nvrtc", cuda::Compiler::instance().version(), {}), line("cublaslt", cuda::cublas_version(), cuda::cublas_refusal()),
          line("cudnn", cuda::cudnn_version(), cuda::cudnn_refusal())};
}
DeviceProperties gpu_properties(int index) {
  const cuda::Gpu& gpu = cuda::Gpu::at(index);
  const cuda::GpuProperties& p = gpu.properties();
  return {p.name, static_cast<std::int64_t>(p.memory), static_cast<std::int64_t>(gpu.free_memory()), p.compute_capability, p.multiprocessors};
}
void wait_for_gpu(int index) { cuda::Gpu::at(index).wait(); }
void gpu_follows_stream(int index, void* stream) { cuda::Gpu::at(index).follow(static_cast<CUstream>(stream)); }
void stream_follows_gpu(int index, void* stream) { cuda::Gpu::at(index).precede(static_cast<CUstream>(stream)); }
std::shared_ptr<GpuMark> mark_gpu(int index) { return cuda::Gpu::at(index).mark(); }
void gpu_follows(int index, const GpuMark& mark) { cuda::Gpu::at(index).follow(mark); }
std::shared_ptr<std::byte> gpu_allocate(int index, std::size_t bytes, bool zeroed) {
  cuda::Gpu& gpu = cuda::Gpu::at(index);
  auto memory = gpu.allocate(bytes, "an array");
  if (zeroed) gpu.clear(memory.get(), bytes);
  return memory;
}
void copy_bytes(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::size_t bytes) {
  cuda::copy(to_device, to, from_device, from, bytes);
}
#else
namespace {
[[noreturn]] void no_gpu() { throw RunError("cuda: " + gpu_refusal()); }
}  // namespace
std::string gpu_refusal() { return "the cuda backend is not part of this build; configure with WEFT_CUDA=ON"; }
int gpu_count() { return 0; }
std::vector<std::string> gpu_libraries() { return {}; }
DeviceProperties gpu_properties(int) { no_gpu(); }
void wait_for_gpu(int) { no_gpu(); }
void gpu_follows_stream(int, void*) { no_gpu(); }
void stream_follows_gpu(int, void*) { no_gpu(); }
std::shared_ptr<GpuMark> mark_gpu(int) { no_gpu(); }
void gpu_follows(int, const GpuMark&) { no_gpu(); }
std::shared_ptr<std::byte> gpu_allocate(int, std::size_t, bool) { no_gpu(); }
void copy_bytes(Device, std::byte*, Device, const std::byte*, std::size_t) { no_gpu(); }
#endif

}  // namespace weft
