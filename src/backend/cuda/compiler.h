// CUDA C++ to machine code, by NVRTC.
#pragma once

#include "compile/disk_cache.h"

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace weft::cuda {

/// How sources are compiled. f32 is f32: every operation is rounded by itself, with subnormal numbers and correctly rounded division and
/// square root. A product and a sum become one fma only where the source says so, so that results don't depend on what the compiler
/// sees together.
inline constexpr const char* compile_flags[] = {"--std=c++17", "--device-as-default-execution-space", "--fmad=false"};

/// NVRTC, looked for once. Where it is and what it can do is kept on disk, so that the library, which takes longer to load than all kernels of a
/// program, is loaded only when something is to be compiled.
class Compiler {
 public:
  /// Of the process.
  static const Compiler& instance();
  /// The one whose CUDA the driver can run; of a machine without a driver, the newest.
  explicit Compiler(const std::optional<DiskCache>& cache = DiskCache::of_user());
  ~Compiler();

  /// Why there is none; empty when there is one.
  const std::string& refusal() const { return refusal_; }
  /// "13.0", and the library's file.
  const std::string& version() const { return facts_.version; }
  const std::string& path() const { return facts_.path; }
  bool is_loaded() const;

  /// The code's target for a compute capability (90): "sm_90a", or PTX ("compute_100") for a device that is newer than the compiler.
  std::string target(int compute_capability) const;
  /// What `target` runs. Throws InternalError with the compiler's words. Thread-safe.
  std::vector<std::byte> compile(const std::string& source, const std::string& target) const;

  /// What is kept of a library.
  struct Facts {
    std::string path, version;
    std::string stamp;  ///< of the file: its size and when it was written
    std::vector<int> architectures;

    std::string str() const;
    /// None for text that is no library's, or that of a file which has changed since.
    static std::optional<Facts> parse(const std::string& text);
  };

 private:
  struct Functions;
  /// Loaded now, unless it was before.
  const Functions& functions() const;
  static std::unique_ptr<Functions> load(const std::string& path, Facts& facts);

  std::string refusal_;
  Facts facts_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Functions> functions_;
};

}  // namespace weft::cuda
