// Distance transforms: down and up the columns, then along each row. An image is cut into bands of rows, for which a first pass finds how far the
// columns' sites are from a band's ends. A band's distances in columns then stay in the cache of the thread that solves its rows. All is integers, so
// that the number of threads changes nothing.
#include "ops/distance_transform.h"

#include "backend/cpu/distance_rows.h"
#include "backend/cpu/jit.h"
#include "backend/cpu/library_call.h"
#include "graph/primitive.h"

#include <weft/error.h>

#include <omp.h>

#include <array>
#include <type_traits>

namespace weft::cpu {
namespace {

using namespace distance;

/// Pixels below which a parallel region costs more than it gives.
constexpr std::int64_t parallel_from = 1 << 14;
/// Bytes of a band's distances, which should stay in a core's cache.
constexpr std::int64_t band_bytes = 1 << 18;
constexpr std::int64_t least_rows = 8, most_rows = 64;
/// Columns of which one thread carries distances from band to band.
constexpr std::int64_t columns_together = 512;

constexpr std::size_t aligned(std::int64_t bytes) { return (static_cast<std::size_t>(bytes) + 63) & ~std::size_t{63}; }

/// What is asked for, and how it is cut. A line is a row of all channels of an image.
struct Plan {
  ops::DistanceProblem t;
  int pixel_bytes = 1;
  bool is_floating = false;
  DType index_type = i32;
  std::int64_t line = 0, band_rows = 1, bands = 1;  ///< bands of an image

