// Three primitives: conv(x, w), conv_data_gradient(dy, w) and conv_weights_gradient(x, dy). Each is linear in both
// operands, and the derivatives of each are the other two, so the family is closed.
//
// Attributes: layout and weights_layout (texts such as NHWC and HWIO), strides, dilations, low, high (integers, one a
// spatial dimension), groups. While sizes may be unknown, `padding` ("same" or "same_lower") stands for low and high, and a
// third operand or (of the data gradient) `spatial` for the result's sizes; `expand` leaves two operands, low and high.
#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/reference_array.h"
#include "ops/window.h"

#include <array>

namespace weft {
namespace ops {
namespace {

using Sizes = std::vector<std::int64_t>;

/// Which dimension is which: of data N, C and space; of weights O, I and the window.
struct Places {
  int first = 0, second = 0;
  std::array<int, 3> spatial{};
};

Places places_of(const std::string& layout, char first, char second) {
  Places p;
  std::size_t next = 0;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] == first) p.first = static_cast<int>(i);
    else if (layout[i] == second) p.second = static_cast<int>(i);
    else p.spatial[next++] = static_cast<int>(i);
  }
  return p;
}

/// The attributes of an operation of the family, read once.
struct Geometry {
  int rank;  ///< number of spatial dimensions
  Places data, weights;
  Sizes strides, dilations, low, high;
  std::int64_t groups;
  std::string padding;  ///< empty once low and high are known

  explicit Geometry(const Attributes& a)
      : rank(static_cast<int>(a.text("layout").size()) - 2),
        data(places_of(a.text("layout"), 'N', 'C')),
        weights(places_of(a.text("weights_layout"), 'O', 'I')),
        strides(a.integers("strides")),
        dilations(a.integers("dilations")),
        groups(a.integer("groups")) {
    if (a.has("padding")) padding = a.text("padding");
    else low = a.integers("low"), high = a.integers("high");
  }

  Window window(std::size_t d, std::int64_t size) const { return {size, strides[d], dilations[d]}; }
  Pads pads(std::size_t d, std::int64_t in, std::int64_t size) const {
    return padding.empty() ? Pads{low[d], high[d]} : same_pads(in, window(d, size), padding == "same_lower");
  }
  /// The result's size along one dimension, `dynamic` when unknown.
  std::int64_t out(std::size_t d, std::int64_t in, std::int64_t size) const {
    if (in == dynamic) return dynamic;
    if (!padding.empty()) return ceil_div(in, strides[d]);
    return size == dynamic ? dynamic : std::max<std::int64_t>(places(in, window(d, size), pads(d, in, size)), 0);
  }
  /// The data's size along one dimension when only the result's is known.
  std::int64_t natural(std::size_t d, std::int64_t out, std::int64_t size) const {
    if (out == dynamic || (padding.empty() && size == dynamic)) return dynamic;
    return padding.empty() ? std::max<std::int64_t>((out - 1) * strides[d] + window(d, size).width() - low[d] - high[d], 0) : out * strides[d];
  }
};

enum class Member { forward, data_gradient, weights_gradient };

Member member_of(const Primitive& op) {
  return op.name == "conv" ? Member::forward : op.name == "conv_data_gradient" ? Member::data_gradient : Member::weights_gradient;
}

/// Checks and infers for all three: collects what is known of the data x, the weights w and the result y of the convolution,
/// whichever of them are operands, and completes it.
class ConvInference {
 public:
  explicit ConvInference(Inference& c) : c_(c), member_(member_of(c.op)), g_(c.attributes), rank_(g_.rank) {}

  void run() {
    const bool like = c_.count() == 3;
    c_.require_same_dtype(0, 1);
    c_.require(is_real, 0, "a real number");
    switch (member_) {
      case Member::forward: x_ = shape(0, data_name()), w_ = shape(1, "weights"); break;
      case Member::data_gradient:
        y_ = shape(0, transposed() ? data_name() : "cotangent"), w_ = shape(1, "weights");
        if (like) x_ = shape(2, data_name());
        break;
      case Member::weights_gradient:
        x_ = shape(0, data_name()), y_ = shape(1, "cotangent");
        if (like) w_ = shape(2, "weights");
        break;
    }
    channels();
    space();
    for (auto s : result())
      if (s < dynamic) fail("the result would have a negative size");
    c_.result(c_.dtype(0), Shape(result()));
  }

