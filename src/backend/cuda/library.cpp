#include "backend/cuda/library.h"

#include <cstdlib>

#include <dlfcn.h>
#include <glob.h>
#include <link.h>

namespace weft::cuda {
namespace {

/// The paths that a pattern stands for, the last of the alphabet first: newer versions before older ones.
std::vector<std::string> matching(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (std::size_t i = found.gl_pathc; i-- > 0;) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return paths;
}

constexpr const char* toolkit_variables[] = {"WEFT_CUDA_PATH", "CUDA_PATH", "CUDA_HOME"};
constexpr const char* environment_variables[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};

}  // namespace

std::string library_search() {
  std::string text;
  const auto add = [&](const char* variable) {
    if (const char* value = std::getenv(variable)) text += std::string(variable) + "=" + value + "\n";
  };
  for (const char* variable : toolkit_variables) add(variable);
  for (const char* variable : environment_variables) add(variable);
  for (const char* variable : {"HOME", "LD_LIBRARY_PATH"}) add(variable);
  return text;
}

std::vector<std::string> library_folders(const char* wheel) {
  std::vector<std::string> folders;
  for (const char* variable : toolkit_variables)
    if (const char* root = std::getenv(variable); root && *root)
      for (const char* below : {"", "/lib64", "/lib"}) folders.push_back(std::string(root) + below);
  for (const auto& root : matching("/usr/local/cuda*"))
    for (const char* below : {"/lib64", "/lib"}) folders.push_back(root + below);
  std::vector<std::string> environments;
  for (const char* variable : environment_variables)
    if (const char* root = std::getenv(variable); root && *root) environments.emplace_back(root);
  if (const char* home = std::getenv("HOME")) environments.push_back(std::string(home) + "/.local");
  environments.insert(environments.end(), {"/usr", "/usr/local", "/opt/*"});
  for (const auto& root : environments)
    for (const char* packages : {"/lib/python3*/site-packages/nvidia/", "/lib/python3*/dist-packages/nvidia/"})
      for (const std::string& below : {std::string("cu13/lib"), std::string(wheel) + "/lib"})
        for (auto& folder : matching(root + packages + below)) folders.push_back(std::move(folder));
  return folders;
}

Library::Library(std::span<const char* const> names, const char* wheel) {
  auto open = [&](const std::string& path) {
    handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const link_map* map = nullptr;
    if (handle_) path_ = ::dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : path;
    return handle_ != nullptr;
  };
  for (const char* name : names)
    if (open(name)) return;
  for (const auto& folder : library_folders(wheel))
    for (const char* name : names)
      if (open(folder + "/" + name)) return;
}

void* Library::find(const char* symbol) const { return handle_ ? ::dlsym(handle_, symbol) : nullptr; }

}  // namespace weft::cuda
