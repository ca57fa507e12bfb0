#include "backend/cuda/emit_mapping.h"

#include "stitch/keep.h"

#include <algorithm>
#include <bit>

namespace weft::cuda {
namespace {

using namespace kernel;

std::size_t at(int i) { return static_cast<std::size_t>(i); }
std::int64_t ceiling(std::int64_t x, std::int64_t y) { return (x + y - 1) / y; }
std::int64_t bit_floor(std::int64_t x) { return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(x))); }
std::int64_t bit_ceil(std::int64_t x) { return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(x))); }

/// Vectors that a thread of a team keeps at most, and bytes of registers for them.
constexpr std::int64_t most_vectors = 8;
constexpr int kept_bytes = 256;
/// Places that lie side by side in memory and are computed side by side.
constexpr int neighbours = 32;
constexpr int fewest_neighbours = 8, most_threads = 1024;
/// Steps from which on larger teams share them where memory doesn't go along them; below which a thread takes all of them, where there are many
/// places.
constexpr std::int64_t long_columns = 512, short_columns = 16;
/// Of shared memory for loads that are turned: several blocks are to have theirs at a time, and more than this is not there without asking.
constexpr std::size_t most_shared = 24 << 10;
/// The team that reduces everything to one number, if that is not much.
constexpr std::int64_t small_team = 128;

class Mapper {
 public:
  Mapper(const Kernel& kernel, const DeviceProperties& device)
      : kernel_(kernel), device_(device), passes_(passes_of(kernel)), varies_(varying(kernel)) {}

  Mapping run() {
    result_.kept.assign(kernel_.exprs.size(), false);
    if (kernel_.scatters && scatters_in_order()) return sliced();
    const int first = kernel_.first_sequential();
    const std::int64_t places = iterations(kernel_, 0, kernel_.parallel), steps = iterations(kernel_, first, kernel_.loops());
    const bool along_row = kernel_.vector_loop >= 0 && kernel_.is_sequential(kernel_.vector_loop);
    const bool has_steps = first < kernel_.loops() && !kernel_.scatters && !kernel_.scan;
    if (kernel_.vector_loop >= 0 && !kernel_.scatters && !kernel_.scan)
      result_.width = width(along_row ? places * std::max<std::int64_t>(steps, 1) : places);
    const std::int64_t enough = std::int64_t{device_.multiprocessors} * 1024;
    std::int64_t team = 1;
    if (has_steps && along_row) {
      const std::int64_t vectors = ceiling(steps, result_.width), least = bit_ceil(std::clamp<std::int64_t>(ceiling(vectors, 4), 1, 1024));
      if (kernel_.parallel == 0) team = vectors <= small_team ? small_team : 1024;
      else if (places * least >= enough / 2) team = least;
      else if (kernel_.rows == 0) team = bit_ceil(std::min<std::int64_t>(vectors, 1024));
      else
        team = std::clamp(bit_floor(enough / std::max<std::int64_t>(places, 1)), least,
                          bit_ceil(std::min<std::int64_t>(vectors, 1024)));  // of parts, which take many rows each
    } else if (has_steps && !has_windows() && places / result_.width < enough / 4 &&
               (steps >= short_columns || kernel_.ended >= 0 || has_few_places(places))) {
      result_.width = 1;
      result_.columns = neighbours;
      team = steps < long_columns ? 8 : 32;
      // Few places are to be on many multiprocessors, and to come to their ends soon; what a block reads of a row is still what memory gives at
      // least.
      if (has_few_places(places)) {
        result_.columns = places <= std::int64_t{neighbours} / 2 * device_.multiprocessors ? fewest_neighbours : neighbours / 2;
        team = most_threads / result_.columns;
      }
    }
    // Elements may be combined before those that came before are. How follows from the length of what is scanned alone.
    if (kernel_.scan && can_regroup(kernel_) && steps > scan_elements) {
      team = bit_ceil(std::clamp<std::int64_t>(steps / scan_elements, 2, along_row ? 256 : 32));
      if (!along_row) result_.columns = neighbours;
    }
    result_.team = static_cast<int>(team);
    if (result_.width > 1) {
      result_.has_rest = extent(kernel_.vector_loop) % result_.width != 0;
      if (kernel_.vector_loop == kernel_.ended && kernel_.end % result_.width != 0) result_.has_rest = true;
    }
    if (team > 1) {
      const std::int64_t vectors = ceiling(steps, team * result_.width);
      const bool is_row = kernel_.parallel > 0 && result_.columns == 0;
      if (vectors <= most_vectors && !kernel_.scan && (is_row || walks_again())) {
        result_.vectors = static_cast<int>(std::max<std::int64_t>(vectors, 1));
        keep();
      }
      result_.places = places;
      result_.threads = static_cast<unsigned>(result_.columns > 0 ? team * result_.columns : team > 32 ? team : 256);
    } else {
      result_.places = along_row || kernel_.vector_loop < 0 || result_.width == 1
                           ? places
                           : places / std::max<std::int64_t>(extent(kernel_.vector_loop), 1) * ceiling(extent(kernel_.vector_loop), result_.width);
      if (result_.places < enough / 4) result_.threads = 128;
      if (!along_row && result_.width == 1 && !kernel_.scatters && !kernel_.scan) tile();
    }
    return std::move(result_);
  }

