#include <weft/ndarray.h>

#include "compile/backend.h"
#include "runtime/convert.h"
#include "runtime/memory.h"
#include "runtime/strided.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <functional>

namespace weft {
namespace {

using runtime::Strides;

[[noreturn]] void fail(const TensorType& type, const std::string& what) { throw RunError("array " + type.str() + ": " + what); }

std::span<const std::int64_t> first(const Strides& strides, int n) { return {strides.data(), static_cast<std::size_t>(n)}; }

/// The bytes of a dense array, or an error when the type has an unknown size or memory can't be that large.
std::size_t checked_bytes(const TensorType& type) {
  if (!type.shape.is_static()) fail(type, "an array's sizes must be known");
  std::int64_t bytes = 0;
  constexpr std::int64_t address_space = std::int64_t{1} << 47;
  if (__builtin_mul_overflow(type.shape.element_count(), static_cast<std::int64_t>(size_of(type.dtype)), &bytes) || bytes >= address_space)
    fail(type, "more bytes than memory can have");
  // Strides of an empty array are the products of its other sizes, which may overflow.
  std::int64_t product = 8;
  for (const std::int64_t size : type.shape)
    if (size > 0 && __builtin_mul_overflow(product, size, &product)) fail(type, "strides don't fit 64 bits");
  return static_cast<std::size_t>(bytes);
}

std::shared_ptr<void> allocate(const TensorType& type, runtime::Fill fill, Device device, std::byte*& data) {
  const std::size_t bytes = checked_bytes(type);
  auto memory = device.is_cpu() ? runtime::allocate(bytes, fill) : gpu_allocate(device.index(), bytes, fill == runtime::Fill::zero);
  if (!memory) fail(type, "no memory for " + std::to_string(bytes) + " bytes");
  data = memory.get();
  return memory;
}

void check_axis(const TensorType& type, int axis) {
  if (axis < 0 || axis >= type.shape.rank())
    fail(type, "axis " + std::to_string(axis) + " is out of range, there are " + std::to_string(type.shape.rank()) + " dimensions");
}

/// The given strides, or dense ones when there are none.
Strides strides_or_dense(const TensorType& type, std::span<const std::int64_t> strides) {
  if (strides.empty()) return runtime::dense_strides(type);
  if (strides.size() != static_cast<std::size_t>(type.shape.rank()))
    fail(type, std::to_string(strides.size()) + " strides given for " + std::to_string(type.shape.rank()) + " dimensions");
  Strides result{};
  std::copy(strides.begin(), strides.end(), result.begin());
  return result;
}

/// Throws unless `byte_count` bytes from `data` on hold all elements.
void check_covers(const TensorType& type, const void* data, std::size_t byte_count, std::span<const std::int64_t> strides) {
  const auto extent = runtime::extent_of(type, strides);
  if (!extent) fail(type, "strides reach past 64 bits");
  if (extent->low < 0) fail(type, "strides reach " + std::to_string(-extent->low) + " bytes before the given memory");
  if (byte_count < static_cast<std::size_t>(extent->high))
    fail(type, "elements reach over " + std::to_string(extent->high) + " bytes, " + std::to_string(byte_count) + " are given");
  if (!data && extent->high > 0) fail(type, "no memory is given");
}

/// Strides with which memory of type `type` is walked in `shape` (same element count) without moving an element; false if
/// there are none. Runs of dimensions whose products agree are matched; within a run the old strides must be dense.
bool strides_for_reshape(const TensorType& type, std::span<const std::int64_t> old_strides, const Shape& shape, Strides& result) {
  std::array<std::int64_t, max_rank> sizes{}, strides{};
  int n = 0;
  for (int i = 0; i < type.shape.rank(); ++i) {
    if (type.shape[i] == 1) continue;
    sizes[static_cast<std::size_t>(n)] = type.shape[i];
    strides[static_cast<std::size_t>(n++)] = old_strides[static_cast<std::size_t>(i)];
  }
  result = runtime::dense_strides({type.dtype, shape});
  int i = 0, j = 0;
  while (i < n) {
    int i_end = i + 1, j_end = j + 1;
    std::int64_t old_product = sizes[static_cast<std::size_t>(i)], new_product = shape[j];
    while (old_product != new_product) {
      if (old_product < new_product) old_product *= sizes[static_cast<std::size_t>(i_end++)];
      else new_product *= shape[j_end++];
    }
    for (int k = i; k + 1 < i_end; ++k) {
      const auto d = static_cast<std::size_t>(k);
      if (strides[d] != strides[d + 1] * sizes[d + 1]) return false;
    }
    std::int64_t step = strides[static_cast<std::size_t>(i_end - 1)];
    for (int k = j_end; k-- > j;) {
      result[static_cast<std::size_t>(k)] = step;
      step *= shape[k];
    }
    i = i_end;
    j = j_end;
  }
  return true;
}

/// `shape` with its unknown size, if there is one, set so that it has as many elements as `type`.
Shape resolve_reshape(const TensorType& type, const Shape& shape) {
  const auto refuse = [&](const char* why) { fail(type, "can't be reshaped to " + shape.str() + ", " + why); };
  if (!shape.ranked()) refuse("the rank must be known");
  std::int64_t known = 1;
  int unknown = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != dynamic) known *= shape[i];
    else if (unknown >= 0) refuse("only one size may be left open");
    else unknown = i;
  }
  const std::int64_t count = type.shape.element_count();
  if (unknown < 0) {
    if (shape.element_count() != count) refuse("the counts of elements differ");
    return shape;
  }
  if (known == 0) refuse("the open size can be anything");
  if (count % known != 0) refuse("no size gives as many elements");
  return shape.with(unknown, count / known);
}

