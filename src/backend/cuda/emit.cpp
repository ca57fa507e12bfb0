// Loops, passes and reductions of a kernel as CUDA C++.
#include "backend/cuda/emit_loops.h"

#include "backend/cuda/emit_kernel.h"
#include "backend/cuda/emit_library.h"
#include "backend/cuda/emit_reduction.h"
#include "backend/cuda/emit_scan.h"
#include "backend/cuda/emit_scatter.h"

#include <weft/error.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <functional>
#include <limits>
#include <set>

namespace weft::cuda {
namespace {

using namespace kernel;

/// As the code has it: see `room` in emit_library.cpp.
constexpr std::size_t room_bytes = 18944;
/// For the values of a row that are combined at once. A grid may have several kernels with such rooms, and there are 48 KiB in all.
constexpr std::size_t row_room_bytes = 1024;

class KernelEmitter {
 public:
  KernelEmitter(const Kernel& kernel, const DeviceProperties& device, const Mapping& mapping, bool is_alone, const std::vector<bool>& ready)
      : kernel_(kernel),
        device_(device),
        is_alone_(is_alone),
        ready_(ready),
        c_(kernel, mapping, needs_wide_indices(kernel, mapping), is_alone ? "blockIdx.x" : "block"),
        code_(c_.code),
        m_(c_.mapping) {}

  KernelText run() {
    KernelText text;
    text.name = entry_name();
    describe();
    if (is_alone_) code_.block(entry_head(m_.threads, text.name), [&] { body(); });
    else code_.block("__device__ __forceinline__ void " + text.name + "(const Arguments& a, unsigned block)", [&] { body(); });
    text.code = c_.arguments.definition() + "\n" + code_.str();
    text.arguments = c_.arguments.bytes();
    text.threads = m_.threads;
    text.counts_threads = counts_threads_;
    // Each of these has shared memory of its own.
    text.can_join = m_.square == 0 && m_.slices == 0 && !(kernel_.scan && m_.columns > 0) && fetched_bytes_ == 0;
    text.shared_bytes = fetched_bytes_;
    const std::int64_t in_all = m_.places * m_.team, blocks = (in_all + m_.threads - 1) / m_.threads;
    if (blocks > std::numeric_limits<std::int32_t>::max()) throw RunError(kernel_.name + " has more elements than a device can be given at once");
    text.blocks = static_cast<unsigned>(blocks);
    return text;
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  std::string index_type() const { return std::string(c_.arguments.index_type()); }
  static std::string index(int loop) { return "i" + std::to_string(loop); }

  /// Whether a sum of indices times strides might not fit into 32 bits.
  static bool needs_wide_indices(const Kernel& kernel, const Mapping& mapping) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - (1 << 20);
    bool fits = true;
    auto reach = [&](const Affine& a) {
      double n = std::abs(static_cast<double>(a.constant));
      for (std::size_t d = 0; d < a.coefficients.size(); ++d)
        n += std::abs(static_cast<double>(a.coefficients[d])) * static_cast<double>(std::max<std::int64_t>(kernel.extents[d], 1));
      return n;
    };
    auto visit = [&](const Access& access) {
      double n = reach(access.address);
      for (const auto& t : access.terms) {
        fits = fits && reach(t.position) < most && static_cast<double>(t.extent) < most;
        n += static_cast<double>(t.extent) * static_cast<double>(std::abs(t.stride));
      }
      fits = fits && n < most;
    };
    for (const auto& e : kernel.exprs) {
      if (e.kind == ExprKind::load || e.kind == ExprKind::inside) visit(e.access);
      if (e.kind == ExprKind::index) fits = fits && reach(e.index) < most;
    }
    for (const auto& s : kernel.stores) visit(s.access);
    // Threads are numbered, too; teams larger than a warp have blocks of their own.
    const auto threads = static_cast<double>(mapping.places) * (mapping.team <= 32 ? mapping.team : 1);
    return !fits || threads >= most || iterations(kernel, kernel.first_sequential(), kernel.loops()) >= most;
  }

  /// The kernel's name without its sizes, which the code doesn't depend on.
  std::string entry_name() const {
    std::string name;
    for (std::size_t from = 0; from < kernel_.name.size();) {
      const auto end = std::min(kernel_.name.find('_', from), kernel_.name.size());
      const std::string_view word = std::string_view(kernel_.name).substr(from, end - from);
      if (word.find_first_not_of("0123456789x") != std::string_view::npos || word.empty()) name += (name.empty() ? "" : "_") + std::string(word);
      from = end + 1;
    }
    return name;
  }

