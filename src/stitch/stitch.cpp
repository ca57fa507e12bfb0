#include "stitch/stitch.h"

#include "graph/primitive.h"
#include "stitch/classify.h"

#include <weft/error.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <queue>
#include <set>

namespace weft {
namespace {

using namespace stitching;

/// Whether results of parts of the rows can be combined in memory.
bool adds_up(const ir::Node& node) {
  const auto name = node.op->name;
  return name == "reduce_sum" || name == "reduce_prod" || name == "reduce_max" || name == "reduce_min";
}

using Mask = std::uint32_t;

/// Members of one kernel: beyond this, compiling takes longer than a pass over memory would.
constexpr std::size_t largest_kernel = 192;
/// Regions that only read the same memory are joined while they are small: more would compete for registers.
constexpr std::size_t largest_joined = 48, most_joined_results = 8;
/// Elements of a row, or of a column beside which its neighbours lie, that a core's cache holds while they are walked again.
constexpr std::int64_t longest_row = 32768, longest_column = 4096, column_lanes = 16;
/// Spaces of at least this many elements need this many rows to be shared out among threads.
constexpr std::int64_t shared_from = 65536, least_rows = 8;
/// Operations repeated in a reader rather than stored.
constexpr int most_repeated = 6;

constexpr std::string_view left_out = "the rule that would join them is left out";

/// How an operation reads another, through the views between them.
struct Read {
  ir::NodeId source;
  std::vector<int> dims;    ///< by dimension of the source: the dimension of the reader's space that walks it; -1: size 1
  bool is_aligned = false;  ///< reads each element at its own index
};

class Stitcher {
 public:
  Stitcher(const Program& program, const StitchRules& rules, const std::function<bool(ir::NodeId)>& in_library)
      : graph_(program.graph),
        rules_(rules),
        is_generated_(size()),
        live_(Rewriter::live(program)),
        consumers_(size()),
        reads_(size()),
        readers_(size()),
        repeated_(size()),
        escapes_(size()),
        is_for_updates_(size()) {
    regions_.inlined.resize(size());
    regions_.region_of.assign(size(), -1);
    regions_.walked.resize(size());
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (live_[at(id)] && is_product(graph_[id])) is_generated_[at(id)] = !in_library(id);
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (live_[at(id)])
        for (std::size_t i = 0; i < graph_[id].operands.size(); ++i) consumers_[at(graph_[id].operands[i].node)].push_back({id, i});
    for (auto v : program.targets) escapes_[at(v.node)] = true;
    for (const auto& u : program.updates) escapes_[at(u.value.node)] = is_for_updates_[at(u.value.node)] = true;
    for (auto v : program.targets) is_for_updates_[at(v.node)] = false;
    for (ir::NodeId id = graph_.size() - 1; id >= 0; --id)
      if (!escapes_[at(id)] && !consumers_[at(id)].empty())
        is_for_updates_[at(id)] = std::ranges::all_of(consumers_[at(id)], [&](const Use& u) { return is_for_updates_[at(u.node)]; });
  }

  Regions run() {
    for (ir::NodeId id = graph_.size() - 1; id >= 0; --id)
      if (live_[at(id)]) regions_.inlined[at(id)] = is_read_in_place(id);
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (is_computed(id)) open(id);
    if (rules_.siblings) join_neighbours();
    if (rules_.parts || rules_.repetition) dissolve();
    settle();
    return std::move(regions_);
  }

 private:
  struct Use {
    ir::NodeId node;
    std::size_t operand;
  };

  static std::size_t at(ir::NodeId id) { return static_cast<std::size_t>(id); }
  std::size_t size() const { return graph_.nodes.size(); }
  bool is_computed(ir::NodeId id) const { return live_[at(id)] && !is_source(graph_[id]) && !regions_.inlined[at(id)]; }
  Region& region_of(ir::NodeId id) { return regions_.list[static_cast<std::size_t>(regions_.region_of[at(id)])]; }
  const std::vector<int>& walked(ir::NodeId id) const { return regions_.walked[at(id)]; }

  /// Views, gathers that are much the same, casts to larger types and what costs nothing, when all readers can compute it themselves.
  bool is_read_in_place(ir::NodeId id) const {
    const ir::Node& node = graph_[id];
    if (node.op->name == "constant") return is_free(node);
    const bool is_at_one_place = rules_.gathers && takes_one_place(graph_, node), is_wider = rules_.repetition && widens(graph_, node);
    if (!is_free(node) && !is_at_one_place && !is_wider && (!rules_.views || !is_view(graph_, node))) return false;
    const auto& uses = consumers_[at(id)];
    return !escapes_[at(id)] && std::all_of(uses.begin(), uses.end(), [&](const Use& u) {
      return composes(u.node, u.operand) && !(is_wider && is_generated_[at(u.node)]);  // which reads its factors many times
    });
  }

