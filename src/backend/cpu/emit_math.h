// Elementary functions as LLVM IR, for any number of lanes: every lane is computed as a single element would be.
#pragma once

#include "backend/cpu/emit.h"
#include "backend/cpu/math_functions.h"

namespace weft::cpu {

/// The function called `name` of operands of one type, f32 or f64; null if there is none.
llvm::Value* emit_math(llvm::IRBuilder<>& b, const Target& target, std::string_view name, llvm::ArrayRef<llvm::Value*> operands);

}  // namespace weft::cpu
