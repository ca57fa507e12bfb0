#include "stitch/indexed.h"

#include "ops/indexing.h"
#include "stitch/classify.h"

namespace weft::kernel {

IndexedAccess indexed_access(Builder& b, ir::NodeId id, const Map& map) {
  const ir::Node& node = b.graph()[id];
  const Shape &data = b.graph().type(node.operands[0]).shape, &indices = b.graph().type(node.operands[1]).shape;
  const auto dimensions = stitching::indexed_dimensions(b.graph(), node);
  IndexedAccess access;
  access.map.assign(static_cast<std::size_t>(data.rank()), b.number(0));
  Map at(static_cast<std::size_t>(indices.rank()), b.number(0));
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (dimensions[d].data >= 0) access.map[static_cast<std::size_t>(dimensions[d].data)] = map[d];
    if (dimensions[d].indices >= 0) at[static_cast<std::size_t>(dimensions[d].indices)] = map[d];
  }
  const auto strides = dense_strides(data);
  const auto m = ops::index_map(node, b.graph().type(node.operands[0]), b.graph().type(node.operands[1]));
  for (std::size_t k = 0; k < m.axes.size(); ++k) {
    if (node.attributes.flag("nd")) at.back() = b.number(static_cast<std::int64_t>(k));
    const int axis = m.axes[k];
    Term term;
    term.position = b.number(0);
    term.indirect = b.element(node.operands[1], at);
    term.extent = data[axis];
    term.stride = strides[static_cast<std::size_t>(axis)];
    term.checked = node.attributes.text("out_of_bounds") != "ignore";
    term.node = id;
    term.axis = axis;
    access.terms.push_back(std::move(term));
  }
  return access;
}

}  // namespace weft::kernel