  // What an operation reads ---------------------------------------------------------------------------------------------

  /// A reduction of its space, or a product that is one because no library computes it.
  bool reduces(ir::NodeId id) const { return is_reduction(graph_[id]) || is_generated_[at(id)]; }

  bool composes(ir::NodeId reader, std::size_t operand) const {
    return is_generated_[at(reader)] || reads_through_map(graph_, graph_[reader], operand);
  }

  /// From the dimensions of a view to those of what it shows, and whether each element stays at its index.
  void through(const ir::Node& view, std::vector<int>& dims, bool& aligned) const {
    const auto name = view.op->name;
    const Shape &from = graph_.type(view.operands[0]).shape, &to = view.types[0].shape;
    if (name == "broadcast") {
      dims = broadcast_dims(dims, from);
    } else if (name == "transpose") {
      const auto& permutation = view.attributes.integers("permutation");
      std::vector<int> inner(dims.size());
      for (std::size_t d = 0; d < dims.size(); ++d) inner[at_dim(permutation[d])] = dims[d];
      dims = std::move(inner);
    } else if (name == "reshape") {
      std::vector<int> inner(at_dim(from.rank()), -1);
      int next = 0;
      for (int d = 0; d < from.rank(); ++d) {
        if (from[d] == 1) continue;
        while (to[next] == 1) ++next;
        inner[at_dim(d)] = dims[at_dim(next++)];
      }
      dims = std::move(inner);
    } else {
      const auto &start = view.attributes.integers("start"), &stride = view.attributes.integers("stride");
      for (int d = 0; d < from.rank(); ++d) aligned = aligned && start[at_dim(d)] == 0 && stride[at_dim(d)] == 1 && from[d] == to[d];
    }
  }

  /// Follows a value through what is read in place. `dims`: by dimension of the value, the dimension of the reader's space.
  void trace(ir::Value v, std::vector<int> dims, bool aligned, std::vector<Read>& reads) const {
    const ir::Node& node = graph_[v.node];
    if (!regions_.inlined[at(v.node)]) {
      reads.push_back({v.node, std::move(dims), aligned});
      return;
    }
    if (is_view(graph_, node)) {
      through(node, dims, aligned);
      trace(node.operands[0], std::move(dims), aligned, reads);
      return;
    }
    for (auto o : node.operands) trace(o, broadcast_dims(dims, graph_.type(o).shape), aligned && node.op->kind == Kind::elementwise, reads);
  }

  static std::size_t at_dim(std::int64_t d) { return static_cast<std::size_t>(d); }

  static std::vector<int> broadcast_dims(const std::vector<int>& dims, const Shape& shape) {
    std::vector<int> inner;
    const std::size_t lead = dims.size() - std::min(dims.size(), at_dim(shape.rank()));
    for (int d = 0; d < shape.rank(); ++d) inner.push_back(shape[d] == 1 || lead + at_dim(d) >= dims.size() ? -1 : dims[lead + at_dim(d)]);
    return inner;
  }

  std::vector<Read> reads_of(ir::NodeId id) const {
    const ir::Node& node = graph_[id];
    std::vector<Read> reads;
    std::vector<int> own;
    for (auto s : space_of(graph_, node)) own.push_back(s == 1 ? -1 : static_cast<int>(own.size()));
    for (std::size_t i = 0; i < node.operands.size(); ++i) {
      const ir::Value o = node.operands[i];
      const Shape& shape = graph_.type(o).shape;
      std::vector<int> dims(at_dim(shape.rank()), -1);
      bool aligned = true;
      if (is_generated_[at(id)]) dims = factor_dims(node, i, own);
      else if (node.op->kind == Kind::elementwise || is_reduction(node)) dims = broadcast_dims(own, shape);
      else if (is_view(graph_, node)) dims = own, through(node, dims, aligned);
      else if (node.op->name == "gather" && o == node.operands[1]) aligned = index_dims(node, own, dims);
      else aligned = false;
      trace(o, std::move(dims), aligned, reads);
    }
    return reads;
  }

