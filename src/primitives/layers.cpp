#include <weft/primitives/layers.h>

#include "primitives/run_beside.h"

#include <weft/elementwise.h>
#include <weft/error.h>
#include <weft/graph.h>
#include <weft/matmul.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace weft {
namespace {

bool is_layer_type(DType dtype) { return dtype == f32 || dtype == f16 || dtype == bf16; }

void expect(std::string_view layer, std::string_view what, const NDArray& array, const Shape& shape) {
  if (!is_layer_type(array.dtype()) || array.shape() != shape)
    throw RunError(std::string(layer) + ": the " + std::string(what) + " are " + array.type().str() + ", expects f32, f16 or bf16 " + shape.str());
}

/// What stands in the tables at the places.
NDArray looked_up(std::string_view layer, const NDArray& places, const std::optional<NDArray>& table) {
  const std::int64_t outputs = places.shape()[0];
  const Shape one{256}, each{outputs, 256};
  if (!table || table->dtype() != f32 || (table->shape() != one && table->shape() != each))
    throw RunError(std::string(layer) + ": the weights are u8 and the lookup table is " + (table ? table->type().str() : "missing") +
                   ", expects f32" + one.str() + " or f32" + each.str());
  const NDArray dense = places.to(Device::cpu()).dense(), tables = table->to(Device::cpu()).dense();
  NDArray values(f32, places.shape());
  const auto from = dense.elements<std::uint8_t>();
  const auto entries = tables.elements<float>();
  const auto to = values.elements<float>();
  const std::size_t of_output = outputs == 0 ? 0 : from.size() / static_cast<std::size_t>(outputs);
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = entries[(table->rank() == 2 ? i / of_output * 256 : 0) + from[i]];
  return values;
}

/// What a source brings, checked, on the host.
struct Weights {
  NDArray weights;
  std::optional<NDArray> bias;
};

Weights take(std::string_view layer, LayerDataSource& source, const Shape& shape) {
  Weights w{source.weights(), source.bias()};
  if (w.weights.dtype() == u8 && w.weights.shape() == shape) w.weights = looked_up(layer, w.weights, source.lookup_table());
  expect(layer, "weights", w.weights, shape);
  if (w.bias) expect(layer, "biases", *w.bias, {shape[0]});
  const DType kept = source.kernel_weights_type();
  if (!is_layer_type(kept))
    throw RunError(std::string(layer) + ": kernel_weights_type is " + std::string(name_of(kept)) + ", expects f32, f16 or bf16");
  w.weights = w.weights.to(Device::cpu()).cast(kept);
  if (w.bias) w.bias = w.bias->to(Device::cpu());
  return w;
}

/// A layer for each type of images, made when such come.
class Layer {
 public:
  /// With the weights and biases, if any, of the images' type.
  using Build = std::function<Tensor(Tensor images, Tensor weights)>;

  Layer(std::string name, Weights weights, Shape images, Build build, LayerActivation activation, RunOptions run)
      : name_(std::move(name)),
        weights_(std::move(weights)),
        images_(std::move(images)),
        build_(std::move(build)),
        activation_(std::move(activation)),
        run_(std::move(run)) {
    typed(f32);  // options that make no sense are refused now
  }

  /// To go with the buffer, or done at once if there is none.
  NDArray compute(CommandBuffer* buffer, const NDArray& images) {
    if (!is_layer_type(images.dtype()) || !accepts(images_, images.shape()))
      throw RunError(name_ + ": the images are " + images.type().str() + ", expects f32, f16 or bf16 " + images_.str());
    Typed& layer = typed(images.dtype());
    return run_beside(buffer, layer.graph, layer.images, images, layer.result, run_);
  }

 private:
  struct Typed {
    Graph graph;
    Tensor images, result;
  };

  Typed& typed(DType dtype) {
    const std::lock_guard lock(mutex_);
    auto& layer = typed_[dtype];
    if (layer) return *layer;
    auto made = std::make_unique<Typed>();
    made->images = made->graph.placeholder(images_, dtype, "images");
    made->result = build_(made->images, made->graph.constant(weights_.weights.cast(dtype)));
    if (weights_.bias) made->result = made->result + made->graph.constant(weights_.bias->cast(dtype));
    if (activation_) made->result = activation_(made->result);
    return *(layer = std::move(made));
  }

