// Feeds and results of a run that lie on the host, and their places on the GPU.
#pragma once

#include "backend/cuda/gpu.h"
#include "compile/backend.h"
#include "compile/program.h"
#include "stitch/checks.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace weft::cuda {

/// Arrays on the host go through blocks: one copy by the GPU brings all feeds and the number of the run, and one takes all results and the
/// reports of kernels that check indices. Large arrays are copied by themselves, beside the queue: feeds before the run and results after it, while
/// other runs go on.
class Staging {
 public:
  /// `faults`: of how many kernels reports are kept.
  Staging(Gpu& gpu, const Program& program, bool takes_run_index, std::size_t faults);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Makes room for what lies on the host in this run. True when addresses on the GPU are others than in the run before.
  bool prepare(const RunArrays& arrays);

  /// Where kernels read a feed that is on the host, the number of the run, write a target that goes there, and report.
  std::byte* feed(std::size_t index) const { return in_.get() + feeds_[index].offset; }
  std::byte* run_index(int step) const { return in_.get() + static_cast<std::size_t>(step) * sizeof(std::uint64_t); }
  std::byte* target(std::size_t index) const { return out_.get() + targets_[index].offset; }
  kernel::IndexFault* fault(std::size_t index) const { return reinterpret_cast<kernel::IndexFault*>(out_.get()) + index; }

  /// Before the steps: takes the feeds' elements. The caller's arrays are free when it returns.
  void take_feeds(const RunArrays& arrays);
  /// The copies that come before and after the steps, the same for each run.
  void enqueue_in(CUstream stream) const;
  void enqueue_out(CUstream stream) const;
  std::size_t copies() const { return (in_bytes_ > 0) + (out_bytes_ > 0); }
  /// After the steps: whether the host waits for results or reports; then waits, and gives the reports.
  bool waits() const { return out_bytes_ > 0 || has_large_targets_; }
  std::span<const kernel::IndexFault> wait(const RunArrays& arrays);
  void clear_faults();
  /// After the steps of a run that doesn't wait.
  void leave(bool is_finished_later);
  /// Waits for results, after `leave`, when other runs may have been begun.
  void finish(std::span<std::byte* const> targets);

 private:
  struct Staged {
    std::int64_t bytes = 0;
    std::size_t offset = 0;
    bool is_on_host = false, is_large = false;
  };
  /// Gives each that is on the host a place from `first` on, large ones last; gives the end of the small ones and of all.
  static std::pair<std::size_t, std::size_t> arrange(std::vector<Staged>& list, std::size_t first);
  void let_wait(CUstream stream, CUstream for_other) const;
  void give_results(std::span<std::byte* const> targets) const;
  static bool take_devices(std::vector<Staged>& list, std::span<const Device> devices);

  Gpu& gpu_;
  std::vector<Staged> feeds_, targets_;
  bool takes_run_index_, is_prepared_ = false, has_large_feeds_ = false, has_large_targets_ = false, is_busy_ = false;
  int steps_ = 1;
  std::size_t faults_;
  std::size_t in_bytes_ = 0, out_bytes_ = 0;  ///< that go through the blocks
  std::shared_ptr<std::byte> in_, out_, host_in_, host_out_;
  CUevent taken_ = nullptr;  ///< the GPU has read the feeds and, in a run that doesn't wait, written the results
  CUevent moved_ = nullptr;  ///< what a stream was given so far, for another to wait for
};

}  // namespace weft::cuda
