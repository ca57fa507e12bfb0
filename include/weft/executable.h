// Compiled graphs and what running one takes and gives.
#pragma once

#include <weft/explanation.h>
#include <weft/ndarray.h>
#include <weft/tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft {

using Feeds = std::unordered_map<Tensor, TensorData>;
/// Storage for results, given by the caller.
using Results = std::unordered_map<Tensor, TensorData>;

/// The results of a run, in the order of the targets.
class RunResult {
 public:
  RunResult() = default;
  RunResult(std::vector<Tensor> targets, std::vector<NDArray> arrays) : targets_(std::move(targets)), arrays_(std::move(arrays)) {}
  /// The value of a target. Throws RunError for a tensor that was not one.
  const NDArray& operator[](Tensor target) const;
  const NDArray& operator[](std::size_t index) const { return arrays_.at(index); }
  std::size_t size() const { return arrays_.size(); }
  auto begin() const { return arrays_.begin(); }
  auto end() const { return arrays_.end(); }

 private:
  std::vector<Tensor> targets_;
  std::vector<NDArray> arrays_;
};

/// Where a graph runs. `automatic` takes a GPU if there is one that the CUDA backend can use, otherwise the CPU backend if it was built,
/// otherwise the reference evaluator; the environment variable WEFT_BACKEND (cuda, cpu or reference) decides for `automatic`.
enum class Backend { automatic, reference, cpu, cuda };

struct RunOptions {
  Backend backend = Backend::automatic;
  /// Which GPU, with the CUDA backend; -1: the one that the environment variable WEFT_DEVICE (cuda:1) names, otherwise the first.
  int device = -1;
  /// Stitch chains of elementwise operations into one kernel. Off, every operation is a kernel of its own.
  bool stitch = true;
  /// Fold constants, merge identical operations and apply algebraic rules.
  bool simplify = true;
  /// Names of single rules to leave out; `weft rules` lists them. The environment variable WEFT_WITHOUT adds to them, separated by
  /// commas. A run that names an unknown one throws RunError.
  std::vector<std::string> without = {};
  /// Let GPUs multiply f32 as TF32: rounded to 10 bits of fraction (a relative error of about 5e-4 in each factor) and added up in f32. Matrix
  /// products and convolutions are then several times as fast. Other backends take no notice.
  bool tf32 = false;
  /// Have GPUs try several library kernels for a matrix product or convolution that is new to them, to take the fastest; what was found is kept on
  /// disk (see WEFT_CACHE_DIR). Off, products take the library's first guess, convolutions are products of windows;
  /// the environment variable WEFT_CUDA_MEASURE=0 turns it off for all runs.
  bool measure = true;
  friend bool operator==(const RunOptions&, const RunOptions&) = default;
};

struct FeedType {
  Tensor placeholder;
  TensorType type;
};

struct CacheStatistics {
  std::size_t executables = 0, hits = 0, misses = 0, evictions = 0;
  std::size_t kernels_compiled = 0;  ///< generated kernels compiled so far in this process
};

/// What compiling took and made.
struct CompileStatistics {
  double seconds = 0;                                  ///< wall time of the whole compilation
  std::vector<std::pair<std::string, double>> passes;  ///< seconds of each pass, in order
  int kernels = 0;                                     ///< generated kernels that a run launches
  int library_calls = 0;                               ///< library kernels that a run launches
  int launches = 0;                                    ///< of both, those that start together counted once
  int kernels_compiled = 0;                            ///< of the kernels, how many were not in the kernel cache
  std::int64_t arena_bytes = 0;                        ///< memory for intermediate values, known before running
  std::int64_t live_maximum = 0;                       ///< the most of it in use at any one time
  std::int64_t shadow_bytes = 0;                       ///< new values of variables that can't be written over the old ones
  std::int64_t bytes_read = 0, bytes_written = 0;      ///< by all kernels of a run
  /// What any way of running moves: feeds, variables and constants read, targets and assigned values written, each once.
  std::int64_t least_read = 0, least_written = 0;
  /// Arithmetic of the simplified graph: 2 for each term of a matrix product or convolution, 1 for each element of what
  /// else computes, be it an addition or a logarithm.
  std::int64_t flops = 0;
};

/// How one call of `run` goes about it.
struct ExecutionOptions {
  /// Runs this many times, one after the other, with the same feeds, and gives what the last run does: the same bits as so many calls. On a
  /// GPU they are begun together, so that a loop whose data and counters are variables or lie on the GPU waits for the host once in so many
  /// steps. A graph that has to check indices begins them one by one.
  int steps_per_launch = 1;
  /// A CUDA stream of the caller's (a cudaStream_t or CUstream of the primary context), for an executable that runs on a GPU. The run takes
  /// place after what the stream was given before and before what it is given later; feeds, results and variables on the GPU may be used in it
  /// without waiting. They must be kept until then. Throws RunError when the stream is being captured.
  std::optional<void*> stream = {};
};

struct ExecutableState;

/// A graph compiled for given feed types. A handle: copies share the compiled code. `run` may be called from several
/// threads at once.
class Executable {
 public:
  Executable() = default;
  explicit Executable(std::shared_ptr<ExecutableState> state) : state_(std::move(state)) {}

  /// The placeholders in the order in which `run` takes their values, and what they were compiled for.
  std::span<const FeedType> feeds() const;
  std::span<const Tensor> targets() const;
  std::span<const TensorType> output_types() const;
  const CompileStatistics& statistics() const;
  /// The graph after each pass, and what each kernel computes.
  std::string dump() const;
  /// Writes to a directory, made if need be: passes.txt and kernels.txt with what `dump` gives, and for each generated kernel
  /// LLVM IR (.ll, before optimisation) and assembly (.s). The environment variable WEFT_DUMP=DIRECTORY has everything that is
  /// compiled written to DIRECTORY/0, DIRECTORY/1, ... Throws RunError when it can't.
  void write_dump(const std::string& directory) const;
  /// The steps of a run and what each computes and moves; empty on the reference backend.
  Explanation explain() const;

  /// Feeds in the order of feeds(); gives the targets' values.
  std::vector<NDArray> run(std::span<const TensorData> feeds) const;
  std::vector<NDArray> run(std::initializer_list<TensorData> feeds) const { return run(std::span(feeds.begin(), feeds.size())); }
  /// Writes the targets' values to the caller's storage, in the order of targets(). A run that fails leaves it undefined.
  void run(std::span<const TensorData> feeds, std::span<TensorData> results, const ExecutionOptions& options = {}) const;
  /// Runs and gives the seconds that each step of explain() took; drops the targets' values.
  std::vector<double> run_timed(std::span<const TensorData> feeds) const;

  explicit operator bool() const { return state_ != nullptr; }
  ExecutableState* state() const { return state_.get(); }

 private:
  std::shared_ptr<ExecutableState> state_;
};

}  // namespace weft
