// Work of a GPU as CUDA graphs, made when it comes again.
#pragma once

#include "backend/cuda/driver.h"

#include <span>
#include <vector>

namespace weft::cuda {

/// The graphs that were used last. For one thread at a time.
class Replays {
 public:
  Replays();
  ~Replays();
  Replays(const Replays&) = delete;
  Replays& operator=(const Replays&) = delete;

  /// The graph of what `enqueue` puts into a stream, and of what is the same by its addresses, `key`, and how often it is repeated. Made the second
  /// time that it is asked for, since much comes only once; null the first time.
  template <class F> CUgraphExec find(std::span<void* const> key, int repeats, F&& enqueue) {
    Replay* replay = look_up(key, repeats);
    if (!replay) return nullptr;
    if (!replay->graph) {
      const Capture capture(stream_);
      enqueue(stream_);
      replay->graph = capture.end();
    }
    return replay->graph;
  }
  void forget();

 private:
  /// As many as feeds from two buffers and variables whose values change places make together.
  static constexpr std::size_t most = 8;

  struct Replay {
    std::vector<void*> key;
    int repeats = 1;
    CUgraphExec graph = nullptr;
  };
  struct Capture {
    explicit Capture(CUstream stream);
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    CUgraphExec end() const;
    CUstream stream;
    mutable bool is_over = false;
  };
  /// Null when it comes for the first time.
  Replay* look_up(std::span<void* const> key, int repeats);

  CUstream stream_ = nullptr;    ///< takes work only to make graphs of it
  std::vector<Replay> replays_;  ///< the most recently used last
};

}  // namespace weft::cuda
