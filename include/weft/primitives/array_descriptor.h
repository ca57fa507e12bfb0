// Which part of an array, in which order and shape.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <variant>
#include <vector>

namespace weft {

/// Whether what a descriptor gives shares the elements of the array that it is applied to.
enum class Aliasing : std::uint8_t {
  allowed,    ///< where strides allow it, otherwise they are copied
  required,   ///< always; a reshape that would have to copy is an error
  forbidden,  ///< never
};

/// Slices, transposes, permutations and reshapes to be done to arrays, in the order in which they were added. Made once and applied to any number of
/// arrays; the members of NDArray of the same names say what each does, and throw RunError for arrays that it doesn't fit. What the descriptor was
/// made with is what those arrays have to be.
class ArrayDescriptor {
 public:
  ArrayDescriptor(DType dtype, Shape shape) : ArrayDescriptor(TensorType{dtype, std::move(shape)}) {}
  /// Unknown sizes, or rank, fit any.
  explicit ArrayDescriptor(TensorType type) : type_(std::move(type)) {}

  ArrayDescriptor& slice(int axis, std::int64_t start, std::int64_t end, std::int64_t step = 1);
  ArrayDescriptor& transpose(int a, int b);
  ArrayDescriptor& permute(std::span<const int> order);
  ArrayDescriptor& permute(std::initializer_list<int> order) { return permute(std::span(order.begin(), order.size())); }
  ArrayDescriptor& reshape(Shape shape);

  /// Of the arrays that it is applied to.
  const TensorType& type() const { return type_; }
  /// Throws RunError for an array of another type.
  NDArray apply(const NDArray& array, Aliasing aliasing = Aliasing::allowed) const;

 private:
  struct Slice {
    int axis;
    std::int64_t start, end, step;
  };
  struct Transpose {
    int a, b;
  };
  using Step = std::variant<Slice, Transpose, std::vector<int>, Shape>;

  TensorType type_;
  std::vector<Step> steps_;
};

}  // namespace weft