  /// Of a product's operand: sizes of 1 are repeated.
  std::vector<int> factor_dims(const ir::Node& product, std::size_t operand, const std::vector<int>& own) const {
    auto dims = product_dimensions(graph_, product, operand);
    const Shape& shape = graph_.type(product.operands[operand]).shape;
    for (int d = 0; d < shape.rank(); ++d) dims[at_dim(d)] = shape[d] == 1 ? -1 : own[at_dim(dims[at_dim(d)])];
    return dims;
  }

  /// Of a gather's indices; whether each is read by the elements that it stands for only.
  bool index_dims(const ir::Node& gather, const std::vector<int>& own, std::vector<int>& dims) const {
    const auto dimensions = indexed_dimensions(graph_, gather);
    for (std::size_t d = 0; d < dimensions.size(); ++d)
      if (dimensions[d].indices >= 0) dims[at_dim(dimensions[d].indices)] = own[d];
    return !gather.attributes.flag("nd");
  }

  // Regions ---------------------------------------------------------------------------------------------------------------

  /// Gives the operation a region of its own, then joins it with those that it reads.
  void open(ir::NodeId id) {
    const ir::Node& node = graph_[id];
    if (rules_.siblings && joins_windows(id)) return;
    Region region;
    region.members = {id};
    region.is_space = node.types.size() == 1 && (is_pointwise(graph_, node) || reduces(id)) && !is_alias(node);
    reads_[at(id)] = reads_of(id);
    if (region.is_space) {
      auto& walk = regions_.walked[at(id)];
      for (auto s : space_of(graph_, node)) {
        walk.push_back(s == 1 ? -1 : static_cast<int>(region.loops.size()));
        if (s != 1) region.loops.push_back(s);
      }
      if (reduces(id)) region.reduced = reduced_loops(id);
    }
    regions_.region_of[at(id)] = static_cast<int>(regions_.list.size());
    last_needed_.push_back(id);
    for (const auto& r : reads_[at(id)]) {
      readers_[at(r.source)].push_back(id);
      if (const int source = regions_.region_of[at(r.source)]; source >= 0)
        last_needed_.back() = std::max(last_needed_.back(), last_needed_[at_dim(source)]);
    }
    regions_.list.push_back(std::move(region));
    if (!regions_.list.back().is_space) return;

    std::vector<const Read*> order;
    for (const auto& r : reads_[at(id)])
      if (regions_.region_of[at(r.source)] >= 0) order.push_back(&r);
    std::stable_sort(order.begin(), order.end(), [&](const Read* a, const Read* b) { return bytes(a->source) > bytes(b->source); });
    for (const Read* r : order) {
      const int producer = regions_.region_of[at(r->source)], own = regions_.region_of[at(id)];
      if (producer == own) continue;
      const auto why = join(producer, own, false);
      if (!why.empty()) regions_.refusals.push_back({r->source, id, why});
    }
  }

  /// Whether the operation finds the largest elements, or their places, in windows in which an earlier one finds the others: both become
  /// one region.
  bool joins_windows(ir::NodeId id) {
    const ir::Node& node = graph_[id];
    if (node.op->name != "pool_max" && node.op->name != "pool_max_indices") return false;
    for (const auto& use : consumers_[at(node.operands[0].node)]) {
      const ir::Node& other = graph_[use.node];
      if (use.node >= id || !other.op->name.starts_with("pool_max") || other.operands != node.operands || other.attributes != node.attributes)
        continue;
      const int region = regions_.region_of[at(id)] = regions_.region_of[at(use.node)];
      regions_.list[at_dim(region)].members.push_back(id);
      reads_[at(id)] = reads_[at(use.node)];
      for (const auto& r : reads_[at(id)]) readers_[at(r.source)].push_back(id);
      need(region, std::max(last_needed_[at_dim(region)], id));
      return true;
    }
    return false;
  }

  /// A reshape of what lies in memory is that memory.
  bool is_alias(const ir::Node& node) const { return node.op->name == "reshape" && !regions_.inlined[at(node.operands[0].node)]; }

  std::int64_t bytes(ir::NodeId id) const { return graph_[id].types[0].byte_count(); }

  Mask loops_walked(ir::NodeId id) const {
    Mask mask = 0;
    for (int l : walked(id))
      if (l >= 0) mask |= Mask{1} << l;
    return mask;
  }

