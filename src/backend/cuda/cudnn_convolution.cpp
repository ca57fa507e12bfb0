// Convolutions in cuDNN.
#include "backend/cuda/convolution.h"
#include "backend/cuda/cudnn.h"

#include <weft/error.h>

#include <algorithm>
#include <utility>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;
using Geometry = ConvolutionGeometry;
using Sizes = std::vector<std::int64_t>;

/// cuDNN wants weights with the result's channels first: a matrix with these as columns becomes one with them as rows, or back.
constexpr const char* transpose_source = R"(
extern "C" __global__ void transpose_weights(const Element* from, Element* to, unsigned rows, unsigned columns) {
  __shared__ Element tile[32][33];
  const unsigned row = blockIdx.y * 32, column = blockIdx.x * 32;
  for (unsigned r = threadIdx.y; r < 32; r += 8)
    if (row + r < rows && column + threadIdx.x < columns)
      tile[r][threadIdx.x] = from[(unsigned long long)(row + r) * columns + column + threadIdx.x];
  __syncthreads();
  for (unsigned c = threadIdx.y; c < 32; c += 8)
    if (column + c < columns && row + threadIdx.x < rows)
      to[(unsigned long long)(column + c) * rows + row + threadIdx.x] = tile[threadIdx.x][c];
}
)";

/// Dense, with the second dimension last in memory.
Sizes channels_last(const Sizes& sizes) {
  Sizes strides(sizes.size());
  std::int64_t stride = sizes[1];
  strides[1] = 1;
  for (std::size_t d = sizes.size() - 1; d >= 2; --d) strides[d] = stride, stride *= sizes[d];
  strides[0] = stride;
  return strides;
}

/// Two spatial dimensions, or three where the first of them is more than one place.
CudnnGraph graph_of(Gpu& gpu, Member member, DType dtype, const Geometry& g, const Finish* after) {
  const std::size_t first = g.in[0] == 1 && g.out[0] == 1 && g.window[0] == 1 && g.low[0] == 0 ? 1 : 0;
  const auto spatial = [&](std::int64_t a, std::int64_t b, const Geometry::Sizes& sizes) {
    Sizes list{a, b};
    list.insert(list.end(), sizes.begin() + static_cast<std::ptrdiff_t>(first), sizes.end());
    return list;
  };
  CudnnWindow window;
  for (std::size_t d = first; d < 3; ++d) {
    // Where the same padding at both ends gives as many places, that is what more engines take.
    const std::int64_t reach = (g.window[d] - 1) * g.dilations[d] + 1, both = (g.in[d] + 2 * g.low[d] - reach) / g.strides[d] + 1;
    window.strides.push_back(g.strides[d]);
    window.dilations.push_back(g.dilations[d]);
    window.low.push_back(g.low[d]);
    window.high.push_back(both == g.out[d] ? g.low[d] : std::max<std::int64_t>((g.out[d] - 1) * g.strides[d] + reach - g.in[d] - g.low[d], 0));
  }
  const Sizes data = spatial(g.images, g.in_channels * g.groups, g.in), weights = spatial(g.out_channels, g.in_channels, g.window),
              result = spatial(g.images, g.out_channels, g.out);
  CudnnGraph graph(gpu);
  const auto written = [&] { return graph.tensor(dtype, result, channels_last(result)); };
  const auto inside = [&] { return graph.tensor(f32, result, channels_last(result), CudnnGraph::Place::inside); };
  const auto x = graph.tensor(dtype, data, channels_last(data)), w = graph.tensor(dtype, weights, channels_last(weights));
  auto y = after ? inside() : written();
  graph.convolution(member == Member::forward         ? cudnn::operation_forward
                    : member == Member::data_gradient ? cudnn::operation_data_gradient
                                                      : cudnn::operation_weights_gradient,
                    window, x, w, y);
  if (after && after->bias >= 0) {
    Sizes channels(result.size(), 1);
    channels[1] = g.out_channels;
    const auto bias = graph.tensor(dtype, channels, channels_last(channels)), sum = after->relu ? inside() : written();
    graph.pointwise(cudnn::pointwise_add, y, bias, sum);
    y = sum;
  }
  if (after && after->relu) graph.pointwise(cudnn::pointwise_relu, y, CudnnGraph::none, written());
  return graph;
}

