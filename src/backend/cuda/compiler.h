// CUDA C++ to machine code, by NVRTC.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace weft::cuda {

/// How sources are compiled. f32 is f32: every operation is rounded by itself, with subnormal numbers and correctly rounded division and
/// square root. A product and a sum become one fma only where the source says so, so that results don't depend on what the compiler
/// sees together.
inline constexpr const char* compile_flags[] = {"--std=c++17", "--device-as-default-execution-space", "--fmad=false"};

/// NVRTC, looked for once.
class Compiler {
 public:
  /// The one whose CUDA the driver can run; of a machine without a driver, the newest.
  static const Compiler& instance();

  /// Why there is none; empty when there is one.
  const std::string& refusal() const { return refusal_; }
  /// "13.0", and the library's file.
  const std::string& version() const { return version_; }
  const std::string& path() const { return path_; }

  /// The code's target for a compute capability (90): "sm_90a", or PTX ("compute_100") for a device that is newer than the compiler.
  std::string target(int compute_capability) const;
  /// What `target` runs. Throws InternalError with the compiler's words. Thread-safe.
  std::vector<std::byte> compile(const std::string& source, const std::string& target) const;

 private:
  Compiler();

  struct Functions;
  const Functions* functions_ = nullptr;
  std::string refusal_, version_, path_;
};

}  // namespace weft::cuda