  Mask reduced_loops(ir::NodeId id) const {
    Mask mask = 0;
    const auto reduced = reduced_dimensions(graph_, graph_[id]);
    for (std::size_t d = 0; d < reduced.size(); ++d)
      if (reduced[d] && walked(id)[d] >= 0) mask |= Mask{1} << walked(id)[d];
    return mask;
  }

  /// By dimension of the member's result: its loop, -1 for size 1.
  std::vector<int> result_loops(ir::NodeId id) const {
    const ir::Node& node = graph_[id];
    if (!reduces(id)) return walked(id);
    const auto reduced = reduced_dimensions(graph_, node);
    const bool keep = node.attributes.flag("keep");
    std::vector<int> loops;
    for (std::size_t d = 0; d < reduced.size(); ++d) {
      if (!reduced[d]) loops.push_back(walked(id)[d]);
      else if (keep) loops.push_back(-1);
    }
    return loops;
  }

  // Joining two regions ---------------------------------------------------------------------------------------------------

  /// The loops of two regions that are the same: for each of b's, one of a's or -1.
  struct Pairing {
    std::vector<int> to_a, to_b;

    bool pair(int a, int b) {
      if (a < 0 && b < 0) return true;
      if (a < 0 || b < 0) return false;
      int &x = to_a[at_dim(b)], &y = to_b[at_dim(a)];
      if ((x >= 0 && x != a) || (y >= 0 && y != b)) return false;
      x = a, y = b;
      return true;
    }
  };

  /// Pairs loops by what members of one region read of the other's; false when some read is not element by element.
  bool pair_reads(int producer, int consumer, Pairing& pairing, bool swapped, std::string_view& why) const {
    for (auto c : regions_.list[at_dim(consumer)].members)
      for (const auto& r : reads_[at(c)]) {
        if (regions_.region_of[at(r.source)] != producer) continue;
        why = "it is read at other places than those of its reader";
        if (!r.is_aligned) return false;
        const auto source = result_loops(r.source);
        for (std::size_t d = 0; d < source.size(); ++d) {
          const int reader = r.dims[d] < 0 ? -1 : walked(c)[at_dim(r.dims[d])];
          if (!(swapped ? pairing.pair(reader, source[d]) : pairing.pair(source[d], reader))) return false;
        }
      }
    why = {};
    return true;
  }

  /// Pairs loops by memory that both read over their full spaces.
  bool pair_shared(int a, int b, Pairing& pairing) const {
    const Region &ra = regions_.list[at_dim(a)], &rb = regions_.list[at_dim(b)];
    for (auto x : ra.members)
      for (const auto& p : reads_[at(x)])
        for (auto y : rb.members)
          for (const auto& q : reads_[at(y)]) {
            if (p.source != q.source || !p.is_aligned || !q.is_aligned) continue;
            if (covered(x, p) != ra.loops.size() || covered(y, q) != rb.loops.size()) continue;
            for (std::size_t d = 0; d < p.dims.size(); ++d) {
              const int i = p.dims[d] < 0 ? -1 : walked(x)[at_dim(p.dims[d])], j = q.dims[d] < 0 ? -1 : walked(y)[at_dim(q.dims[d])];
              if (!pairing.pair(i, j)) return false;
            }
            return true;
          }
    return false;
  }

  std::size_t covered(ir::NodeId reader, const Read& r) const {
    return at_dim(std::count_if(r.dims.begin(), r.dims.end(), [&](int d) { return d >= 0 && walked(reader)[at_dim(d)] >= 0; }));
  }