  std::int64_t all_bands() const { return t.images * bands; }
  std::int64_t first_row(std::int64_t band) const { return band % bands * band_rows; }
  std::int64_t rows(std::int64_t band) const { return std::min(band_rows, t.height - first_row(band)); }
};

/// A run's memory. `above` and `below` have a line for each band: how far from the row before the band, or from that after it, the next site is.
struct Memory {
  const std::byte* pixels;
  float* distances;
  void* indices;
  std::byte *above, *below, *own;
};

/// One thread's part of it.
struct Workspace {
  std::byte *down, *up, *is_site, *heights, *columns, *starts, *squares, *nearest, *site_rows, *distances;
};

template <class G> std::size_t divide(const Plan& p, bool is_narrow, std::byte* from, Workspace& w) {
  std::size_t used = 0;
  auto take = [&](std::byte*& part, std::int64_t bytes) {
    part = from + used;
    used += aligned(bytes);
  };
  const std::int64_t width = p.t.width, padded = padded_width(width);
  take(w.down, p.band_rows * p.line * static_cast<std::int64_t>(sizeof(G)));
  take(w.up, p.line * static_cast<std::int64_t>(sizeof(G)));
  take(w.is_site, p.line);
  if (is_narrow) {
    take(w.heights, (padded + 16) * 4);
    take(w.columns, padded + 8);
    take(w.squares, padded * 4);
    take(w.distances, p.t.channels == 1 ? 0 : width * 4);
    take(w.nearest, p.t.has_indices ? padded * 4 : 0);
  } else {
    take(w.columns, width * 4 + 4);
    take(w.starts, width * 4 + 4);
  }
  take(w.site_rows, p.t.has_indices ? p.line * 4 : 0);
  return used;
}

template <class Bits> WEFT_INLINE void find_sites(const Plan& p, const std::byte* line, std::uint8_t* is_site) {
  constexpr Bits all = static_cast<Bits>(~Bits(0));
  distance::find_sites(reinterpret_cast<const Bits*>(line), p.is_floating ? static_cast<Bits>(all >> 1) : all, p.line, is_site);
}

WEFT_INLINE void find_sites(const Plan& p, const Memory& m, std::int64_t band, std::int64_t row, std::byte* is_site) {
  const std::byte* line = m.pixels + (band / p.bands * p.t.height + p.first_row(band) + row) * p.line * p.pixel_bytes;
  auto* to = reinterpret_cast<std::uint8_t*>(is_site);
  if (p.pixel_bytes == 1) find_sites<std::uint8_t>(p, line, to);
  else if (p.pixel_bytes == 2) find_sites<std::uint16_t>(p, line, to);
  else if (p.pixel_bytes == 4) find_sites<std::uint32_t>(p, line, to);
  else find_sites<std::uint64_t>(p, line, to);
}

/// Finds how far from the rows past a band's ends the band's own sites are, and gives that to the bands beside it.
template <class G> WEFT_INLINE void look_at_band(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w) {
  G* after = reinterpret_cast<G*>(w.down);
  G* before = reinterpret_cast<G*>(w.up);
  std::fill_n(after, p.line, none<G>);
  std::fill_n(before, p.line, none<G>);
  const std::int64_t rows = p.rows(band);
  const auto* is_site = reinterpret_cast<const std::uint8_t*>(w.is_site);
  for (std::int64_t row = 0; row < rows; ++row) {
    find_sites(p, m, band, row, w.is_site);
    step_away(is_site, after, after, p.line);
    const G from_before = static_cast<G>(row);
    for (std::int64_t i = 0; i < p.line; ++i) before[i] = is_site[i] && before[i] == none<G> ? from_before : before[i];
  }
  const std::int64_t place = band % p.bands;
  if (place + 1 < p.bands) std::copy_n(after, p.line, reinterpret_cast<G*>(m.above) + (band + 1) * p.line);
  // From the last row of the band before, one more than from the first row of this one.
  if (place > 0) std::copy_n(before, p.line, reinterpret_cast<G*>(m.below) + (band - 1) * p.line);
}

/// Carries distances on through bands that have no site in a column.
template <class G> WEFT_INLINE void carry(const Plan& p, const Memory& m, std::int64_t image, std::int64_t first, std::int64_t last) {
  G* const above = reinterpret_cast<G*>(m.above) + image * p.bands * p.line;
  G* const below = reinterpret_cast<G*>(m.below) + image * p.bands * p.line;
  const auto farther = [](G distance, std::int64_t rows) __attribute__((always_inline)) {
    return static_cast<G>(distance > none<G> - rows ? none<G> : distance + rows);
  };
  std::fill(above + first, above + last, none<G>);
  for (std::int64_t band = 1; band < p.bands; ++band)
    for (std::int64_t i = first; i < last; ++i)
      above[band * p.line + i] = std::min(above[band * p.line + i], farther(above[(band - 1) * p.line + i], p.band_rows));
  std::fill(below + (p.bands - 1) * p.line + first, below + (p.bands - 1) * p.line + last, none<G>);
  for (std::int64_t band = p.bands - 1; band-- > 0;)
    for (std::int64_t i = first; i < last; ++i)
      below[band * p.line + i] = std::min(below[band * p.line + i], farther(below[(band + 1) * p.line + i], p.rows(band + 1)));
}

/// Calls solve(row, columns' distances to their closest sites) from the band's last row to its first. Before that, if `site_rows` isn't null, it has
/// the rows of those sites.
template <class G, class Solve>
WEFT_INLINE void solve_band(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w, std::int32_t* site_rows, Solve&& solve) {
  const std::int64_t rows = p.rows(band), line = p.line;
  G* const down = reinterpret_cast<G*>(w.down);
  G* const up = reinterpret_cast<G*>(w.up);
  const bool has_neighbours = p.bands > 1;
  // A sweep goes on from the distance in the row before: `below` has that in the row after the band, `above` that in the band's predecessor's last.
  if (!has_neighbours) std::fill_n(up, line, none<G>);
  const G* before = has_neighbours ? reinterpret_cast<const G*>(m.above) + band * line : up;
  for (std::int64_t row = 0; row < rows; ++row) {
    find_sites(p, m, band, row, w.is_site);
    step_away(reinterpret_cast<const std::uint8_t*>(w.is_site), before, down + row * line, line);
    before = down + row * line;
  }
  if (has_neighbours) std::copy_n(reinterpret_cast<const G*>(m.below) + band * line, line, up);
  for (std::int64_t row = rows; row-- > 0;) {
    G* const here = down + row * line;
    const std::int64_t y = p.first_row(band) + row;
    if (site_rows)
      for (std::int64_t i = 0; i < line; ++i) {
        const std::int64_t farther = std::int64_t{std::min<G>(up[i], none<G> - 1)} + 1;
        site_rows[i] = static_cast<std::int32_t>(here[i] <= farther ? y - here[i] : y + farther);
      }
    for (std::int64_t i = 0; i < line; ++i) {
      const G farther = static_cast<G>(std::min<G>(up[i], none<G> - 1) + 1);
      up[i] = here[i] == 0 ? G(0) : farther;
      here[i] = std::min(here[i], farther);
    }
    solve(y, static_cast<const G*>(here));
  }
}

/// Puts an index into the result that holds them.
WEFT_INLINE void give_index(const Plan& p, const Memory& m, std::int64_t at, std::int64_t index) {
  if (p.index_type == i32) static_cast<std::int32_t*>(m.indices)[at] = static_cast<std::int32_t>(index);
  else static_cast<std::int64_t*>(m.indices)[at] = index;
}

template <int bits, bool has_indices> WEFT_INLINE void solve_narrow(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w) {
  const int width = static_cast<int>(p.t.width), channels = static_cast<int>(p.t.channels);
  const auto most_squared = static_cast<std::int32_t>(std::min<std::int64_t>(p.t.most_squared, (1 << 30) - 1));
  const RowScratch scratch{reinterpret_cast<std::int32_t*>(w.heights), reinterpret_cast<std::int32_t*>(w.columns)};
  auto* squares = reinterpret_cast<std::int32_t*>(w.squares);
  auto* const nearest = reinterpret_cast<std::int32_t*>(w.nearest);
  auto* const site_rows = has_indices ? reinterpret_cast<std::int32_t*>(w.site_rows) : nullptr;
  const std::int64_t image = band / p.bands * p.t.height * p.line;
  solve_band<std::uint16_t>(
      p, m, band, w, site_rows, [&](std::int64_t y, const std::uint16_t* g) __attribute__((always_inline)) {
        float* const to = m.distances + image + y * p.line;
        for (int c = 0; c < channels; ++c) {
          float* const distances = channels == 1 ? to : reinterpret_cast<float*>(w.distances);
          squares_by_vectors<bits, has_indices>(g + c, channels, width, scratch, squares, nearest);
          roots(squares, width, most_squared, distances);
          if (channels > 1)
            for (int x = 0; x < width; ++x) to[x * channels + c] = distances[x];
          if constexpr (has_indices)
            for (int x = 0; x < width; ++x) {
              const std::int64_t row = site_rows[nearest[x] * channels + c];
              give_index(p, m, image + y * p.line + x * channels + c, squares[x] > most_squared ? -1 : row * width + nearest[x]);
            }
        }
      });
}

/// Any size.
void solve_wide(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w) {
  const std::int64_t channels = p.t.channels, width = p.t.width, image = band / p.bands * p.t.height * p.line;
  auto* site_rows = p.t.has_indices ? reinterpret_cast<std::int32_t*>(w.site_rows) : nullptr;
  const Envelope envelope{reinterpret_cast<std::int32_t*>(w.columns), reinterpret_cast<std::int32_t*>(w.starts)};
  solve_band<std::uint32_t>(p, m, band, w, site_rows, [&](std::int64_t y, const std::uint32_t* g) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t first = image + y * p.line + c;
      const auto distance = [&](std::int64_t x, float d) { m.distances[first + x * channels] = d; };
      const auto place = [&](std::int64_t x, std::int64_t index) { give_index(p, m, first + x * channels, index); };
      solve_by_columns(Strided{g + c, channels}, Strided{site_rows ? site_rows + c : nullptr, channels}, width, p.t.most_squared, envelope, distance,
                       place);
    }
  });
}

