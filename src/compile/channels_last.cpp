// Layout assignment: convolutions whose channels come first are computed with channels last, which is what libraries are fast at.
// The transposes that this takes move down through whatever else reads the result, until two of them meet.
#include "compile/program.h"
#include "graph/primitive.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace weft {
namespace {

using Sizes = std::vector<std::int64_t>;

/// By dimension of the result: of the operand.
Sizes to_last(std::int64_t rank) {
  Sizes p(static_cast<std::size_t>(rank));
  std::iota(p.begin() + 1, p.end() - 1, 2);
  p.back() = 1;
  return p;
}

Sizes to_first(std::int64_t rank) {
  Sizes p(static_cast<std::size_t>(rank));
  std::iota(p.begin() + 2, p.end(), 1);
  p[1] = rank - 1;
  return p;
}

template <class List> List permuted(const List& list, const Sizes& permutation) {
  List result;
  for (auto d : permutation) result.push_back(list[static_cast<std::size_t>(d)]);
  return result;
}

class ChannelsLast {
 public:
  explicit ChannelsLast(const Program& program) : from_(program.graph), r_(program) {}

  Program run() {
    for (ir::NodeId id = 0; id < from_.size(); ++id) {
      ir::Node node = r_.mapped_node(id);
      if (!rewrite(id, node)) r_.add(id, std::move(node));
    }
    return r_.finish();
  }

 private:
  bool rewrite(ir::NodeId id, ir::Node& node) {
    const auto name = node.op->name;
    if (name.starts_with("conv")) return convolution(id, node);
    if (node.types.size() != 1) return false;
    if (node.op->kind == Kind::elementwise) return elementwise(id, node);
    if (name.starts_with("reduce_")) return reduction(id, node);
    if (name.starts_with("pool_") && name != "pool_count") return window(id, node, node.operands.size());
    if (name == "pad" || name == "slice") return window(id, node, 1);
    if (name == "concat") return concat(id, node);
    return false;
  }

  const TensorType& type(ir::Value v) { return r_.graph().type(v); }

  ir::Value transposed(ir::Value v, Sizes permutation) { return add("transpose", v, {{"permutation", std::move(permutation)}}); }

  ir::Value add(std::string_view op, ir::Value v, Attributes attributes) {
    return {r_.graph().add(make_node(r_.graph(), op, {v}, std::move(attributes), r_.graph()[v.node])), 0};
  }

  /// The value with channels last of which this one is the transpose, if it is that of one.
  std::optional<ir::Value> last_of(ir::Value v) {
    const ir::Node& node = r_.graph()[v.node];
    const int rank = node.types[0].shape.rank();
    if (node.op->name != "transpose" || rank < 3 || node.attributes.integers("permutation") != to_first(rank)) return std::nullopt;
    return node.operands[0];
  }
  ir::Value with_channels_last(ir::Value v) {
    const auto found = last_of(v);
    return found ? *found : transposed(v, to_last(type(v).shape.rank()));
  }

  /// Stands for the old node: its result has channels last.
  bool replace(ir::NodeId id, ir::Node node) {
    infer_types(r_.graph(), node);
    const int rank = node.types[0].shape.rank();
    r_.set({id, 0}, transposed({r_.graph().add(std::move(node)), 0}, to_first(rank)));
    return true;
  }

  bool convolution(ir::NodeId id, ir::Node& node) {
    std::string layout = node.attributes.text("layout");
    if (!layout.starts_with("NC")) return false;
    node.attributes.set("layout", "N" + layout.substr(2) + "C");
    const bool gives_weights = node.op->name == "conv_weights_gradient";
    for (std::size_t i = 0; i < (gives_weights ? 2u : 1u); ++i) node.operands[i] = with_channels_last(node.operands[i]);
    if (!gives_weights) return replace(id, std::move(node));
    r_.add(id, std::move(node));
    return true;
  }