  /// Makes one region of two; why not, when it can't be. `siblings` only read the same memory.
  std::string_view join(int a, int b, bool siblings) {
    Region &ra = regions_.list[at_dim(a)], &rb = regions_.list[at_dim(b)];
    if (!ra.is_space || !rb.is_space) return "one of them has a kernel or a library call of its own";
    const std::size_t count = ra.members.size() + rb.members.size();
    if (count > (siblings ? largest_joined : largest_kernel)) return "the kernel would be too long";
    Pairing pairing{std::vector<int>(rb.loops.size(), -1), std::vector<int>(ra.loops.size(), -1)};
    std::string_view why;
    if (!pair_reads(a, b, pairing, false, why) || !pair_reads(b, a, pairing, true, why)) return why;
    if (siblings && !pair_shared(a, b, pairing)) return "they share no memory that both read whole";

    // Loops that no read tells about are the same when their sizes are, in order.
    std::vector<int> rest_a, rest_b;
    for (std::size_t l = 0; l < ra.loops.size(); ++l)
      if (pairing.to_b[l] < 0) rest_a.push_back(static_cast<int>(l));
    for (std::size_t l = 0; l < rb.loops.size(); ++l)
      if (pairing.to_a[l] < 0) rest_b.push_back(static_cast<int>(l));
    if (!rest_a.empty() && !rest_b.empty()) {
      if (rest_a.size() != rest_b.size()) return "their spaces differ";
      for (std::size_t i = 0; i < rest_a.size(); ++i) {
        if (ra.loops[at_dim(rest_a[i])] != rb.loops[at_dim(rest_b[i])]) return "their spaces differ";
        pairing.pair(rest_a[i], rest_b[i]);
      }
      rest_a.clear();
    }
    for (std::size_t l = 0; l < rb.loops.size(); ++l)
      if (pairing.to_a[l] >= 0 && ra.loops[at_dim(pairing.to_a[l])] != rb.loops[l]) return "their spaces differ";

    // The space of the one that has more loops; of the reader when they have the same, so that it stores in its own order.
    const bool base_is_a = !rest_a.empty();
    const Region& base = base_is_a ? ra : rb;
    const auto& move = base_is_a ? pairing.to_a : pairing.to_b;
    const auto& moved = base_is_a ? rb.members : ra.members;
    std::vector<std::vector<int>> before;
    for (auto id : moved) {
      before.push_back(walked(id));
      for (int& l : regions_.walked[at(id)])
        if (l >= 0) l = move[at_dim(l)];
    }
    Region joined;
    joined.loops = base.loops;
    joined.is_space = true;
    joined.members = ra.members;
    joined.members.insert(joined.members.end(), rb.members.begin(), rb.members.end());
    std::sort(joined.members.begin(), joined.members.end());
    why = fits(joined);
    if (why.empty() && (reaches(a, b) || reaches(b, a))) why = "another kernel stands between them";
    if (why.empty() && siblings && results(joined) > most_joined_results) why = "the kernel would have too many results";
    if (!why.empty()) {
      for (std::size_t i = 0; i < moved.size(); ++i) regions_.walked[at(moved[i])] = before[i];
      return why;
    }
    for (auto id : rb.members) regions_.region_of[at(id)] = a;
    ra = std::move(joined);
    rb = {};
    need(a, std::max(last_needed_[at_dim(a)], last_needed_[at_dim(b)]));
    return {};
  }

  /// The region has come to need what node `last` computes, and so have those that need the region.
  void need(int region, ir::NodeId last) {
    last_needed_[at_dim(region)] = last;
    for (std::vector<int> work{region}; !work.empty();) {
      const int now = work.back();
      work.pop_back();
      for (auto id : regions_.list[at_dim(now)].members)
        for (auto reader : readers_[at(id)])
          if (const int r = regions_.region_of[at(reader)]; last_needed_[at_dim(r)] < last) last_needed_[at_dim(r)] = last, work.push_back(r);
    }
  }

  std::size_t results(const Region& region) const {
    return at_dim(std::count_if(region.members.begin(), region.members.end(), [&](ir::NodeId id) {
      return escapes_[at(id)] || std::any_of(consumers_[at(id)].begin(), consumers_[at(id)].end(), [&](const Use& u) {
               return std::find(region.members.begin(), region.members.end(), u.node) == region.members.end();
             });
    }));
  }

  std::int64_t extent(const Region& region, Mask loops) const {
    std::int64_t n = 1;
    for (std::size_t l = 0; l < region.loops.size(); ++l)
      if (loops >> l & 1) n *= region.loops[l];
    return n;
  }

