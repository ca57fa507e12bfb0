// What the compiler asks of a backend.
#pragma once

#include "compile/program.h"
#include "compile/value_range.h"

#include <weft/device.h>
#include <weft/executable.h>
#include <weft/explanation.h>
#include <weft/ndarray.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// Memory of the arrays of one run, all dense, in that of the program's device but for the exceptions below. Feeds, variables, targets and updates
/// stand in the order of the program's lists; an update's memory becomes the variable's value when the run ends well.
struct RunArrays {
  std::span<const std::byte*const> feeds, variables;
  std::span<std::byte*const> targets, updates;
  std::uint64_t run_index = 0;
  std::vector<double>* step_seconds = nullptr;  ///< unless null, gets what each step of the explanation took
  /// Where feeds and targets lie: on the program's device or, when that is a GPU, on the host.
  std::span<const Device> feed_devices = {}, target_devices = {};
  /// Runs, one after the other, where the program can repeat itself: with run indices that follow each other, and with each update and the
  /// variable's present value, `present`, changing places in between where the update is beside it.
  int steps = 1;
  std::span<std::byte* const> present = {};
  /// Where the program can: targets on the host need not be there when `run` returns, but when `finish` does.
  bool defers = false;
  /// It is known that the program `goes_on`.
  bool goes_on = false;
};

/// What is known of a run's integers before it is begun, by feed and by variable; empty: nothing is.
struct KnownRanges {
  std::span<const std::optional<ValueRange>> feeds = {}, variables = {};
};

/// Seconds from lap to lap, for the runs that ask for them.
class StepTimer {
 public:
  explicit StepTimer(std::vector<double>* seconds) : seconds_(seconds) {
    if (seconds_) seconds_->clear(), last_ = Clock::now();
  }
  void lap() {
    if (!seconds_) return;
    const auto now = Clock::now();
    seconds_->push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<double>* seconds_;
  Clock::time_point last_;
};

/// A file of a dump.
struct Listing {
  std::string name, text;
};

class RunGroup;

/// A program that a backend has made ready.
class CompiledProgram {
 public:
  virtual ~CompiledProgram() = default;

  /// Where it runs.
  virtual Device device() const { return {}; }

  /// What a run needs to itself, such as memory for intermediate values. Serves many runs, one at a time.
  struct Context {
    virtual ~Context() = default;
  };
  /// Throws RunError when there is no memory.
  virtual std::unique_ptr<Context> make_context() const { return std::make_unique<Context>(); }

  /// Whether the memory of update `update` must be that of the variable's present value, which no run then leaves half written.
  virtual bool is_in_place([[maybe_unused]] std::size_t update) const { return false; }

  /// Whether so many runs, one after the other, can go on after they are begun, all that can fail behind them; only then can they be asked for at
  /// once, and with `defers`.
  virtual bool goes_on([[maybe_unused]] int runs, const KnownRanges&) const { return false; }
  /// Whether that may depend on what is known of a feed.
  virtual bool asks_for_range([[maybe_unused]] std::size_t feed) const { return false; }
  /// Returns when the context's last run, which was one with `defers`, is done.
  virtual void finish(Context&, [[maybe_unused]] std::span<std::byte* const> targets) const {}
  /// For runs of programs of the same device that are begun as one; null where there is no gain in that. They can all defer.
  virtual std::unique_ptr<RunGroup> make_group() const { return nullptr; }

  /// May be called from several threads at once, with a context each. On a GPU what is left to do goes on after it returns, in order with
  /// what is begun later, unless something of it concerns the host. Throws RunError; targets and updates that are not in
  /// place are then undefined, those in place are untouched.
  virtual void run(Context& context, const RunArrays& arrays) const = 0;
  virtual void describe(CompileStatistics&) const {}
  virtual std::string dump() const { return {}; }
  /// Empty from a backend that doesn't compile.
  virtual Explanation explain() const { return {}; }
  /// The code of each generated kernel, before and after it became machine code.
  virtual std::vector<Listing> listings() const { return {}; }
};

/// Begins several runs as one: on a GPU as one graph, once the same have come before.
class RunGroup {
 public:
  virtual ~RunGroup() = default;
  /// Before the first run.
  virtual void clear() = 0;
  /// The next run. Its feeds on the host have been read when this returns; its arrays and context are used until `begin` is over.
  virtual void add(const CompiledProgram& program, CompiledProgram::Context& context, const RunArrays& arrays) = 0;
  /// Where on the device a run that was added leaves what goes to the host, at `on_host`: feeds of later ones. Null for other memory.
  virtual const std::byte* staged(const std::byte* on_host) const = 0;
  /// Begins all; each is then to be finished. Whether they were one graph.
  virtual bool begin() = 0;
};

/// Why the backend can't run anything here; empty when it can.
std::string why_not(Backend backend);
inline bool has_backend(Backend backend) { return why_not(backend).empty(); }
std::unique_ptr<CompiledProgram> make_code(Backend backend, const Program& program, const RunOptions& options);
/// Whether a product of few rows takes longer to read a matrix across its rows than to have it transposed before, if it is read twice.
bool wants_rows_laid_out(Backend backend);
/// Generated kernels compiled so far in this process.
std::size_t kernels_compiled();

// GPUs. Those that there are not throw RunError.
/// Why there is none that can be used; empty when there is one.
std::string gpu_refusal();
int gpu_count();
/// Libraries that are used beside the driver, each with its version or why it isn't used: "cudnn 9.19.0". Empty where there is no GPU.
std::vector<std::string> gpu_libraries();
DeviceProperties gpu_properties(int index);
/// Returns when everything that was begun on it is done.
void wait_for_gpu(int index);
/// What is begun on the GPU from now on waits for what a stream of the caller's was given so far; and the other way round.
void gpu_follows_stream(int index, void* stream);
void stream_follows_gpu(int index, void* stream);
/// A point in what is begun on a GPU, for which another GPU can wait.
struct GpuMark {
  virtual ~GpuMark() = default;
};
std::shared_ptr<GpuMark> mark_gpu(int index);
void gpu_follows(int index, const GpuMark& mark);
/// Memory in order with what else is begun on the GPU.
std::shared_ptr<std::byte> gpu_allocate(int index, std::size_t bytes, bool zeroed);
/// In order with what else is begun on the devices; returns when the host's memory, if it is part, has been read or written.
void copy_bytes(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::size_t bytes);

namespace reference {
std::unique_ptr<CompiledProgram> make_code(const Program& program);
}
namespace cpu {
std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options);
std::size_t kernels_compiled();
}  // namespace cpu
namespace cuda {
std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options);
}

}  // namespace weft
