// Compiles kernels, and keeps what it compiled for the life of the process.
#pragma once

#include "backend/cpu/kernel_function.h"
#include "compile/backend.h"
#include "stitch/kernel.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft::cpu {

struct KernelCode {
  KernelFunction function = nullptr;
  std::vector<std::int64_t> parameters;
  int lanes = 1;
  bool was_compiled = false;  ///< by this call, rather than found
};

/// The code of each kernel. Kernels of equal structure share it; the rest are compiled in parallel. Thread-safe.
std::vector<KernelCode> compile_kernels(std::span<const kernel::Kernel* const> kernels);

/// Kernels compiled so far in this process.
std::size_t kernels_compiled();

/// Of the vectors that kernels use: 512, 256 or 128.
int vector_bits();

/// For dumps: LLVM IR of a kernel before optimisation, and this processor's assembly after.
std::string llvm_ir(const kernel::Kernel& kernel);
std::string assembly(const kernel::Kernel& kernel);

/// Both of each kernel, those of the same structure once.
std::vector<Listing> kernel_listings(std::span<const kernel::Kernel* const> kernels);

}  // namespace weft::cpu
