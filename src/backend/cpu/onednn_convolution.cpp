// Convolutions and their derivatives. oneDNN chooses among its kernels by the layouts that it is offered; which offers to
// make, in which order, was found by timing convolutions of 1 to 128 channels with oneDNN 2.6 on AVX-512.
#include "backend/cpu/onednn.h"

#include "graph/primitive.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>

namespace weft::cpu::onednn {
namespace {

/// Below so many multiplications the call costs more than they do.
constexpr std::int64_t least_multiplications = 1024;

/// Fewer input channels than this leave most of a vector idle in the direct kernels for data gradients, whose vectors hold
/// input channels: multiplying matrices and adding up windows is then faster, twice as fast for one channel. Not so in
/// groups, which that does one by one.
constexpr std::int64_t least_direct_channels = 4;

/// Multiplications that take one core longer than sharing them takes, and bytes of a part's result that an epilogue then
/// finds in the second level cache.
constexpr std::int64_t multiplications_per_part = 1 << 20, bytes_per_part = 1 << 18;

enum class Offer : std::uint8_t {
  dense_data,          ///< data as they lie, weights as the library likes them
  any,                 ///< everything as the library likes it
  dense,               ///< everything as it lies
  channels_outermost,  ///< each channel on its own, for the kernels that copy windows
};

class ConvolutionChoice {
 public:
  ConvolutionChoice(const ir::Graph& graph, const ir::Node& node, Member member)
      : attributes_(node.attributes), member_(member), groups_(attributes_.integer("groups")), type_(*fast_type(node.types[0].dtype)) {
    const Shape &first = graph.type(node.operands[0]).shape, &second = graph.type(node.operands[1]).shape, &out = node.types[0].shape;
    const Shape& data = member == Member::data_gradient ? out : first;
    const Shape& weights = member == Member::weights_gradient ? out : second;
    const Shape& result = member == Member::forward ? out : member == Member::data_gradient ? first : second;
    data_order_ = data_order();
    data_ = data_sizes(data);
    result_ = data_sizes(result);
    read_weights(weights);
    multiplications_ = result.element_count() * (weights.element_count() / result_[1]);
  }

  LibraryChoice choose(const ir::Graph& graph, const ir::Node& node) const {
    for (const auto* pads : {&attributes_.integers("low"), &attributes_.integers("high")})
      if (std::any_of(pads->begin(), pads->end(), [](auto p) { return p < 0; })) return {nullptr, "negative padding"};
    if (multiplications_ < least_multiplications) return {nullptr, "too small: a generated kernel is faster"};
    if (auto call = in_parts(graph, node)) return {std::move(call), {}};
    LibraryChoice fallback{nullptr, "no kernel for this convolution"};
    for (auto offer : offers()) {
      const Convolution c = described(offer);
      const Chosen chosen = choose_convolution(c);
      if (!chosen) continue;
      // Matrices of one row, one for every group, are no better.
      if (is_reference(chosen) || (is_window_copying(chosen) && groups_ > 1 && data_[1] == groups_)) {
        if (!fallback.call) fallback.refusal = "its kernel would be slow: " + std::string(chosen.impl_info_str());
        continue;
      }
      const bool last_resort = is_window_copying(chosen) && offer != Offer::dense && offer != Offer::channels_outermost;
      if (!last_resort) return {make_call(chosen, ports(offer)), {}};
      if (!fallback.call) fallback = {make_call(chosen, ports(offer)), {}};
    }
    return fallback;
  }

 private:
  std::vector<Offer> offers() const {
    if (member_ == Member::data_gradient && groups_ == 1 && data_[1] < least_direct_channels)
      return {Offer::channels_outermost, Offer::dense_data, Offer::any};
    if (attributes_.text("layout").back() == 'C') return {Offer::dense_data, Offer::any};
    // Channels outermost: windows of one place need no copying, and no copy of the data either.
    const auto& strides = attributes_.integers("strides");
    const bool is_product = std::all_of(weights_.begin() + (groups_ > 1 ? 3 : 2), weights_.end(), [](auto s) { return s == 1; }) &&
                            std::all_of(strides.begin(), strides.end(), [](auto s) { return s == 1; });
    if (is_product && member_ != Member::weights_gradient) return {Offer::dense, Offer::any};
    return {Offer::any};
  }