 private:
  std::int64_t extent(int loop) const { return kernel_.extents[at(loop)]; }

  /// Of parts there are many.
  bool has_few_places(std::int64_t places) const { return kernel_.ended < 0 && places <= std::int64_t{neighbours} * device_.multiprocessors; }

  bool has_windows() const {
    for (int d = kernel_.first_sequential(); d < kernel_.loops(); ++d)
      if (!is_window(kernel_, d)) return false;
    return true;
  }

  /// Whether a load goes across the vector loop and along this one.
  bool is_turned(const Expr& e, int across, int along) const {
    return e.kind == ExprKind::load && e.access.address.coefficients[at(across)] > 1 && e.access.address.coefficients[at(along)] == 1;
  }

  /// Looks for a loop across the vector loop along which memory is read.
  void tile() {
    const int across = kernel_.vector_loop;
    if (across < 0 || extent(across) < neighbours / 2) return;
    for (int along = 0; along < kernel_.parallel; ++along) {
      if (along == across) continue;
      std::size_t largest = 0;
      std::vector<bool> turned(kernel_.exprs.size());
      for (std::size_t e = 0; e < turned.size(); ++e) {
        const Expr& expr = kernel_.exprs[e];
        if (!is_turned(expr, across, along)) continue;
        largest = std::max(largest, size_of(expr.access.dtype));
        turned[e] = expr.access.terms.empty();
      }
      if (largest == 0) continue;
      // A row of a square is a line of memory, as far as a block's threads are as many as that takes.
      const int side = largest >= 4 ? 32 : 64;
      const bool is_square = kernel_.loops() == kernel_.parallel && extent(across) >= side && extent(along) >= side &&
                             std::ranges::find(turned, true) != turned.end() && shared_bytes(turned, side) <= most_shared;
      constexpr std::size_t sector = 32;  // bytes that memory gives at least
      const auto rows = static_cast<int>(sector / std::max<std::size_t>(largest, 2));
      if (!is_square && extent(along) < rows) continue;
      result_.tile_loop = along;
      result_.tile_rows = is_square ? side : rows;
      result_.square = is_square ? side : 0;
      if (is_square) result_.turned = std::move(turned);
      result_.threads = is_square ? 256 : static_cast<unsigned>(neighbours * rows);
      const std::int64_t tiles = ceiling(extent(across), is_square ? side : neighbours) * ceiling(extent(along), result_.tile_rows);
      result_.places = iterations(kernel_, 0, kernel_.parallel) / extent(across) / extent(along) * tiles * result_.threads;
      return;
    }
  }

  std::size_t shared_bytes(const std::vector<bool>& turned, int side) const {
    std::size_t bytes = 0;
    for (std::size_t e = 0; e < turned.size(); ++e)
      if (turned[e]) bytes += size_of(kernel_.exprs[e].access.dtype) * at(side * (side + 4));
    return bytes;
  }

  /// Whether the scatter's indices are the same for all places, so that blocks can share them out by where they point to.
  bool scatters_in_order() const {
    if (kernel_.stores.size() != 1 || kernel_.stores[0].access.terms.empty() || kernel_.rows > 0) return false;
    const auto& terms = kernel_.stores[0].access.terms;
    for (int d = 0; d < kernel_.parallel; ++d) {
      const auto moves = moving(kernel_, d);
      if (std::any_of(terms.begin(), terms.end(), [&](const Term& t) { return t.indirect < 0 || moves[at(t.indirect)]; })) return false;
    }
    constexpr std::int64_t least_steps = 32;
    return terms[0].indirect >= 0 && iterations(kernel_, kernel_.parallel, kernel_.loops()) >= least_steps;
  }

