// Shapes of tensors: a list of sizes, some of which may be unknown, or nothing known at all.
#pragma once

#include <weft/dtype.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

namespace weft {

/// A size that is not known until a graph is run.
inline constexpr std::int64_t dynamic = -1;
inline constexpr int max_rank = 16;

/// The sizes of a tensor, outermost first. An unranked shape knows nothing, not even how many sizes there are.
class Shape {
 public:
  /// A scalar: rank 0, one element.
  Shape() = default;
  /// Throws GraphError for a negative size other than `dynamic`, a rank above 16, or a product past 2^63 - 1.
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes);
  static Shape unranked();

  bool ranked() const { return rank_ >= 0; }
  /// The number of dimensions; -1 when unranked.
  int rank() const { return rank_; }
  /// Every size is known.
  bool is_static() const;
  std::int64_t operator[](int axis) const { return sizes_[static_cast<std::size_t>(axis)]; }
  std::span<const std::int64_t> sizes() const { return {sizes_.data(), static_cast<std::size_t>(rank_ > 0 ? rank_ : 0)}; }
  auto begin() const { return sizes().begin(); }
  auto end() const { return sizes().end(); }
  /// The product of the sizes. Needs is_static().
  std::int64_t element_count() const;
  /// This shape with one size replaced.
  Shape with(int axis, std::int64_t size) const;
  /// "[?,28,28,1]", "[]" for a scalar, "[...]" when unranked.
  std::string str() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

/// Whether a tensor of static shape `actual` may stand where `declared` was promised.
bool accepts(const Shape& declared, const Shape& actual);

/// The shape of an elementwise operation on both, by NumPy's rule: sizes are aligned at the innermost dimension, and a
/// size of 1 (or an absent one) repeats. Empty when the two don't agree.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

/// Element type and shape of a tensor.
struct TensorType {
  DType dtype = f32;
  Shape shape;

  /// "f32[?,28,28,1]".
  std::string str() const;
  /// Bytes of a dense tensor of this type. Needs a static shape.
  std::int64_t byte_count() const { return shape.element_count() * static_cast<std::int64_t>(size_of(dtype)); }
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

}  // namespace weft