  void describe() {
    if (m_.square > 0)
      code_.line("// A block for a square of " + std::to_string(m_.square) + " iterations of i" + std::to_string(kernel_.vector_loop) + " and of i" +
                 std::to_string(m_.tile_loop) + ", 256 at a time.");
    else if (m_.tile_loop >= 0)
      code_.line("// A block for 32 iterations of i" + std::to_string(kernel_.vector_loop) + " and " + std::to_string(m_.tile_rows) + " of i" +
                 std::to_string(m_.tile_loop) + ".");
    else if (m_.slices > 0) code_.line("// A block for each range of the first index and 256 places.");
    else if (m_.team == 1)
      code_.line(m_.width == 1 ? "// A thread for each place." : "// A thread for each " + std::to_string(m_.width) + " neighbouring places.");
    else
      code_.line("// A team of " + std::to_string(m_.team) + " threads for each place" +
                 (m_.vectors > 0 ? ", each with " + std::to_string(m_.vectors * m_.width) + " elements of the row." : "."));
  }

  // Loops -------------------------------------------------------------------------------------------------------------

  void body() {
    // Where a thread is follows from numbers alone, and so it is found while earlier kernels end.
    if (m_.slices == 0) place();
    find_ahead();
    read_ahead(true);
    code_.line("follow();");
    read_ahead(false);
    if (m_.slices > 0) return emit_sliced_scatter(c_);
    if (m_.square > 0) return square();
    for (int d : {kernel_.ended, kernel_.tiling.total != 0 ? kernel_.tiling.cut : -1}) {
      if (d < 0) continue;
      const auto end = d == kernel_.ended ? kernel_.end : kernel_.tiling.total;
      const std::string n = c_.extent(d);
      code_.line("const " + index_type() + " n" + std::to_string(d) + " = min(" + n + ", " + c_.arguments.number("end" + std::to_string(d), end) +
                 " - i0 * " + n + ");");
    }
    if (kernel_.scatters)
      return sequential(kernel_.parallel, [&] {
        for (std::size_t s = 0; s < kernel_.stores.size(); ++s) c_.store({s}, {}, [] {});
      });
    c_.declare_carried();
    if (m_.team > 32 && m_.columns == 0 && !kernel_.reductions.empty() && !kernel_.scan) code_.line("unsigned turn = 0;");
    fetch_first_row();
    rows(kernel_.parallel, [&] {
      if (kernel_.scan) emit_scan(c_);
      else row();
    });
    std::vector<std::size_t> carried;
    for (std::size_t s = 0; s < kernel_.stores.size(); ++s)
      if (c_.is_carried(s)) carried.push_back(s);
    if (carried.empty()) return;
    walk([&] {
      for (auto s : carried) c_.write_carried(s);
    });
  }

  /// The indices of the parallel loops, where a block is a tile of two of them; of a square, where it begins.
  void place_in_tile() {
    const std::string type = "const " + index_type();
    std::string rest = "tile";
    code_.line(type + " tile = " + c_.block + ";");
    auto next = [&](int d, const std::string& name, std::int64_t count, std::int64_t unit, const std::string& own) {
      const std::string left = "rest" + std::to_string(d);
      code_.line(type + " " + left + " = " + c_.arguments.quotient(rest, name, count) + ";");
      const std::string number = rest + " - " + left + " * " + c_.arguments.number(name, count);
      const std::string first = unit == 1 ? number : "(" + number + ") * " + std::to_string(unit);
      if (unit > 1 && m_.square > 0) code_.line(type + " " + begin(d) + " = " + first + ";");
      else code_.line(type + " " + index(d) + " = " + first + (own.empty() ? "" : " + " + own) + ";");
      rest = left;
    };
    const int across = kernel_.vector_loop, along = m_.tile_loop;
    const std::int64_t rows = m_.tile_rows, columns = m_.square > 0 ? m_.square : 32;
    next(across, "tiles_across", (kernel_.extents[at(across)] + columns - 1) / columns, columns, "threadIdx.x % 32");
    next(along, "tiles_along", (kernel_.extents[at(along)] + rows - 1) / rows, rows, "threadIdx.x / 32");
    for (int d = kernel_.parallel - 1; d >= 0; --d)
      if (d != across && d != along) next(d, "n" + std::to_string(d), kernel_.extents[at(d)], 1, "");
    if (m_.square > 0) return;
    code_.line("if (" + index(across) + " >= " + c_.extent(across) + " || " + index(along) + " >= " + c_.extent(along) + ") return;");
  }
  static std::string begin(int loop) { return "begin" + std::to_string(loop); }

