// Pieces of the code of kernels that multiply tiles.
#pragma once

#include <weft/dtype.h>

#include <string>
#include <string_view>

namespace weft::cuda::tiles_text {

inline constexpr std::string_view pack = R"(
template <int n> struct alignas(n * sizeof(Element) < 16 ? n * sizeof(Element) : 16) Pack {
  Element at[n];
};
template <int n> struct alignas(n) Answers {
  bool at[n];
};
)";

inline constexpr std::string_view copies = R"(
/// Copies to shared memory while the thread goes on; zeros instead where it is outside, whose address is not looked at.
template <int bytes> __device__ void copy(void* to, const void* from, bool is_outside) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to));
  if constexpr (bytes == 16)
    asm volatile("{ .reg .pred zero; setp.ne.b32 zero, %2, 0; cp.async.cg.shared.global [%0], [%1], 16, zero; }" ::"r"(address), "l"(from),
                 "r"(int(is_outside)));
  else
    asm volatile("{ .reg .pred zero; setp.ne.b32 zero, %2, 0; cp.async.ca.shared.global [%0], [%1], %3, zero; }" ::"r"(address), "l"(from),
                 "r"(int(is_outside)), "n"(bytes));
}
__device__ void end_of_copies() { asm volatile("cp.async.commit_group;"); }
/// Until all but the latest groups of copies are there.
template <int latest> __device__ void wait_for_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(latest)); }
)";

inline std::string constant(const std::string& name, int value) { return "constexpr int " + name + " = " + std::to_string(value) + ";\n"; }

inline std::string element(DType dtype) { return std::string("typedef ") + (dtype == f64 ? "double" : "float") + " Element;\n"; }

}  // namespace weft::cuda::tiles_text