  /// Whether the members can be one kernel: why not, or nothing. Sets which loops are reduced.
  std::string_view fits(Region& region) const {
    const Mask full = region.loops.size() == 32 ? ~Mask{0} : (Mask{1} << region.loops.size()) - 1;
    const Mask innermost = region.loops.empty() ? 0 : Mask{1} << (region.loops.size() - 1);
    Mask rows = 0, columns = 0;
    bool any_reduces = false;
    for (auto id : region.members) {
      if (!reduces(id)) continue;
      const Mask over = reduced_loops(id);
      if (over == 0 && region.members.size() > 1) return "it reduces nothing";
      if (loops_walked(id) != full) return "it would be repeated for each element of a row";
      if (!any_reduces || over == rows) rows = over;
      else if (over == (full & ~rows) && (columns == 0 || columns == over)) columns = over;
      else if (over != columns) return "they reduce different dimensions";
      any_reduces = true;
    }
    if (columns != 0 && !(rows & innermost)) std::swap(rows, columns);
    if (columns != 0 && !(rows & innermost)) return "they reduce different dimensions";
    region.reduced = rows;
    if (columns != 0 && !rules_.column_sums) return left_out;
    if (columns != 0)
      for (auto id : region.members)
        if (reduces(id) && reduced_loops(id) == columns && !adds_up(graph_[id])) return "a sum over columns can't be put together from parts";

    // Along rows only: what is done with sums over columns when all rows are done.
    const auto is_late = [&](ir::NodeId id) { return columns != 0 && (reduces(id) ? reduced_loops(id) == columns : loops_walked(id) == rows); };

    // How many walks over the row it takes.
    std::vector<std::pair<ir::NodeId, int>> pass;
    int passes = 0;
    for (auto id : region.members) {
      const ir::Node& node = graph_[id];
      if (node.op->name == "gather" && region.members.size() > 1 && !rules_.gathers) return left_out;
      const Mask walks = loops_walked(id);
      const bool is_behind = is_late(id) && !reduces(id);
      if (is_behind && is_for_updates_[at(id)]) return "variables get their new values when all else is done, in kernels side by side";
      if (walks != full && !is_behind && !(any_reduces && walks == (full & ~rows))) return "it would be repeated for each element of a row";
      int own = 0;
      for (const auto& r : reads_[at(id)]) {
        const auto found = std::lower_bound(pass.begin(), pass.end(), std::pair{r.source, 0});
        if (found == pass.end() || found->first != r.source) continue;
        const bool reduced = reduces(r.source);
        if (!(is_generated_[at(r.source)] ? rules_.epilogues
              : reduced                   ? rules_.after_reductions
              : reduces(id)               ? rules_.before_reductions
                                          : rules_.chains))
          return left_out;
        if (is_late(r.source) && !is_behind)
          return reduced ? "a sum over columns is known only when all rows are done" : "it would be repeated for each element of a row";
        own = std::max(own, found->second + (reduced ? 1 : 0));
      }
      pass.emplace_back(id, own);
      if (walks == full || reduces(id)) passes = std::max(passes, own);
    }
    if (passes == 0) return {};
    const std::int64_t length = extent(region, rows), cells = extent(region, full & ~rows), total = length * cells;
    const bool is_row = (rows & innermost) != 0 || rows == 0;
    if (length > (is_row ? longest_row : longest_column))
      return is_row ? "a row is too long to stay in a cache" : "a column is too long to stay in a cache";
    if (total >= shared_from && cells / (is_row ? 1 : column_lanes) < least_rows) return "there are too few rows to share out";
    return {};
  }

  /// Whether region `to` needs, through others, what region `from` computes.
  bool reaches(int from, int to) const {
    std::vector<bool> seen(regions_.list.size());
    const ir::NodeId first = regions_.list[at_dim(from)].members.front();
    std::vector<int> work{to};
    bool direct = true;
    while (!work.empty()) {
      const int region = work.back();
      work.pop_back();
      for (auto id : regions_.list[at_dim(region)].members)
        for (const auto& r : reads_[at(id)]) {
          const int source = regions_.region_of[at(r.source)];
          if (source < 0 || source == to || seen[at_dim(source)]) continue;
          if (source == from) {
            if (!direct) return true;
            continue;
          }
          if (last_needed_[at_dim(source)] < first) continue;
          seen[at_dim(source)] = true;
          work.push_back(source);
        }
      direct = false;
    }
    return false;
  }

  /// Joins regions that read the same memory.
  void join_neighbours() {
    std::vector<std::vector<ir::NodeId>> readers(size());
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (regions_.region_of[at(id)] >= 0 && region_of(id).is_space && !is_view(graph_, graph_[id]))
        for (const auto& r : reads_[at(id)])
          if (r.is_aligned) readers[at(r.source)].push_back(id);
    for (ir::NodeId source = 0; source < graph_.size(); ++source)
      for (std::size_t i = 1; i < readers[at(source)].size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
          const int a = regions_.region_of[at(readers[at(source)][j])], b = regions_.region_of[at(readers[at(source)][i])];
          if (a != b && join(a, b, true).empty()) break;
        }
  }

  // What readers compute themselves ---------------------------------------------------------------------------------------

