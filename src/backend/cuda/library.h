// Shared libraries that are looked for when the program runs.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// A library that was opened, for the life of the process.
class Library {
 public:
  /// Tries each file name ("libnvrtc.so.13") where the system looks, then in the folders below. `wheel` is the folder of the
  /// PyPI package that brings it for CUDA 12 ("cuda_nvrtc").
  Library(std::span<const char* const> names, const char* wheel);

  explicit operator bool() const { return handle_ != nullptr; }
  /// The file.
  const std::string& path() const { return path_; }
  /// The address of a function; null where there is none.
  void* find(const char* symbol) const;

 private:
  void* handle_ = nullptr;
  std::string path_;
};

/// Everything that decides which file is found, as text.
std::string library_search();

/// Where a CUDA toolkit's libraries may be: $WEFT_CUDA_PATH, $CUDA_PATH, $CUDA_HOME, /usr/local/cuda*, then packages of the Python
/// environments that $VIRTUAL_ENV, $CONDA_PREFIX and the usual places name.
std::vector<std::string> library_folders(const char* wheel);

}  // namespace weft::cuda