 private:
  std::string data_name() const { return rank_ == 2 ? "images" : "operand"; }
  bool transposed() const { return member_ == Member::data_gradient && c_.count() == 2; }
  const Sizes& result() const { return member_ == Member::forward ? y_ : member_ == Member::data_gradient ? x_ : w_; }

  [[noreturn]] void fail(const std::string& message) const {
    const std::string dimensions = std::to_string(rank_) + "d";
    std::string name = transposed() ? "conv_transpose" + dimensions : "conv" + dimensions;
    if (!transposed() && member_ != Member::forward) name += member_ == Member::data_gradient ? "_data_gradient" : "_weights_gradient";
    if (!c_.label.empty()) name += " \"" + std::string(c_.label) + "\"";
    throw GraphError(name + ": " + message);
  }

  Sizes shape(std::size_t i, const std::string& name) const {
    const Shape& s = c_.shape(i);
    if (!s.ranked()) return Sizes(static_cast<std::size_t>(rank_) + 2, dynamic);
    if (s.rank() != rank_ + 2)
      fail(name + " " + c_[i].str() + (name == "weights" || name == "images" ? " have" : " has") + " rank " + std::to_string(s.rank()) +
           ", expects " + std::to_string(rank_ + 2) + " (" + c_.attributes.text(name == "weights" ? "weights_layout" : "layout") + ")");
    return {s.begin(), s.end()};
  }

  static std::int64_t& at(Sizes& s, int i) { return s[static_cast<std::size_t>(i)]; }
  /// Both when they agree or one is unknown; fails otherwise.
  std::int64_t agree(std::int64_t a, std::int64_t b, const std::string& what) const {
    if (a != dynamic && b != dynamic && a != b)
      fail(types() + ": " + what + " are " + std::to_string(a) + " and " + std::to_string(b) + "; they must agree");
    return a == dynamic ? b : a;
  }
  std::string types() const {
    std::string s = "operands ";
    for (std::size_t i = 0; i < c_.count(); ++i) s += (i == 0 ? "" : i + 1 == c_.count() ? " and " : ", ") + c_[i].str();
    return s;
  }

  void channels() {
    for (auto* s : {&x_, &w_, &y_})
      if (s->empty()) s->assign(static_cast<std::size_t>(rank_) + 2, dynamic);
    std::int64_t &in = at(x_, g_.data.second), &out = at(y_, g_.data.second), &w_in = at(w_, g_.weights.second), &w_out = at(w_, g_.weights.first);
    const std::string per_group = g_.groups > 1 ? " in each of " + std::to_string(g_.groups) + " groups" : "";
    if (member_ == Member::forward && in != dynamic && w_in != dynamic && in != w_in * g_.groups)
      fail("weights " + c_[1].str() + " expect " + std::to_string(w_in * g_.groups) + " input channels" +
           (g_.groups > 1 ? " (" + std::to_string(w_in) + per_group + ")" : "") + ", " + data_name() + " " + c_[0].str() + " have " +
           std::to_string(in));
    if (member_ == Member::data_gradient && out != dynamic && w_out != dynamic && out != w_out)
      fail("weights " + c_[1].str() + " give " + std::to_string(w_out) + " output channels, " +
           (transposed() ? data_name() : std::string("the cotangent")) + " " + c_[0].str() + (transposed() && rank_ == 2 ? " have " : " has ") +
           std::to_string(out));
    if (in != dynamic && in % g_.groups != 0)
      fail(std::to_string(in) + " input channels can't be divided into " + std::to_string(g_.groups) + " groups");
    in = agree(in, w_in == dynamic ? dynamic : w_in * g_.groups, "input channels");
    w_in = in == dynamic ? dynamic : in / g_.groups;
    out = w_out = agree(out, w_out, "output channels");
    if (out != dynamic && out % g_.groups != 0)
      fail(std::to_string(out) + " output channels can't be divided into " + std::to_string(g_.groups) + " groups");
    at(x_, g_.data.first) = at(y_, g_.data.first) = agree(at(x_, g_.data.first), at(y_, g_.data.first), "batch sizes");
  }

