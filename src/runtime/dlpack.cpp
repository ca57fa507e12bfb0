#include <weft/dlpack.h>

#include "compile/backend.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace weft {
namespace {

struct Row {
  DType dtype;
  DLDataTypeCode code;
  std::uint8_t bits;
};
constexpr Row rows[] = {{f32, kDLFloat, 32}, {f16, kDLFloat, 16}, {bf16, kDLBfloat, 16}, {f64, kDLFloat, 64},  {i8, kDLInt, 8},
                        {i16, kDLInt, 16},   {i32, kDLInt, 32},   {i64, kDLInt, 64},     {u8, kDLUInt, 8},     {u16, kDLUInt, 16},
                        {u32, kDLUInt, 32},  {u64, kDLUInt, 64},  {boolean, kDLBool, 8}, {c64, kDLComplex, 64}};

[[noreturn]] void refuse(const std::string& what) { throw RunError("from_dlpack: " + what); }

DType dtype_of(DLDataType type) {
  for (const Row& row : rows)
    if (row.code == type.code && row.bits == type.bits && type.lanes == 1) return row.dtype;
  refuse("there is no element type for code " + std::to_string(type.code) + " with " + std::to_string(type.bits) + " bits and " +
         std::to_string(type.lanes) + " lanes");
}

DLDataType type_of(DType dtype) {
  for (const Row& row : rows)
    if (row.dtype == dtype) return {static_cast<std::uint8_t>(row.code), row.bits, 1};
  throw InternalError("DLPack has no row for " + std::string(name_of(dtype)));
}

Device device_of(DLDevice device) {
  switch (static_cast<int>(device.device_type)) {
    case kDLCPU:
    case kDLCUDAHost: return Device::cpu();
    case kDLCUDA:
    case kDLCUDAManaged: return Device::cuda(device.device_id);
    default: refuse("the tensor is on a device of type " + std::to_string(device.device_type) + ", expects 1 (CPU), 2, 3 or 13 (CUDA)");
  }
}

/// An array of the tensor's elements that keeps `owner` alive.
NDArray shared(const DLTensor& tensor, const std::shared_ptr<void>& owner) {
  if (tensor.ndim < 0 || tensor.ndim > max_rank)
    refuse("the tensor has " + std::to_string(tensor.ndim) + " dimensions, an array has 0 to " + std::to_string(max_rank));
  const DType dtype = dtype_of(tensor.dtype);
  const Device device = device_of(tensor.device);
  if (!device.is_cpu()) device.properties();  // throws where there is none
  std::vector<std::int64_t> sizes, strides;
  for (int d = 0; d < tensor.ndim; ++d) {
    sizes.push_back(tensor.shape[d]);
    if (sizes.back() < 0) refuse("dimension " + std::to_string(d) + " has size " + std::to_string(sizes.back()));
    if (tensor.strides) strides.push_back(tensor.strides[d] * static_cast<std::int64_t>(size_of(dtype)));
  }
  const TensorType type{dtype, Shape(sizes)};
  if (!tensor.data && type.shape.element_count() > 0) refuse("the tensor has elements, but no memory");
  std::byte* const data = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
  const std::size_t alignment = dtype == c64 ? sizeof(float) : size_of(dtype);
  if (reinterpret_cast<std::uintptr_t>(data) % alignment != 0) refuse("elements don't lie at multiples of their size");
  return NDArray::wrap(data, type, strides, owner, device);
}

template <class Managed> void release(Managed* managed) {
  if (managed->deleter) managed->deleter(managed);
}

template <class Managed> NDArray take(Managed* managed, bool is_read_only, const FromDlpackOptions& options) {
  // What is wrong is found before the tensor has a new owner.
  const NDArray view = shared(managed->dl_tensor, {});
  const Device device = view.device();
  if (options.stream && !device.is_cpu()) gpu_follows_stream(device.index(), *options.stream);
  if (is_read_only && !options.shares_read_only) {
    NDArray copy = view.copy();
    device.wait();
    release(managed);
    return copy;
  }
  return shared(managed->dl_tensor, {managed, [device](Managed* m) {
                                       try {
                                         device.wait();
                                       } catch (const RunError&) {
                                         // The GPU fails with every call from now on; the memory is the other library's all the same.
                                       }
                                       release(m);
                                     }});
}

/// A managed tensor of either kind with what it refers to.
template <class Managed> struct Holder {
  Managed managed{};
  NDArray array;
  std::array<std::int64_t, max_rank> sizes{}, strides{};
  std::optional<void*> stream;
};

template <class Managed> Managed* give(const NDArray& array, const ToDlpackOptions& options) {
  auto holder = std::make_unique<Holder<Managed>>();
  holder->array = array;
  const auto size = static_cast<std::int64_t>(size_of(array.dtype()));
  for (int d = 0; d < array.rank(); ++d) {
    const auto i = static_cast<std::size_t>(d);
    if (array.strides()[i] % size != 0)
      throw RunError("to_dlpack: dimension " + std::to_string(d) + " of " + array.type().str() + " has a stride of " +
                     std::to_string(array.strides()[i]) + " bytes, which is no multiple of the element's size; copy the array");
    holder->sizes[i] = array.shape()[d];
    holder->strides[i] = array.strides()[i] / size;
  }
  DLTensor& tensor = holder->managed.dl_tensor;
  tensor.data = holder->array.data();
  tensor.device = array.device().is_cpu() ? DLDevice{kDLCPU, 0} : DLDevice{kDLCUDA, array.device().index()};
  tensor.ndim = array.rank();
  tensor.dtype = type_of(array.dtype());
  tensor.shape = holder->sizes.data();
  tensor.strides = holder->strides.data();
  if (!array.device().is_cpu()) {
    holder->stream = options.stream;
    if (options.stream) stream_follows_gpu(array.device().index(), *options.stream);
    else array.device().wait();
  }
  holder->managed.manager_ctx = holder.get();
  holder->managed.deleter = [](Managed* m) {
    const std::unique_ptr<Holder<Managed>> held(static_cast<Holder<Managed>*>(m->manager_ctx));
    if (!held->stream) return;
    try {
      gpu_follows_stream(held->array.device().index(), *held->stream);
    } catch (const RunError&) {
      // The stream is gone, and what it was given is done.
    }
  };
  return &holder.release()->managed;
}

}  // namespace

NDArray from_dlpack(DLManagedTensorVersioned* tensor, const FromDlpackOptions& options) {
  if (tensor->version.major != DLPACK_MAJOR_VERSION)
    refuse("the tensor is of DLPack " + std::to_string(tensor->version.major) + "." + std::to_string(tensor->version.minor) + ", expects 1");
  return take(tensor, (tensor->flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0, options);
}

NDArray from_dlpack(DLManagedTensor* tensor, const FromDlpackOptions& options) { return take(tensor, false, options); }

DLManagedTensorVersioned* to_dlpack(const NDArray& array, const ToDlpackOptions& options) {
  auto* managed = give<DLManagedTensorVersioned>(array, options);
  managed->version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION};
  if (options.is_read_only) managed->flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  return managed;
}

DLManagedTensor* to_dlpack_unversioned(const NDArray& array, const ToDlpackOptions& options) {
  if (options.is_read_only) throw RunError("to_dlpack_unversioned: before DLPack 1.0 nothing says that a tensor is read-only");
  return give<DLManagedTensor>(array, options);
}

}  // namespace weft