  Mapping sliced() {
    const std::int64_t places = iterations(kernel_, 0, kernel_.parallel), chunks = ceiling(places, 256);
    const std::int64_t wanted = ceiling(std::int64_t{device_.multiprocessors} * 8, std::max<std::int64_t>(chunks, 1));
    result_.slices = std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(kernel_.stores[0].access.terms[0].extent, 1));
    result_.places = result_.slices * chunks;
    result_.team = 256;
    return std::move(result_);
  }

  /// The widest vectors, of 16 bytes read, in which everything that moves along the vector loop can be read and written.
  int width(std::int64_t elements) const {
    const int loop = kernel_.vector_loop;
    std::size_t largest_read = 0, largest_written = 0;
    std::int64_t aligned = 16;  // of which all distances between rows are multiples
    bool possible = true;
    auto restrict = [&](std::int64_t n) { aligned = std::min(aligned, n == 0 ? aligned : n & -n); };
    auto visit = [&](const Access& access, std::size_t& largest) {
      if (!moves_along(kernel_, access, loop)) return;
      possible = possible && is_contiguous(kernel_, access, loop);
      largest = std::max(largest, size_of(access.dtype));
      for (int d = 0; d < kernel_.loops(); ++d)
        if (d != loop) restrict(access.address.coefficients[at(d)]);
      restrict(access.address.constant);
      for (const auto& t : access.terms) restrict(t.stride);
    };
    for (const auto& e : kernel_.exprs)
      if (e.kind == ExprKind::load) visit(e.access, largest_read);
      else if (e.kind == ExprKind::inside && moves_along(kernel_, e.access, loop)) possible = false;
    for (const auto& s : kernel_.stores) visit(s.access, largest_written);
    const bool in_rows = (kernel_.is_sequential(loop) ? kernel_.loops() - kernel_.first_sequential() : kernel_.parallel) > 1;
    if (in_rows) {
      restrict(extent(loop));
      if (loop == kernel_.ended) restrict(kernel_.end);
    }
    if (loop == kernel_.tiling.cut && kernel_.tiling.total != 0) possible = false;
    if (!possible || largest_read + largest_written == 0) return 1;
    const std::size_t bytes = std::max(largest_read == 0 ? largest_written : largest_read, largest_written / 2);
    std::int64_t w = std::min<std::int64_t>(16 / static_cast<std::int64_t>(bytes), aligned);
    return w > 1 && elements / w >= std::int64_t{device_.multiprocessors} * 16 ? static_cast<int>(w) : 1;
  }

  /// Chooses what stays in registers from pass to pass: what is read, and what is dear to compute again.
  void keep() {
    std::vector<bool> dear(kernel_.exprs.size());
    for (std::size_t e = 0; e < dear.size(); ++e) {
      const Expr& expr = kernel_.exprs[e];
      dear[e] = varies_[e] && expr.kind == ExprKind::op &&
                (is_dear(expr.op) || std::any_of(expr.operands.begin(), expr.operands.end(), [&](int o) { return dear[at(o)]; }));
    }
    std::vector<bool> kept(kernel_.exprs.size()), seen;
    std::function<void(int, int)> visit = [&](int e, int pass) {
      const Expr& expr = kernel_.exprs[at(e)];
      if (!varies_[at(e)] || kept[at(e)] || seen[at(e)]) return;
      seen[at(e)] = true;
      if (passes_[at(e)] < pass && (expr.kind == ExprKind::load || dear[at(e)]) && is_computed_in(e, passes_[at(e)])) {
        kept[at(e)] = true;
        return;
      }
      for (int o : expr.operands) visit(o, pass);
      for (const auto& t : expr.access.terms)
        if (t.indirect >= 0) visit(t.indirect, pass);
    };
    const int last = passes_.empty() ? 0 : *std::max_element(passes_.begin(), passes_.end());
    for (int p = 1; p <= last; ++p) {
      seen.assign(kept.size(), false);
      for (int root : roots(p)) visit(root, p);
    }
    std::size_t bytes = 0;
    for (std::size_t e = 0; e < kept.size(); ++e)
      if (kept[e]) bytes += std::max<std::size_t>(size_of(kernel_.exprs[e].dtype), 4) * at(result_.vectors * result_.width);
    for (const auto& s : kernel_.stores)
      if (s.begins) bytes += size_of(s.access.dtype) * at(result_.vectors * result_.width);
    if (bytes <= kept_bytes / (result_.team > 512 ? 2 : 1)) result_.kept = std::move(kept);
  }

  /// Whether the sequential loops are walked in a second pass.
  bool walks_again() const {
    const int last = passes_.empty() ? 0 : *std::ranges::max_element(passes_);
    for (int p = 1; p <= last; ++p)
      if (!roots(p).empty()) return true;
    return false;
  }

  std::vector<int> roots(int pass) const {
    std::vector<int> list;
    for (const auto& r : kernel_.reductions)
      for (int e : {r.value, r.index})
        if (e >= 0 && passes_[at(e)] == pass) list.push_back(e);
    for (const auto& s : kernel_.stores)
      if (is_inner(kernel_, s.access) && passes_[at(s.value)] == pass) list.push_back(s.value);
    return list;
  }

  bool is_computed_in(int e, int pass) const {
    std::vector<bool> computed(kernel_.exprs.size());
    for (int r : roots(pass)) computed[at(r)] = true;
    for (std::size_t i = computed.size(); i-- > at(e);) {
      if (!computed[i]) continue;
      for (int o : kernel_.exprs[i].operands) computed[at(o)] = true;
      for (const auto& t : kernel_.exprs[i].access.terms)
        if (t.indirect >= 0) computed[at(t.indirect)] = true;
    }
    return computed[at(e)];
  }

  const Kernel& kernel_;
  const DeviceProperties& device_;
  std::vector<int> passes_;
  std::vector<bool> varies_;
  Mapping result_;
};

}  // namespace

