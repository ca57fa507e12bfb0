// Which results of a kernel may be written over what it reads.
#pragma once

#include "stitch/kernel.h"

#include <span>
#include <vector>

namespace weft::kernel {

/// `written` may lie in the memory of `read`.
struct Overlay {
  int read, written;
};

/// Whether it does nothing but copy elements to where they are in their own array.
bool is_copy(const Kernel& kernel);

/// The pairs of values (each buffer of the kernel holds the one that `values` says) that may share memory: the kernel reads
/// an element of the one nowhere but where it writes that of the other, and before.
std::vector<Overlay> overlays(const Kernel& kernel, std::span<const int> values);

}  // namespace weft::kernel