class CudnnConvolution final : public LibraryCall {
 public:
  CudnnConvolution(Gpu& gpu, Member member, DType dtype, const Geometry& g, const Finish* after, const std::string& engine)
      : member_(member),
        plan_(graph_of(gpu, member, dtype, g, after).plan(engine)),
        name_("cudnn engine " + engine.substr(0, engine.find(' ')) + (after ? after->str() : "")) {
    rows_ = static_cast<unsigned>(g.columns());
    columns_ = static_cast<unsigned>(g.out_channels);
    if (rows_ == 1 || columns_ == 1) return;
    if (member == Member::weights_gradient) std::swap(rows_, columns_);
    weights_bytes_ = (static_cast<std::size_t>(rows_) * columns_ * size_of(dtype) + 255) / 256 * 256;
    const std::string source = std::string("typedef ") + (size_of(dtype) == 4 ? "unsigned" : "unsigned short") + " Element;\n" + transpose_source;
    const Gpu::Source sources[] = {{source, "transpose_weights"}};
    transpose_ = gpu.load(sources)[0].handle;
  }

  std::size_t scratch_bytes() const override { return weights_bytes_ + plan_->scratch_bytes(); }
  std::string describe() const override { return name_; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    std::byte* weights = static_cast<std::byte*>(scratch);
    void* workspace = weights + weights_bytes_;
    // Data, weights and result as the forward convolution has them.
    std::vector<void*> tensors(operands.begin(), operands.end());
    tensors.push_back(results[0]);
    if (member_ == Member::data_gradient) std::swap(tensors[0], tensors[2]);
    if (member_ == Member::weights_gradient) std::swap(tensors[1], tensors[2]);
    void* const given = tensors[1];
    if (transpose_) tensors[1] = weights;
    if (transpose_ && member_ != Member::weights_gradient) transpose(stream, given, weights);
    plan_->enqueue(stream, tensors, workspace);
    if (transpose_ && member_ == Member::weights_gradient) transpose(stream, weights, given);
  }

 private:
  void transpose(CUstream stream, const void* from, void* to) const {
    unsigned rows = rows_, columns = columns_;
    void* parameters[] = {&from, &to, &rows, &columns};
    check(driver().cuLaunchKernel(transpose_, (columns + 31) / 32, (rows + 31) / 32, 1, 32, 8, 1, 0, stream, parameters, nullptr),
          "transposing weights");
  }

  Member member_;
  std::unique_ptr<CudnnPlan> plan_;
  std::string name_;
  CUfunction transpose_ = nullptr;   ///< null where both orders are one
  unsigned rows_ = 0, columns_ = 0;  ///< of what is transposed
  std::size_t weights_bytes_ = 0;
};

std::string refusal_of(DType dtype, const Geometry& g) {
  if (!cudnn_refusal().empty()) return cudnn_refusal();
  if (dtype == f64) return "cuDNN is not asked for f64";
  constexpr std::int64_t largest = 0x7fffffff, largest_grid = 65535 * std::int64_t{32};
  if (std::max(g.columns(), g.out_channels) > largest_grid ||
      std::max(g.images * g.places() * g.out_channels, g.images * Geometry::product(g.in) * g.in_channels * g.groups) > largest)
    return "a size is past 32 bits";
  return {};
}

}  // namespace

std::vector<std::string> cudnn_convolution_engines(Gpu& gpu, Member member, DType dtype, const Geometry& g, const Finish* after, bool tf32) {
  if (!refusal_of(dtype, g).empty()) return {};
  try {
    return graph_of(gpu, member, dtype, g, after).engines(tf32);
  } catch (const RunError&) { return {}; }  // it is none of cuDNN's
}

LibraryChoice make_cudnn_convolution(Gpu& gpu, Member member, DType dtype, const Geometry& g, const Finish* after, const std::string& engine) {
  if (auto refusal = refusal_of(dtype, g); !refusal.empty()) return {nullptr, std::move(refusal)};
  return {std::make_unique<CudnnConvolution>(gpu, member, dtype, g, after, engine), {}};
}

}  // namespace weft::cuda
