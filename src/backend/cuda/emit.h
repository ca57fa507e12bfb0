// Generates CUDA C++ for kernels.
#pragma once

#include "stitch/kernel.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// A kernel as CUDA C++, ready for the compiler. Kernels that share code have equal `source`.
struct Generated {
  std::string source;  ///< a whole translation unit that includes nothing, with one entry
  std::string entry;   ///< name of the extern "C" __global__ function
  /// Its one argument: the addresses of the kernel's buffers, in their order, each a multiple of 16 and zero until filled in; then
  /// the address of a kernel::IndexFault; then numbers.
  std::vector<std::byte> arguments;
  unsigned blocks = 1, threads = 1, shared_bytes = 0;  ///< of a one-dimensional grid; no blocks: there is nothing to do
};

struct DeviceProperties {
  int compute_capability = 90;
  int multiprocessors = 132;
  int shared_bytes_per_block = 232448;
};

Generated generate(const kernel::Kernel& kernel, const DeviceProperties& device);

/// An elementary function, and the farthest that its results may be from the true value in units in the last place, as the CUDA
/// C++ Programming Guide gives it for functions without fast maths (section Mathematical Functions).
struct MathFunction {
  std::string_view name;
  int operands;
  double ulp_f32, ulp_f64;
};
std::span<const MathFunction> math_functions();

}  // namespace weft::cuda