  /// When what it reads in full has channels last already, or can be read so without a pass of its own.
  bool elementwise(ir::NodeId id, ir::Node& node) {
    const Shape shape = node.types[0].shape;
    const int rank = shape.rank();
    bool any = false;
    for (auto v : node.operands) {
      if (last_of(v) && type(v).shape == shape) any = true;
      else if (type(v).shape.element_count() == shape.element_count() && !is_spread(v)) return false;
    }
    if (!any) return false;
    for (auto& v : node.operands) {
      const Shape own = type(v).shape;
      if (own.rank() == 0) continue;
      if (own.rank() < rank) v = with_leading_ones(v, rank);
      v = with_channels_last(v);
    }
    return replace(id, std::move(node));
  }

  bool is_spread(ir::Value v) {
    const ir::Node& node = r_.graph()[v.node];
    return node.op->name == "broadcast" || (node.op->name == "constant" && node.attributes.literal("value").splat);
  }

  ir::Value with_leading_ones(ir::Value v, int rank) {
    Sizes sizes(static_cast<std::size_t>(rank - type(v).shape.rank()), 1);
    for (auto s : type(v).shape) sizes.push_back(s);
    Attributes attributes;
    attributes.set_shape(Shape(sizes));
    return add("reshape", v, std::move(attributes));
  }

  bool reduction(ir::NodeId id, ir::Node& node) {
    const auto last = last_of(node.operands[0]);
    if (!last || !node.attributes.has("axes")) return false;
    const int rank = type(*last).shape.rank();
    const auto place = to_last(rank);
    std::vector<bool> reduced(static_cast<std::size_t>(rank));
    for (auto a : node.attributes.integers("axes")) reduced[static_cast<std::size_t>(a < 0 ? a + rank : a)] = true;
    const bool keep = node.attributes.flag("keep"), spatial_stays = std::find(reduced.begin() + 2, reduced.end(), false) != reduced.end();
    // Dimensions that stay would change places.
    if (!keep && !reduced[1] && spatial_stays) return false;
    Sizes axes;
    for (int d = 0; d < rank; ++d)
      if (reduced[static_cast<std::size_t>(place[static_cast<std::size_t>(d)])]) axes.push_back(d);
    node.operands[0] = *last;
    node.attributes.set("axes", std::move(axes));
    if (keep) return replace(id, std::move(node));
    r_.add(id, std::move(node));
    return true;
  }

  /// Operations with an entry for each dimension in every list.
  bool window(ir::NodeId id, ir::Node& node, std::size_t arrays) {
    const auto rank = static_cast<std::size_t>(node.types[0].shape.rank());
    const auto first = node.operands.begin();
    if (std::none_of(first, first + static_cast<std::ptrdiff_t>(arrays), [&](auto v) { return last_of(v).has_value(); })) return false;
    for (std::size_t i = 0; i < arrays; ++i) node.operands[i] = with_channels_last(node.operands[i]);
    Attributes attributes;
    for (const auto& [key, value] : node.attributes) {
      const auto* list = std::get_if<Sizes>(&value);
      attributes.set(key, list && list->size() == rank ? Attribute(permuted(*list, to_last(static_cast<std::int64_t>(rank)))) : value);
    }
    node.attributes = std::move(attributes);
    return replace(id, std::move(node));
  }

  bool concat(ir::NodeId id, ir::Node& node) {
    if (!std::all_of(node.operands.begin(), node.operands.end(), [&](auto v) { return last_of(v).has_value(); })) return false;
    const int rank = node.types[0].shape.rank();
    auto axis = node.attributes.integer("axis");
    if (axis < 0) axis += rank;
    for (auto& v : node.operands) v = *last_of(v);
    node.attributes.set("axis", to_first(rank)[static_cast<std::size_t>(axis)]);
    return replace(id, std::move(node));
  }

  const ir::Graph& from_;
  Rewriter r_;
};

}  // namespace

Program channels_last(const Program& program, const RunOptions&) { return ChannelsLast(program).run(); }

}  // namespace weft
