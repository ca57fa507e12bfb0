// Scans: each element combined with those before it along a dimension.
#pragma once

#include <weft/tensor.h>

namespace weft {

struct CumulativeOptions {
  bool exclusive = false;  ///< without the element itself: the first result is that of no elements
  bool reverse = false;    ///< from the end of the dimension to its beginning
};

/// result[i] = x[0] + .. + x[i] along `axis`; numbers. Integers wrap; floating sums are accumulated in f64. 0 of no elements.
Tensor cumulative_sum(Operand x, int axis, CumulativeOptions options = {});
/// result[i] = x[0] * .. * x[i] along `axis`; numbers. 1 of no elements. The derivative holds where elements are 0, too.
Tensor cumulative_product(Operand x, int axis, CumulativeOptions options = {});
/// The largest of x[0], .., x[i]; real numbers. NaN from the first NaN on. Of no elements: -infinity, or the lowest integer.
/// Of those that tie the last so far gets the derivative.
Tensor cumulative_maximum(Operand x, int axis, CumulativeOptions options = {});
/// The smallest of x[0], .., x[i]; real numbers. NaN from the first NaN on. Of no elements: infinity, or the highest
/// integer. Of those that tie the last so far gets the derivative.
Tensor cumulative_minimum(Operand x, int axis, CumulativeOptions options = {});
/// result[i] = x[i] + factor[i] * result[i - 1] along `axis`, where result[-1] is 0; numbers. `factor` broadcasts to x.
/// Exclusive: result[i - 1] in place i. Discounted sums and first-order filters are of this form.
Tensor linear_recurrence(Operand x, Operand factor, int axis, CumulativeOptions options = {});

}  // namespace weft
