// Gather and scatter: accesses whose index is computed.
#include "ops/indexing.h"
#include "stitch/lowering.h"

#include <algorithm>

namespace weft::kernel {
namespace {

/// Dimensions of the gathered tensor, and what each stands for.
struct Dimension {
  int data = -1;     ///< dimension of data; -1: of indices
  int indices = -1;  ///< dimension of indices; -1: of data only
  std::int64_t size = 0;
};

std::vector<Dimension> dimensions_of(const ops::IndexMap& m, const Shape& data, const Shape& indices) {
  std::vector<Dimension> list;
  for (int d = 0; d <= data.rank(); ++d) {
    if (d == m.place)
      for (int o = 0; o < m.outer; ++o) list.push_back({-1, m.batch + o, indices[m.batch + o]});
    if (d == data.rank() || std::find(m.axes.begin(), m.axes.end(), d) != m.axes.end()) continue;
    list.push_back({d, d < m.batch ? d : -1, data[d]});
  }
  return list;
}

/// The access to data that belongs to an element of the gathered tensor at `map`.
struct DataAccess {
  Map map;
  std::vector<Term> terms;
};

DataAccess data_access(Lowering& l, Builder& b, ir::NodeId id, const ops::IndexMap& m, const std::vector<Dimension>& dimensions, const Map& map) {
  const ir::Node& node = l.graph[id];
  const Shape &data = l.graph.type(node.operands[0]).shape, &indices = l.graph.type(node.operands[1]).shape;
  DataAccess access;
  access.map.assign(static_cast<std::size_t>(data.rank()), b.number(0));
  Map at(static_cast<std::size_t>(indices.rank()), b.number(0));
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (dimensions[d].data >= 0) access.map[static_cast<std::size_t>(dimensions[d].data)] = map[d];
    if (dimensions[d].indices >= 0) at[static_cast<std::size_t>(dimensions[d].indices)] = map[d];
  }
  const auto strides = dense_strides(data);
  const bool nd = node.attributes.flag("nd");
  for (std::size_t k = 0; k < m.axes.size(); ++k) {
    if (nd) at.back() = b.number(static_cast<std::int64_t>(k));
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

}  // namespace

void lower_gather(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const auto &data = l.graph.type(node.operands[0]), &indices = l.graph.type(node.operands[1]);
  const auto m = ops::index_map(node, data, indices);
  const auto dimensions = dimensions_of(m, data.shape, indices.shape);
  const Shape& shape = node.types[0].shape;
  Builder b = l.builder({shape.begin(), shape.end()}, shape.rank());
  const Map map = b.loops(0, shape.rank());
  const DataAccess access = data_access(l, b, id, m, dimensions, map);
  b.store({id, 0}, map, b.load(node.operands[0], access.map, access.terms));
  l.finish(b, {&id, 1});
}

void lower_scatter(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const auto &data = l.graph.type(node.operands[0]), &indices = l.graph.type(node.operands[1]);
  {
    Builder b = l.builder({data.shape.begin(), data.shape.end()}, data.shape.rank());
    const Map map = b.loops(0, data.shape.rank());
    b.store({id, 0}, map, b.element(node.operands[0], map));
    l.finish(b, {&id, 1});
  }
  const auto m = ops::index_map(node, data, indices);
  const auto dimensions = dimensions_of(m, data.shape, indices.shape);
  // Along dimensions of data every element goes to a place of its own; along the others in order, so that duplicates are
  // combined in one order always.
  std::vector<std::int64_t> extents;
  std::vector<int> loop_of(dimensions.size());
  int parallel = 0;
  for (const bool sequential : {false, true})
    for (std::size_t d = 0; d < dimensions.size(); ++d)
      if ((dimensions[d].data < 0) == sequential) {
        loop_of[d] = static_cast<int>(extents.size());
        extents.push_back(dimensions[d].size);
        parallel += !sequential;
      }
  Builder b = l.builder(extents, parallel);
  b.kernel().scatters = true;
  Map map;
  for (int loop : loop_of) map.push_back(b.loop(loop));
  const DataAccess access = data_access(l, b, id, m, dimensions, map);
  static constexpr std::pair<std::string_view, Combine> modes[] = {{"set", Combine::set}, {"add", Combine::add}, {"sub", Combine::sub},
                                                                   {"mul", Combine::mul}, {"div", Combine::div}, {"min", Combine::min},
                                                                   {"max", Combine::max}};
  const auto mode =
      std::find_if(std::begin(modes), std::end(modes), [&](const auto& row) { return row.first == node.attributes.text("mode"); })->second;
  const int value = b.element(node.operands[2], map);
  Store store{b.write({id, 0}, access.map), value, mode};
  store.access.terms = access.terms;
  b.kernel().stores.push_back(std::move(store));
  l.finish(b, {&id, 1});
}

}  // namespace weft::kernel
