// cuDNN: convolutions, together with what follows them element by element, through its graphs of operations.
#pragma once

#include "backend/cuda/cudnn_api.h"
#include "backend/cuda/gpu.h"

#include <weft/dtype.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft::cuda {

/// Why cuDNN can't be used; empty when it can. Looked for once.
const std::string& cudnn_refusal();
/// "9.19.0"; empty without one.
const std::string& cudnn_version();

/// A descriptor of cuDNN's. Its functions throw RunError that names what was being done, for what the library refuses.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnn::DescriptorType type);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  CudnnDescriptor& operator=(CudnnDescriptor&&) = delete;

  template <class T> void set(cudnn::Attribute attribute, cudnn::AttributeType type, std::span<const T> elements) {
    set(attribute, type, elements.size(), elements.data());
  }
  template <class T> void set(cudnn::Attribute attribute, cudnn::AttributeType type, const T& element) { set(attribute, type, 1, &element); }
  void set(cudnn::Attribute attribute, const CudnnDescriptor& other) { set(attribute, cudnn::type_descriptor, 1, &other.handle_); }
  void finalize();
  /// How many elements there are; fills those that there is room for.
  std::int64_t get(cudnn::Attribute attribute, cudnn::AttributeType type, std::int64_t room, void* elements) const;

  cudnn::Descriptor handle() const { return handle_; }

 private:
  void set(cudnn::Attribute attribute, cudnn::AttributeType type, std::size_t count, const void* elements);

  cudnn::Descriptor handle_ = nullptr;
};

/// How a convolution's window goes over the data, by spatial dimension.
struct CudnnWindow {
  std::vector<std::int64_t> strides, dilations, low, high;
};

/// A graph of operations with a way chosen to run it.
class CudnnPlan {
 public:
  /// `tensors` are the addresses of those in memory, in the order in which they were made. May be called from several threads at once.
  void enqueue(CUstream stream, std::span<void* const> tensors, void* scratch) const;
  std::size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  friend class CudnnGraph;
  CudnnPlan(Gpu& gpu, CudnnDescriptor plan, std::vector<std::int64_t> ids);

  Gpu& gpu_;
  CudnnDescriptor plan_;
  std::vector<std::int64_t> ids_;
  std::size_t scratch_bytes_ = 0;
};

/// A graph of operations that is being built. Products and sums are computed in f32.
class CudnnGraph {
 public:
  explicit CudnnGraph(Gpu& gpu) : gpu_(gpu) {}

  enum class Place { memory, inside };  ///< inside: never written to memory
  using Tensor = std::size_t;
  /// Of f32, f16 or bf16. Batch and channels are the first two dimensions of a convolution's tensors, whatever the strides.
  Tensor tensor(DType dtype, const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides, Place place = Place::memory);

  /// `operation` is that of the forward convolution or of a gradient; `data`, `weights` and `result` are what they are in the forward one.
  void convolution(cudnn::DescriptorType operation, const CudnnWindow& window, Tensor data, Tensor weights, Tensor result);
  /// Of one operand or, unless `b` is `none`, two.
  static constexpr Tensor none = ~Tensor{0};
  void pointwise(cudnn::Pointwise mode, Tensor x, Tensor b, Tensor result);

  /// Engines that run it, each with its settings, the one that cuDNN thinks fastest first. All give the same bits every time, sum in f32 and
  /// come compiled;
  /// f32 is not rounded to TF32 unless `tf32` is true. Empty when there is none.
  std::vector<std::string> engines(bool tf32);
  /// Throws RunError if the engine doesn't run it.
  std::unique_ptr<CudnnPlan> plan(const std::string& engine);

 private:
  CudnnDescriptor& finished();

  Gpu& gpu_;
  std::deque<CudnnDescriptor> tensors_, operations_;
  std::vector<std::int64_t> ids_;  ///< of the tensors in memory
  std::unique_ptr<CudnnDescriptor> graph_;
  bool is_f32_ = false;  ///< the first tensor
};

}  // namespace weft::cuda