  /// Threads read along one side of the square, then compute and write along the other.
  void square() {
    const std::string side = std::to_string(m_.square), type = "const " + index_type();
    std::vector<int> turned;
    for (std::size_t e = 0; e < m_.turned.size(); ++e)
      if (m_.turned[e]) turned.push_back(static_cast<int>(e));
    const auto tile = [&](int e) { return "tile_" + std::to_string(e); };
    for (int e : turned) {
      const DType dtype = kernel_.exprs[at(e)].access.dtype;
      // Rows begin in different banks.
      const std::size_t width = at(m_.square) + std::max<std::size_t>(4 / size_of(dtype), 1);
      code_.line("__shared__ " + std::string(memory_type(dtype)) + " " + tile(e) + "[" + side + "][" + std::to_string(width) + "];");
    }
    code_.line("const int lane = threadIdx.x % " + side + ";");
    const int across = kernel_.vector_loop, along = m_.tile_loop;
    const int lines = 256 / m_.square;  // at a time
    const auto walk_square = [&](const std::function<void()>& body) {
      code_.line("#pragma unroll");
      c_.scope("for (int step = 0; step < " + std::to_string(m_.square / lines) + "; ++step)", [&] {
        code_.line("const int line = step * " + std::to_string(lines) + " + threadIdx.x / " + side + ";");
        body();
      });
    };
    // Past an end what is last is read again: without conditions all is under way at once.
    const auto last = [&](int d, const std::string& own) {
      code_.line(type + " " + index(d) + " = min(" + begin(d) + " + " + own + ", " + c_.extent(d) + " - 1);");
    };
    walk_square([&] {
      last(across, "line");
      last(along, "lane");
      for (int e : turned) code_.line(tile(e) + "[line][lane] = " + c_.element(e) + ";");
    });
    code_.line("__syncthreads();");
    walk_square([&] {
      code_.line(type + " " + index(across) + " = " + begin(across) + " + lane, " + index(along) + " = " + begin(along) + " + line;");
      c_.scope("if (" + index(across) + " < " + c_.extent(across) + " && " + index(along) + " < " + c_.extent(along) + ")", [&] {
        for (int e : turned) c_.know(e, tile(e) + "[lane][line]");
        row();
      });
    });
  }

  /// The indices of the parallel loops.
  void place() {
    if (m_.tile_loop >= 0) return place_in_tile();
    const std::string type = "const " + index_type();
    const std::string block = c_.arguments.wide() ? "i64(" + c_.block + ")" : c_.block;
    if (m_.columns > 0) {
      const std::string columns = std::to_string(m_.columns), places = c_.arguments.number("places", m_.places);
      code_.line("const int thread = threadIdx.x / " + columns + ";");
      code_.line(type + " number = " + block + " * " + columns + " + threadIdx.x % " + columns + ";");
      code_.line("const bool exists = number < " + places + ";");
      code_.line(type + " place = exists ? number : " + places + " - 1;");
    } else if (m_.team > 32) {
      code_.line("const int thread = threadIdx.x;");
      if (kernel_.parallel > 0) code_.line(type + " place = " + block + ";");
    } else {
      // As many as there are for few places are fewer than those of blocks beside which they are.
      const std::string threads = is_alone_ ? "blockDim.x" : c_.arguments.number("threads", m_.threads);
      if (!is_alone_) code_.line("if (threadIdx.x >= " + threads + ") return;"), counts_threads_ = true;
      const std::string number = block + " * " + threads + " + threadIdx.x";
      if (m_.team > 1) {
        const std::string team = std::to_string(m_.team);
        code_.line("const int thread = threadIdx.x % " + team + ";");
        code_.line(type + " place = (" + number + ") / " + team + ";");
      } else {
        code_.line(type + " place = " + number + ";");
      }
      code_.line("if (place >= " + c_.arguments.number("places", m_.places) + ") return;");
    }
    std::string rest = "place";
    for (int d = kernel_.parallel - 1; d >= 0; --d) {
      const bool in_vectors = c_.lanes_are_parallel() && d == kernel_.vector_loop;
      const std::string width = in_vectors ? std::to_string(m_.width) + " * " : "";
      if (d == 0) {
        code_.line(type + " i0 = " + width + rest + ";");
        break;
      }
      const std::int64_t count = in_vectors ? kernel_.extents[at(d)] / m_.width : kernel_.extents[at(d)];
      const std::string name = in_vectors ? "m" + std::to_string(d) : "n" + std::to_string(d), next = "rest" + std::to_string(d);
      code_.line(type + " " + next + " = " + c_.arguments.quotient(rest, name, count) + ";");
      const std::string own = rest + " - " + next + " * " + c_.arguments.number(name, count);
      code_.line(type + " " + index(d) + " = " + (in_vectors ? width + "(" + own + ")" : own) + ";");
      rest = next;
    }
    if (c_.lanes_are_parallel() && m_.has_rest)
      code_.line("const " + index_type() + " count = " + c_.extent(kernel_.vector_loop) + " - " + index(kernel_.vector_loop) + ";");
  }

