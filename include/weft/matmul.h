// Products of matrices.
#pragma once

#include <weft/tensor.h>

namespace weft {

struct MatmulOptions {
  bool transpose_a = false;  ///< a is read as [..., k, m]
  bool transpose_b = false;  ///< b is read as [..., n, k]
};

/// The matrix product: of [..., m, k] and [..., k, n] it is [..., m, n]; the dimensions before the last two broadcast. As in
/// NumPy an operand of rank 1 is a row on the left, a column on the right, and that dimension is missing from the result.
/// Numbers, both operands of the same type. Floating types narrower than f32 are summed in f32; integers wrap.
Tensor matmul(Operand a, Operand b, MatmulOptions options = {});

}  // namespace weft
