// cuBLASLt: matrix products.
#pragma once

#include "backend/cuda/finish.h"
#include "backend/cuda/library_call.h"

#include <cstdint>

namespace weft::cuda {

/// Has the library loaded in another thread, ahead of the first use.
void load_cublas_ahead();

/// A matrix as it lies, row-major, or a batch of them.
struct Matrix {
  std::int64_t rows, columns;
  std::int64_t batch_stride = 0;  ///< elements from one matrix of the batch to the next
};

struct ProductShape {
  Matrix a, b, result;
  bool transpose_a = false, transpose_b = false;
  std::int64_t batch = 1;
};

/// A product in cuBLASLt, whose descriptors and kernel are made once. f32 is strict unless the options allow TF32.
class Product {
 public:
  virtual ~Product() = default;
  /// result = a b, or result + a b. `bias` is that of what comes after it. May be called from several threads at once.
  virtual void enqueue(CUstream stream, const void* a, const void* b, void* result, void* scratch, bool adds = false,
                       const void* bias = nullptr) const = 0;
  virtual std::size_t scratch_bytes() const = 0;
};

struct ProductChoice {
  std::unique_ptr<Product> product;
  std::string refusal;
  double seconds = 0;  ///< that it takes; 0 if it was not measured
};
/// Operands are of type `dtype`; the result is too, or of f32.
ProductChoice make_product(Gpu& gpu, DType dtype, DType result_dtype, const ProductShape& shape, const LibraryOptions& options,
                           const Finish* after = nullptr);

/// With `after`, a call has the bias, if there is one, as its last operand, and gives what `after` makes of the product.
LibraryChoice make_matmul_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node, const LibraryOptions& options, const Finish* after = nullptr);

/// Why cuBLASLt can't be used; empty when it can. Looked for once.
const std::string& cublas_refusal();
/// "130100"; empty without cuBLASLt.
const std::string& cublas_version();

}  // namespace weft::cuda
