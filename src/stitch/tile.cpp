#include "stitch/tile.h"

#include "stitch/split.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace weft::kernel {
namespace {

/// What tiles are chosen for: lanes of f32 and registers that a large processor has. A smaller one takes several vectors
/// for one, which changes no result.
constexpr std::int64_t lanes = 16;

/// Elements of an operand beyond which it isn't in a core's own caches.
constexpr std::int64_t beyond_caches = 1 << 17;

std::size_t at(int i) { return static_cast<std::size_t>(i); }
std::int64_t ceiling(std::int64_t x, std::int64_t y) { return (x + y - 1) / y; }

class Tiler {
 public:
  explicit Tiler(const Kernel& kernel) : kernel_(kernel) { collect_loads(); }

  bool applies() const {
    const bool sums = !kernel_.reductions.empty() && std::all_of(kernel_.reductions.begin(), kernel_.reductions.end(),
                                                                 [](const auto& r) { return r.op == ReduceOp::sum && r.products && !r.crosses; });
    const bool has_results = std::none_of(kernel_.extents.begin(), kernel_.extents.begin() + kernel_.parallel, [](auto e) { return e == 0; });
    return sums && has_results && !kernel_.scatters && kernel_.rows == 0 && kernel_.parallel > 0 && kernel_.loops() > kernel_.parallel &&
           std::none_of(kernel_.stores.begin(), kernel_.stores.end(), [&](const Store& s) { return is_inner(kernel_, s.access); });
  }

  std::vector<Kernel> run(const std::function<ir::Value(TensorType)>& temporary) {
    choose_loops();
    if (column_ < 0) return {};
    choose_shape();
    Kernel k = arranged();
    const std::int64_t part = part_length(k);
    const int cut = k.loops() - 1;
    const std::int64_t total = k.extents[at(cut)];
    // Lanes share the iterations of a loop that they are of; every processor has this many.
    constexpr int fewest_lanes = 4;
    k.tiling.one_section =
        (part == 0 ? iterations() : iterations() / total * part) <= Tiling::section * (k.is_sequential(k.vector_loop) ? fewest_lanes : 1);
    if (part == 0) return {std::move(k)};
    auto [partial, whole] = split_loop(k, cut, part, temporary);
    partial.tiling.total = total;
    partial.tiling.cut = cut + 1;
    ++partial.vector_loop;
    whole.tiling = {};
    normalise(whole);
    return {std::move(partial), std::move(whole)};
  }

 private:
  /// Elements from one iteration of a loop to the next, where that is a fixed number.
  static constexpr std::int64_t irregular = std::numeric_limits<std::int64_t>::max();

  std::int64_t stride(const Access& access, int loop) const {
    std::int64_t s = access.address.coefficients[at(loop)];
    for (const auto& t : access.terms) {
      if (t.indirect >= 0) return irregular;
      const auto moved = t.position.coefficients[at(loop)];
      if (moved != 0 && t.divisor != 1) return irregular;
      s += moved * t.stride;
    }
    return s;
  }

  /// The loads that the reductions are made of.
  void collect_loads() {
    std::vector<bool> needed(kernel_.exprs.size());
    for (const auto& r : kernel_.reductions) needed[at(r.value)] = true;
    for (int id = static_cast<int>(needed.size()) - 1; id >= 0; --id) {
      if (!needed[at(id)]) continue;
      const Expr& e = kernel_.exprs[at(id)];
      for (int o : e.operands) needed[at(o)] = true;
      for (const auto& t : e.access.terms)
        if (t.indirect >= 0) needed[at(t.indirect)] = true;
      if (e.kind == ExprKind::load) loads_.push_back(&e.access);
    }
  }

  bool shares(int loop) const {
    bool moves = false, stays = false;
    for (const Access* load : loads_) (stride(*load, loop) == 0 ? stays : moves) = true;
    return moves && stays;
  }

  std::int64_t extent(int loop) const { return loop < 0 ? 1 : kernel_.extents[at(loop)]; }

  /// How dear it is to have lanes be iterations of a loop: against lanes that are all used and read neighbours.
  double cost_of_lanes(int loop) const {
    const std::int64_t n = std::max<std::int64_t>(extent(loop), 1);
    double cost = static_cast<double>(ceiling(n, lanes) * lanes) / static_cast<double>(n);
    for (const Access* load : loads_)
      if (const auto s = stride(*load, loop); s != 0 && s != 1) cost += lanes;
    if (kernel_.is_sequential(loop)) cost += 0.25 + static_cast<double>(lanes) / static_cast<double>(n);
    else
      for (const auto& store : kernel_.stores)
        if (stride(store.access, loop) != 1) cost += 1;
    return cost;
  }

