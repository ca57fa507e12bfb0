// Generates LLVM IR for kernels, with vectors written out.
#pragma once

#include "backend/cpu/kernel_function.h"
#include "backend/cpu/llvm.h"
#include "stitch/kernel.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft::cpu {

/// The processor that code is for.
struct Target {
  int vector_bits = 128;
};

/// Elements that one vector of this kernel holds; 1 when it has no vector loop.
int lanes_of(const kernel::Kernel& kernel, const Target& target);

/// A module with one function, a KernelFunction named `symbol`.
std::unique_ptr<llvm::Module> emit(const kernel::Kernel& kernel, const kernel::Structure& structure, const std::string& symbol, const Target& target,
                                   llvm::LLVMContext& context);

/// An element, or a vector of them, in the type that it is computed in: f16 and bf16 in f32, bool as i1. `im` is the
/// imaginary part of c64.
struct Value {
  llvm::Value* re = nullptr;
  llvm::Value* im = nullptr;
};

/// Emits elementwise operations.
class OpEmitter {
 public:
  OpEmitter(llvm::IRBuilder<>& builder, const Target& target) : b(builder), target_(target) {}

  /// One operation; `types` are the operands' element types.
  Value emit(std::string_view op, const std::vector<Value>& operands, const std::vector<DType>& types, DType result);
  Value cast(Value v, DType from, DType to);
  /// The bits of a literal as a scalar.
  Value literal(const std::byte* bytes, DType dtype);
  /// A scalar as a vector.
  llvm::Value* splat(llvm::Value* v, int lanes) {
    return lanes == 1 || v->getType()->isVectorTy() ? v : b.CreateVectorSplat(static_cast<unsigned>(lanes), v);
  }
  /// A constant of v's type.
  llvm::Value* number(llvm::Value* like, double value);
  llvm::Value* integer(llvm::Value* like, std::int64_t value);
  llvm::Type* type(DType dtype, int lanes);

  /// bf16 in memory <-> f32.
  llvm::Value* widen_bf16(llvm::Value* bits);
  llvm::Value* narrow_bf16(llvm::Value* v);

  llvm::IRBuilder<>& b;

 private:
  llvm::Value* floating(std::string_view op, const std::vector<llvm::Value*>& v);
  llvm::Value* integral(std::string_view op, const std::vector<llvm::Value*>& v, bool is_signed);
  Value complex(std::string_view op, const std::vector<Value>& v);
  llvm::Value* compare(std::string_view op, llvm::Value* x, llvm::Value* y, DType dtype);
  llvm::Value* philox(const std::vector<Value>& v, DType result);
  llvm::Value* round_to_odd(llvm::Value* v);
  /// Floats as integers, cut off at the limits of the type; NaN is 0.
  llvm::Value* saturated(llvm::Value* x, DType to);

  Target target_;
};

}  // namespace weft::cpu
