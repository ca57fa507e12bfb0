// The public forms of convolution: options are checked and brought to the primitives' attributes.
#include "graph/build.h"
#include "ops/window.h"

#include <weft/convolution.h>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

/// Checks options and turns them into attributes.
class Described {
 public:
  Described(std::string_view name, int rank, const Operand& at) : name_(std::string(name)), rank_(rank), at_(at) {}

  Attributes attributes(const ConvOptions& o) const {
    Attributes a{{"layout", layout(o.layout, {"NWC", "NHWC", "NDHWC"}, {"NCW", "NCHW", "NCDHW"})},
                 {"weights_layout", layout(o.weights_layout, {"WIO", "HWIO", "DHWIO"}, {"OIW", "OIHW", "OIDHW"})},
                 {"strides", list(o.strides, "strides")},
                 {"dilations", list(o.dilations, "dilations")},
                 {"groups", o.groups}};
    if (o.groups < 1) fail("groups " + std::to_string(o.groups) + " are not 1 or more");
    if (o.padding != Padding::explicit_ && !o.pads.empty()) fail("pads are given, but padding is " + std::string(ops::name_of(o.padding)));
    if (o.padding == Padding::same || o.padding == Padding::same_lower) {
      a.set("padding", std::string(ops::name_of(o.padding)));
      return a;
    }
    Sizes low(static_cast<std::size_t>(rank_)), high(low.size());
    if (!o.pads.empty() && o.pads.size() != 1 && o.pads.size() != low.size()) fail(count(o.pads.size(), "pads"));
    for (std::size_t d = 0; d < low.size() && !o.pads.empty(); ++d) {
      const Pads& p = o.pads[o.pads.size() == 1 ? 0 : d];
      if (p.low < 0 || p.high < 0) fail("pads " + std::to_string(p.low) + " and " + std::to_string(p.high) + " are not 0 or more");
      low[d] = p.low, high[d] = p.high;
    }
    a.set("low", low);
    a.set("high", high);
    return a;
  }

  [[noreturn]] void fail(const std::string& message) const { fail_graph(name_ + ": " + message, ir::Location::of(at_.where())); }
  std::string count(std::size_t given, const char* what) const {
    return std::to_string(given) + " " + what + " are given for " + std::to_string(rank_) + " spatial dimensions";
  }

 private:
  std::string layout(const std::string& given, std::array<const char*, 3> last, std::array<const char*, 3> first) const {
    const auto i = static_cast<std::size_t>(rank_ - 1);
    if (given.empty()) return last[i];
    if (given != last[i] && given != first[i]) fail("layout " + given + " is neither " + last[i] + " nor " + first[i]);
    return given;
  }
  Sizes list(const Sizes& given, const char* what) const {
    for (auto v : given)
      if (v < 1) fail(std::string(what) + " of " + std::to_string(v) + " are not 1 or more");
    const auto rank = static_cast<std::size_t>(rank_);
    if (given.size() <= 1) return Sizes(rank, given.empty() ? 1 : given[0]);
    if (given.size() != rank) fail(count(given.size(), what));
    return given;
  }

  std::string name_;
  int rank_;
  const Operand& at_;
};

Tensor conv(std::string_view name, int rank, const Operand& x, const Operand& w, const ConvOptions& options) {
  const CompositeScope scope(name, {x, w});
  return apply("conv", {x, w}, Described(name, rank, x).attributes(options));
}

Tensor depthwise(std::string_view name, int rank, const Operand& x, const Operand& w, ConvOptions options) {
  const CompositeScope scope(name, {x, w});
  const Described described(name, rank, x);
  if (options.groups != 1) described.fail("groups are given, but every channel is one");
  const Attributes attributes = described.attributes(options);
  const Shape shape = scope.tensor(x).shape();
  const auto channels = attributes.text("layout").find('C');
  if (shape.rank() != rank + 2 || shape[static_cast<int>(channels)] == dynamic)
    described.fail("operand " + scope.tensor(x).type().str() + " has an unknown number of channels");
  options.groups = std::max<std::int64_t>(shape[static_cast<int>(channels)], 1);
  return apply("conv", {x, w}, described.attributes(options));
}

Tensor conv_transpose(std::string_view name, int rank, const Operand& x, const Operand& w, const ConvTransposeOptions& o) {
  const CompositeScope scope(name, {x, w});
  const Described described(name, rank, x);
  Attributes attributes = described.attributes({.strides = o.strides,
                                                .dilations = o.dilations,
                                                .groups = o.groups,
                                                .padding = o.padding,
                                                .pads = o.pads,
                                                .layout = o.layout,
                                                .weights_layout = o.weights_layout});
  if (!o.output_sizes.empty()) {
    if (o.output_sizes.size() != static_cast<std::size_t>(rank)) described.fail(described.count(o.output_sizes.size(), "output sizes"));
    for (auto s : o.output_sizes)
      if (s < 0) described.fail("an output size of " + std::to_string(s) + " is not 0 or more");
    attributes.set("spatial", o.output_sizes);
  }
  return apply("conv_data_gradient", {x, w}, std::move(attributes));
}

Tensor gradient(std::string_view name, std::string_view op, int rank, const Operand& a, const Operand& b, const Operand& like,
                const ConvOptions& options) {
  const CompositeScope scope(name, {a, b, like});
  return apply(op, {a, b, like}, Described(name, rank, a).attributes(options));
}

}  // namespace

Tensor conv1d(Operand x, Operand weights, ConvOptions options) { return conv("conv1d", 1, x, weights, options); }
Tensor conv2d(Operand images, Operand weights, ConvOptions options) { return conv("conv2d", 2, images, weights, options); }
Tensor conv3d(Operand x, Operand weights, ConvOptions options) { return conv("conv3d", 3, x, weights, options); }

Tensor depthwise_conv2d(Operand images, Operand weights, ConvOptions options) { return depthwise("depthwise_conv2d", 2, images, weights, options); }
Tensor depthwise_conv3d(Operand x, Operand weights, ConvOptions options) { return depthwise("depthwise_conv3d", 3, x, weights, options); }

Tensor conv_transpose1d(Operand x, Operand weights, ConvTransposeOptions options) {
  return conv_transpose("conv_transpose1d", 1, x, weights, options);
}
Tensor conv_transpose2d(Operand images, Operand weights, ConvTransposeOptions options) {
  return conv_transpose("conv_transpose2d", 2, images, weights, options);
}
Tensor conv_transpose3d(Operand x, Operand weights, ConvTransposeOptions options) {
  return conv_transpose("conv_transpose3d", 3, x, weights, options);
}

#define WEFT_CONV_GRADIENTS(name, rank)                                                                        \
  Tensor name##_data_gradient(Operand cotangent, Operand weights, Operand x, ConvOptions options) {            \
    return gradient(#name "_data_gradient", "conv_data_gradient", rank, cotangent, weights, x, options);       \
  }                                                                                                            \
  Tensor name##_weights_gradient(Operand x, Operand cotangent, Operand weights, ConvOptions options) {         \
    return gradient(#name "_weights_gradient", "conv_weights_gradient", rank, x, cotangent, weights, options); \
  }
WEFT_CONV_GRADIENTS(conv1d, 1)
WEFT_CONV_GRADIENTS(conv2d, 2)
WEFT_CONV_GRADIENTS(conv3d, 3)
#undef WEFT_CONV_GRADIENTS

}  // namespace weft
