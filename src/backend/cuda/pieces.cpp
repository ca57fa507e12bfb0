#include "backend/cuda/pieces.h"

#include "backend/cuda/gpu.h"

#include <weft/error.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>

namespace weft::cuda {

void Pieces::start() {
  if (memory_) return;
  gpu_.make_current();
  const std::size_t bytes = pieces_.size() * piece_bytes;
  if (!stream_) check(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "making a queue");
  for (auto& p : pieces_)
    if (!p.done) check(driver().cuEventCreate(&p.done, CU_EVENT_DISABLE_TIMING), "making an event");
  memory_ = allocate_pinned(bytes);
  if (!memory_) throw RunError("out of memory: " + std::to_string(bytes) + " bytes of pinned host memory are wanted to copy through");
  for (std::size_t i = 0; i < pieces_.size(); ++i) pieces_[i].memory = memory_.get() + i * piece_bytes;
}

CUstream Pieces::stream() {
  const std::lock_guard lock(mutex_);
  start();
  return stream_;
}

void Pieces::up(std::byte* to, const std::byte* from, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  start();
  for (std::size_t done = 0; done < bytes; done += piece_bytes) {
    const std::size_t n = std::min(bytes - done, piece_bytes);
    const Piece& piece = next();
    check(driver().cuEventSynchronize(piece.done), "copying from the host");
    std::memcpy(piece.memory, from + done, n);
    check(driver().cuMemcpyHtoDAsync(reinterpret_cast<CUdeviceptr>(to + done), piece.memory, n, stream_), "copying from the host");
    check(driver().cuEventRecord(piece.done, stream_), "copying from the host");
  }
}

void Pieces::down(std::byte* to, const std::byte* from, std::size_t bytes) {
  struct OnItsWay {
    const Piece* piece;
    std::size_t offset, bytes;
  };
  const std::lock_guard lock(mutex_);
  start();
  std::deque<OnItsWay> all;
  const auto arrive = [&] {
    const OnItsWay first = all.front();
    all.pop_front();
    check(driver().cuEventSynchronize(first.piece->done), "copying to the host");
    std::memcpy(to + first.offset, first.piece->memory, first.bytes);
  };
  for (std::size_t done = 0; done < bytes; done += piece_bytes) {
    if (all.size() == pieces_.size()) arrive();
    const OnItsWay& next_one = all.emplace_back(OnItsWay{&next(), done, std::min(bytes - done, piece_bytes)});
    check(driver().cuMemcpyDtoHAsync(next_one.piece->memory, reinterpret_cast<CUdeviceptr>(from + done), next_one.bytes, stream_),
          "copying to the host");
    check(driver().cuEventRecord(next_one.piece->done, stream_), "copying to the host");
  }
  while (!all.empty()) arrive();
}

}  // namespace weft::cuda
