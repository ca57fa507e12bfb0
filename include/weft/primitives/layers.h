// Layers without a graph of one's own: convolution and fully connected, with weights that a data source brings.
#pragma once

#include <weft/convolution.h>
#include <weft/executable.h>
#include <weft/ndarray.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace weft {

class CommandBuffer;

/// A function of tensors element by element, such as relu or gelu; nothing when empty.
using LayerActivation = std::function<Tensor(Tensor)>;

struct ConvolutionDescriptor {
  std::int64_t input_channels = 1, output_channels = 1;
  std::int64_t height = 1, width = 1;  ///< of the window
  /// Strides, dilations, groups and padding. Images are NHWC; the layouts here must be empty.
  ConvOptions options = {};
  LayerActivation activation = {};
};

struct FullyConnectedDescriptor {
  std::int64_t input_features = 1, output_features = 1;
  LayerActivation activation = {};
};

/// Brings the weights of a layer. When it is made, and when it reloads, a layer calls `load`, what is here and in the classes below, and `purge`, in
/// this order and from one thread; it keeps what it needs.
class LayerDataSource {
 public:
  virtual ~LayerDataSource() = default;
  /// Makes the weights ready; false where there are none, of which the layer makes a RunError.
  virtual bool load() { return true; }
  /// What `load` has made ready is no longer needed.
  virtual void purge() {}

  /// f32, f16 or bf16, or u8, which stands for places in the lookup table. Of a convolution [output channels, height, width, input channels /
  /// groups], of a fully connected layer [output features, input features].
  virtual NDArray weights() = 0;
  /// Of any of these floating types, one for each output channel or feature.
  virtual std::optional<NDArray> bias() { return {}; }
  /// For weights of u8: f32 [256], or [output channels or features, 256] with a table for each.
  virtual std::optional<NDArray> lookup_table() { return {}; }
  /// f32, f16 or bf16: weights are rounded to it before they become the images' type.
  virtual DType kernel_weights_type() { return f32; }
};

class ConvolutionDataSource : public LayerDataSource {
 public:
  virtual ConvolutionDescriptor descriptor() = 0;
};

class FullyConnectedDataSource : public LayerDataSource {
 public:
  virtual FullyConnectedDescriptor descriptor() = 0;
};

/// activation(conv2d(images, weights) + bias), in one kernel where the library or a generated kernel can; the bits are those of a graph with these
/// operations. Images are f32, f16 or bf16 [count, height, width, input channels], and so is the result; sums are f32. Computed where the images lie
/// or where the options send them. Made once, it may be called from several threads at a time.
class Convolution {
 public:
  /// Throws RunError for weights that don't fit the descriptor, GraphError for options that conv2d doesn't take.
  explicit Convolution(ConvolutionDataSource& source, RunOptions run = {});
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;

  /// On the device where the images lie. Throws RunError for images that don't fit.
  NDArray operator()(const NDArray& images) const;
  /// When the buffer's turn comes; the layer must be kept until then.
  NDArray encode(CommandBuffer& buffer, const NDArray& images) const;
  /// Takes the source's present weights; nothing that was called or encoded before may still be going on.
  void reload(ConvolutionDataSource& source);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// activation(inputs weights^T + bias). Inputs [count, ...] have `input_features` elements each; the result is [count, output features]. Otherwise as
/// Convolution.
class FullyConnected {
 public:
  explicit FullyConnected(FullyConnectedDataSource& source, RunOptions run = {});
  ~FullyConnected();
  FullyConnected(FullyConnected&&) noexcept;
  FullyConnected& operator=(FullyConnected&&) noexcept;

  NDArray operator()(const NDArray& inputs) const;
  NDArray encode(CommandBuffer& buffer, const NDArray& inputs) const;
  void reload(FullyConnectedDataSource& source);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
