// Reductions: many elements to one, over some or all dimensions. Without a list of axes they reduce over all of them;
// an empty list reduces nothing. The reduced dimensions are left out of the result unless `keep` is set.
#pragma once

#include <weft/axes.h>
#include <weft/tensor.h>

namespace weft {

struct ReduceOptions {
  bool keep = false;  ///< reduced dimensions stay, with size 1
};

Tensor sum(Operand x, Axes axes = {}, ReduceOptions options = {});   ///< numbers; integers wrap; 0 of nothing
Tensor prod(Operand x, Axes axes = {}, ReduceOptions options = {});  ///< numbers; integers wrap; 1 of nothing
/// Real numbers. NaN if one is NaN. Of nothing: -infinity, or the lowest integer. Elements that tie share the derivative.
Tensor max(Operand x, Axes axes = {}, ReduceOptions options = {});
/// Real numbers. NaN if one is NaN. Of nothing: infinity, or the highest integer. Elements that tie share the derivative.
Tensor min(Operand x, Axes axes = {}, ReduceOptions options = {});
Tensor nanmax(Operand x, Axes axes = {}, ReduceOptions options = {});  ///< as max, but NaN elements count as absent
Tensor nanmin(Operand x, Axes axes = {}, ReduceOptions options = {});  ///< as min, but NaN elements count as absent
Tensor all(Operand x, Axes axes = {}, ReduceOptions options = {});     ///< bool; true of nothing
Tensor any(Operand x, Axes axes = {}, ReduceOptions options = {});     ///< bool; false of nothing

/// sum / number of elements; real numbers and c64. Integers are summed in 64 bits and divided towards zero. Of nothing:
/// NaN, or 0 for integers.
Tensor mean(Operand x, Axes axes = {}, ReduceOptions options = {});

struct VarianceOptions {
  bool keep = false;  ///< reduced dimensions stay, with size 1
  Tensor mean = {};   ///< x's mean where it is known already; must broadcast to x's shape
};
/// mean((x - mean(x))^2): divides by the number of elements; floating.
Tensor variance(Operand x, Axes axes = {}, VarianceOptions options = {});

struct ArgOptions {
  bool keep = false;  ///< the reduced dimension stays, with size 1
  DType dtype = i32;  ///< of the result: i32 or i64
};
/// Where along `axis` the largest element is: the first of those that tie, and the first NaN if there is one. Real
/// numbers and bool. The dimension must not be empty.
Tensor argmax(Operand x, int axis, ArgOptions options = {});
Tensor argmin(Operand x, int axis, ArgOptions options = {});
/// The place of the largest element in row-major order.
Tensor argmax(Operand x);
Tensor argmin(Operand x);

}  // namespace weft