  /// oneDNN's order of sizes is batch, channels, space.
  std::vector<int> data_order() const {
    std::vector<int> order;
    int space = 2;
    for (char c : attributes_.text("layout")) order.push_back(c == 'N' ? 0 : c == 'C' ? 1 : space++);
    return order;
  }
  Sizes data_sizes(const Shape& shape) const {
    Sizes sizes(data_order_.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) sizes[static_cast<std::size_t>(data_order_[i])] = shape[static_cast<int>(i)];
    return sizes;
  }

  /// oneDNN's order of sizes is groups if there are several, output channels of a group, input channels of a group, space.
  void read_weights(const Shape& shape) {
    const int first = groups_ > 1 ? 1 : 0;
    int space = first + 2;
    weights_.resize(static_cast<std::size_t>(shape.rank() + first));
    for (int i = 0; i < shape.rank(); ++i) {
      const char c = attributes_.text("weights_layout")[static_cast<std::size_t>(i)];
      const int place = c == 'O' ? first : c == 'I' ? first + 1 : space++;
      if (c == 'O' && groups_ > 1) {
        weights_order_.push_back(0);
        weights_[0] = groups_;
      }
      weights_order_.push_back(place);
      weights_[static_cast<std::size_t>(place)] = c == 'O' ? shape[i] / groups_ : shape[i];
    }
  }

