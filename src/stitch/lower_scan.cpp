// Scans: what the elements up to each one come to.
#include "stitch/lowering.h"

#include <algorithm>
#include <optional>

namespace weft::kernel {
namespace {

/// Scans of at least this length are computed in parts where there are not too many rows, so that all cores take part: first
/// what every part comes to, then from that where each part starts. The parts depend on the sizes alone, never on the number of
/// threads: the same sizes always give the same bits.
constexpr std::int64_t parts_from = 1 << 16, part_size = 2048;

class ScanLowering {
 public:
  ScanLowering(Lowering& l, ir::NodeId id)
      : l_(l),
        id_(id),
        node_(l.graph[id]),
        shape_(node_.types[0].shape),
        axis_(static_cast<int>(node_.attributes.integer("axis"))),
        scan_{node_.attributes.flag("exclusive"), node_.attributes.flag("reverse")} {
    static constexpr std::pair<std::string_view, ReduceOp> names[] = {{"scan_sum", ReduceOp::sum},
                                                                      {"scan_prod", ReduceOp::prod},
                                                                      {"scan_max", ReduceOp::max},
                                                                      {"scan_min", ReduceOp::min},
                                                                      {"scan_linear", ReduceOp::linear}};
    op_ = std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == node_.op->name; })->second;
    for (int d = 0; d < shape_.rank(); ++d)
      if (d != axis_) rows_.push_back(shape_[d]);
  }

  void run() {
    const std::int64_t length = shape_[axis_];
    std::int64_t rows = 1;
    for (auto r : rows_) rows *= r;
    // Products of parts could overflow where products one after the other don't.
    const bool regroups = op_ == ReduceOp::sum || op_ == ReduceOp::max || op_ == ReduceOp::min;
    if (length >= parts_from && rows <= l_.target.most_scanned_rows && regroups) in_parts(length);
    else scan({.start = 0, .count = 1, .size = length});
  }

 private:
  /// `count` stretches of `size` elements, one after the other.
  struct Parts {
    std::int64_t start, count, size;
  };

  /// What the elements before each part come to is in `offsets` [rows.., part], for the first of the parts at `first`.
  void scan(const Parts& parts, std::optional<ir::Value> offsets = {}, std::int64_t first = 0) {
    Builder b = builder(parts.count, parts.size);
    const Map map = map_of(b, parts);
    const int result = b.reduce(op_, b.element(node_.operands[0], map), op_ == ReduceOp::linear ? b.element(node_.operands[1], map) : -1);
    b.kernel().scan = scan_;
    if (offsets) b.kernel().reductions[0].initial = b.load(*offsets, part_map(b, first));
    b.store({id_, 0}, map, b.cast(result, node_.types[0].dtype));
    l_.finish(b, {&id_, 1});
  }

  /// What is left over when the length is cut into parts comes last: at the end, or at the beginning of a reverse scan.
  void in_parts(std::int64_t length) {
    const std::int64_t count = length / part_size, rest = length % part_size;
    const Parts whole{scan_.reverse ? rest : 0, count, part_size}, left{scan_.reverse ? 0 : count * part_size, 1, rest};
    const DType dtype = op_ == ReduceOp::sum ? Builder::accumulator(node_.types[0].dtype) : node_.types[0].dtype;
    const ir::Value totals = l_.temporary(type_by_part(dtype, count)), offsets = l_.temporary(type_by_part(dtype, count + 1));
    {
      Builder b = builder(count, part_size);
      b.store(totals, part_map(b, 0), b.reduce(op_, b.element(node_.operands[0], map_of(b, whole))));
      l_.finish(b, {&id_, 1});
    }
    {
      Builder b = builder(1, count + 1);
      Map map = row_map(b);
      map.push_back(b.loop(b.kernel().loops() - 1, 1, scan_.reverse ? -1 : 0));
      Term inside;  // The part that is scanned last has no total; nothing comes after it.
      inside.position = map.back();
      inside.extent = count;
      const int result = b.reduce(op_, b.load(totals, map, {inside}));
      b.kernel().scan = Scan{.exclusive = true, .reverse = scan_.reverse};
      map.back().constant = 0;
      b.store(offsets, map, result);
      l_.finish(b, {&id_, 1});
    }
    scan(whole, offsets, scan_.reverse ? 1 : 0);
    if (rest > 0) scan(left, offsets, scan_.reverse ? 0 : count);
  }

  /// Loops: the parts' among the rows', where the axis is, so that neighbours stay neighbours; and along each part.
  Builder builder(std::int64_t parts, std::int64_t size) const {
    std::vector<std::int64_t> extents = rows_;
    extents.insert(extents.begin() + axis_, parts);
    extents.push_back(size);
    return l_.builder(extents, static_cast<int>(extents.size()) - 1);
  }

  Map row_map(const Builder& b) const {
    Map map = b.loops(0, static_cast<int>(rows_.size()) + 1);
    map.erase(map.begin() + axis_);
    return map;
  }

  Map map_of(const Builder& b, const Parts& parts) const {
    Map map = row_map(b);
    Affine along = b.loop(static_cast<int>(rows_.size()) + 1, 1, parts.start);
    along.coefficients[static_cast<std::size_t>(axis_)] = parts.size;
    map.insert(map.begin() + axis_, along);
    return map;
  }

  Map part_map(const Builder& b, std::int64_t first) const {
    Map map = row_map(b);
    map.push_back(b.loop(axis_, 1, first));
    return map;
  }

  TensorType type_by_part(DType dtype, std::int64_t parts) const {
    std::vector<std::int64_t> sizes = rows_;
    sizes.push_back(parts);
    return {dtype, Shape(sizes)};
  }

  Lowering& l_;
  const ir::NodeId id_;
  const ir::Node& node_;
  const Shape& shape_;
  const int axis_;
  const Scan scan_;
  ReduceOp op_;
  std::vector<std::int64_t> rows_;
};

}  // namespace

void lower_scan(Lowering& l, ir::NodeId id) { ScanLowering(l, id).run(); }

}  // namespace weft::kernel