  void space() {
    const bool sized = c_.attributes.has("spatial");
    for (std::size_t d = 0; d < static_cast<std::size_t>(rank_); ++d) {
      std::int64_t &in = at(x_, g_.data.spatial[d]), &out = at(y_, g_.data.spatial[d]), &k = at(w_, g_.weights.spatial[d]);
      if (member_ == Member::data_gradient && sized) in = c_.attributes.integers("spatial")[d];
      else if (transposed()) in = g_.natural(d, out, k);
      if (member_ == Member::weights_gradient && c_.attributes.has("window")) k = c_.attributes.integers("window")[d];
      if (k == 0) fail("the window of weights " + Shape(w_).str() + " is empty");
      if (in > 0 && k != dynamic && g_.padding.empty() && places(in, g_.window(d, k), g_.pads(d, in, k)) <= 0)
        fail("a window of " + std::to_string(g_.window(d, k).width()) + " doesn't fit into the padded size " +
             std::to_string(in + g_.low[d] + g_.high[d]) + " of spatial dimension " + std::to_string(d));
      const std::int64_t expected = g_.out(d, in, k);
      if (out != dynamic && expected != dynamic && out != expected)
        fail(types() + ": along spatial dimension " + std::to_string(d) + " data of " + std::to_string(in) + " gives " + std::to_string(expected) +
             " results, not " + std::to_string(out));
      out = out == dynamic ? expected : out;
    }
  }

  Inference& c_;
  const Member member_;
  const Geometry g_;
  const int rank_;
  Sizes x_, w_, y_;
};

/// The attributes with everything that depends on sizes resolved.
ir::Value expand_conv(Expansion& e) {
  const Attributes& given = e.node.attributes;
  const Member member = member_of(*e.node.op);
  const Geometry g(given);
  if (g.padding.empty() && e.node.operands.size() == 2 && (member != Member::data_gradient || given.has("spatial"))) return {};
  // The types of data and weights, whether they are operands or the result.
  const Shape& x = member == Member::data_gradient ? e.node.types[0].shape : e.operand_type(0).shape;
  const Shape& w = member == Member::weights_gradient ? e.node.types[0].shape : e.operand_type(1).shape;
  Sizes low, high, spatial, window;
  for (std::size_t d = 0; d < static_cast<std::size_t>(g.rank); ++d) {
    spatial.push_back(x[g.data.spatial[d]]);
    window.push_back(w[g.weights.spatial[d]]);
    const Pads pads = g.pads(d, spatial[d], window[d]);
    low.push_back(pads.low);
    high.push_back(pads.high);
  }
  Attributes attributes = given;
  attributes.erase("padding");
  attributes.set("low", low);
  attributes.set("high", high);
  if (member == Member::data_gradient) attributes.set("spatial", spatial);
  if (member == Member::weights_gradient) attributes.set("window", window);
  return e.add(e.node.op->name, {e.operand(0), e.operand(1)}, std::move(attributes));
}

/// Calls f(x, w, y) with the linear indices of every product that the convolution sums.
template <class F> void for_each_product(const Geometry& g, const Shape& x, const Shape& w, const Shape& y, F&& f) {
  const Sizes xs = reference::strides_of(x), ws = reference::strides_of(w), ys = reference::strides_of(y);
  auto stride = [](const Sizes& s, int i) { return s[static_cast<std::size_t>(i)]; };
  const auto rank = static_cast<std::size_t>(g.rank);
  Sizes space;
  for (std::size_t d = 0; d < rank; ++d) space.push_back(y[g.data.spatial[d]]);
  for (std::size_t d = 0; d < rank; ++d) space.push_back(w[g.weights.spatial[d]]);
  const std::int64_t batch = x[g.data.first], in = w[g.weights.second], out = w[g.weights.first] / g.groups;
  reference::for_each_index(space, [&](auto index, std::int64_t) {
    std::int64_t xi = 0, wi = 0, yi = 0;
    for (std::size_t d = 0; d < rank; ++d) {
      const std::int64_t p = index[d] * g.strides[d] + index[rank + d] * g.dilations[d] - g.low[d];
      if (p < 0 || p >= x[g.data.spatial[d]]) return;
      xi += p * stride(xs, g.data.spatial[d]);
      wi += index[rank + d] * stride(ws, g.weights.spatial[d]);
      yi += index[d] * stride(ys, g.data.spatial[d]);
    }
    for (std::int64_t n = 0; n < batch; ++n)
      for (std::int64_t k = 0; k < g.groups; ++k)
        for (std::int64_t o = 0; o < out; ++o)
          for (std::int64_t i = 0; i < in; ++i)
            f(static_cast<std::size_t>(xi + n * stride(xs, g.data.first) + (k * in + i) * stride(xs, g.data.second)),
              static_cast<std::size_t>(wi + (k * out + o) * stride(ws, g.weights.first) + i * stride(ws, g.weights.second)),
              static_cast<std::size_t>(yi + n * stride(ys, g.data.first) + (k * out + o) * stride(ys, g.data.second)));
  });
}

