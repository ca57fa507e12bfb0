// The public forms of pooling: options are checked and brought to the primitives' attributes, which have entries for every
// dimension.
#include "graph/build.h"
#include "ops/window.h"

#include <weft/elementwise.h>
#include <weft/pooling.h>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

/// A window over all dimensions, and how its options name it in errors.
class Described {
 public:
  /// `spatial` dimensions of the layout, or -1: the window has an entry for every dimension.
  Described(std::string_view name, int spatial, const Operand& at, const Sizes& window, const PoolOptions& o)
      : scope_(name, {at}), name_(name), where_(at.where()), spatial_(spatial) {
    const std::size_t entries = spatial < 0 ? window.size() : static_cast<std::size_t>(spatial);
    if (window.size() > static_cast<std::size_t>(max_rank))
      fail("a window of rank " + std::to_string(window.size()) + "; at most 16 dimensions are possible");
    if (window.empty() && entries > 0) fail(count(0, "window sizes", entries));
    layout_ = layout(o.layout);
    const Sizes sizes = checked(window, "window sizes", entries, {});
    set("window", sizes, 1);
    set("strides", checked(o.strides, "strides", entries, sizes), 1);
    set("dilations", checked(o.dilations, "dilations", entries, Sizes(entries, 1)), 1);
    if (o.padding != Padding::explicit_ && !o.pads.empty()) fail("pads are given, but padding is " + std::string(ops::name_of(o.padding)));
    if (o.padding == Padding::same || o.padding == Padding::same_lower) {
      if (o.ceil) fail("ceil has no meaning with padding " + std::string(ops::name_of(o.padding)));
      attributes.set("padding", std::string(ops::name_of(o.padding)));
    } else {
      pad(o.pads, entries);
      if (o.ceil) attributes.set("ceil", std::int64_t{1});
    }
  }

  void count_indices(const PoolIndexOptions& o) {
    const auto rank = static_cast<int>(attributes.integers("window").size());
    if (o.dimensions < 0 || o.dimensions > rank)
      fail("indices can't count " + std::to_string(o.dimensions) + " of " + std::to_string(rank) + " dimensions");
    if (!o.global && o.dimensions == 0) return;
    attributes.set("global", std::int64_t{o.global});
    attributes.set("counted", std::int64_t{o.dimensions ? o.dimensions : rank});
  }

  [[noreturn]] void fail(const std::string& message) const { fail_graph(name_ + ": " + message, ir::Location::of(where_)); }
  const CompositeScope& scope() const { return scope_; }

  Attributes attributes;

 private:
  std::string count(std::size_t given, const char* what, std::size_t expected) const {
    return std::to_string(given) + " " + what + " are given for " + std::to_string(expected) + (spatial_ < 0 ? " dimensions" : " spatial dimensions");
  }
  Sizes checked(const Sizes& given, const char* what, std::size_t entries, const Sizes& otherwise) const {
    for (auto v : given)
      if (v < 1) fail(std::string(what) + " of " + std::to_string(v) + " are not 1 or more");
    if (given.empty()) return otherwise;
    if (given.size() == 1) return Sizes(entries, given[0]);
    if (given.size() != entries) fail(count(given.size(), what, entries));
    return given;
  }
  void pad(const std::vector<Pads>& pads, std::size_t entries) {
    if (!pads.empty() && pads.size() != 1 && pads.size() != entries) fail(count(pads.size(), "pads", entries));
    Sizes low(entries), high(entries);
    for (std::size_t d = 0; d < entries && !pads.empty(); ++d) {
      const Pads& p = pads[pads.size() == 1 ? 0 : d];
      if (p.low < 0 || p.high < 0) fail("pads " + std::to_string(p.low) + " and " + std::to_string(p.high) + " are not 0 or more");
      low[d] = p.low, high[d] = p.high;
    }
    set("low", low, 0);
    set("high", high, 0);
  }
  std::string layout(const std::string& given) const {
    if (spatial_ < 0) {
      if (!given.empty()) fail("layout " + given + " is given, but the window has an entry for every dimension");
      return {};
    }
    constexpr const char *last[] = {"NWC", "NHWC", "NDHWC"}, *first[] = {"NCW", "NCHW", "NCDHW"};
    const auto i = static_cast<std::size_t>(spatial_ - 1);
    if (given.empty()) return last[i];
    if (given != last[i] && given != first[i]) fail("layout " + given + " is neither " + last[i] + " nor " + first[i]);
    return given;
  }
  /// Spreads entries for spatial dimensions over all of them.
  void set(const char* name, const Sizes& entries, std::int64_t elsewhere) {
    if (layout_.empty()) return attributes.set(name, entries);
    Sizes all(layout_.size(), elsewhere);
    for (std::size_t i = 0, next = 0; i < all.size(); ++i)
      if (layout_[i] != 'N' && layout_[i] != 'C') all[i] = entries[next++];
    attributes.set(name, all);
  }

  CompositeScope scope_;
  std::string name_;
  std::source_location where_;
  int spatial_;
  std::string layout_;
};

void require_floating(const Described& d, const Operand& x) {
  if (!is_floating(d.scope().tensor(x).dtype())) d.fail("operand is " + d.scope().tensor(x).type().str() + ", expects floating point");
}

/// Sums of 16-bit numbers are made in f32.
Tensor widened(Tensor x) { return x.dtype() == f64 ? x : cast(x, f32); }

Tensor maximum(std::string_view name, int spatial, const Operand& x, const Sizes& window, const PoolOptions& o) {
  const Described d(name, spatial, x, window, o);
  return apply("pool_max", {x}, d.attributes);
}

