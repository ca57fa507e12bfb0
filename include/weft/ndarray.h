// Arrays in memory: what is fed to a graph, what comes back, and what variables hold.
#pragma once

#include <weft/device.h>
#include <weft/error.h>
#include <weft/shape.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// A strided array of up to 16 dimensions with 64-bit sizes.
///
/// Copies of an NDArray share its elements (as do views of it): writing through one is seen through the others.
/// `copy()` makes elements of its own. Strides are counted in bytes; they may be zero (a repeated element) or negative
/// (a reversed dimension). Memory that weft allocates is 64-byte aligned.
///
/// Elements lie in the memory of a device. Those on a GPU come to the host with `to`, and by themselves where they are copied,
/// converted or printed; what reads them waits for the runs that write them.
/// Members throw RunError for a shape, axis, range or element type that doesn't fit.
class NDArray {
 public:
  /// A scalar f32 zero.
  NDArray();
  /// Dense, zero-filled. The type's shape must be static.
  explicit NDArray(TensorType type, Device device = {});
  NDArray(DType dtype, Shape shape, Device device = {}) : NDArray(TensorType{dtype, shape}, device) {}

  /// A dense array with the elements of `values`, in row-major order.
  template <Element T> static NDArray of(Shape shape, std::span<const T> values) {
    NDArray a(dtype_of<T>, shape);
    a.write_bytes(std::as_bytes(values));
    return a;
  }
  template <Element T> static NDArray of(Shape shape, std::initializer_list<T> values) {
    return of<T>(shape, std::span<const T>(values.begin(), values.size()));
  }
  template <Element T> static NDArray scalar(T value) { return of<T>({}, {value}); }
  /// Refers to memory of the caller's (`strides` in bytes; dense when empty) and keeps `owner` alive as long as the
  /// array or a view of it is. `device` is the one in whose memory it lies.
  static NDArray wrap(void* data, TensorType type, std::span<const std::int64_t> strides = {}, std::shared_ptr<void> owner = {}, Device device = {});

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  int rank() const { return type_.shape.rank(); }
  std::int64_t element_count() const { return type_.shape.element_count(); }
  std::int64_t byte_count() const { return type_.byte_count(); }
  /// Bytes from one element to the next along each dimension.
  std::span<const std::int64_t> strides() const { return {strides_.data(), static_cast<std::size_t>(rank())}; }
  /// Elements lie in row-major order without gaps.
  bool is_dense() const;

  /// Where the elements lie.
  Device device() const { return device_; }
  /// This array if it lies there, otherwise a dense copy that does.
  NDArray to(Device device) const;

  /// An address in the device's memory.
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  /// The elements of a dense array on the host; T must be its element type.
  template <Element T> std::span<T> elements() { return {static_cast<T*>(checked(dtype_of<T>)), static_cast<std::size_t>(element_count())}; }
  template <Element T> std::span<const T> elements() const {
    return {static_cast<const T*>(const_cast<NDArray*>(this)->checked(dtype_of<T>)), static_cast<std::size_t>(element_count())};
  }
  /// The only element of an array of one, converted.
  double item() const;

  // Views share the elements.
  /// The elements start, start + step, ... before end of one dimension. A negative step walks down from start to above
  /// end. Negative start and end are *not* counted from the back.
  NDArray slice(int axis, std::int64_t start, std::int64_t end, std::int64_t step = 1) const;
  /// Dimension i of the view is dimension permutation[i] of this array.
  NDArray transpose(std::span<const int> permutation) const;
  NDArray transpose(int a, int b) const;
  /// A view where the strides allow it, otherwise a copy. `dynamic` may stand once for what is left.
  NDArray reshape(Shape shape) const;
  NDArray broadcast_to(Shape shape) const;

  /// Dense, with elements of its own on the same device.
  NDArray copy() const;
  /// This array if dense, otherwise a dense copy.
  NDArray dense() const { return is_dense() ? *this : copy(); }
  /// Elements converted to another type: floating-point to integers towards zero, saturating, NaN as 0; integers to
  /// narrower ones by two's complement; to bool as "not zero"; from complex by the real part. Otherwise to the nearest
  /// value, ties to even.
  NDArray cast(DType dtype) const;
  /// Copies elements of an array of the same type, on any device, into this one. The two may share memory.
  void assign(const NDArray& from);

  /// Reads all elements in row-major order, from memory laid out with the given strides in bytes (dense when empty). Dense
  /// memory must have exactly this array's bytes. Strides count from the first byte, so negative ones don't fit.
  void write_bytes(std::span<const std::byte> from, std::span<const std::int64_t> strides = {});
  /// Writes all elements in row-major order to memory laid out with the given strides in bytes (dense when empty).
  void read_bytes(std::span<std::byte> to, std::span<const std::int64_t> strides = {}) const;
  /// As write_bytes and read_bytes, converting from and to another element type, as `cast` does. The caller vouches for
  /// the memory, and that it doesn't overlap this array's.
  void import_from(const void* from, DType dtype, std::span<const std::int64_t> strides = {});
  void export_to(void* to, DType dtype, std::span<const std::int64_t> strides = {}) const;

  /// "f32[2,2] [[1, 2], [3, 4]]", shortened when large.
  std::string str() const;

 private:
  void* checked(DType dtype);
  /// A view of host memory with the same elements and strides: this array's own, or a copy of what they reach over.
  NDArray on_host() const;

  TensorType type_;
  Device device_;
  std::array<std::int64_t, max_rank> strides_{};
  std::shared_ptr<void> owner_;
  std::byte* data_ = nullptr;
};

/// What a run is fed or writes to: an array, or memory of the caller's.
class TensorData {
 public:
  TensorData() = default;
  TensorData(NDArray array) : array_(std::move(array)) {}
  template <Element T> TensorData(T value) : array_(NDArray::scalar(value)) {}
  /// Copies the elements.
  template <Element T> static TensorData copy_of(Shape shape, std::span<const T> values) { return NDArray::of<T>(shape, values); }
  /// Refers to the caller's memory (strides in bytes; dense when empty), which must outlive every use.
  template <class T>
  requires Element<std::remove_const_t<T>>
  static TensorData reference(Shape shape, std::span<T> values, std::span<const std::int64_t> strides = {}) {
    return reference(values.data(), values.size_bytes(), {dtype_of<std::remove_const_t<T>>, shape}, strides);
  }
  /// Throws RunError when the `byte_count` bytes from `data` on don't hold every element (a negative stride leads before
  /// them: wrap the array unreversed and slice it with a negative step).
  static TensorData reference(const void* data, std::size_t byte_count, TensorType type, std::span<const std::int64_t> strides = {});

  const TensorType& type() const { return array_.type(); }
  const NDArray& array() const { return array_; }
  NDArray& array() { return array_; }

 private:
  NDArray array_;
};

}  // namespace weft
