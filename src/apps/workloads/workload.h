// The workloads of `weft bench`: graphs with what they are fed, each known by the name of its row.
#pragma once

#include <weft/executable.h>
#include <weft/graph.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace weft::apps {

/// A graph being made ready to run.
class Setup {
 public:
  Graph graph;
  std::vector<Tensor> targets;
  std::vector<Operation> operations;

  /// A placeholder of this shape that is fed random floating-point numbers, about normal with deviation 1.
  Tensor feed(Shape shape, DType dtype = f32);
  /// One that is fed this.
  Tensor feed(NDArray value);
  /// A placeholder that is fed integers (i32) from 0 to below `bound`.
  Tensor feed_integers(Shape shape, std::int64_t bound);
  /// Feeds a placeholder that the graph has, with random numbers if they are floating-point, otherwise zeros.
  void feed(Tensor placeholder, const TensorType& type);

  Executable compile(const RunOptions& options);
  /// In the order in which the executable takes them.
  std::vector<TensorData> feeds(const Executable& executable) const;

 private:
  NDArray random(const TensorType& type) const;
  std::vector<std::pair<Tensor, NDArray>> feeds_;
};

struct Workload {
  std::string name;
  std::function<void(Setup&)> build;
  /// Calls in one loop, unless that takes too long.
  int iterations = 50;
  /// The row whose time is the floor: a library's kernel without what is stitched into it.
  std::string bare = {};
  bool stitch = true;
  DType dtype = f32;  ///< of its arithmetic
  bool tf32 = false;  ///< which may be TF32's (see RunOptions)
  /// Too much for a CPU: on one it is run only when it is asked for.
  bool is_large = false;
  /// Instead of `build`: does the work by itself and gives its seconds.
  std::function<double(Backend)> timed = {};
};

/// All of them, in the order of the table.
std::vector<Workload> workloads();

// By family.
std::vector<Workload> compile_workloads();
std::vector<Workload> elementwise_workloads();
std::vector<Workload> math_workloads();
std::vector<Workload> row_workloads();
std::vector<Workload> contraction_workloads();
std::vector<Workload> digits_workloads();
std::vector<Workload> gan_workloads();
std::vector<Workload> lstm_workloads();
std::vector<Workload> optimizer_workloads();
std::vector<Workload> picture_workloads();

/// A training step of the digits network: two 5x5 convolutions of 32 and 64 channels, each with relu and pooling by 2, dense
/// layers of 1024 and 10, cross entropy with the labels' indices, SGD.
void build_lenet(Setup& setup, std::int64_t batch);

}  // namespace weft::apps
