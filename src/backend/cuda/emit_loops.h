// The code of one kernel, as a kernel of its own or as a part of one.
#pragma once

#include "backend/cuda/emit.h"
#include "stitch/kernel.h"

#include <cstddef>
#include <string>
#include <vector>

namespace weft::cuda {

struct KernelText {
  std::string name;
  std::string code;  ///< `Arguments`, and a function that takes them: an entry, or one for a block whose number it is given besides
  std::vector<std::byte> arguments;
  unsigned blocks = 1, threads = 1;
  unsigned shared_bytes = 0;    ///< that the launch gives it besides what it declares
  bool counts_threads = false;  ///< threads of a block beyond its own do nothing
  bool can_join = true;         ///< it may be part of a grid with others
};

/// `ready` as of `generate`.
KernelText emit_kernel(const kernel::Kernel& kernel, const DeviceProperties& device, bool is_alone, const std::vector<bool>& ready);

/// The head of a function that the driver can start.
inline std::string entry_head(unsigned threads, const std::string& name) {
  return "extern \"C\" __global__ void __launch_bounds__(" + std::to_string(threads > 256 ? threads : 256) + ") " + name +
         "(const __grid_constant__ Arguments a)";
}

}  // namespace weft::cuda