  /// How often a row loop or sequential loop runs. Short ones whose number of iterations is known are unrolled.
  std::string bound(int d) {
    if (d == kernel_.ended || (kernel_.tiling.total != 0 && d == kernel_.tiling.cut)) return "n" + std::to_string(d);
    if (is_unrolled(d)) return std::to_string(kernel_.extents[at(d)]);
    return c_.extent(d);
  }
  bool is_unrolled(int d) const {
    return m_.team == 1 && kernel_.is_sequential(d) && !kernel_.scatters && !kernel_.scan && d != kernel_.ended && d != kernel_.tiling.cut &&
           is_window(kernel_, d);
  }

  void loop(int d, const std::function<void()>& body) {
    if (is_unrolled(d)) code_.line("#pragma unroll");
    else if (kernel_.is_sequential(d) && d == kernel_.loops() - 1) unroll();
    c_.scope("for (" + index_type() + " " + index(d) + " = 0; " + index(d) + " < " + bound(d) + "; ++" + index(d) + ")", body);
  }

  // Reading ahead -------------------------------------------------------------------------------------------------------

  bool is_ready(const Access& access) const { return at(access.buffer) < ready_.size() && ready_[at(access.buffer)]; }

  /// What a team that adds up columns can read before its loop: there are few places then, and so little else to wait for.
  void find_ahead() {
    if (m_.columns == 0 || kernel_.scan || kernel_.scatters || writes_inside() || kernel_.ended >= 0 || kernel_.tiling.total != 0 ||
        kernel_.first_sequential() != kernel_.parallel || kernel_.loops() != kernel_.parallel + 1 ||
        std::ranges::any_of(kernel_.reductions, [&](const Reduction& r) { return pass_of(r) > 0; }))
      return;
    std::vector<bool> added(kernel_.exprs.size()), stored(kernel_.exprs.size());
    for (const auto& r : kernel_.reductions)
      if (r.index < 0) added[at(r.value)] = true;
    for (const auto& s : kernel_.stores) stored[at(s.value)] = s.access.terms.empty() && s.combine == Combine::set;
    for (int e = static_cast<int>(kernel_.exprs.size()) - 1; e >= 0; --e) {
      const Expr& expr = kernel_.exprs[at(e)];
      for (int o : expr.operands) {
        if (added[at(e)]) added[at(o)] = true;
        if (stored[at(e)]) stored[at(o)] = true;
      }
      if (expr.kind != ExprKind::load || !expr.access.terms.empty()) continue;
      if (added[at(e)] && c_.varies(e) && is_ready(expr.access)) ahead_.push_back(e);
      else if (stored[at(e)] && !added[at(e)] && !c_.varies(e)) last_.push_back(e);
    }
  }

  /// Before the kernel waits for earlier ones what is ready by then, after that the rest of what is only needed at the end.
  void read_ahead(bool are_ready) {
    const std::string type = "const " + index_type(), end = " + " + std::to_string((at_once() - 1) * m_.team);
    if (are_ready && !last_.empty()) code_.line("const bool writes = exists && thread == 0;");
    for (int e : last_) {
      const Access& access = kernel_.exprs[at(e)].access;
      if (is_ready(access) != are_ready) continue;
      const std::string memory(memory_type(access.dtype));
      code_.line("const " + memory + " " + c_.name_of(e) + " = writes ? " + c_.element(e) + " : " + memory + "{};");
      c_.know(e, c_.name_of(e));
    }
    if (!are_ready || ahead_.empty()) return;
    const int d = kernel_.parallel;
    code_.line("const bool is_whole = thread" + end + " < " + bound(d) + ";");
    for (int e : ahead_)
      code_.line(std::string(memory_type(kernel_.exprs[at(e)].access.dtype)) + " " + ahead(e) + "[" + std::to_string(at_once()) + "];");
    each_of(at_once(), [&] {
      code_.line(type + " " + index(d) + " = thread + v * " + std::to_string(m_.team) + ";");
      for (int e : ahead_)
        code_.line(ahead(e) + "[v] = is_whole ? " + c_.element(e) + " : " + std::string(memory_type(kernel_.exprs[at(e)].access.dtype)) + "{};");
    });
  }
  static std::string ahead(int e) { return "ahead_" + std::to_string(e); }

  // Rows of a block, one after the other -----------------------------------------------------------------------------

  /// Rows that a block goes over from which on they are worth fetching.
  static constexpr std::int64_t fetched_rows = 8;
  int row_loop() const { return kernel_.parallel; }