// The same code for several processors.

struct Loops {
  void (*look_at_band)(const Plan&, const Memory&, std::int64_t, const Workspace&);
  void (*carry)(const Plan&, const Memory&, std::int64_t, std::int64_t, std::int64_t);
  void (*solve_band)(const Plan&, const Memory&, std::int64_t, const Workspace&);
};

#define WEFT_LOOPS(bits, ...)                                                                                                \
  __VA_ARGS__ void look_at_band_##bits(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w) {              \
    look_at_band<std::uint16_t>(p, m, band, w);                                                                              \
  }                                                                                                                          \
  __VA_ARGS__ void carry_##bits(const Plan& p, const Memory& m, std::int64_t image, std::int64_t first, std::int64_t last) { \
    carry<std::uint16_t>(p, m, image, first, last);                                                                          \
  }                                                                                                                          \
  __VA_ARGS__ void solve_band_##bits(const Plan& p, const Memory& m, std::int64_t band, const Workspace& w) {                \
    p.t.has_indices ? solve_narrow<bits, true>(p, m, band, w) : solve_narrow<bits, false>(p, m, band, w);                    \
  }                                                                                                                          \
  constexpr Loops loops_##bits{look_at_band_##bits, carry_##bits, solve_band_##bits};
WEFT_LOOPS(128)
#if defined(__x86_64__)
WEFT_LOOPS(256, __attribute__((target("avx2"))))
WEFT_LOOPS(512, __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))))
#endif
#undef WEFT_LOOPS
constexpr Loops loops_wide{look_at_band<std::uint32_t>, carry<std::uint32_t>, solve_wide};

