// A GPU of this machine: its queue of work, its memory and the code that was loaded into it.
#pragma once

#include "backend/cuda/driver.h"
#include "backend/cuda/pieces.h"
#include "compile/backend.h"

#include <weft/device.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// Why no GPU can be used; empty when one can. Everything that a run needs is looked for, once.
const std::string& refusal();
int gpu_count();

struct GpuProperties {
  std::string name;
  std::size_t memory = 0;
  int compute_capability = 0;  ///< 90
  int multiprocessors = 0;
  double bandwidth = 1;            ///< of its memory at best, bytes a second
  int shared_bytes_per_block = 0;  ///< the most that a kernel can ask for
};

/// What is begun on a GPU by this process happens in the order in which it was begun.
class Gpu {
 public:
  /// Lives as long as the process. Throws RunError for a GPU that there is not.
  static Gpu& at(int index);

  int index() const { return index_; }
  const GpuProperties& properties() const { return properties_; }
  CUstream stream() const { return stream_; }
  /// What the driver is told in this thread is meant for this GPU from now on.
  void make_current() const;
  /// Returns when everything that was begun is done. Throws RunError for what went wrong meanwhile.
  void wait() const;
  std::size_t free_memory() const;
  /// What is begun from now on waits for what another stream was given so far, and the other way round. Throws RunError for a stream that
  /// is being captured.
  void follow(CUstream stream);
  void precede(CUstream stream);
  /// What is begun from now on waits for another GPU's mark.
  void follow(const GpuMark& mark);
  std::shared_ptr<GpuMark> mark();

  /// Memory in order with the other work: freed, it serves what is begun afterwards. 256-byte aligned. Throws RunError that says
  /// what it was wanted `for_what` when there is not enough.
  std::shared_ptr<std::byte> allocate(std::size_t bytes, const std::string& for_what);

  void clear(std::byte* memory, std::size_t bytes);
  /// For large copies from and to the host.
  Pieces& uploads() { return uploads_; }
  Pieces& downloads() { return downloads_; }
  /// Copies from another GPU, whose work so far is waited for; returns when the bytes are there.
  void copy_from(Gpu& other, std::byte* to, const std::byte* from, std::size_t bytes);

  struct Source {
    std::string_view text, entry;
    unsigned shared_bytes = 0;  ///< that launches give it besides what it declares
  };
  struct Function {
    CUfunction handle = nullptr;
    bool was_compiled = false;  ///< by this call, rather than found in this process or on disk
  };
  struct Grid {
    std::array<unsigned, 3> blocks = {1, 1, 1};
    unsigned threads = 1, shared_bytes = 0;
    unsigned cluster = 1;  ///< so many blocks along z go together
    /// The code waits for earlier kernels (see `follow` in emit_library.cpp), so that it can be brought in while they end.
    bool follows_itself = false;
  };
  /// The same for a kernel that waits for earlier ones and has long blocks: it is brought in early if all find room at once, and has so much shared
  /// memory that no multiprocessor takes more than its share. They would go where there is room while the kernel before ends, many to some
  /// multiprocessors and none to others.
  Grid shared_out(Grid grid) const;
  /// Starts a kernel.
  void start(CUfunction function, const Grid& grid, CUstream stream, void** parameters, const char* doing) const;

  /// The code of each source, loaded. What is missing is compiled in parallel. Thread-safe.
  std::vector<Function> load(std::span<const Source> sources);

 private:
  explicit Gpu(int index);
  CUfunction load_one(const Source& source, bool& was_compiled);

  int index_;
  GpuProperties properties_;
  std::string target_;  ///< of the compiler
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  CUmemoryPool pool_ = nullptr;
  Pieces uploads_{*this}, downloads_{*this};
  std::mutex joint_mutex_;
  CUevent joint_ = nullptr;  ///< between this and other streams

  std::mutex mutex_;
  std::map<std::string, CUfunction, std::less<>> functions_;  ///< by source
};

/// In order with what else is begun on the GPUs; returns when the host's memory, if it is part, has been read or written.
void copy(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::size_t bytes);

/// Memory of the host that the GPU copies from and to by itself. Null when there is none.
std::shared_ptr<std::byte> allocate_pinned(std::size_t bytes);

/// The most scratch memory that a kernel of a library may have, in bytes: as many MiB as $WEFT_CUDA_WORKSPACE says, otherwise 256.
std::size_t most_workspace();

/// Kernels compiled so far in this process.
std::size_t kernels_compiled();

}  // namespace weft::cuda