  /// What stays in registers from a row's first pass on is brought into shared memory while the row before is computed: a row's passes wait for
  /// each other, and memory would have nothing to do meanwhile. Each thread copies what it reads itself.
  void fetch_first_row() {
    if (kernel_.first_sequential() != row_loop() + 1 || kernel_.extents[at(row_loop())] < fetched_rows) return;
    if (m_.vectors == 0 || m_.has_rest || c_.last_pass() == 0 || device_.compute_capability < 80) return;
    unsigned bytes = 0;
    std::vector<int> loads;
    for (int e = 0; e < static_cast<int>(kernel_.exprs.size()); ++e) {
      const Access& access = kernel_.exprs[at(e)].access;
      const unsigned each = static_cast<unsigned>(size_of(access.dtype)) * static_cast<unsigned>(m_.width);
      if (!m_.kept[at(e)] || kernel_.exprs[at(e)].kind != ExprKind::load || c_.pass_of(e) != 0 || !c_.in_lanes(e)) continue;
      if (!access.terms.empty() || access.address.coefficients[at(row_loop())] == 0 || each < 4 || each > 16) continue;
      loads.push_back(e);
      bytes += each * static_cast<unsigned>(m_.vectors) * m_.threads;
    }
    if (bytes == 0 || bytes > static_cast<unsigned>(device_.shared_bytes_per_block)) return;
    fetched_bytes_ = bytes;
    const auto name = [&](int e) { return "fetched_" + std::to_string(e); };
    const std::string threads = std::to_string(m_.threads), element = "[v * " + threads + " + threadIdx.x]";
    code_.line("alignas(16) extern __shared__ char fetched[];");
    std::string before = "fetched";
    for (int e : loads) {
      const std::string type = c_.pack_type(kernel_.exprs[at(e)].access.dtype);
      code_.line(type + "* const " + name(e) + " = reinterpret_cast<" + type + "*>(" + before + ");");
      before = name(e) + " + " + std::to_string(static_cast<unsigned>(m_.vectors) * m_.threads);
    }
    c_.scope(
        "const auto fetch = [&](" + index_type() + " " + index(row_loop()) + ")",
        [&] {
          shared([&] {
            for (int e : loads) code_.line("copy_ahead(" + name(e) + " + v * " + threads + " + threadIdx.x, " + c_.pointer(e) + ");");
          });
        },
        "};");
    code_.line("fetch(0);");
    for (int e : loads) c_.fetched(e, name(e) + element);
  }

  /// Iterations of a team's loop over columns whose loads are under way together, at most. The same for all lengths, but where some are read ahead.
  int at_once() const {
    const int most = std::ranges::count(kernel_.exprs, ExprKind::load, &Expr::kind) < 4 ? 8 : 4;
    if (ahead_.empty()) return most;
    const std::int64_t each = iterations(kernel_, kernel_.first_sequential(), kernel_.loops()) / m_.team;
    return static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(std::clamp<std::int64_t>(each, 1, most))));
  }
  void each_of(int count, const std::function<void()>& body) {
    code_.line("#pragma unroll");
    c_.scope("for (int v = 0; v < " + std::to_string(count) + "; ++v)", body);
  }

  /// Several loads under way at a time, where nothing is written between them.
  void unroll() {
    if (!writes_inside()) code_.line("#pragma unroll 8");
  }

  bool writes_inside() const {
    return kernel_.scatters || std::any_of(kernel_.stores.begin(), kernel_.stores.end(), [&](const Store& s) { return is_inner(kernel_, s.access); });
  }

  void rows(int d, const std::function<void()>& body) {
    if (d == kernel_.first_sequential()) {
      if (std::any_of(kernel_.stores.begin(), kernel_.stores.end(), [](const Store& s) { return s.begins; })) {
        std::string sum;
        for (int r = kernel_.parallel; r < kernel_.first_sequential(); ++r) sum += (sum.empty() ? "" : " && ") + index(r) + " == 0";
        code_.line("const bool begins = " + (sum.empty() ? "true" : sum) + ";");
      }
      return body();
    }
    loop(d, [&] { rows(d + 1, body); });
  }

  /// Loops from d on around body, in order.
  void sequential(int d, const std::function<void()>& body) {
    if (d == kernel_.loops()) return body();
    loop(d, [&] { sequential(d + 1, body); });
  }

  /// The sequential loops as one thread of the team walks them.
  void walk(const std::function<void()>& body) {
    const int first = kernel_.first_sequential();
    if (m_.team == 1) {
      if (c_.lanes_are_parallel() || m_.width == 1) return sequential(first, body);
      return shared(body);
    }
    shared(body);
  }

