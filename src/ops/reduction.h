// What derivatives of products share.
#pragma once

#include <weft/tensor.h>

namespace weft {

/// For each factor the product of the others of its group, without dividing by zero. Given per factor: whether it is
/// zero, and of its group the number of zeros, their sum, and the product of the factors that are not zero.
Tensor product_of_others(Tensor factor, Tensor is_zero, Tensor zeros, Tensor zero_sum, Tensor nonzero_product);

}  // namespace weft
