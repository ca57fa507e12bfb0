#include "backend/cuda/convolution.h"

#include "backend/cuda/choice.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/cudnn.h"
#include "backend/cuda/tiles_call.h"
#include "graph/primitive.h"

#include <algorithm>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;
using Geometry = ConvolutionGeometry;
using Sizes = Geometry::Sizes;

Geometry geometry_of(const Shape& data, const Shape& weights, const Shape& result, const Attributes& attributes) {
  Geometry g;
  const int rank = data.rank() - 2;
  g.images = data[0];
  g.groups = attributes.integer("groups");
  g.in_channels = data[rank + 1] / g.groups;
  g.out_channels = result[rank + 1];
  for (int d = 0; d < rank; ++d) {
    const auto to = static_cast<std::size_t>(3 - rank + d), from = static_cast<std::size_t>(d);
    g.in[to] = data[1 + d];
    g.out[to] = result[1 + d];
    g.window[to] = weights[d];
    g.strides[to] = attributes.integers("strides")[from];
    g.dilations[to] = attributes.integers("dilations")[from];
    g.low[to] = attributes.integers("low")[from];
  }
  return g;
}

/// Below this a generated kernel takes no longer.
constexpr std::int64_t least_multiplications = 1 << 17;

constexpr std::int64_t least_in_group = 4;

/// The name of the way by windows; those by cuDNN are this and an engine, those by tiles this and which.
constexpr std::string_view windows = "windows", cudnn_prefix = "cudnn ";
/// Engines that are tried.
constexpr std::size_t most_engines = 6;

std::string described(std::string_view op, DType dtype, const Geometry& g, bool tf32) {
  std::string text = std::string(op) + " " + std::string(tf32 && dtype == f32 ? "tf32" : name_of(dtype));
  for (auto n : {g.in_channels, g.out_channels, g.groups}) text += " " + std::to_string(n);
  for (const auto* sizes : {&g.in, &g.out, &g.window, &g.strides, &g.dilations, &g.low}) {
    text += ",";
    for (auto n : *sizes) text += " " + std::to_string(n);
  }
  return text;
}

}  // namespace

LibraryChoice make_convolution_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node, const LibraryOptions& options, const Finish* after) {
  const Attributes& attributes = node.attributes;
  const Member member = node.op->name == "conv"                 ? Member::forward
                        : node.op->name == "conv_data_gradient" ? Member::data_gradient
                                                                : Member::weights_gradient;
  const std::string &layout = attributes.text("layout"), &weights_layout = attributes.text("weights_layout");
  if (!layout.starts_with('N') || !layout.ends_with('C') || !weights_layout.ends_with("IO")) return {nullptr, "channels are not last"};
  for (const auto* pads : {&attributes.integers("low"), &attributes.integers("high")})
    if (std::ranges::any_of(*pads, [](auto p) { return p < 0; })) return {nullptr, "negative padding"};
  const TensorType& type = node.types[0];
  if (!is_floating(type.dtype)) return {nullptr, "no library convolves " + std::string(name_of(type.dtype))};
  const TensorType &first = graph.type(node.operands[0]), &second = graph.type(node.operands[1]);
  const Geometry g =
      geometry_of(member == Member::data_gradient ? type.shape : first.shape, member == Member::weights_gradient ? type.shape : second.shape,
                  member == Member::forward         ? type.shape
                  : member == Member::data_gradient ? first.shape
                                                    : second.shape,
                  attributes);
  // Some of cuDNN's engines for gradients of weights compute another thing where there is padding, so that none is taken without a check.
  // Strictly in f32 it copies arrays into layouts of its own: tiles take no longer, and it need not be loaded.
  const bool are_tiles_best = type.dtype == f32 && !options.tf32 && has_tiles(gpu, member, f32, g);
  const bool has_cudnn = !are_tiles_best && !(g.groups > 1 && member == Member::weights_gradient) &&
                         // Engines of cuDNN 9.14 that add a bias without a relu in f16 make 0 of -inf.
                         !(after && (member != Member::forward || after->base >= 0 || after->bias < 0 || !after->relu || after->positive >= 0));
  if (g.groups > 1 && std::min(g.in_channels, g.out_channels / g.groups) < least_in_group)
    return {nullptr, "few channels in a group: a generated kernel takes no longer"};
  if (g.images * g.places() * g.columns() * g.out_channels < least_multiplications) return {nullptr, "too small: a generated kernel takes no longer"};

  std::string refusal;
  const auto make = [&](const std::string& name) {
    LibraryChoice made = name.starts_with(cudnn_prefix) ? make_cudnn_convolution(gpu, member, type.dtype, g, after, name.substr(cudnn_prefix.size()))
                         : name.starts_with(tiles_prefix) ? make_tiles_call(gpu, member, type.dtype, g, after, name.substr(tiles_prefix.size()))
                                                          : make_windows_call(gpu, member, type.dtype, g, options);
    if (!made.call) refusal = made.refusal;
    return std::move(made.call);
  };
  const auto names = [&] {
    std::vector<std::string> list;
    for (auto& tiles : tiles_names(gpu, member, type.dtype, g)) list.push_back(std::string(tiles_prefix) + tiles);
    const std::size_t most = list.size() + most_engines;
    if (has_cudnn)
      for (auto& engine : cudnn_convolution_engines(gpu, member, type.dtype, g, after, options.tf32))
        if (list.size() < most) list.push_back(std::string(cudnn_prefix) + engine);
    if (!after && g.groups == 1) list.emplace_back(windows);
    return list;
  };
  const auto bytes_of = [](const TensorType& t) { return static_cast<std::size_t>(t.shape.element_count()) * size_of(t.dtype); };
  const std::string problem = described(node.op->name, type.dtype, g, options.tf32) + (after ? after->str() : "") +
                              (has_cudnn ? "\ncudnn " + cudnn_version() : "\nno cudnn") + " cublas " + cublas_version() + std::string(tiles_version);
  // Of sums in f32, rounded to the type in the end.
  const double most_difference = type.dtype == bf16 ? 2e-2 : type.dtype == f16 || options.tf32 ? 4e-3 : 1e-4;
  std::vector<std::size_t> operand_bytes{bytes_of(first), bytes_of(second)}, result_bytes{bytes_of(type)};
  if (after) after->add_bytes(type.shape.element_count(), type.shape[type.shape.rank() - 1], type.dtype, operand_bytes, result_bytes);
  const Alternatives alternatives{problem,
                                  {g.images},
                                  names,
                                  make,
                                  [&] { tiles_names(gpu, member, type.dtype, g); },
                                  operand_bytes,
                                  result_bytes,
                                  after || g.groups > 1 || are_tiles_best ? "" : std::string(windows),
                                  type.dtype,
                                  most_difference};
  const Choice choice = fastest(gpu, alternatives, options);
  if (choice.name.empty()) return {nullptr, refusal.empty() ? "no library convolves " + std::string(name_of(type.dtype)) + " so" : refusal};
  return {make(choice.name), {}, choice.seconds};
}

}  // namespace weft::cuda