void evaluate_conv(Evaluation& e) {
  const Geometry g(e.node.attributes);
  const Shape &a = e.operands[0]->type.shape, &b = e.operands[1]->type.shape, &r = e.results[0]->type.shape;
  std::visit(
      [&](auto& result) {
        using T = typename std::decay_t<decltype(result)>::value_type;
        const auto &left = e.operands[0]->as<T>(), &right = e.operands[1]->as<T>();
        auto add = [&](std::size_t to, std::size_t i, std::size_t j) {
          result[to] = reference::multiply_add(result[to], left[i], right[j]);
          if constexpr (std::is_same_v<T, reference::wide>) result[to] = reference::wrap(result[to], e.results[0]->type.dtype);
        };
        switch (member_of(*e.node.op)) {
          case Member::forward: return for_each_product(g, a, b, r, [&](auto x, auto w, auto y) { add(y, x, w); });
          case Member::data_gradient: return for_each_product(g, r, b, a, [&](auto x, auto w, auto y) { add(x, y, w); });
          case Member::weights_gradient: return for_each_product(g, a, r, b, [&](auto x, auto w, auto y) { add(w, x, y); });
        }
      },
      e.results[0]->elements);
}

void conv_gradient(Gradient& g) {
  Attributes attributes = g.attributes();
  attributes.erase("spatial");
  attributes.erase("window");
  const Tensor a = g.operand(0), b = g.operand(1), dy = g.cotangent();
  auto forward = [&](Tensor x, Tensor w) { return apply("conv", {x, w}, attributes); };
  auto data = [&](Tensor y, Tensor w, Tensor x) { return apply("conv_data_gradient", {y, w, x}, attributes); };
  auto weights = [&](Tensor x, Tensor y, Tensor w) { return apply("conv_weights_gradient", {x, y, w}, attributes); };
  const Member member = member_of(primitive(g.result().operation().name()));
  if (member == Member::forward) {
    if (g.wanted(0)) g.set(0, data(dy, b, a));
    if (g.wanted(1)) g.set(1, weights(a, dy, b));
  } else if (member == Member::data_gradient) {
    if (g.wanted(0)) g.set(0, forward(dy, b));
    if (g.wanted(1)) g.set(1, weights(dy, a, b));
  } else {
    if (g.wanted(0)) g.set(0, data(b, dy, a));
    if (g.wanted(1)) g.set(1, forward(a, dy));
  }
}

/// Fails unless both layouts name each dimension once, as the public functions make sure.
void check_layouts(const Inference& c) {
  const std::string &data = c.attributes.text("layout"), &weights = c.attributes.text("weights_layout");
  for (const std::string space : {"W", "HW", "DHW"})
    if (std::ranges::is_permutation(data, "NC" + space) && std::ranges::is_permutation(weights, "OI" + space)) return;
  c.fail("layouts " + data + " and " + weights + " don't go together");
}

void infer_conv(Inference& c) {
  check_layouts(c);
  const std::size_t rank = c.attributes.text("layout").size() - 2;
  check_window(c, rank, {"strides", "dilations"});
  if (c.attributes.integer("groups") < 1) c.fail("there are " + std::to_string(c.attributes.integer("groups")) + " groups, expects 1 or more");
  for (const char* sizes : {"spatial", "window"})
    if (c.attributes.has(sizes) && c.attributes.integers(sizes).size() != rank)
      c.fail(std::string(sizes) + " expects " + std::to_string(rank) + " entries");
  ConvInference(c).run();
}

constexpr Primitive row(std::string_view name, int max_operands) {
  return {.name = name,
          .min_operands = 2,
          .max_operands = max_operands,
          .infer = infer_conv,
          .gradient = conv_gradient,
          .evaluate = evaluate_conv,
          .expand = expand_conv,
          .scalar = {}};
}

const Primitive table[] = {row("conv", 2), row("conv_data_gradient", 3), row("conv_weights_gradient", 3)};

}  // namespace

std::span<const Primitive> convolutions() { return table; }

}  // namespace ops
}  // namespace weft
