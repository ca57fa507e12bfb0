#include <weft/primitives/matrix.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace weft {
namespace {

[[noreturn]] void fail(const std::string& what) { throw RunError("matrix descriptor: " + what); }

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (a < 0 || b < 0) fail("sizes must not be negative");
  if (__builtin_mul_overflow(a, b, &result)) fail("more bytes than 63 bits can count");
  return result;
}

/// The type and strides that a descriptor says, checked.
struct Layout {
  TensorType type;
  std::vector<std::int64_t> strides;
  std::int64_t bytes = 0;
};

/// Sizes from the outermost to the innermost, and for each but the last the bytes from one to the next, 0 for no gap.
Layout layout_of(DType dtype, std::vector<std::int64_t> sizes, std::vector<std::int64_t> steps) {
  Layout layout;
  std::int64_t inner = static_cast<std::int64_t>(size_of(dtype));  // bytes from an element of this dimension to the next
  std::int64_t used = inner;                                       // bytes of one
  steps.push_back(inner);
  for (std::size_t d = sizes.size(); d-- > 0;) {
    if (steps[d] == 0) steps[d] = inner;
    if (steps[d] < used)
      fail(std::to_string(steps[d]) + " bytes from one row, vector or matrix to the next are less than the " + std::to_string(used) + " of each");
    inner = product(steps[d], sizes[d]);
    if (sizes[d] > 0 && __builtin_add_overflow(used, product(steps[d], sizes[d] - 1), &used)) fail("more bytes than 63 bits can count");
  }
  const bool empty = std::ranges::find(sizes, 0) != sizes.end();
  layout.bytes = empty ? 0 : used;
  layout.type = {dtype, Shape(std::span<const std::int64_t>(sizes))};
  layout.strides = std::move(steps);
  return layout;
}

Layout layout_of(const MatrixDescriptor& m) {
  if (m.count == 1) return layout_of(m.dtype, {m.rows, m.columns}, {m.row_bytes});
  return layout_of(m.dtype, {m.count, m.rows, m.columns}, {m.matrix_bytes, m.row_bytes});
}

Layout layout_of(const VectorDescriptor& v) {
  if (v.count == 1) return layout_of(v.dtype, {v.length}, {});
  return layout_of(v.dtype, {v.count, v.length}, {v.vector_bytes});
}

TensorData view_of(const Layout& layout, const void* data, std::size_t bytes) {
  return TensorData::reference(data, bytes, layout.type, layout.strides);
}

NDArray allocate(const Layout& layout, Device device) {
  auto storage = std::make_shared<NDArray>(u8, Shape{layout.bytes}, device);
  std::byte* data = storage->data();
  return NDArray::wrap(data, layout.type, layout.strides, std::move(storage), device);
}

}  // namespace

std::int64_t aligned_row_bytes(std::int64_t columns, DType dtype) {
  constexpr std::int64_t alignment = 64;
  const std::int64_t bytes = product(columns, static_cast<std::int64_t>(size_of(dtype)));
  std::int64_t padded = 0;
  if (__builtin_add_overflow(bytes, alignment - 1, &padded)) fail("more bytes than 63 bits can count");
  return padded / alignment * alignment;
}

TensorType MatrixDescriptor::type() const { return layout_of(*this).type; }
std::int64_t MatrixDescriptor::byte_count() const { return layout_of(*this).bytes; }
TensorData MatrixDescriptor::reference(const void* data, std::size_t bytes) const { return view_of(layout_of(*this), data, bytes); }
NDArray MatrixDescriptor::allocate(Device device) const { return weft::allocate(layout_of(*this), device); }

TensorType VectorDescriptor::type() const { return layout_of(*this).type; }
std::int64_t VectorDescriptor::byte_count() const { return layout_of(*this).bytes; }
TensorData VectorDescriptor::reference(const void* data, std::size_t bytes) const { return view_of(layout_of(*this), data, bytes); }
NDArray VectorDescriptor::allocate(Device device) const { return weft::allocate(layout_of(*this), device); }

}  // namespace weft
