#include "backend/cuda/compiler.h"

#include "backend/cuda/driver.h"
#include "backend/cuda/library.h"

#include <weft/error.h>

#include <algorithm>
#include <memory>

#include <nvrtc.h>

namespace weft::cuda {

// clang-format off
#define WEFT_NVRTC_FUNCTIONS(F) \
  F(nvrtcVersion) F(nvrtcGetErrorString) F(nvrtcGetNumSupportedArchs) F(nvrtcGetSupportedArchs) F(nvrtcCreateProgram) F(nvrtcDestroyProgram) \
  F(nvrtcCompileProgram) F(nvrtcGetProgramLogSize) F(nvrtcGetProgramLog) F(nvrtcGetCUBINSize) F(nvrtcGetCUBIN) F(nvrtcGetPTXSize) \
  F(nvrtcGetPTX)
// clang-format on

struct Compiler::Functions {
#define WEFT_NVRTC_MEMBER(name) decltype(&::name) name = nullptr;
  WEFT_NVRTC_FUNCTIONS(WEFT_NVRTC_MEMBER)
#undef WEFT_NVRTC_MEMBER
};

namespace {

/// Names of the library for every CUDA that serves, the newest first.
constexpr const char* names[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

}  // namespace

Compiler::Compiler() {
  // Machine code runs on drivers of its own CUDA's major version and later.
  const int driver_version = driver_probe().functions.version;
  const std::size_t first = driver_version > 0 && driver_version < 13000 ? 1 : 0;
  for (const char* name : std::span(names).subspan(first)) {
    const Library library(std::span(&name, 1), "cuda_nvrtc");
    if (!library) continue;
    auto table = std::make_unique<Functions>();
#define WEFT_NVRTC_FIND(name) ((table->name = reinterpret_cast<decltype(table->name)>(library.find(#name))) != nullptr)&&
    const bool whole = WEFT_NVRTC_FUNCTIONS(WEFT_NVRTC_FIND) true;
#undef WEFT_NVRTC_FIND
    int major = 0, minor = 0;
    if (!whole || table->nvrtcVersion(&major, &minor) != NVRTC_SUCCESS) continue;
    version_ = std::to_string(major) + "." + std::to_string(minor);
    path_ = library.path();
    functions_ = table.release();  // lives as long as the process
    return;
  }
  refusal_ = std::string("there is no NVRTC (") + (first == 0 ? "libnvrtc.so.13 or " : "") +
             "libnvrtc.so.12); install the CUDA toolkit or say where it is with WEFT_CUDA_PATH";
}

const Compiler& Compiler::instance() {
  static const auto* compiler = new Compiler;
  return *compiler;
}

std::string Compiler::target(int compute_capability) const {
  int count = 0;
  functions_->nvrtcGetNumSupportedArchs(&count);
  std::vector<int> known(static_cast<std::size_t>(count));
  functions_->nvrtcGetSupportedArchs(known.data());
  if (std::ranges::find(known, compute_capability) == known.end()) {
    int best = 0;
    for (int arch : known)
      if (arch < compute_capability) best = std::max(best, arch);
    return "compute_" + std::to_string(best);
  }
  // From Hopper on a generation has instructions of its own, which the letter lets in.
  return "sm_" + std::to_string(compute_capability) + (compute_capability >= 90 ? "a" : "");
}

std::vector<std::byte> Compiler::compile(const std::string& source, const std::string& target) const {
  const Functions& f = *functions_;
  auto check = [&](nvrtcResult result, const char* doing) {
    if (result != NVRTC_SUCCESS) throw InternalError(std::string("nvrtc: ") + doing + ": " + f.nvrtcGetErrorString(result));
  };
  nvrtcProgram program = nullptr;
  check(f.nvrtcCreateProgram(&program, source.c_str(), "kernel.cu", 0, nullptr, nullptr), "taking a kernel's source");
  struct Closer {
    const Functions& f;
    nvrtcProgram program;
    ~Closer() { f.nvrtcDestroyProgram(&program); }
  } closer{f, program};
  const std::string architecture = "--gpu-architecture=" + target;
  std::vector<const char*> options(std::begin(compile_flags), std::end(compile_flags));
  options.push_back(architecture.c_str());
  if (f.nvrtcCompileProgram(program, static_cast<int>(options.size()), options.data()) != NVRTC_SUCCESS) {
    std::size_t bytes = 0;
    f.nvrtcGetProgramLogSize(program, &bytes);
    std::string log(bytes, '\0');
    f.nvrtcGetProgramLog(program, log.data());
    throw InternalError("a generated kernel doesn't compile for " + target + ":\n" + log.c_str() + "\n" + source);
  }
  std::size_t bytes = 0;
  const bool is_ptx = target.starts_with("compute_");
  check((is_ptx ? f.nvrtcGetPTXSize : f.nvrtcGetCUBINSize)(program, &bytes), "giving machine code");
  std::vector<std::byte> code(bytes);
  check((is_ptx ? f.nvrtcGetPTX : f.nvrtcGetCUBIN)(program, reinterpret_cast<char*>(code.data())), "giving machine code");
  return code;
}

}  // namespace weft::cuda