  std::string name_;
  Weights weights_;
  Shape images_;
  Build build_;
  LayerActivation activation_;
  RunOptions run_;
  std::mutex mutex_;
  std::map<DType, std::unique_ptr<Typed>> typed_;
};

/// Between a source's `load` and `purge`.
class Loaded {
 public:
  Loaded(std::string_view layer, LayerDataSource& source) : source_(source) {
    if (!source.load()) throw RunError(std::string(layer) + ": the data source has no weights");
  }
  ~Loaded() { source_.purge(); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

 private:
  LayerDataSource& source_;
};

std::unique_ptr<Layer> make_convolution(ConvolutionDataSource& source, const RunOptions& run) {
  const std::string name = "convolution";
  const Loaded loaded(name, source);
  const ConvolutionDescriptor d = source.descriptor();
  const std::int64_t groups = d.options.groups;
  if (d.input_channels < 1 || d.output_channels < 1 || d.height < 1 || d.width < 1 || groups < 1 || d.input_channels % groups != 0)
    throw RunError(name + ": " + std::to_string(d.input_channels) + " input and " + std::to_string(d.output_channels) +
                   " output channels, a window of " + std::to_string(d.height) + " x " + std::to_string(d.width) + " and " + std::to_string(groups) +
                   " groups don't go together; groups divide the input channels, and all are 1 or more");
  if (!d.options.layout.empty() || !d.options.weights_layout.empty())
    throw RunError(name + ": the options have a layout; images are NHWC, weights OHWI");
  Weights w = take(name, source, {d.output_channels, d.height, d.width, d.input_channels / groups});
  const int order[] = {1, 2, 3, 0};
  w.weights = w.weights.transpose(order).dense();
  return std::make_unique<Layer>(
      name, std::move(w), Shape{dynamic, dynamic, dynamic, d.input_channels},
      [options = d.options](Tensor images, Tensor weights) { return conv2d(images, weights, options); }, d.activation, run);
}

std::unique_ptr<Layer> make_fully_connected(FullyConnectedDataSource& source, const RunOptions& run, std::int64_t& features) {
  const std::string name = "fully_connected";
  const Loaded loaded(name, source);
  const FullyConnectedDescriptor d = source.descriptor();
  if (d.input_features < 1 || d.output_features < 1)
    throw RunError(name + ": " + std::to_string(d.input_features) + " input and " + std::to_string(d.output_features) +
                   " output features, expects 1 or more");
  features = d.input_features;
  Weights w = take(name, source, {d.output_features, d.input_features});
  w.weights = w.weights.transpose(0, 1).dense();
  return std::make_unique<Layer>(
      name, std::move(w), Shape{dynamic, d.input_features}, [](Tensor inputs, Tensor weights) { return matmul(inputs, weights); }, d.activation, run);
}

}  // namespace

struct Convolution::State {
  RunOptions run;
  std::unique_ptr<Layer> layer;
};

Convolution::Convolution(ConvolutionDataSource& source, RunOptions run) : state_(new State{std::move(run), nullptr}) { reload(source); }
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

NDArray Convolution::operator()(const NDArray& images) const { return state_->layer->compute(nullptr, images); }
NDArray Convolution::encode(CommandBuffer& buffer, const NDArray& images) const { return state_->layer->compute(&buffer, images); }
void Convolution::reload(ConvolutionDataSource& source) { state_->layer = make_convolution(source, state_->run); }

struct FullyConnected::State {
  RunOptions run;
  std::unique_ptr<Layer> layer;
  std::int64_t features = 0;

  NDArray compute(CommandBuffer* buffer, const NDArray& inputs) const {
    const Shape& shape = inputs.shape();
    const bool fits = shape.rank() >= 1 && shape[0] >= 0 && inputs.element_count() == shape[0] * features;
    if (!fits) throw RunError("fully_connected: the inputs are " + inputs.type().str() + ", expects " + std::to_string(features) + " elements each");
    return layer->compute(buffer, inputs.reshape({shape[0], features}));
  }
};

FullyConnected::FullyConnected(FullyConnectedDataSource& source, RunOptions run) : state_(new State{std::move(run), nullptr}) { reload(source); }
FullyConnected::~FullyConnected() = default;
FullyConnected::FullyConnected(FullyConnected&&) noexcept = default;
FullyConnected& FullyConnected::operator=(FullyConnected&&) noexcept = default;

NDArray FullyConnected::operator()(const NDArray& inputs) const { return state_->compute(nullptr, inputs); }
NDArray FullyConnected::encode(CommandBuffer& buffer, const NDArray& inputs) const { return state_->compute(&buffer, inputs); }
void FullyConnected::reload(FullyConnectedDataSource& source) { state_->layer = make_fully_connected(source, state_->run, state_->features); }

}  // namespace weft