  /// All sequential loops as one whose iterations the team shares.
  void shared(const std::function<void()>& body) {
    const int first = kernel_.first_sequential(), last = kernel_.loops() - 1;
    const std::string type = index_type(), width = std::to_string(m_.width);
    const bool is_one = first == last;
    const std::string i = is_one ? index(first) : "step";
    // Bounds of an outer loop shorten the whole; those of others leave iterations out.
    std::string count, condition;
    std::int64_t rest = 1;
    for (int d = first + 1; d <= last; ++d) rest *= kernel_.extents[at(d)];
    if (is_one) count = bound(first);
    else if (bound(first)[0] != 'a') count = bound(first) + " * " + c_.arguments.number("rest_steps", rest);
    else count = c_.arguments.number("steps", kernel_.extents[at(first)] * rest);
    for (int d = first + 1; d <= last; ++d)
      if (bound(d)[0] != 'a') condition = index(d) + " < " + bound(d);
    auto inside = [&] {
      if (!is_one) c_.indices(first, last + 1, i);
      if (m_.width > 1 && m_.has_rest) code_.line("const " + type + " count = " + count + " - " + i + ";");
      if (condition.empty()) body();
      else c_.scope("if (" + condition + ")", body);
    };
    const std::string goes_on = (m_.columns > 0 && writes_inside() ? "exists && " : "") + i + " < " + count;
    if (m_.vectors > 0) {
      code_.line("#pragma unroll");
      c_.scope("for (int v = 0; v < " + std::to_string(m_.vectors) + "; ++v)", [&] {
        const std::string number = "v * " + std::to_string(m_.team) + " + thread";
        code_.line("const " + type + " " + i + " = " + (m_.width > 1 ? width + " * (" + number + ")" : number) + ";");
        c_.scope("if (" + goes_on + ")", inside);
      });
      return;
    }
    if (m_.columns > 0 && !writes_inside()) {
      // Without conditions between them several loads are under way at a time. A place that isn't there is the last one again, whose results only
      // it writes.
      const std::string team = std::to_string(m_.team);
      const auto several = [&](int count, bool are_read) {
        adds_parts_ = count > 1;
        for (auto k : passed_)
          if (adds_parts(k)) code_.line("float " + part(k) + " = 0;");
        each_of(count, [&] {
          code_.line("const " + type + " " + i + " = next + v * " + team + ";");
          for (int e : ahead_)
            if (are_read) c_.know(e, ahead(e) + "[v]");
          inside();
        });
        for (auto k : passed_)
          if (adds_parts(k)) code_.line(accumulator(k).text + " += " + part(k) + ";");
        adds_parts_ = false;
      };
      code_.line(type + " next = thread;");
      if (!ahead_.empty())
        c_.scope("if (is_whole)", [&] {
          several(at_once(), true);
          code_.line("next += " + std::to_string(at_once() * m_.team) + ";");
        });
      for (int k : std::set<int, std::greater<>>{at_once(), std::min(at_once(), 2)})
        if (k > 1)
          c_.scope("for (; next + " + std::to_string((k - 1) * m_.team) + " < " + count + "; next += " + std::to_string(k * m_.team) + ")",
                   [&] { several(k, false); });
      code_.line("#pragma unroll 1");
      return c_.scope("for (" + type + " " + i + " = next; " + goes_on + "; " + i + " += " + team + ")", inside);
    }
    const std::string from = m_.team == 1 ? "0" : m_.width > 1 ? width + " * thread" : "thread";
    unroll();
    c_.scope("for (" + type + " " + i + " = " + from + "; " + goes_on + "; " + i + " += " + std::to_string(m_.team * m_.width) + ")", inside);
  }

  // Passes ------------------------------------------------------------------------------------------------------------

  int pass_of(const Reduction& r) const { return std::max(c_.pass_of(r.value), r.index < 0 ? 0 : c_.pass_of(r.index)); }
  int pass_of(const Store& s) const {
    int p = c_.pass_of(s.value);
    for (const auto& t : s.access.terms) p = std::max(p, t.indirect < 0 ? 0 : c_.pass_of(t.indirect));
    return p;
  }