  /// With a single channel it doesn't matter where the channels' dimension lies.
  Memory caller_data(const Sizes& sizes, Offer offer) const {
    return offer == Offer::channels_outermost && sizes[1] == 1 ? outermost(sizes) : dense(sizes, type_, data_order_);
  }
  Memory caller_weights() const { return dense(weights_, type_, weights_order_); }
  Memory outermost(const Sizes& sizes) const {
    std::vector<int> order(sizes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    return dense(sizes, type_, order);
  }

  Convolution described(Offer offer) const {
    Convolution c{member_,
                  {},
                  {},
                  {},
                  attributes_.integers("strides"),
                  attributes_.integers("dilations"),
                  attributes_.integers("low"),
                  attributes_.integers("high")};
    for (auto& d : c.gaps) --d;
    auto data = [&](const Sizes& sizes) {
      return offer == Offer::any                  ? any_layout(sizes, type_)
             : offer == Offer::channels_outermost ? outermost(sizes)
                                                  : dense(sizes, type_, data_order_);
    };
    c.data = data(data_);
    c.result = data(result_);
    c.weights = offer == Offer::dense ? caller_weights() : any_layout(weights_, type_);
    return c;
  }

  std::vector<Port> ports(Offer offer) const {
    const Memory data = caller_data(data_, offer), result = caller_data(result_, offer), weights = caller_weights();
    switch (member_) {
      case Member::forward: return {{DNNL_ARG_SRC, false, 0, data}, {DNNL_ARG_WEIGHTS, false, 1, weights}, {DNNL_ARG_DST, true, 0, result}};
      case Member::data_gradient:
        return {{DNNL_ARG_DIFF_DST, false, 0, result}, {DNNL_ARG_WEIGHTS, false, 1, weights}, {DNNL_ARG_DIFF_SRC, true, 0, data}};
      case Member::weights_gradient: break;
    }
    return {{DNNL_ARG_SRC, false, 0, data}, {DNNL_ARG_DIFF_DST, false, 1, result}, {DNNL_ARG_DIFF_WEIGHTS, true, 0, weights}};
  }

  // Parts -------------------------------------------------------------------------------------------------------------

  /// Several images at once, or some of the rows of one, with the rows that their windows touch.
  std::unique_ptr<LibraryCall> in_parts(const ir::Graph& graph, const ir::Node& node) const {
    const auto& layout = attributes_.text("layout");
    if (member_ == Member::weights_gradient || layout.front() != 'N' || layout.back() != 'C') return nullptr;
    const bool forward = member_ == Member::forward;
    const Sizes &made = forward ? result_ : data_, &from = forward ? data_ : result_;
    const std::int64_t rows = made[2], images = made[0], element_bytes = static_cast<std::int64_t>(size_of(node.types[0].dtype));
    const std::int64_t made_image = elements_of(made) / images, from_image = elements_of(from) / images;
    const std::int64_t image_work = multiplications_ / images;

    // Fours of parts, so that threads get as much each.
    const std::int64_t wanted = std::max<std::int64_t>(made_image * images * element_bytes / bytes_per_part, 1);
    std::int64_t group = std::max<std::int64_t>(images / ((wanted + 3) / 4 * 4), 1);
    group = std::min(std::max(group, (multiplications_per_part + image_work - 1) / image_work), images);
    std::int64_t rows_at_once = rows;
    if (forward && group == 1 && image_work >= 2 * multiplications_per_part) {
      const std::int64_t by_bytes = (made_image * element_bytes + bytes_per_part - 1) / bytes_per_part, by_images = (3 + images) / images;
      const std::int64_t cuts = std::min({std::max(by_bytes, by_images), image_work / multiplications_per_part, rows});
      rows_at_once = (rows + cuts - 1) / cuts;
    }

    Parting parting{forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC,
                    static_cast<std::size_t>(element_bytes)};
    parting.shared_weights = caller_weights();
    const std::int64_t columns = made[1], image_rows = made_image / columns, row = made_image / rows, from_row = from_image / from[2];
    std::map<std::array<std::int64_t, 5>, std::size_t> kinds;
    std::optional<ForOneThread> one(std::in_place);
    for (std::int64_t image = 0; image < images; image += group)
      for (std::int64_t first = 0; first < rows; first += rows_at_once) {
        const std::int64_t n = std::min(group, images - image), count = std::min(rows_at_once, rows - first);
        Convolution c = described(Offer::dense_data);
        Sizes data = data_, result = result_;
        data[0] = result[0] = n;
        std::int64_t touched = 0;
        if (count < rows) {
          const std::int64_t begin = first * c.strides[0] - c.low[0], end = begin + (count - 1) * c.strides[0] + window_rows();
          touched = std::clamp<std::int64_t>(begin, 0, data[2]);
          const std::int64_t stop = std::clamp<std::int64_t>(end, 0, data[2]);
          if (stop <= touched) return nullptr;
          c.low[0] = touched - begin;
          c.high[0] = end - stop;
          data[2] = stop - touched;
          result[2] = count;
        }
        c.data = dense(data, type_, data_order_);
        c.result = dense(result, type_, data_order_);
        const auto [kind, is_new] = kinds.try_emplace({n, data[2], result[2], c.low[0], c.high[0]}, parting.kinds.size());
        if (is_new) {
          const Chosen chosen = choose_convolution(c);
          if (!chosen || is_reference(chosen) || is_window_copying(chosen)) return nullptr;
          parting.kinds.push_back(chosen);
        }
        parting.pieces.push_back({kind->second,
                                  image * from_image + touched * from_row,
                                  0,
                                  image * made_image + first * row,
                                  {image * image_rows + first * row / columns, n * count * row / columns, 0, columns}});
      }
    one.reset();
    return make_parted_call(parting, graph, node.operands[1]);
  }

  /// Rows that one window spans.
  std::int64_t window_rows() const { return (weights_[groups_ > 1 ? 3 : 2] - 1) * attributes_.integers("dilations")[0] + 1; }
  static std::int64_t elements_of(const Sizes& sizes) { return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()); }

  const Attributes& attributes_;
  const Member member_;
  const std::int64_t groups_;
  const dnnl::memory::data_type type_;
  std::vector<int> data_order_, weights_order_;
  Sizes data_, weights_, result_;
  std::int64_t multiplications_ = 0;
};

}  // namespace

LibraryChoice make_convolution(const ir::Graph& graph, const ir::Node& node, Member member) {
  return ConvolutionChoice(graph, node, member).choose(graph, node);
}

}  // namespace weft::cpu::onednn