template <class F> std::string print_number(F value, int digits) {
  if (value != value) return "nan";  // whatever its sign bit
  char text[64];
  const auto end = digits ? std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits).ptr
                          : std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string print_element(const std::byte* p, DType dtype) {
  return visit_dtype(dtype, [&](auto e) -> std::string {
    using T = decltype(e);
    if constexpr (std::is_same_v<T, bool>) return *p != std::byte{0} ? "true" : "false";
    else {
      std::copy(p, p + sizeof(T), reinterpret_cast<std::byte*>(&e));
      if constexpr (std::is_same_v<T, std::complex<float>>) {
        const std::string imaginary = print_number(e.imag(), 0);
        return print_number(e.real(), 0) + (imaginary[0] == '-' ? "" : "+") + imaginary + "i";
      } else if constexpr (runtime::is_half<T>) {
        return print_number(static_cast<float>(e), std::is_same_v<T, float16> ? 5 : 4);  // enough to tell neighbours apart
      } else if constexpr (std::is_integral_v<T>) return std::to_string(e);
      else return print_number(e, 0);
    }
  });
}

}  // namespace

NDArray::NDArray() : NDArray(TensorType{}) {}

NDArray::NDArray(TensorType type, Device device) : type_(std::move(type)), device_(device) {
  owner_ = allocate(type_, runtime::Fill::zero, device_, data_);
  strides_ = runtime::dense_strides(type_);
}

NDArray NDArray::wrap(void* data, TensorType type, std::span<const std::int64_t> strides, std::shared_ptr<void> owner, Device device) {
  checked_bytes(type);
  NDArray a;
  a.device_ = device;
  a.strides_ = strides_or_dense(type, strides);
  a.type_ = std::move(type);
  if (!runtime::extent_of(a.type_, a.strides())) fail(a.type_, "strides reach past 64 bits");
  if (!data && a.element_count() > 0) fail(a.type_, "no memory is given");
  a.data_ = static_cast<std::byte*>(data);
  a.owner_ = std::move(owner);
  return a;
}

bool NDArray::is_dense() const {
  if (element_count() == 0) return true;
  const Strides dense = runtime::dense_strides(type_);
  for (int i = 0; i < rank(); ++i)
    if (shape()[i] != 1 && strides_[static_cast<std::size_t>(i)] != dense[static_cast<std::size_t>(i)]) return false;
  return true;
}

void* NDArray::checked(DType dtype) {
  if (dtype != type_.dtype) fail(type_, "its elements aren't " + std::string(name_of(dtype)));
  if (!device_.is_cpu()) fail(type_, "its elements lie on " + device_.str() + ", take those of to(Device::cpu())");
  if (!is_dense()) fail(type_, "its elements aren't dense, copy it first");
  const std::size_t align = visit_dtype(dtype, [](auto e) { return alignof(decltype(e)); });
  if (reinterpret_cast<std::uintptr_t>(data_) % align != 0) fail(type_, "its memory isn't aligned for its elements, copy it first");
  return data_;
}

double NDArray::item() const {
  if (element_count() != 1) fail(type_, "item() needs exactly one element");
  double value = 0;
  export_to(&value, f64);
  return value;
}

