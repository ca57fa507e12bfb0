// Layers without a graph: the bits of graphs built by hand, tables of weights, queues, what sources are asked for, errors.
#include "evaluated.h"

#include "compile/backend.h"

#include <weft/activation.h>
#include <weft/elementwise.h>
#include <weft/graph.h>
#include <weft/matmul.h>
#include <weft/primitives/layers.h>
#include <weft/queue.h>

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

namespace weft::layers_test {
namespace {

template <class Base, class Descriptor> struct Source final : Base {
  Descriptor what;
  NDArray w;
  std::optional<NDArray> b, table;
  DType kept = f32;
  bool has_weights = true;
  std::string asked;  ///< what it was asked for, in order

  Source(Descriptor what, NDArray w) : what(std::move(what)), w(std::move(w)) {}
  Descriptor descriptor() override { return asked += "d", what; }
  bool load() override { return asked += "l", has_weights; }
  void purge() override { asked += "p"; }
  NDArray weights() override { return asked += "w", w; }
  std::optional<NDArray> bias() override { return asked += "b", b; }
  std::optional<NDArray> lookup_table() override { return asked += "t", table; }
  DType kernel_weights_type() override { return kept; }
};
using ConvolutionSource = Source<ConvolutionDataSource, ConvolutionDescriptor>;
using FullyConnectedSource = Source<FullyConnectedDataSource, FullyConnectedDescriptor>;

NDArray waves(const Shape& shape, double step) {
  NDArray a(f32, shape);
  double t = 0.25;
  for (auto& v : a.elements<float>()) v = static_cast<float>(std::sin(t)), t += step;
  return a;
}

std::vector<RunOptions> backends() {
  std::vector<RunOptions> list;
  for (const Backend backend : {Backend::reference, Backend::cpu, Backend::cuda})
    if (has_backend(backend)) list.push_back({.backend = backend});
  return list;
}

ConvolutionDescriptor strided() {
  return {.input_channels = 4,
          .output_channels = 6,
          .height = 3,
          .width = 2,
          .options = {.strides = {2, 1}, .dilations = {1, 2}, .groups = 2, .padding = Padding::same},
          .activation = [](Tensor x) { return gelu(x); }};
}

TEST(Layers, ConvolveAsGraphsDo) {
  ConvolutionSource source(strided(), waves({6, 3, 2, 2}, 0.7));
  source.b = waves({6}, 1.1);
  for (const auto& run : backends()) {
    const Convolution layer(source, run);
    for (const DType dtype : {f32, f16, bf16})
      for (const std::int64_t count : {3, 1, 0}) {
        const NDArray images = waves({count, 7, 5, 4}, 0.3).cast(dtype);
        Graph g;
        const Tensor x = g.placeholder(images.shape(), dtype);
        const int order[] = {1, 2, 3, 0};
        const Tensor w = g.constant(source.w.transpose(order).dense().cast(dtype)), b = g.constant(source.b->cast(dtype));
        const Tensor y = gelu(conv2d(x, w, strided().options) + b);
        EXPECT_EQ(layer(images).str(), g.run({{x, images}}, {y}, {}, run)[0].str()) << name_of(dtype) << " " << count;
      }
  }
}

TEST(Layers, ConnectFullyAsGraphsDo) {
  FullyConnectedSource source({.input_features = 12, .output_features = 5, .activation = [](Tensor x) { return relu(x); }}, waves({5, 12}, 0.7));
  source.b = waves({5}, 1.1).cast(f16);
  for (const auto& run : backends()) {
    const FullyConnected layer(source, run);
    for (const DType dtype : {f32, f16, bf16}) {
      const NDArray inputs = waves({3, 2, 6}, 0.3).cast(dtype);
      Graph g;
      const Tensor x = g.placeholder({3, 12}, dtype);
      const Tensor y = relu(matmul(x, g.constant(source.w.transpose(0, 1).dense().cast(dtype))) + g.constant(source.b->cast(dtype)));
      EXPECT_EQ(layer(inputs).str(), g.run({{x, inputs.reshape({3, 12})}}, {y}, {}, run)[0].str()) << name_of(dtype);
    }
  }
}

TEST(Layers, RoundWeightsToTheTypeInWhichTheyAreKept) {
  FullyConnectedSource source({.input_features = 1, .output_features = 1}, NDArray::of<float>({1, 1}, {1 + 1.0f / 512}));
  const NDArray two = NDArray::of<float>({1, 1}, {2});
  EXPECT_EQ(FullyConnected(source)(two).item(), 2 + 1.0 / 256);
  source.kept = bf16;
  EXPECT_EQ(FullyConnected(source)(two).item(), 2);
}

TEST(Layers, LookWeightsUp) {
  FullyConnectedSource source({.input_features = 3, .output_features = 2}, NDArray::of<std::uint8_t>({2, 3}, {0, 1, 255, 2, 0, 1}));
  NDArray table(f32, {256});
  auto entries = table.elements<float>();
  entries[0] = 1, entries[1] = 10, entries[2] = 100, entries[255] = 1000;
  source.table = table;
  const NDArray inputs = NDArray::of<float>({1, 3}, {1, 2, 3});
  EXPECT_EQ(FullyConnected(source)(inputs).str(), "f32[1,2] [[3021, 132]]");
  NDArray tables(f32, {2, 256});
  tables.slice(0, 0, 1).assign(table.reshape({1, 256}));
  tables.slice(0, 1, 2).assign(NDArray::of<float>({1, 1}, {7}).broadcast_to({1, 256}));
  source.table = tables;
  EXPECT_EQ(FullyConnected(source)(inputs).str(), "f32[1,2] [[3021, 42]]");
}

TEST(Layers, GoWithQueuesAndThreads) {
  ConvolutionSource source(strided(), waves({6, 3, 2, 2}, 0.7));
  const Convolution layer(source);
  const NDArray images = waves({2, 8, 8, 4}, 0.3);
  const std::string expected = layer(images).str();
  Queue queue;
  CommandBuffer buffer(queue);
  const NDArray result = layer.encode(buffer, images);
  buffer.commit();
  buffer.wait();
  EXPECT_EQ(result.to(Device::cpu()).str(), expected);
  std::vector<std::thread> threads;
  std::vector<std::string> got(4);
  for (auto& text : got) threads.emplace_back([&] { text = layer(images).str(); });
  for (auto& t : threads) t.join();
  for (const auto& text : got) EXPECT_EQ(text, expected);
}

TEST(Layers, AskSourcesInOrderAndAgainWhenTheyReload) {
  FullyConnectedSource source({.input_features = 1, .output_features = 1}, NDArray::of<float>({1, 1}, {3}));
  FullyConnected layer(source);
  EXPECT_EQ(source.asked, "ldwbp");
  const NDArray one = NDArray::of<float>({1, 1}, {1});
  EXPECT_EQ(layer(one).item(), 3);
  source.w = NDArray::of<float>({1, 1}, {4});
  EXPECT_EQ(layer(one).item(), 3) << "the layer has its own weights";
  layer.reload(source);
  EXPECT_EQ(layer(one).item(), 4);
  source.has_weights = false;
  source.asked.clear();
  EXPECT_THROW(layer.reload(source), RunError);
  EXPECT_EQ(source.asked, "l");
  EXPECT_EQ(layer(one).item(), 4) << "a reload that fails leaves the layer as it was";
}

TEST(Layers, LeaveResultsWhereTheImagesLie) {
  ConvolutionSource source({.input_channels = 2, .output_channels = 3}, waves({3, 1, 1, 2}, 1));
  const Convolution layer(source);
  const NDArray images = waves({2, 4, 4, 2}, 2), expected = layer(images);
  for (const Device device : Device::all()) {
    const NDArray result = layer(images.to(device));
    EXPECT_TRUE(result.device() == device);
    EXPECT_EQ(result.to(Device::cpu()).shape(), expected.shape());
    Queue queue;
    CommandBuffer buffer(queue);
    const NDArray later = layer.encode(buffer, images.to(device));
    buffer.commit();
    buffer.wait();
    EXPECT_TRUE(later.device() == device);
    EXPECT_EQ(later.to(Device::cpu()).str(), result.to(Device::cpu()).str());
  }
}

TEST(Layers, SayWhatDoesntFit) {
  ConvolutionSource source({.input_channels = 2, .output_channels = 3}, waves({3, 1, 1, 2}, 1));
  const Convolution layer(source);
  EXPECT_EQ(error_of<RunError>([&] {
              layer(NDArray(f32, {1, 4, 4, 3}));
            }),
            "convolution: the images are f32[1,4,4,3], expects f32, f16 or bf16 [?,?,?,2]");
  EXPECT_EQ(error_of<RunError>([&] {
              layer(NDArray(f64, {1, 4, 4, 2}));
            }),
            "convolution: the images are f64[1,4,4,2], expects f32, f16 or bf16 [?,?,?,2]");
  source.w = waves({3, 2}, 1);
  EXPECT_EQ(error_of<RunError>([&] { Convolution{source}; }), "convolution: the weights are f32[3,2], expects f32, f16 or bf16 [3,1,1,2]");
  source.w = NDArray(u8, {3, 1, 1, 2});
  EXPECT_EQ(error_of<RunError>([&] { Convolution{source}; }),
            "convolution: the weights are u8 and the lookup table is missing, expects f32[256] or f32[3,256]");
  EXPECT_EQ(source.asked.back(), 'p') << "purged all the same";
  source.w = waves({3, 1, 1, 2}, 1);
  source.b = waves({2}, 1);
  EXPECT_EQ(error_of<RunError>([&] { Convolution{source}; }), "convolution: the biases are f32[2], expects f32, f16 or bf16 [3]");
  source.b.reset();
  source.kept = i32;
  EXPECT_EQ(error_of<RunError>([&] { Convolution{source}; }), "convolution: kernel_weights_type is i32, expects f32, f16 or bf16");
  source.kept = f32;
  source.what.options.groups = 3;
  EXPECT_EQ(error_of<RunError>([&] { Convolution{source}; }).substr(0, 61), "convolution: 2 input and 3 output channels, a window of 1 x 1");
  source.what.options.groups = 1;
  source.what.options.strides = {-1};
  EXPECT_THROW(Convolution{source}, GraphError);
  FullyConnectedSource dense({.input_features = 4, .output_features = 1}, waves({1, 4}, 1));
  const FullyConnected connected(dense);
  EXPECT_EQ(error_of<RunError>([&] { connected(NDArray(f32, {2, 3})); }), "fully_connected: the inputs are f32[2,3], expects 4 elements each");
  dense.what.output_features = 0;
  EXPECT_EQ(error_of<RunError>([&] { FullyConnected{dense}; }), "fully_connected: 4 input and 0 output features, expects 1 or more");
}

}  // namespace
}  // namespace weft::layers_test
