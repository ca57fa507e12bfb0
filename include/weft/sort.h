// Sorting along a dimension, and the largest and smallest elements of it. Real numbers and bool. NaN counts as larger than
// everything: last in ascending order, first in descending order. Elements that are equal (so are -0 and +0, and NaN among
// each other) keep their order, ascending or descending. Derivatives go to the places that the elements came from.
#pragma once

#include <weft/tensor.h>

#include <vector>

namespace weft {

struct SortOptions {
  bool descending = false;
};
/// x's elements in ascending order along `axis`.
Tensor sort(Operand x, int axis, SortOptions options = {});
/// The keys in order, then each of the others moved in the same way. All have the keys' shape; any types.
std::vector<Tensor> sort_together(Operand keys, const std::vector<Tensor>& others, int axis, SortOptions options = {});

struct ArgSortOptions {
  bool descending = false;
  DType dtype = i32;  ///< of the result: i32 or i64
};
/// The places along `axis` from which sort takes its elements.
Tensor argsort(Operand x, int axis, ArgSortOptions options = {});

struct TopK {
  Tensor values;
  Tensor indices;  ///< where along the axis they come from
};
struct TopKOptions {
  DType dtype = i32;  ///< of the indices: i32 or i64
};
/// The k largest elements along `axis` in descending order: the first k of a descending sort. 0 <= k <= size of the dimension.
TopK top_k(Operand x, std::int64_t k, int axis = -1, TopKOptions options = {});
/// The k smallest elements in ascending order.
TopK bottom_k(Operand x, std::int64_t k, int axis = -1, TopKOptions options = {});

}  // namespace weft
