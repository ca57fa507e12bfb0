// How fast this machine can be: the floors under which no time of a workload can be.
#pragma once

#include <weft/device.h>
#include <weft/dtype.h>

#include <cstdint>

namespace weft::apps {

/// Seconds of the fastest loop found that reads `read` bytes and writes `written` bytes, over and over the same: on one
/// thread or all, with and without writing past the caches.
double seconds_to_stream(std::int64_t read, std::int64_t written);

/// Seconds of the GPU's own copy of so many bytes.
double seconds_to_copy(Device gpu, std::int64_t bytes);

/// Operations a second of a large product of matrices on the GPU; `tf32`: of f32 that is rounded to TF32.
double peak_flops(Device gpu, DType dtype, bool tf32 = false);

/// f32 operations a second of all cores multiplying and adding in registers, a multiply-add counting as two.
double peak_flops();

}  // namespace weft::apps
