// Arrays that are read a known number of times, in memory that is used again.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <memory>

namespace weft {

/// An array of an ArrayPool that is forgotten with its last read: then its memory goes back as soon as nobody else holds it, a run that was
/// encoded with it included. For one thread at a time.
class TemporaryArray {
 public:
  TemporaryArray(NDArray array, int read_count);
  /// The array, to be written; doesn't count as a read. Throws RunError after the last.
  NDArray& array();
  /// The array, and one read less. Throws RunError after the last.
  NDArray read();
  int read_count() const { return read_count_; }
  /// Throws RunError for less than one read and after the last.
  void set_read_count(int count);

 private:
  void check() const;

  NDArray array_;
  int read_count_ = 0;
};

/// Memory of arrays that are gone, kept for new ones of about their size. Arrays may outlive the pool. Memory on a GPU is left to the device's own
/// pool, which knows what is still in flight. Members are safe from any thread.
class ArrayPool {
 public:
  ArrayPool();

  /// Dense, with undefined elements. Throws RunError for less than one read, and when there is no memory.
  TemporaryArray temporary(TensorType type, int read_count = 1, Device device = {});

  std::int64_t bytes_in_use() const;
  std::int64_t bytes_kept() const;
  /// Gives what is kept back to the system.
  void clear();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace weft