  bool is_stored(ir::NodeId id) const {
    if (escapes_[at(id)]) return true;
    const int own = regions_.region_of[at(id)];
    return std::any_of(readers_[at(id)].begin(), readers_[at(id)].end(),
                       [&](ir::NodeId r) { return !is_gone(r) && regions_.region_of[at(r)] != own; });
  }

  /// A reader that has come to be computed by its own readers, which then read in its place.
  bool is_gone(ir::NodeId reader) const { return regions_.region_of[at(reader)] < 0; }

  void find_readers() {
    readers_.assign(size(), {});
    for (ir::NodeId id = 0; id < graph_.size(); ++id)
      if (regions_.region_of[at(id)] >= 0)
        for (const auto& r : reads_[at(id)]) readers_[at(r.source)].push_back(id);
  }

  /// Reads of a value by its direct users and, through those computed in place, by theirs; false when one needs it in memory.
  bool all_compose(ir::NodeId id, std::int64_t& elements) const {
    for (const auto& u : consumers_[at(id)]) {
      const ir::Node& user = graph_[u.node];
      if (!composes(u.node, u.operand) || (!regions_.inlined[at(u.node)] && is_alias(user))) return false;
      if (is_view(graph_, user) && regions_.inlined[at(u.node)] && user.op->name != "slice") {
        if (user.types[0].shape.element_count() > graph_[id].types[0].shape.element_count()) elements = unbounded;
        if (!all_compose(u.node, elements)) return false;
        continue;
      }
      const auto n = elements_read(graph_, user, u.operand);
      elements = n < 0 || elements == unbounded ? unbounded : elements + n;
    }
    return true;
  }

  static constexpr std::int64_t unbounded = -1;

  /// Has readers compute what they read in part, or what is cheaper to repeat than to store.
  void dissolve() {
    find_readers();
    for (std::size_t i = regions_.list.size(); i-- > 0;) {
      Region& region = regions_.list[i];
      if (!region.is_space || region.reduced != 0 || region.members.empty()) continue;
      // An index that is out of range is an error whoever reads what it stands for.
      if (std::any_of(region.members.begin(), region.members.end(), [&](auto id) { return reduces(id) || graph_[id].op->name == "gather"; }))
        continue;
      std::vector<ir::NodeId> stored;
      for (auto id : region.members)
        if (is_stored(id)) stored.push_back(id);
      if (stored.size() != 1 || !rules_allow(region, stored[0]) || escapes_[at(stored[0])] || region.members.size() > largest_kernel / 2) continue;
      const ir::NodeId result = stored[0];
      std::erase_if(readers_[at(result)], [&](auto reader) { return is_gone(reader); });
      const std::int64_t own = graph_[result].types[0].shape.element_count();
      std::int64_t elements = 0;
      if (!all_compose(result, elements) || readers_[at(result)].empty()) continue;
      const bool once = rules_.parts && elements != unbounded && elements <= own;
      const bool is_light = rules_.repetition && is_repeatable(region, result) && is_repeated_seldom(region, result);
      const std::size_t weight = weight_of(region);
      if ((!once && !is_light) || std::any_of(readers_[at(result)].begin(), readers_[at(result)].end(),
                                              [&](auto reader) { return weight + weight_of(region_of(reader)) > largest_kernel; }))
        continue;
      for (auto id : region.members) regions_.inlined[at(id)] = true, regions_.region_of[at(id)] = -1;
      region = {};
      for (auto reader : readers_[at(result)]) {
        repeated_[at(reader)] += weight;
        reads_[at(reader)] = reads_of(reader);
        for (const auto& r : reads_[at(reader)]) {
          auto& list = readers_[at(r.source)];
          if (std::find(list.begin(), list.end(), reader) == list.end()) list.push_back(reader);
        }
      }
    }
  }

  /// Whether its readers may compute what the region does as often as they read it.
  bool is_repeated_seldom(const Region& region, ir::NodeId result) const {
    constexpr std::int64_t rows_of_tile = 8;
    const auto& readers = readers_[at(result)];
    const std::int64_t own = graph_[result].types[0].shape.element_count(), read = elements_of_readers(result);
    if (std::any_of(readers.begin(), readers.end(), [&](auto r) { return is_generated_[at(r)]; })) return read / rows_of_tile <= own;
    return region.members.size() <= 2 || read <= own;
  }

  /// Whether the rules that are not left out let readers compute the region.
  bool rules_allow(const Region& region, ir::NodeId result) const {
    const auto& readers = readers_[at(result)];
    return std::all_of(readers.begin(), readers.end(), [&](auto r) { return reduces(r) ? rules_.before_reductions : rules_.chains; }) &&
           std::all_of(region.members.begin(), region.members.end(), [&](auto id) { return rules_.views || !is_view(graph_, graph_[id]); });
  }

