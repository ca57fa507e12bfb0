// Generates CUDA C++ for kernels.
#pragma once

#include "stitch/kernel.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// One or several kernels as CUDA C++, ready for the compiler. Those that share code have equal `source`.
struct Generated {
  std::string source;  ///< a whole translation unit that includes nothing, with one entry
  std::string entry;   ///< name of the extern "C" __global__ function
  /// Its one argument. Each kernel has a part of it: the addresses of the kernel's buffers, in their order, each a multiple of 16 and zero
  /// until filled in; then the address of a kernel::IndexFault; then numbers.
  std::vector<std::byte> arguments;
  std::vector<std::size_t> parts{0};  ///< by kernel: where its part begins
  std::vector<unsigned> shares;       ///< by kernel: how many of the blocks it has
  unsigned blocks = 1, threads = 1;   ///< of a one-dimensional grid; no blocks: there is nothing to do
  unsigned shared_bytes = 0;          ///< that the launch gives it besides what it declares
};

struct DeviceProperties {
  int compute_capability = 90;
  int multiprocessors = 132;
  int shared_bytes_per_block = 232448;
};

/// `ready` says by buffer what nothing writes that may still be running when the kernel is brought in: it may read that before it waits.
Generated generate(const kernel::Kernel& kernel, const DeviceProperties& device, const std::vector<bool>& ready = {});

/// Kernels of which none needs what another writes, dealt out to as few grids as serve them: small ones and those that share code are one. Each
/// is a list of places among `kernels`, and how its kernels are generated. `ready` is by kernel, or empty.
struct Together {
  std::vector<std::size_t> kernels;
  Generated code;
};
std::vector<Together> generate_together(std::span<const kernel::Kernel* const> kernels, const DeviceProperties& device,
                                        std::span<const std::vector<bool>> ready = {});

/// An elementary function, and the farthest that its results may be from the true value in units in the last place, as the CUDA
/// C++ Programming Guide gives it for functions without fast maths (section Mathematical Functions).
struct MathFunction {
  std::string_view name;
  int operands;
  double ulp_f32, ulp_f64;
};
std::span<const MathFunction> math_functions();

}  // namespace weft::cuda
