// Large copies between a GPU and memory of the host that it can't reach by itself.
#pragma once

#include "backend/cuda/driver.h"

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>

namespace weft::cuda {

class Gpu;

/// Copies piece by piece through pinned memory, in one of the two directions, in a stream beside the GPU's queue: while a piece is on its way the
/// host copies the next. Thread-safe.
class Pieces {
 public:
  /// Lives as long as the process.
  explicit Pieces(Gpu& gpu) : gpu_(gpu) {}
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  /// Copies are in order with what else it is given.
  CUstream stream();
  /// To the GPU: returns when the host's memory has been read.
  void up(std::byte* to, const std::byte* from, std::size_t bytes);
  /// To the host: returns when all is there.
  void down(std::byte* to, const std::byte* from, std::size_t bytes);

 private:
  /// Of pieces too small the starts show, of pieces too large the first and the last, beside which nothing is copied.
  static constexpr std::size_t piece_bytes = std::size_t{1} << 20;

  struct Piece {
    std::byte* memory = nullptr;
    CUevent done = nullptr;
  };
  void start();
  Piece& next() { return pieces_[next_++ % pieces_.size()]; }

  Gpu& gpu_;
  std::mutex mutex_;
  CUstream stream_ = nullptr;
  std::shared_ptr<std::byte> memory_;
  std::array<Piece, 4> pieces_;
  std::size_t next_ = 0;
};

}  // namespace weft::cuda