  /// All passes, then the stores that come after them.
  void row() {
    for (int e = 0; e < static_cast<int>(kernel_.exprs.size()); ++e) {
      if (!m_.kept[at(e)]) continue;
      const Expr& expr = kernel_.exprs[at(e)];
      const std::string vectors = "[" + std::to_string(m_.vectors) + "]", width = std::to_string(m_.width);
      if (!c_.in_lanes(e)) code_.line(std::string(computed_type(expr.dtype)) + " " + c_.name_of(e) + vectors + ";");
      else if (expr.kind == ExprKind::load) code_.line(c_.pack_type(expr.access.dtype) + " " + c_.name_of(e) + vectors + ";");
      else code_.line(std::string(computed_type(expr.dtype)) + " " + c_.name_of(e) + vectors + "[" + width + "];");
    }
    if (fetched_bytes_ > 0) code_.line("wait_for_copies();");
    std::vector<std::size_t> last;
    const int passes = c_.last_pass() + 1;
    for (int p = 0; p < passes; ++p) {
      c_.pass = p;
      std::vector<std::size_t> reductions, inner;
      for (std::size_t k = 0; k < kernel_.reductions.size(); ++k)
        if (pass_of(kernel_.reductions[k]) == p) reductions.push_back(k);
      for (std::size_t s = 0; s < kernel_.stores.size(); ++s) {
        if (!is_inner(kernel_, kernel_.stores[s].access)) {
          if (p == 0) last.push_back(s);
        } else if (pass_of(kernel_.stores[s]) == p) {
          inner.push_back(s);
        }
      }
      if (!reductions.empty() || !inner.empty()) pass(reductions, inner);
      // The row has been read by then.
      if (p == 0 && fetched_bytes_ > 0)
        code_.line("if (" + index(row_loop()) + " + 1 < " + bound(row_loop()) + ") fetch(" + index(row_loop()) + " + 1);");
    }
    if (last.empty()) return;
    if (m_.team == 1) c_.store(last, {}, [] {});
    else c_.scope(m_.columns > 0 ? "if (exists && thread == 0)" : "if (thread == 0)", [&] { c_.store(last, {}, [] {}); });
  }

  /// What doesn't vary in the sequential loops, of what `root` is made of, and by which of that others are divided.
  void collect_fixed(int root, std::vector<int>& fixed, std::vector<int>& divisors, std::vector<bool>& seen) const {
    if (seen[at(root)]) return;
    seen[at(root)] = true;
    const Expr& e = kernel_.exprs[at(root)];
    if (!c_.varies(root)) {
      if (e.kind != ExprKind::index) fixed.push_back(root);
      return;
    }
    if (m_.kept[at(root)] && c_.pass > c_.pass_of(root)) return;
    for (int o : e.operands) collect_fixed(o, fixed, divisors, seen);
    for (const auto& t : e.access.terms)
      if (t.indirect >= 0) collect_fixed(t.indirect, fixed, divisors, seen);
    if (e.op == "div" && computed_type(e.dtype) == "float" && is_reciprocal_worthwhile(e.operands[1])) divisors.push_back(e.operands[1]);
  }

  /// A reciprocal is a division itself, and some checks.
  bool is_reciprocal_worthwhile(int divisor) const {
    return !c_.varies(divisor) && !c_.in_lanes(divisor) && kernel_.exprs[at(divisor)].kind != ExprKind::constant &&
           (m_.vectors == 0 || m_.vectors * m_.width >= 4);
  }

  void pass(const std::vector<std::size_t>& reductions, const std::vector<std::size_t>& inner) {
    std::vector<int> fixed, divisors, roots;
    std::vector<bool> seen(kernel_.exprs.size());
    for (auto k : reductions)
      for (int e : {kernel_.reductions[k].value, kernel_.reductions[k].index})
        if (e >= 0) roots.push_back(e), collect_fixed(e, fixed, divisors, seen);
    for (auto s : inner) collect_fixed(kernel_.stores[s].value, fixed, divisors, seen);
    if (kernel_.first_sequential() < kernel_.loops()) c_.hold(fixed), c_.hold_reciprocals(divisors);
    for (auto k : reductions) declare(k);
    passed_ = reductions;
    auto step = [&] {
      for (auto k : reductions)
        if (adds_neighbours(k)) code_.line("float " + part(k) + " = 0;");
      c_.store(inner, roots, [&] {
        for (auto k : reductions) accumulate(k);
      });
      for (auto k : reductions)
        if (adds_neighbours(k)) code_.line(accumulator(k).text + " += " + part(k) + ";");
    };
    if (kernel_.first_sequential() < kernel_.loops()) walk(step);
    else step();
    combine(reductions);
    for (auto k : reductions) finish(k);
  }

  // Reductions --------------------------------------------------------------------------------------------------------

  bool has_lanes() const { return c_.lanes_are_parallel(); }
  Text accumulator(std::size_t r) const { return {name_of(kernel_, r) + (has_lanes() ? "[k]" : "")}; }

  void declare(std::size_t r) {
    const Reduction& reduction = kernel_.reductions[r];
    std::string start = identity(reduction).text;
    if (is_arg(reduction)) start = "{" + start + ", 9223372036854775807ll}";
    std::string declaration = accumulator_type(reduction) + " " + name_of(kernel_, r);
    if (has_lanes()) {
      std::string list;
      for (int k = 0; k < m_.width; ++k) list += (k == 0 ? "" : ", ") + start;
      code_.line(declaration + "[" + std::to_string(m_.width) + "] = {" + list + "};");
    } else {
      code_.line(declaration + " = " + start + ";");
    }
  }

