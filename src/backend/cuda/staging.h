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

/// Arrays on the host go through blocks: one copy by the GPU brings all feeds and the number of the run, and one takes all results. The number by
/// itself is read where it lies on the host, by turns at two places. Large arrays are
/// copied by themselves, beside the queue: feeds before the run and results after it, while other runs go on.
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
  std::byte* run_index(int step) const {
    return (has_turns() ? host_in_.get() + turn_ * turn_bytes() : in_.get()) + static_cast<std::size_t>(step) * sizeof(std::uint64_t);
  }
  std::byte* target(std::size_t index) const { return out_.get() + targets_[index].offset; }
  kernel::IndexFault* fault(std::size_t index) const { return reports_.get() + index; }

  /// Before addresses are asked for.
  void take_turn();
  /// Before the steps: takes the feeds' elements. The caller's arrays are free when it returns.
  void take_feeds(const RunArrays& arrays);
  /// The copies that come before and after the steps, the same for each run.
  void enqueue_in(CUstream stream);
  void enqueue_out(CUstream stream) const;
  std::size_t copies() const { return (in_bytes_ > 0) + (out_bytes_ > 0); }
  bool has_results() const { return out_bytes_ > 0 || has_large_targets_; }
  /// After the steps: waits for results, and gives the reports.
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
  /// One of the places of the run's number.
  struct Turn {
    CUevent read = nullptr;  ///< the run that reads it there has ended
    bool is_busy = false;    ///< it has yet to
  };
  static void wait_for_turn(Turn& turn);
  /// Whether nothing but the number of the run goes to the GPU.
  bool has_turns() const { return takes_run_index_ && in_bytes_ == 0; }
  std::size_t turn_bytes() const { return static_cast<std::size_t>(steps_) * sizeof(std::uint64_t); }
  /// Gives each that is on the host a place from `first` on, large ones last; gives the end of the small ones and of all.
  static std::pair<std::size_t, std::size_t> arrange(std::vector<Staged>& list, std::size_t first);
  /// Until the memory that feeds go through may be written again; on the GPU, too, where they don't come in the queue.
  void wait_for_feeds(bool for_all);
  void let_wait(CUstream stream, CUstream for_other) const;
  void give_results(std::span<std::byte* const> targets) const;
  static bool take_devices(std::vector<Staged>& list, std::span<const Device> devices);

  Gpu& gpu_;
  std::vector<Staged> feeds_, targets_;
  bool takes_run_index_, is_prepared_ = false, has_large_feeds_ = false, has_large_targets_ = false;
  bool is_taking_ = false;  ///< `taken_` is yet to come
  bool is_busy_ = false;    ///< `done_` is
  int steps_ = 1;
  std::size_t turn_ = 0;
  std::size_t faults_;
  /// On the host, where kernels hardly ever have to write.
  std::shared_ptr<kernel::IndexFault> reports_;
  std::size_t in_bytes_ = 0, out_bytes_ = 0;  ///< that go through the blocks
  std::shared_ptr<std::byte> in_, out_, host_in_, host_out_;
  CUevent taken_ = nullptr;  ///< the GPU has copied the block of feeds
  CUevent done_ = nullptr;   ///< it is done with the last run, of those that marked their end
  Turn turns_[2];
  CUevent moved_ = nullptr;  ///< what a stream was given so far, for another to wait for
};

}  // namespace weft::cuda