std::int64_t iterations(const Kernel& kernel, int first, int last) {
  std::int64_t n = 1;
  for (int d = first; d < last; ++d) n *= kernel.extents[at(d)];
  return n;
}

bool is_window(const Kernel& kernel, int loop) {
  constexpr std::int64_t widest = 8, largest = 32, many_places = 1 << 15;
  const bool is_likely = kernel.loops() - kernel.first_sequential() > 1 || iterations(kernel, 0, kernel.parallel) >= many_places;
  return is_likely && kernel.extents[at(loop)] <= widest && iterations(kernel, loop, kernel.loops()) <= largest;
}

std::vector<bool> moving(const Kernel& kernel, int loop) {
  std::vector<bool> moves(kernel.exprs.size());
  if (loop < 0) return moves;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const Expr& e = kernel.exprs[i];
    bool m = false;
    if (e.kind == ExprKind::index) m = e.index.coefficients[at(loop)] != 0;
    if (e.kind == ExprKind::load || e.kind == ExprKind::inside) {
      m = e.access.address.coefficients[at(loop)] != 0;
      for (const auto& t : e.access.terms) m = m || (t.indirect >= 0 ? moves[at(t.indirect)] : t.position.coefficients[at(loop)] != 0);
    }
    // Of a reduction over the sequential loops, for a place of the others.
    if (e.kind == ExprKind::reduced) m = !kernel.is_sequential(loop);
    for (int o : e.operands) m = m || moves[at(o)];
    moves[i] = m;
  }
  return moves;
}

bool moves_along(const Kernel& kernel, const Access& access, int loop) {
  const auto moves = moving(kernel, loop);
  return access.address.coefficients[at(loop)] != 0 || std::any_of(access.terms.begin(), access.terms.end(), [&](const Term& t) {
           return t.indirect >= 0 ? moves[at(t.indirect)] : t.position.coefficients[at(loop)] != 0;
         });
}

bool is_contiguous(const Kernel& kernel, const Access& access, int loop) {
  Access rest = access;
  rest.address.coefficients[at(loop)] = 0;
  return access.address.coefficients[at(loop)] == 1 && !moves_along(kernel, rest, loop);
}

Mapping map_threads(const Kernel& kernel, const DeviceProperties& device) { return Mapper(kernel, device).run(); }

}  // namespace weft::cuda