Loops narrow_loops() {
#if defined(__x86_64__)
  if (vector_bits() >= 512) return loops_512;
  if (vector_bits() >= 256) return loops_256;
#endif
  return loops_128;
}

class DistanceCall final : public LibraryCall {
 public:
  explicit DistanceCall(const Plan& plan, bool is_narrow)
      : p_(plan), is_narrow_(is_narrow), loops_(is_narrow ? narrow_loops() : loops_wide), threads_(omp_get_max_threads()) {
    p_.line = p_.t.width * p_.t.channels;
    const std::int64_t distance_bytes = is_narrow ? 2 : 4;
    p_.band_rows = std::clamp<std::int64_t>(band_bytes / std::max<std::int64_t>(1, p_.line * distance_bytes), least_rows, most_rows);
    p_.band_rows = std::max<std::int64_t>(1, std::min(p_.band_rows, p_.t.height));
    p_.bands = (p_.t.height + p_.band_rows - 1) / p_.band_rows;
    edge_bytes_ = p_.bands > 1 ? aligned(p_.all_bands() * p_.line * distance_bytes) : 0;
    Workspace w;
    own_bytes_ = is_narrow ? divide<std::uint16_t>(p_, true, nullptr, w) : divide<std::uint32_t>(p_, false, nullptr, w);
    if (p_.t.element_count() < parallel_from) threads_ = 1;
    threads_ = static_cast<int>(std::clamp<std::int64_t>(threads_, 1, std::max<std::int64_t>(1, p_.all_bands())));
  }

  std::size_t scratch_bytes() const override { return 2 * edge_bytes_ + static_cast<std::size_t>(threads_) * own_bytes_; }
  std::string describe() const override { return is_narrow_ ? "distance transform by vectors" : "distance transform by columns"; }

  void run(std::span<const void* const> operands, std::span<void* const> results, void* scratch) override {
    if (p_.t.element_count() == 0) return;
    auto* above = static_cast<std::byte*>(scratch);
    const Memory m{static_cast<const std::byte*>(operands[0]),
                   static_cast<float*>(results[0]),
                   p_.t.has_indices ? results[1] : nullptr,
                   above,
                   above + edge_bytes_,
                   above + 2 * edge_bytes_};
    const std::int64_t bands = p_.all_bands(), pieces = (p_.line + columns_together - 1) / columns_together;
    const int threads = std::min(threads_, omp_get_max_threads());
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      Workspace w;
      std::byte* own = m.own + static_cast<std::size_t>(omp_get_thread_num()) * own_bytes_;
      if (is_narrow_) divide<std::uint16_t>(p_, true, own, w);
      else divide<std::uint32_t>(p_, false, own, w);
      if (p_.bands > 1) {
#pragma omp for schedule(dynamic)
        for (std::int64_t band = 0; band < bands; ++band) loops_.look_at_band(p_, m, band, w);
#pragma omp for schedule(dynamic)
        for (std::int64_t i = 0; i < p_.t.images * pieces; ++i) {
          const std::int64_t first = i % pieces * columns_together;
          loops_.carry(p_, m, i / pieces, first, std::min(first + columns_together, p_.line));
        }
      }
#pragma omp for schedule(dynamic)
      for (std::int64_t band = 0; band < bands; ++band) loops_.solve_band(p_, m, band, w);
    }
  }

 private:
  Plan p_;
  bool is_narrow_;
  Loops loops_;
  int threads_;
  std::size_t edge_bytes_ = 0, own_bytes_ = 0;
};

}  // namespace

std::unique_ptr<LibraryCall> make_distance_call(const ir::Graph& graph, const ir::Node& node) {
  const TensorType& images = graph.type(node.operands[0]);
  Plan p{.t = ops::distance_problem_of(images, node.attributes)};
  p.pixel_bytes = static_cast<int>(size_of(images.dtype));
  p.is_floating = is_floating(images.dtype);
  if (p.t.has_indices) p.index_type = node.attributes.dtype("dtype");
  return std::make_unique<DistanceCall>(p, fits_i32(p.t.height, p.t.width));
}

}  // namespace weft::cpu
