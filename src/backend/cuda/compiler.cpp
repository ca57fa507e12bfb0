#include "backend/cuda/compiler.h"

#include "backend/cuda/driver.h"
#include "backend/cuda/library.h"

#include <weft/error.h>

#include <algorithm>
#include <span>
#include <sstream>

#include <nvrtc.h>
#include <sys/stat.h>

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

std::string stamp_of(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  return std::to_string(file.st_size) + "," + std::to_string(file.st_mtim.tv_sec) + "." + std::to_string(file.st_mtim.tv_nsec);
}

}  // namespace

std::string Compiler::Facts::str() const {
  std::string text = path + "\n" + version + "\n" + stamp + "\n";
  for (int a : architectures) text += std::to_string(a) + " ";
  return text;
}

std::optional<Compiler::Facts> Compiler::Facts::parse(const std::string& text) {
  std::istringstream in(text);
  Facts f;
  std::getline(in, f.path);
  std::getline(in, f.version);
  std::getline(in, f.stamp);
  for (int a = 0; in >> a;) f.architectures.push_back(a);
  if (f.architectures.empty() || f.stamp.empty() || f.stamp != stamp_of(f.path)) return std::nullopt;
  return f;
}

std::unique_ptr<Compiler::Functions> Compiler::load(const std::string& path, Facts& facts) {
  const char* name = path.c_str();
  const Library library(std::span(&name, 1), "cuda_nvrtc");
  if (!library) return nullptr;
  auto table = std::make_unique<Functions>();
#define WEFT_NVRTC_FIND(name) ((table->name = reinterpret_cast<decltype(table->name)>(library.find(#name))) != nullptr)&&
  const bool whole = WEFT_NVRTC_FUNCTIONS(WEFT_NVRTC_FIND) true;
#undef WEFT_NVRTC_FIND
  int major = 0, minor = 0, count = 0;
  if (!whole || table->nvrtcVersion(&major, &minor) != NVRTC_SUCCESS || table->nvrtcGetNumSupportedArchs(&count) != NVRTC_SUCCESS) return nullptr;
  facts = {library.path(), std::to_string(major) + "." + std::to_string(minor), stamp_of(library.path()),
           std::vector<int>(static_cast<std::size_t>(count))};
  table->nvrtcGetSupportedArchs(facts.architectures.data());
  return table;
}

Compiler::~Compiler() = default;

Compiler::Compiler(const std::optional<DiskCache>& cache) {
  // Machine code runs on drivers of its own CUDA's major version and later.
  const int driver_version = driver_probe().functions.version;
  const std::size_t first = driver_version > 0 && driver_version < 13000 ? 1 : 0;
  const std::string key = std::string("where ") + names[first] + " is\n" + library_search();
  if (const auto kept = cache ? cache->find(key) : std::nullopt)
    if (auto facts = Facts::parse({reinterpret_cast<const char*>(kept->data()), kept->size()})) {
      facts_ = std::move(*facts);
      return;
    }
  for (const char* name : std::span(names).subspan(first))
    if ((functions_ = load(name, facts_))) {
      const std::string text = facts_.str();
      if (cache) cache->keep(key, std::as_bytes(std::span(text)));
      return;
    }
  refusal_ = std::string("there is no NVRTC (") + (first == 0 ? "libnvrtc.so.13 or " : "") +
             "libnvrtc.so.12); install the CUDA toolkit or say where it is with WEFT_CUDA_PATH";
}

const Compiler& Compiler::instance() {
  static const auto* compiler = new Compiler;
  return *compiler;
}

bool Compiler::is_loaded() const {
  const std::lock_guard lock(mutex_);
  return functions_ != nullptr;
}

const Compiler::Functions& Compiler::functions() const {
  const std::lock_guard lock(mutex_);
  Facts facts;
  if (!functions_ && !(functions_ = load(facts_.path, facts))) throw RunError("NVRTC doesn't load any more: " + facts_.path);
  return *functions_;
}

std::string Compiler::target(int compute_capability) const {
  const auto& known = facts_.architectures;
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
  const Functions& f = functions();
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
  // Less to read before each kernel, which NVRTC does for one at a time.
  if (facts_.version >= "13") options.push_back("--minimal");
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
