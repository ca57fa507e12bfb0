// Scatter: the data as it is, then the updates, element by element.
#include "stitch/classify.h"
#include "stitch/indexed.h"
#include "stitch/lowering.h"

#include <algorithm>

namespace weft::kernel {

void lower_scatter(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const TensorType& data = l.graph.type(node.operands[0]);
  {
    Builder b = l.builder({data.shape.begin(), data.shape.end()}, data.shape.rank());
    const Map map = b.loops(0, data.shape.rank());
    b.store({id, 0}, map, b.element(node.operands[0], map));
    l.finish(b, {&id, 1});
  }
  const auto dimensions = stitching::indexed_dimensions(l.graph, node);
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
  const IndexedAccess access = indexed_access(b, id, map);
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