  /// Operations in the region's kernel.
  std::size_t weight_of(const Region& region) const {
    std::size_t n = region.members.size();
    for (auto id : region.members) n += repeated_[at(id)];
    return n;
  }

  std::int64_t elements_of_space(ir::NodeId id) const {
    const auto sizes = space_of(graph_, graph_[id]);
    return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
  }

  /// Elements of the largest space that reads the value.
  std::int64_t elements_of_readers(ir::NodeId id) const {
    std::int64_t n = 0;
    for (auto r : readers_[at(id)]) n = std::max(n, elements_of_space(r));
    return n;
  }

  /// Few cheap operations on one array of the result's size at most, and smaller ones.
  bool is_repeatable(const Region& region, ir::NodeId result) const {
    if (region.members.size() > most_repeated || region.members.empty()) return false;
    std::set<ir::NodeId> large;
    for (auto id : region.members) {
      if (!is_cheap(graph_[id])) return false;
      for (const auto& r : reads_[at(id)])
        if (!std::binary_search(region.members.begin(), region.members.end(), r.source)) {
          if (!r.is_aligned) return false;
          if (bytes(r.source) * 8 > bytes(result)) large.insert(r.source);
        }
    }
    std::int64_t read = 0;
    for (auto s : large) read += bytes(s);
    return read <= bytes(result);
  }

  // The result ------------------------------------------------------------------------------------------------------------

  /// Drops what is empty, says what is stored, and puts the regions into an order in which they can run.
  void settle() {
    find_readers();
    std::vector<std::vector<int>> needs(regions_.list.size());
    std::vector<int> waits(regions_.list.size());
    for (std::size_t i = 0; i < regions_.list.size(); ++i) {
      Region& region = regions_.list[i];
      std::set<int> sources;
      for (auto id : region.members) {
        if (is_stored(id) || !region.is_space) region.stored.push_back(id);
        for (const auto& r : reads_[at(id)])
          if (const int s = regions_.region_of[at(r.source)]; s >= 0 && s != static_cast<int>(i)) sources.insert(s);
      }
      waits[i] = static_cast<int>(sources.size());
      for (int s : sources) needs[at_dim(s)].push_back(static_cast<int>(i));
    }
    // Of those that can run, the one whose last operation was built first.
    using Entry = std::pair<ir::NodeId, int>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    auto offer = [&](int i) { ready.emplace(regions_.list[at_dim(i)].members.back(), i); };
    for (std::size_t i = 0; i < regions_.list.size(); ++i)
      if (waits[i] == 0 && !regions_.list[i].members.empty()) offer(static_cast<int>(i));
    std::vector<Region> ordered;
    while (!ready.empty()) {
      const int i = ready.top().second;
      ready.pop();
      for (auto id : regions_.list[at_dim(i)].members) regions_.region_of[at(id)] = static_cast<int>(ordered.size());
      ordered.push_back(std::move(regions_.list[at_dim(i)]));
      for (int n : needs[at_dim(i)])
        if (--waits[at_dim(n)] == 0) offer(n);
    }
    if (std::any_of(regions_.list.begin(), regions_.list.end(), [](const Region& r) { return !r.members.empty(); }))
      throw InternalError("kernels need each other's results");
    regions_.list = std::move(ordered);
  }

  const ir::Graph& graph_;
  StitchRules rules_;
  std::vector<bool> is_generated_;  ///< by node: a product that no library computes
  std::vector<bool> live_;
  Regions regions_;
  std::vector<std::vector<Use>> consumers_;
  std::vector<std::vector<Read>> reads_;          ///< by computed node
  std::vector<std::vector<ir::NodeId>> readers_;  ///< by node: the computed ones that read it
  std::vector<ir::NodeId> last_needed_;           ///< by region: the last node that it, or any region that it needs, computes
  std::vector<std::size_t> repeated_;             ///< by reader: operations computed in it that are no members
  std::vector<bool> escapes_;
  std::vector<bool> is_for_updates_;  ///< by node: nothing but new values of variables is made of it
};

}  // namespace

Regions stitch(const Program& program, const StitchRules& rules, const std::function<bool(ir::NodeId)>& in_library) {
  return Stitcher(program, rules, in_library).run();
}

}  // namespace weft