  std::int64_t iterations() const {
    return std::accumulate(kernel_.extents.begin() + kernel_.parallel, kernel_.extents.end(), std::int64_t{1}, std::multiplies<>());
  }

  /// The loops of lanes, of columns and of rows. Rows share what lanes are of: the dearer loads.
  void choose_loops() {
    vector_ = kernel_.loops() - 1;
    double best = cost_of_lanes(vector_);
    for (int d = kernel_.parallel - 1; d >= 0; --d)
      if (shares(d) && cost_of_lanes(d) < best) best = cost_of_lanes(d), vector_ = d;
    auto longest = [&](int other, const std::function<bool(int)>& suits) {
      int found = -1;
      for (int d = kernel_.parallel - 1; d >= 0; --d)
        if (d != other && shares(d) && suits(d) && extent(d) > extent(found)) found = d;
      return found;
    };
    if (!kernel_.is_sequential(vector_)) {
      column_ = vector_;
    } else {
      column_ = longest(-1, [](int) { return true; });
      if (column_ < 0) return;
    }
    row_ = longest(column_, [&](int d) {
      return std::any_of(loads_.begin(), loads_.end(), [&](const Access* l) { return stride(*l, d) == 0 && stride(*l, column_) != 0; });
    });
  }

  void choose_shape() {
    // Of few heights, so that products of other sizes mostly find their code compiled.
    const std::int64_t rows = extent(row_), height = rows > 4 ? 8 : rows > 2 ? 4 : rows;
    Tiling& t = tiling_;
    if (kernel_.is_sequential(vector_)) {
      t.rows = static_cast<int>(std::min<std::int64_t>(height, 4));
      t.columns = static_cast<int>(std::min<std::int64_t>(extent(column_), t.rows == 1 ? 8 : t.rows == 2 ? 6 : 4));
      return;
    }
    t.rows = static_cast<int>(height);
    t.columns = static_cast<int>(std::min<std::int64_t>(t.rows == 1 ? 8 : t.rows == 8 ? 2 : 4, ceiling(extent(column_), lanes)));
    // Few rows: what the columns are of is best read in the order in which it lies.
    if (rows <= 2 && extent(column_) >= 2 * lanes && extent(kernel_.loops() - 1) * extent(column_) >= beyond_caches) {
      t.depth = 4;
      t.columns = 2;
    }
  }

  /// The loops in the order that a tiling has them in.
  Kernel arranged() const {
    std::vector<int> order;
    for (int d = 0; d < kernel_.parallel; ++d)
      if (d != row_ && d != column_) order.push_back(d);
    if (row_ >= 0) order.push_back(row_);
    order.push_back(column_);
    for (int d = kernel_.parallel; d < kernel_.loops(); ++d) order.push_back(d);
    Kernel k = kernel_;
    k.tiling = tiling_;
    auto permute = [&](std::vector<std::int64_t>& list) {
      const auto before = list;
      for (std::size_t i = 0; i < order.size(); ++i) list[i] = before[at(order[i])];
    };
    permute(k.extents);
    for_each_affine(k, [&](Affine& a) {
      if (!a.coefficients.empty()) permute(a.coefficients);
    });
    k.vector_loop = static_cast<int>(std::find(order.begin(), order.end(), vector_) - order.begin());
    return k;
  }

  /// How many iterations of the last loop make a part; 0 when the kernel stays whole. It follows from the sizes alone, so
  /// that the same sizes always give the same bits.
  static std::int64_t part_length(const Kernel& k) {
    const Tiling& t = k.tiling;
    const std::int64_t length = k.extents.back();
    const std::int64_t results = std::accumulate(k.extents.begin(), k.extents.begin() + k.parallel, std::int64_t{1}, std::multiplies<>());
    const std::int64_t per_tile = t.rows * t.columns * (k.is_sequential(k.vector_loop) ? 1 : lanes);
    constexpr std::int64_t enough_tiles = 16, least_work = 1 << 17;
    if (t.depth > 0) {
      const std::int64_t part = std::clamp<std::int64_t>(length / 16, 64, Tiling::section);
      return part < length ? part : 0;
    }
    const std::int64_t tiles = ceiling(results, per_tile);
    if (tiles >= enough_tiles || results * length < least_work || results == 0) return 0;
    const std::int64_t part = std::max<std::int64_t>(length / ceiling(enough_tiles, tiles), Tiling::section);
    return part < length ? part : 0;
  }

  const Kernel& kernel_;
  std::vector<const Access*> loads_;
  int vector_ = -1, column_ = -1, row_ = -1;
  Tiling tiling_;
};

}  // namespace

std::vector<Kernel> tile(const Kernel& kernel, const std::function<ir::Value(TensorType)>& temporary) {
  Tiler tiler(kernel);
  return tiler.applies() ? tiler.run(temporary) : std::vector<Kernel>{};
}

}  // namespace weft::kernel