NDArray NDArray::slice(int axis, std::int64_t start, std::int64_t end, std::int64_t step) const {
  check_axis(type_, axis);
  const std::int64_t size = shape()[axis];
  const bool fits = step > 0 ? 0 <= start && start <= end && end <= size : step < 0 && -1 <= end && end <= start && start < size;
  if (!fits)
    fail(type_, "slice from " + std::to_string(start) + " to " + std::to_string(end) + " in steps of " + std::to_string(step) +
                    " doesn't lie in dimension " + std::to_string(axis));
  const auto distance = static_cast<std::uint64_t>(step > 0 ? end - start : start - end);
  const std::uint64_t stride = step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
  const auto count = static_cast<std::int64_t>(distance / stride + (distance % stride != 0));
  NDArray view = *this;
  view.type_.shape = shape().with(axis, count);
  auto& s = view.strides_[static_cast<std::size_t>(axis)];
  if (count > 0 && element_count() > 0) view.data_ += start * s;
  if (count > 1) s *= step;
  return view;
}

NDArray NDArray::transpose(std::span<const int> permutation) const {
  if (permutation.size() != static_cast<std::size_t>(rank()))
    fail(type_, "a permutation of " + std::to_string(permutation.size()) + " dimensions doesn't fit its " + std::to_string(rank()));
  NDArray view = *this;
  std::array<std::int64_t, max_rank> sizes{};
  unsigned seen = 0;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    const int axis = permutation[i];
    check_axis(type_, axis);
    if (seen & (1u << axis)) fail(type_, "the permutation has axis " + std::to_string(axis) + " twice");
    seen |= 1u << axis;
    sizes[i] = shape()[axis];
    view.strides_[i] = strides_[static_cast<std::size_t>(axis)];
  }
  view.type_.shape = Shape(std::span<const std::int64_t>(sizes.data(), permutation.size()));
  return view;
}

NDArray NDArray::transpose(int a, int b) const {
  check_axis(type_, a);
  check_axis(type_, b);
  std::array<int, max_rank> permutation{};
  for (int i = 0; i < rank(); ++i) permutation[static_cast<std::size_t>(i)] = i == a ? b : i == b ? a : i;
  return transpose(std::span<const int>(permutation.data(), static_cast<std::size_t>(rank())));
}

NDArray NDArray::reshape(Shape shape) const {
  shape = resolve_reshape(type_, shape);
  const TensorType type{dtype(), shape};
  checked_bytes(type);
  Strides strides = runtime::dense_strides(type);
  NDArray view = *this;
  if (element_count() > 0 && !strides_for_reshape(type_, this->strides(), shape, strides)) {
    view = copy();
    strides = runtime::dense_strides(type);
  }
  view.type_ = type;
  view.strides_ = strides;
  return view;
}

NDArray NDArray::broadcast_to(Shape to) const {
  const auto joined = to.is_static() ? broadcast(shape(), to) : std::nullopt;
  if (!joined || *joined != to) fail(type_, "doesn't broadcast to " + to.str());
  NDArray view = *this;
  view.type_.shape = to;
  view.strides_ = {};
  for (int i = 0, shift = to.rank() - rank(); i < rank(); ++i)
    if (shape()[i] == to[i + shift]) view.strides_[static_cast<std::size_t>(i + shift)] = strides_[static_cast<std::size_t>(i)];
  return view;
}

NDArray NDArray::on_host() const {
  if (device_.is_cpu()) return *this;
  const auto extent = *runtime::extent_of(type_, strides());
  const auto bytes = static_cast<std::size_t>(extent.high - extent.low);
  auto memory = runtime::allocate(bytes, runtime::Fill::none);
  if (!memory) fail(type_, "no memory for " + std::to_string(bytes) + " bytes");
  copy_bytes(Device::cpu(), memory.get(), device_, data_ + extent.low, bytes);
  NDArray host = *this;
  host.device_ = Device::cpu();
  host.data_ = memory.get() - extent.low;
  host.owner_ = std::move(memory);
  return host;
}

NDArray NDArray::to(Device device) const {
  if (device == device_) return *this;
  const NDArray source = is_dense() ? *this : on_host().copy();
  NDArray result = source;
  result.device_ = device;
  result.owner_ = allocate(type_, runtime::Fill::none, device, result.data_);
  result.strides_ = runtime::dense_strides(type_);
  copy_bytes(device, result.data_, source.device_, source.data_, static_cast<std::size_t>(byte_count()));
  return result;
}

NDArray NDArray::copy() const {
  if (device_.is_cpu()) return cast(dtype());
  NDArray result = *this;
  result.owner_ = allocate(type_, runtime::Fill::none, device_, result.data_);
  result.strides_ = runtime::dense_strides(type_);
  result.assign(*this);
  return result;
}

NDArray NDArray::cast(DType dtype) const {
  if (!device_.is_cpu()) return on_host().cast(dtype).to(device_);
  NDArray result = *this;
  result.type_.dtype = dtype;
  result.owner_ = allocate(result.type_, runtime::Fill::none, device_, result.data_);
  result.strides_ = runtime::dense_strides(result.type_);
  export_to(result.data_, dtype);
  return result;
}

