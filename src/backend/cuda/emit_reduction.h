// What reductions are in CUDA C++.
#pragma once

#include "backend/cuda/emit_text.h"
#include "stitch/kernel.h"

#include <string>

namespace weft::cuda {

bool is_arg(const kernel::Reduction& r);
/// What the running value of a kernel's reduction is called.
std::string name_of(const kernel::Kernel& kernel, std::size_t reduction);
/// The type in which a reduction is accumulated: sums and products of floating-point numbers in f64.
DType accumulated(const kernel::Reduction& r);
/// That of its running value; with the index where it has one.
std::string accumulator_type(const kernel::Reduction& r);
/// What changes nothing.
Text identity(const kernel::Reduction& r);
/// Two partial results as one, and the function object of the library that computes that.
Text together(const kernel::Reduction& r, const Text& x, const Text& y);
std::string functor(const kernel::Reduction& r);

}  // namespace weft::cuda
