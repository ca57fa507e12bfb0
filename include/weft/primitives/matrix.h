// Matrices and vectors in memory, whose rows may have gaps between them.
#pragma once

#include <weft/ndarray.h>

#include <cstddef>
#include <cstdint>

namespace weft {

/// Bytes from one row or vector to the next with which each begins at a multiple of 64 bytes.
std::int64_t aligned_row_bytes(std::int64_t columns, DType dtype);

/// `count` matrices of the same size, row by row. Members throw RunError for sizes that are negative or too large, and rows that overlap.
struct MatrixDescriptor {
  std::int64_t rows = 0, columns = 0;
  DType dtype = f32;
  std::int64_t count = 1;
  std::int64_t row_bytes = 0;     ///< from one row to the next; 0: no gap
  std::int64_t matrix_bytes = 0;  ///< from one matrix to the next; 0: rows * row_bytes

  /// [rows, columns], or, of several, [count, rows, columns].
  TensorType type() const;
  /// From the first element to past the last.
  std::int64_t byte_count() const;
  /// Refers to the caller's memory of so many bytes, which must outlive every use.
  TensorData reference(const void* data, std::size_t bytes) const;
  /// Zeros, laid out like this.
  NDArray allocate(Device device = {}) const;
};

/// `count` vectors of the same length. As MatrixDescriptor.
struct VectorDescriptor {
  std::int64_t length = 0;
  DType dtype = f32;
  std::int64_t count = 1;
  std::int64_t vector_bytes = 0;  ///< from one vector to the next; 0: no gap

  /// [length], or, of several, [count, length].
  TensorType type() const;
  std::int64_t byte_count() const;
  TensorData reference(const void* data, std::size_t bytes) const;
  NDArray allocate(Device device = {}) const;
};

}  // namespace weft