void NDArray::assign(const NDArray& from) {
  if (from.type_ != type_) fail(type_, "can't take the elements of " + from.type_.str());
  if (data_ == from.data_ && device_ == from.device_ && std::ranges::equal(strides(), from.strides())) return;
  if (!device_.is_cpu() || !from.device_.is_cpu()) {
    if (is_dense()) {
      const NDArray source = from.is_dense() ? from : from.on_host().copy();
      return copy_bytes(device_, data_, source.device_, source.data_, static_cast<std::size_t>(byte_count()));
    }
    if (device_.is_cpu()) return assign(from.on_host());
    // What lies between the elements goes back as it came.
    NDArray host = on_host();
    host.assign(from);
    const auto extent = *runtime::extent_of(type_, strides());
    return copy_bytes(device_, data_ + extent.low, Device::cpu(), host.data_ + extent.low, static_cast<std::size_t>(extent.high - extent.low));
  }
  const auto a = *runtime::extent_of(type_, strides()), b = *runtime::extent_of(type_, from.strides());
  const std::less<const std::byte*> before;  // pointers into different blocks have no order of their own
  const bool apart = !before(data_ + a.low, from.data_ + b.high) || !before(from.data_ + b.low, data_ + a.high);
  const NDArray source = apart ? from : from.copy();
  import_from(source.data_, dtype(), source.strides());
}

void NDArray::write_bytes(std::span<const std::byte> from, std::span<const std::int64_t> strides) {
  if (strides.empty() && from.size() != static_cast<std::size_t>(byte_count()))
    fail(type_, "has " + std::to_string(byte_count()) + " bytes, " + std::to_string(from.size()) + " are given");
  const Strides used = strides_or_dense(type_, strides);
  check_covers(type_, from.data(), from.size(), first(used, rank()));
  import_from(from.data(), dtype(), first(used, rank()));
}

void NDArray::read_bytes(std::span<std::byte> to, std::span<const std::int64_t> strides) const {
  const Strides used = strides_or_dense(type_, strides);
  check_covers(type_, to.data(), to.size(), first(used, rank()));
  export_to(to.data(), dtype(), first(used, rank()));
}

void NDArray::import_from(const void* from, DType dtype, std::span<const std::int64_t> strides) {
  if (!from && element_count() > 0) fail(type_, "no memory is given");
  if (!device_.is_cpu()) {
    NDArray host(type_);
    host.import_from(from, dtype, strides);
    return assign(host);
  }
  const Strides used = strides_or_dense({dtype, shape()}, strides);
  runtime::copy_strided(shape(), {data_, type_.dtype, this->strides()}, {static_cast<const std::byte*>(from), dtype, first(used, rank())});
}

void NDArray::export_to(void* to, DType dtype, std::span<const std::int64_t> strides) const {
  if (!to && element_count() > 0) fail(type_, "no memory is given");
  if (!device_.is_cpu()) return on_host().export_to(to, dtype, strides);
  const Strides used = strides_or_dense({dtype, shape()}, strides);
  runtime::copy_strided(shape(), {static_cast<std::byte*>(to), dtype, first(used, rank())}, {data_, type_.dtype, this->strides()});
}

std::string NDArray::str() const {
  if (!device_.is_cpu()) return on_host().str();
  constexpr std::int64_t edge = 3, large = 100;
  int budget = 200;
  const bool shorten = element_count() > large;
  const auto print = [&](const auto& self, const std::byte* p, int axis) -> std::string {
    if (axis == rank()) {
      --budget;
      return print_element(p, dtype());
    }
    const std::int64_t size = shape()[axis];
    std::string s = "[";
    for (std::int64_t i = 0; i < size; ++i) {
      if (i) s += ", ";
      const bool skip = shorten && size > 2 * edge && i == edge;
      if (skip || budget <= 0) s += "...";
      if (budget <= 0) break;
      if (skip) i = size - edge - 1;
      else s += self(self, p + i * strides_[static_cast<std::size_t>(axis)], axis + 1);
    }
    return s + "]";
  };
  return type_.str() + " " + print(print, data_, 0);
}

TensorData TensorData::reference(const void* data, std::size_t byte_count, TensorType type, std::span<const std::int64_t> strides) {
  checked_bytes(type);
  const Strides used = strides_or_dense(type, strides);
  check_covers(type, data, byte_count, first(used, type.shape.rank()));
  return NDArray::wrap(const_cast<void*>(data), type, first(used, type.shape.rank()));
}

}  // namespace weft
