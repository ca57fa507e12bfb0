// Elementwise operations as CUDA C++ expressions.
#pragma once

#include "backend/cuda/emit_text.h"

#include <weft/dtype.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace weft::cuda {

/// The type that elements have in memory, and the one in which they are computed: float for f16 and bf16.
std::string_view memory_type(DType dtype);
std::string_view computed_type(DType dtype);

/// One operation; `types` are the operands' element types.
Text operation(std::string_view op, const std::vector<Text>& operands, const std::vector<DType>& types, DType result);
Text cast(const Text& x, DType from, DType to);
/// The literal with these bytes.
Text literal(const std::byte* bytes, DType dtype);
Text integer(std::int64_t value, DType dtype);
/// An infinity of a floating type.
Text infinity(DType dtype, bool negative);

}  // namespace weft::cuda
