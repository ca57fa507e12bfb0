#include "backend/cuda/driver.h"

#include <weft/error.h>

#include <dlfcn.h>
#include <cstdio>

namespace weft::cuda {
namespace {

constexpr int oldest_version = 12000;

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

/// Fills the table; gives why it can't be.
std::string load(Driver& table) {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return "there is no NVIDIA driver (libcuda.so.1)";
  const auto version_of = reinterpret_cast<decltype(&::cuDriverGetVersion)>(::dlsym(library, "cuDriverGetVersion"));
  if (!version_of || version_of(&table.version) != CUDA_SUCCESS) return "the NVIDIA driver doesn't tell its version";
  if (table.version < oldest_version)
    return "the NVIDIA driver is for CUDA " + version_text(table.version) + ", weft needs " + version_text(oldest_version) + " or later";
  const auto find = reinterpret_cast<decltype(&::cuGetProcAddress)>(::dlsym(library, "cuGetProcAddress_v2"));
  if (!find) return "the NVIDIA driver lacks cuGetProcAddress_v2";
#define WEFT_CUDA_FIND(name)                                                                                                                   \
  if (find(#name, reinterpret_cast<void**>(&table.name), oldest_version, CU_GET_PROC_ADDRESS_DEFAULT, nullptr) != CUDA_SUCCESS || !table.name) \
    return "the NVIDIA driver lacks " #name;
  WEFT_CUDA_FUNCTIONS(WEFT_CUDA_FIND)
#undef WEFT_CUDA_FIND
  if (const CUresult result = table.cuInit(0); result != CUDA_SUCCESS) {
    const char* text = nullptr;
    table.cuGetErrorString(result, &text);
    return std::string("the NVIDIA driver doesn't start: ") + (text ? text : "unknown error");
  }
  int devices = 0;
  if (table.cuDeviceGetCount(&devices) != CUDA_SUCCESS || devices == 0) return "there is no NVIDIA GPU that CUDA sees";
  return {};
}

}  // namespace

const DriverProbe& driver_probe() {
  static const DriverProbe probe = [] {
    DriverProbe p;
    p.refusal = load(p.functions);
    return p;
  }();
  return probe;
}

void check(CUresult result, const char* doing) {
  if (result == CUDA_SUCCESS) return;
  const char *name = nullptr, *text = nullptr;
  driver().cuGetErrorName(result, &name);
  driver().cuGetErrorString(result, &text);
  std::string message = std::string("cuda: ") + doing + ": " + (text ? text : "unknown error") + (name ? " (" + std::string(name) + ")" : "");
  // Code, queues and graphs take memory too, how much only the driver knows.
  std::size_t free = 0, all = 0;
  if (result == CUDA_ERROR_OUT_OF_MEMORY && driver().cuMemGetInfo(&free, &all) == CUDA_SUCCESS)
    message += ", " + std::to_string(free) + " of " + std::to_string(all) + " bytes are free";
  throw RunError(message);
}

}  // namespace weft::cuda