  /// Whether a vector's few elements are added in f32 before they are in f64.
  bool adds_neighbours(std::size_t r) const {
    const Reduction& reduction = kernel_.reductions[r];
    return m_.width >= 4 && !has_lanes() && reduction.op == ReduceOp::sum && is_floating(reduction.dtype) && reduction.dtype != f64;
  }
  /// The same for what a thread adds up at once of a column.
  bool adds_parts(std::size_t r) const {
    const Reduction& reduction = kernel_.reductions[r];
    return adds_parts_ && !has_lanes() && reduction.op == ReduceOp::sum && is_floating(reduction.dtype) && reduction.dtype != f64;
  }
  static std::string part(std::size_t r) { return "part_" + std::to_string(r); }

  void accumulate(std::size_t r) {
    const Reduction& reduction = kernel_.reductions[r];
    if (adds_neighbours(r) || adds_parts(r)) return code_.line(part(r) + " += " + c_.value(reduction.value).text + ";");
    const Text value = c_.value(reduction.value), so_far = accumulator(r);
    if (is_arg(reduction)) {
      const Text element{accumulator_type(reduction) + "{" + value.text + ", " + c_.value(reduction.index).text + "}"};
      code_.line(so_far.text + " = " + together(reduction, so_far, element).text + ";");
      return;
    }
    const DType dtype = accumulated(reduction);
    if (reduction.op == ReduceOp::sum && is_floating(dtype)) code_.line(so_far.text + " += " + value.text + ";");
    else code_.line(so_far.text + " = " + together(reduction, so_far, cast(value, reduction.dtype, dtype)).text + ";");
  }

  /// What a team's threads come to. Values of a type that are combined in the same way are at once, as many as there is room for.
  void combine(const std::vector<std::size_t>& reductions) {
    if (m_.team == 1) return;
    std::vector<std::pair<std::string, std::vector<std::size_t>>> kinds;
    for (auto r : reductions) {
      const std::string kind = functor(kernel_.reductions[r]) + " " + accumulator_type(kernel_.reductions[r]);
      const auto found = std::ranges::find(kinds, kind, [](const auto& k) { return k.first; });
      (found == kinds.end() ? kinds.emplace_back(kind, std::vector<std::size_t>()) : *found).second.push_back(r);
    }
    const std::string team = std::to_string(m_.team);
    const std::size_t columns = at(m_.columns), warps = at(m_.team) * std::max<std::size_t>(columns, 1) / 32;
    const std::size_t each = columns > 0 ? warps * (columns + 1) + columns : warps, room = columns > 0 ? room_bytes : row_room_bytes;
    for (const auto& [kind, members] : kinds) {
      const Reduction& first = kernel_.reductions[members[0]];
      const std::size_t bytes = is_arg(first) ? 8 + std::max<std::size_t>(size_of(accumulated(first)), 8) : size_of(accumulated(first));
      const std::size_t most = std::max<std::size_t>(room / (bytes * std::max<std::size_t>(each, 1)), 1);
      for (std::size_t begin = 0; begin < members.size(); begin += most) {
        std::string names;
        for (auto k = begin; k < std::min(begin + most, members.size()); ++k) names += ", " + name_of(kernel_, members[k]);
        if (columns > 0) code_.line("down<" + std::to_string(columns) + ", " + team + ">(" + functor(first) + "()" + names + ");");
        else code_.line("across<" + team + ">(" + (m_.team > 32 ? "turn, " : "") + functor(first) + "()" + names + ");");
      }
    }
  }

  void finish(std::size_t r) {
    const Reduction& reduction = kernel_.reductions[r];
    c_.set_result(static_cast<int>(r), {accumulator(r).text + (is_arg(reduction) ? ".index" : "")});
  }

  std::vector<int> ahead_;           ///< loads of the loop that are under way before it begins
  std::vector<int> last_;            ///< loads for what is done behind it that are, too
  std::vector<std::size_t> passed_;  ///< reductions of the pass that is being emitted
  bool adds_parts_ = false;          ///< within iterations that are under way together

  bool counts_threads_ = false;  ///< threads of a block beyond the kernel's own do nothing
  unsigned fetched_bytes_ = 0;   ///< of shared memory, for loads of the next row that are under way while one is computed

  const Kernel& kernel_;
  const DeviceProperties& device_;
  const bool is_alone_;
  const std::vector<bool> ready_;  ///< by buffer; empty: none is
  KernelCode c_;
  Code& code_;
  const Mapping& m_;
};

}  // namespace

KernelText emit_kernel(const Kernel& kernel, const DeviceProperties& device, bool is_alone, const std::vector<bool>& ready) {
  return KernelEmitter(kernel, device, map_threads(kernel, device), is_alone, ready).run();
}

}  // namespace weft::cuda
