// Arrays shared with other libraries (PyTorch, NumPy, CuPy, JAX, ...) through DLPack, on the host and on GPUs. Not part of weft.h, since it declares
// names of DLPack's own.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <optional>

// DLPack 1.0, https://dmlc.github.io/dlpack/latest/c_api.html, for programs that don't include dlpack.h itself before this.
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_
#define DLPACK_MAJOR_VERSION 1
#define DLPACK_MINOR_VERSION 0
#define DLPACK_FLAG_BITMASK_READ_ONLY (1UL << 0UL)
#define DLPACK_FLAG_BITMASK_IS_COPIED (1UL << 1UL)

extern "C" {
struct DLPackVersion {
  std::uint32_t major;
  std::uint32_t minor;
};
enum DLDeviceType : std::int32_t { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3, kDLCUDAManaged = 13 };
struct DLDevice {
  DLDeviceType device_type;
  std::int32_t device_id;
};
enum DLDataTypeCode { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLOpaqueHandle = 3, kDLBfloat = 4, kDLComplex = 5, kDLBool = 6 };
struct DLDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null: dense, row-major
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};
}
#else
struct DLManagedTensor;
struct DLManagedTensorVersioned;
#endif

namespace weft {

struct FromDlpackOptions {
  /// What is marked as read-only is copied, since a run may be told to write to any array. With this it is shared: the caller sees to it that
  /// nothing writes to it, as nothing does to what runs are fed with.
  bool shares_read_only = false;
  /// The CUDA stream in which the elements are computed: they are used when what it was given so far is done. Without one they must be there.
  std::optional<void*> stream = {};
};

/// The tensor's elements as an array that shares them, with their strides, and calls the tensor's deleter when the last array that refers to
/// them is gone and the GPU is done with them. Throws RunError for a version, device or element type that weft doesn't have; the tensor is
/// still the caller's then.
NDArray from_dlpack(DLManagedTensorVersioned* tensor, const FromDlpackOptions& options = {});
NDArray from_dlpack(DLManagedTensor* tensor, const FromDlpackOptions& options = {});

struct ToDlpackOptions {
  bool is_read_only = false;  ///< others are told not to write to it
  /// The CUDA stream in which the elements will be used: it waits for what computes them, and their memory, once deleted, serves nothing else
  /// before the stream is done with what it was given by then. Without one the host waits until they are there.
  std::optional<void*> stream = {};
};

/// A tensor that shares the array's elements and strides. Whoever takes it over calls its deleter. Throws RunError for strides that are no
/// multiples of the element's size.
DLManagedTensorVersioned* to_dlpack(const NDArray& array, const ToDlpackOptions& options = {});
/// For libraries that don't know DLPack 1.0; nothing marks an array as read-only then.
DLManagedTensor* to_dlpack_unversioned(const NDArray& array, const ToDlpackOptions& options = {});

}  // namespace weft