PoolIndices maximum_with_indices(std::string_view name, int spatial, const Operand& x, const Sizes& window, const PoolOptions& o,
                                 const PoolIndexOptions& index) {
  Described d(name, spatial, x, window, o);
  const Tensor values = apply("pool_max", {x}, d.attributes);
  d.count_indices(index);
  return {values, apply("pool_max_indices", {x}, d.attributes)};
}

Tensor maximum_gradient(std::string_view name, int spatial, const Operand& dy, const Operand& x, const Sizes& window, const PoolOptions& o) {
  const Described d(name, spatial, x, window, o);
  return apply("pool_max_gradient", {dy, apply("pool_max_indices", {x}, d.attributes), x}, d.attributes);
}

Tensor maximum_gradient(std::string_view name, int spatial, const Operand& dy, const Operand& indices, const Operand& x, const Sizes& window,
                        const PoolOptions& o, const PoolIndexOptions& index) {
  Described d(name, spatial, x, window, o);
  d.count_indices(index);
  return apply("pool_max_gradient", {dy, indices, x}, d.attributes);
}

PoolOptions common(const AveragePoolOptions& o) {
  return {.strides = o.strides, .dilations = o.dilations, .padding = o.padding, .pads = o.pads, .ceil = o.ceil, .layout = o.layout};
}

/// How many elements each mean is of.
Tensor counts(const Described& d, const Operand& x, DType dtype, bool count_padding) {
  Attributes attributes = d.attributes;
  attributes.set("dtype", dtype);
  attributes.set("count_padding", std::int64_t{count_padding});
  return apply("pool_count", {x}, std::move(attributes));
}

Tensor average(std::string_view name, int spatial, const Operand& x, const Sizes& window, const AveragePoolOptions& o) {
  const Described d(name, spatial, x, window, common(o));
  require_floating(d, x);
  const Tensor from = d.scope().tensor(x), wide = widened(from);
  return cast(apply("pool_sum", {wide}, d.attributes) / counts(d, x, wide.dtype(), o.count_padding), from.dtype());
}

Tensor average_gradient(std::string_view name, int spatial, const Operand& dy, const Operand& x, const Sizes& window, const AveragePoolOptions& o) {
  const Described d(name, spatial, x, window, common(o));
  require_floating(d, dy);
  const Tensor from = d.scope().tensor(dy), wide = widened(from);
  return cast(apply("pool_sum_gradient", {wide / counts(d, x, wide.dtype(), o.count_padding), x}, d.attributes), from.dtype());
}

Tensor l2(std::string_view name, int spatial, const Operand& x, const Sizes& window, const PoolOptions& o) {
  const Described d(name, spatial, x, window, o);
  require_floating(d, x);
  const Tensor from = d.scope().tensor(x);
  const Tensor sum = apply("pool_sum", {square(widened(from))}, d.attributes), is_zero = equal(sum, 0);
  return cast(select(is_zero, 0, sqrt(select(is_zero, 1, sum))), from.dtype());
}

Tensor l2_gradient(std::string_view name, int spatial, const Operand& dy, const Operand& x, const Sizes& window, const PoolOptions& o) {
  const Described d(name, spatial, x, window, o);
  require_floating(d, x);
  const Tensor from = widened(d.scope().tensor(x));
  const Tensor norm = sqrt(apply("pool_sum", {square(from)}, d.attributes));
  return cast(from * apply("pool_sum_gradient", {div_no_nan(widened(d.scope().tensor(dy)), norm), x}, d.attributes), d.scope().tensor(x).dtype());
}

}  // namespace

#define WEFT_POOL(name, kind, Options)                                                                                                  \
  Tensor name(Operand x, const Sizes& window, const Options& options) { return kind(#name, -1, x, window, options); }                   \
  Tensor name##1d(Operand x, const Sizes& window, const Options& options) { return kind(#name "1d", 1, x, window, options); }           \
  Tensor name##2d(Operand images, const Sizes& window, const Options& options) { return kind(#name "2d", 2, images, window, options); } \
  Tensor name##3d(Operand x, const Sizes& window, const Options& options) { return kind(#name "3d", 3, x, window, options); }           \
  Tensor name##_gradient(Operand dy, Operand x, const Sizes& window, const Options& options) {                                          \
    return kind##_gradient(#name "_gradient", -1, dy, x, window, options);                                                              \
  }                                                                                                                                     \
  Tensor name##2d_gradient(Operand dy, Operand images, const Sizes& window, const Options& options) {                                   \
    return kind##_gradient(#name "2d_gradient", 2, dy, images, window, options);                                                        \
  }
WEFT_POOL(max_pool, maximum, PoolOptions)
WEFT_POOL(average_pool, average, AveragePoolOptions)
WEFT_POOL(l2_pool, l2, PoolOptions)
#undef WEFT_POOL

PoolIndices max_pool_with_indices(Operand x, const Sizes& window, const PoolOptions& options, PoolIndexOptions index) {
  return maximum_with_indices("max_pool_with_indices", -1, x, window, options, index);
}
PoolIndices max_pool2d_with_indices(Operand images, const Sizes& window, const PoolOptions& options, PoolIndexOptions index) {
  return maximum_with_indices("max_pool2d_with_indices", 2, images, window, options, index);
}
Tensor max_pool_gradient(Operand dy, Operand indices, Operand x, const Sizes& window, const PoolOptions& options, PoolIndexOptions index) {
  return maximum_gradient("max_pool_gradient", -1, dy, indices, x, window, options, index);
}
Tensor max_pool2d_gradient(Operand dy, Operand indices, Operand images, const Sizes& window, const PoolOptions& options, PoolIndexOptions index) {
  return maximum_gradient("max_pool2d_gradient", 2, dy, indices, images, window, options, index);
}

}  // namespace weft
