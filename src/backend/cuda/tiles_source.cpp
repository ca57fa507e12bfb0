// The code of kernels that multiply tiles of windows.
#include "backend/cuda/tiles.h"

#include "backend/cuda/emit_library.h"
#include "backend/cuda/tiles_text.h"

#include <string_view>

namespace weft::cuda {
namespace {

using tiles_text::constant, tiles_text::element;

constexpr std::string_view cluster = R"(
#if __CUDA_ARCH__ >= 900
/// Until all threads of the cluster's blocks are here.
__device__ void wait_for_cluster() {
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
}
/// The same place in the shared memory of a block of the cluster.
template <class T> __device__ const T* of_block(const T* place, int block) {
  const T* there;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(place), "r"(block));
  return there;
}
#endif
)";

constexpr std::string_view body = R"(
struct Axis {
  int places, start, step;            // the window of place i begins at start + i * step
  int taps, first_delta, delta_step;  // its tap t reads at first_delta + t * delta_step from there
  int first_weight, weight_step;
  int first_result, result_step;
  Divisor by_places, by_taps;
};
struct Class {
  Axis axes[3];
  int rows, terms;
};
struct Arguments {
  const Element *left, *right;
  Element* result;
  const Element *bias, *base;
  bool* positive;
  double scale;
  long long part;
  int left_sizes[3], left_pitch, left_group;
  int channels;
  Divisor by_channels;
  int right_pitch, right_group, weights_pitch, weights_sizes[2];
  int result_sizes[3], result_pitch, result_group;
  int columns, column_tiles, splits;
  short clustered, relu;
  Class classes[most_classes];
};

constexpr int vector = 16 / sizeof(Element);
constexpr int threads_across = columns / thread_columns, threads_down = rows / thread_rows, threads = threads_across * threads_down;
// Terms lie side by side in the left tile, except where the rows do: windows of a gradient of weights; in the right tile where columns don't.
constexpr bool left_by_rows = !is_weights_gradient, right_by_columns = is_data_gradient;
// A line of terms is longer than it needs to be, so that threads that read the same term of several lines find them in different banks.
constexpr int left_lines = left_by_rows ? rows : depth, left_length = left_by_rows ? depth : rows;
constexpr int right_lines = right_by_columns ? columns : depth, right_length = right_by_columns ? depth : columns;
constexpr int left_line = left_length + (left_by_rows ? vector : 0), right_line = right_length + (right_by_columns ? vector : 0);
constexpr int left_elements = stages * left_lines * left_line, right_elements = stages * right_lines * right_line;
// Of a thread's rows, or columns, as many are neighbours.
constexpr int row_run = left_by_rows ? 1 : thread_rows < vector ? thread_rows : vector;
constexpr int column_run = right_by_columns ? 1 : thread_columns < vector ? thread_columns : vector;

// Where a place's windows begin, and how far a tap is from there: coordinates side by side in one number, that can be added and compared at once.
template <bool> struct Bits { typedef int Coordinates; };
template <> struct Bits<true> { typedef long long Coordinates; };
typedef Bits<dimensions == 3>::Coordinates Coordinates;
constexpr int field = dimensions == 3 ? 21 : dimensions == 2 ? 16 : 32;
__device__ Coordinates coordinates(int at0, int at1, int at2) {
  if constexpr (dimensions == 1) return at2;
  else if constexpr (dimensions == 2) return at2 + (at1 << field);
  else return at2 + (Coordinates(at1) << field) + (Coordinates(at0) << 2 * field);
}
/// Sums that borrow from their neighbours are of numbers below zero, and so outside anyway.
__device__ bool is_outside(Coordinates at, Coordinates last) {
  constexpr Coordinates sign = Coordinates(1) << (field - 1);
  constexpr Coordinates signs = dimensions == 1 ? sign : dimensions == 2 ? sign | sign << field % 32 : sign | sign << field | sign << 2 * field % 64;
  return ((at | (last - at)) & signs) != 0;
}

/// The left matrix at a row and a term is the data at the sum of two spots, one of them a place's and one a tap's; zero outside the data.
/// A place's offset is from where the first place's window begins, and so not negative.
struct alignas(2 * sizeof(Coordinates)) Spot {
  int offset;
  Coordinates at;
};
constexpr int ring = terms_of_one_tap ? 0 : 2 * threads;
struct Shared {
  Element left[stages][left_lines * left_line], right[stages][right_lines * right_line];
  Element more_for_sums[left_elements + right_elements < rows * columns ? rows * columns - left_elements - right_elements : 4];
  Spot of_rows[left_by_rows && !terms_of_one_tap ? rows : 1], of_terms[ring + 1];
  int weight_of_terms[right_by_columns ? ring + 1 : 1];  // -1: there is none
  int result_of_rows[is_data_gradient ? rows : 1];       // likewise
};

__device__ Spot nowhere() { return {0, coordinates(0, 0, -(1 << (field - 2)))}; }

__device__ Spot place(const Arguments& a, const Class& c, int index, int& result) {
  const int rest = divided(index, c.axes[2].by_places), image_and_0 = dimensions < 2 ? rest : divided(rest, c.axes[1].by_places);
  const int image = dimensions < 3 ? image_and_0 : divided(image_and_0, c.axes[0].by_places);
  const int p0 = image_and_0 - image * c.axes[0].places, p1 = rest - image_and_0 * c.axes[1].places, p2 = index - rest * c.axes[2].places;
  const auto in_result = [&](int d, int p) { return c.axes[d].first_result + p * c.axes[d].result_step; };
  result = ((image * a.result_sizes[0] + in_result(0, p0)) * a.result_sizes[1] + in_result(1, p1)) * a.result_sizes[2] + in_result(2, p2);
  const int at0 = c.axes[0].start + p0 * c.axes[0].step, at1 = c.axes[1].start + p1 * c.axes[1].step, at2 = c.axes[2].start + p2 * c.axes[2].step;
  const auto from_start = [&](int d, int p) { return p * c.axes[d].step; };
  const int rows = (image * a.left_sizes[0] + from_start(0, p0)) * a.left_sizes[1] + from_start(1, p1);
  return {(rows * a.left_sizes[2] + from_start(2, p2)) * a.left_pitch, coordinates(at0, at1, at2)};
}

__device__ Spot tap(const Arguments& a, const Class& c, int index, int& weight) {
  const int t = divided(index, a.by_channels), channel = index - t * a.channels;
  const int rest = divided(t, c.axes[2].by_taps), t0 = divided(rest, c.axes[1].by_taps);
  const int t1 = rest - t0 * c.axes[1].taps, t2 = t - rest * c.axes[2].taps;
  const auto in_window = [&](int d, int t) { return c.axes[d].first_weight + t * c.axes[d].weight_step; };
  weight = ((in_window(0, t0) * a.weights_sizes[0] + in_window(1, t1)) * a.weights_sizes[1] + in_window(2, t2)) * a.weights_pitch + channel;
  const auto delta = [&](int d, int t) { return c.axes[d].first_delta + t * c.axes[d].delta_step; };
  const int d0 = delta(0, t0), d1 = delta(1, t1), d2 = delta(2, t2);
  return {((d0 * a.left_sizes[1] + d1) * a.left_sizes[2] + d2) * a.left_pitch + channel, coordinates(d0, d1, d2)};
}

/// What a thread copies of a tile, unit by unit: the same of some lines. Where lines are long, several positions of one.
template <int lines, int units, int unit> struct Share {
  static constexpr int across = units < threads ? units : threads, down = threads / across, positions = units / across;
  static constexpr int copies = (lines + down - 1) / down * positions;
  static constexpr bool is_whole = down * across == threads && lines % down == 0;
  static_assert(units % across == 0);
  int first_line = threadIdx.x / across, first_at = threadIdx.x % across * unit;

  __device__ int line(int copy) const { return first_line + copy / positions * down; }
  __device__ int at(int copy) const { return first_at + copy % positions * across * unit; }
  __device__ bool has(int copy) const { return is_whole || (first_line < down && line(copy) < lines); }
};
typedef Share<left_lines, left_length / left_unit, left_unit> LeftShare;
typedef Share<right_lines, right_length / right_unit, right_unit> RightShare;

/// Copies one tile after the other.
struct Copies {
  const Arguments& a;
  const Class& c;
  Shared& s;
  const Element *left, *right, *right_of_tile;
  const int first_column, first_term;
  int term = first_term, at_in_ring = 0;  // of the tile that is next
  const LeftShare of_left = {};
  const RightShare of_right = {};
  const Coordinates last = coordinates(a.left_sizes[0] - 1, a.left_sizes[1] - 1, a.left_sizes[2] - 1);
  // What does not change from tile to tile.
  static constexpr bool keeps_rows = left_by_rows && terms_of_one_tap, keeps_right = terms_of_one_tap || !right_by_columns;
  Spot rows_of_copies[keeps_rows ? LeftShare::copies : 1];
  const Element* left_of_taps[LeftShare::positions];
  Coordinates taps[LeftShare::positions];
  unsigned right_offsets[keeps_right ? RightShare::copies : 1];
  // Of terms of one tap.
  int channel = 0;

  __device__ Spot row_spot(int row) const {
    int unused;
    return row >= c.rows ? nowhere() : is_weights_gradient ? tap(a, c, row, unused) : place(a, c, row, unused);
  }
  __device__ void find_terms(int first, int at) {
    const int term = first + threadIdx.x;
    int weight = -1;
    s.of_terms[at + threadIdx.x] = term >= c.terms ? nowhere() : is_weights_gradient ? place(a, c, term, weight) : tap(a, c, term, weight);
    if (right_by_columns) s.weight_of_terms[at + threadIdx.x] = weight;
  }

  __device__ void set_tap(int position, const Spot& spot) {
    left_of_taps[position] = left + spot.offset;
    taps[position] = spot.at;
    // The compiler would rather add to the offset, for each copy.
    asm("" : "+l"(left_of_taps[position]));
  }
  __device__ void find_tap() {
    int weight;
    set_tap(0, tap(a, c, term, weight));
    if (right_by_columns) right_of_tile = right + weight;
  }

  __device__ void start(int first_row) {
    left += ((c.axes[0].start * a.left_sizes[1] + c.axes[1].start) * a.left_sizes[2] + c.axes[2].start) * a.left_pitch;
    if constexpr (keeps_rows) {
#pragma unroll
      for (int i = 0; i < LeftShare::copies; ++i) {
        rows_of_copies[i] = row_spot(first_row + of_left.line(i));
        rows_of_copies[i].offset += of_left.at(i);
      }
    }
    if constexpr (is_weights_gradient) {
#pragma unroll
      for (int i = 0; i < LeftShare::positions; ++i) set_tap(i, row_spot(first_row + of_left.at(i)));
    }
    if constexpr (keeps_right) {
      if (!right_by_columns) right_of_tile = right + term * a.right_pitch;
#pragma unroll
      for (int i = 0; i < RightShare::copies; ++i) {
        const int line = of_right.line(i), at = of_right.at(i);
        right_offsets[i] = right_by_columns ? (first_column + line) * a.right_pitch + at : line * a.right_pitch + first_column + at;
      }
    }
    if constexpr (terms_of_one_tap) {
      channel = term - divided(term, a.by_channels) * a.channels;
      find_tap();
    } else {
      if constexpr (left_by_rows) {
#pragma unroll 1
        for (int r = threadIdx.x; r < rows; r += threads) s.of_rows[r] = row_spot(first_row + r);
      }
      find_terms(term, 0);
      find_terms(term + threads, threads);
      __syncthreads();
    }
  }

  __device__ void next(int stage) {
    static_assert(terms_of_one_tap || (threads % depth == 0 && (stages - 1) * depth <= threads), "halves of the ring are read between barriers");
    if (!terms_of_one_tap && at_in_ring % threads == 0 && term != first_term) find_terms(term + threads, threads - at_in_ring);
    if constexpr (!terms_of_one_tap && left_by_rows) {
#pragma unroll
      for (int i = 0; i < LeftShare::positions; ++i) set_tap(i, s.of_terms[at_in_ring + of_left.at(i)]);
    }
#pragma unroll
    for (int i = 0; i < LeftShare::copies; ++i) {
      const int line = of_left.line(i), at = of_left.at(i), position = i % LeftShare::positions;
      if (!of_left.has(i)) continue;
      const Spot place = keeps_rows ? rows_of_copies[i] : left_by_rows ? s.of_rows[line] : s.of_terms[at_in_ring + line];
      const Element* from = left_of_taps[position] + unsigned(place.offset);
      copy<left_unit * sizeof(Element)>(&s.left[stage][line * left_line + at], from, is_outside(place.at + taps[position], last));
    }
#pragma unroll
    for (int i = 0; i < RightShare::copies; ++i) {
      const int line = of_right.line(i), at = of_right.at(i), column = first_column + (right_by_columns ? line : at);
      if (!of_right.has(i)) continue;
      const int weight = keeps_right ? 0 : s.weight_of_terms[at_in_ring + at];
      const bool is_term = terms_of_one_tap || (right_by_columns ? weight >= 0 : term + line < c.terms);
      const Element* from = keeps_right ? right_of_tile + right_offsets[i] : right + weight + unsigned(column * a.right_pitch);
      copy<right_unit * sizeof(Element)>(&s.right[stage][line * right_line + at], from, !is_term || column >= a.columns);
    }
    term += depth;
    right_of_tile += right_by_columns ? depth : depth * a.right_pitch;
    if constexpr (terms_of_one_tap) {
      channel += depth, left_of_taps[0] += depth;
      if (channel == a.channels) channel = 0, find_tap();
    } else {
      at_in_ring = (at_in_ring + depth) % (2 * threads);
    }
  }
};

/// Products go to and fro over a thread's rows, or columns: each has an operand in common with the next, which need not be read again from the
/// registers' banks.
__device__ void multiply(const Element* left, const Element* right, int down, int across, Element (&sum)[thread_rows][thread_columns]) {
  const auto to_and_fro = [](int turn, int n, int count) { return turn % 2 == 1 ? count - 1 - n : n; };
#pragma unroll
  for (int k = 0; k < depth; k += vector) {
    Element l[vector][thread_rows];
    if constexpr (left_by_rows) {
#pragma unroll
      for (int i = 0; i < thread_rows; ++i) {
        const auto pack = *reinterpret_cast<const Pack<vector>*>(left + (down + i * threads_down) * left_line + k);
#pragma unroll
        for (int v = 0; v < vector; ++v) l[v][i] = pack.at[v];
      }
    } else {
#pragma unroll
      for (int v = 0; v < vector; ++v)
#pragma unroll
        for (int i = 0; i < thread_rows; i += row_run) {
          const auto pack = *reinterpret_cast<const Pack<row_run>*>(left + (k + v) * left_line + i * threads_down + down * row_run);
#pragma unroll
          for (int n = 0; n < row_run; ++n) l[v][i + n] = pack.at[n];
        }
    }
    if constexpr (right_by_columns) {
      // Column by column, which takes fewer registers.
#pragma unroll
      for (int j = 0; j < thread_columns; ++j) {
        const auto pack = *reinterpret_cast<const Pack<vector>*>(right + (across + j * threads_across) * right_line + k);
#pragma unroll
        for (int v = 0; v < vector; ++v)
#pragma unroll
          for (int n = 0; n < thread_rows; ++n) {
            const int i = to_and_fro(v, n, thread_rows);
            sum[i][j] = fma(l[v][i], pack.at[v], sum[i][j]);
          }
      }
    } else {
#pragma unroll
      for (int v = 0; v < vector; ++v) {
        Element r[thread_columns];
#pragma unroll
        for (int j = 0; j < thread_columns; j += column_run) {
          const auto pack = *reinterpret_cast<const Pack<column_run>*>(right + (k + v) * right_line + j * threads_across + across * column_run);
#pragma unroll
          for (int n = 0; n < column_run; ++n) r[j + n] = pack.at[n];
        }
        constexpr int turns = left_by_rows ? thread_rows : thread_columns, count = left_by_rows ? thread_columns : thread_rows;
#pragma unroll
        for (int turn = 0; turn < turns; ++turn)
#pragma unroll
          for (int n = 0; n < count; ++n) {
            const int other = to_and_fro(turn, n, count), i = left_by_rows ? turn : other, j = left_by_rows ? other : turn;
            sum[i][j] = fma(l[v][i], r[j], sum[i][j]);
          }
      }
    }
  }
}

__device__ Element finished(const Arguments& a, Element sum, int column, Element base) {
  if (a.splits > 1 && !a.clustered) return sum;
  if (a.bias) sum = sum + a.bias[column];
  if (a.base) sum = sum * Element(a.scale) + base;
  return a.relu && sum <= 0 ? Element(0) : sum;
}

// Blocks: tiles of rows; tiles of columns, of each group of channels; parts of the sums, of each class.
extern "C" __global__ void __launch_bounds__(threads, resident) NAME(const __grid_constant__ Arguments a) {
  extern __shared__ uint4 memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  const int part = blockIdx.z % a.splits, group = blockIdx.y / a.column_tiles;
  const Class& c = a.classes[most_classes == 1 ? 0 : blockIdx.z / a.splits];
  const int first_row = blockIdx.x * rows, first_column = (blockIdx.y - group * a.column_tiles) * columns;
  if (first_row >= c.rows) return;
  const int tiles = (c.terms + depth - 1) / depth, tiles_of_part = (tiles + a.splits - 1) / a.splits;
  const int begin = part * tiles_of_part, end = min(begin + tiles_of_part, tiles);
  Copies copies{a, c, s, a.left + group * a.left_group, a.right + group * a.right_group, nullptr, first_column, begin * depth};
  // Where things lie follows from numbers alone, and so it is found while earlier kernels end.
  copies.start(first_row);
  follow();
#pragma unroll 1
  for (int i = 0; i < stages - 1; ++i) {
    if (begin + i < end) copies.next(i);
    end_of_copies();
  }
  if (is_data_gradient) {
#pragma unroll 1
    for (int r = threadIdx.x; r < rows; r += threads) {
      int result = -1;
      if (first_row + r < c.rows) place(a, c, first_row + r, result);
      s.result_of_rows[r] = result;
    }
  }

  // A warp's threads are numbered in such an order that neighbours in pairs read the same of one tile or the other.
  constexpr int lanes_across = threads_across < 8 ? threads_across : 8, warps_across = threads_across / lanes_across;
  static_assert(lanes_across == 4 || lanes_across == 8);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int across = warp % warps_across * lanes_across + (lane & 1 | lane >> 1 & (lanes_across - 2));
  const int down = warp / warps_across * (32 / lanes_across) + (lane >> 1 & 1 | (lanes_across == 8 ? lane >> 3 & 2 : lane >> 2 & 6));
  Element sum[thread_rows][thread_columns] = {};
  int full = 0, empty = stages - 1;
  for (int tile = begin; tile < end; ++tile) {
    wait_for_copies<stages - 2>();
    __syncthreads();
    if (tile + stages - 1 < end) copies.next(empty);
    end_of_copies();
    multiply(s.left[full], s.right[full], down, across, sum);
    full = full + 1 == stages ? 0 : full + 1;
    empty = empty + 1 == stages ? 0 : empty + 1;
  }
  __syncthreads();

  const bool is_part = a.splits > 1 && !a.clustered;
  Element* result = a.result + (is_part ? part * a.part : 0) + group * a.result_group;
  bool* positive = a.positive && !is_part ? a.positive + group * a.result_group : nullptr;
  const Element* base = a.base && !is_part ? a.base + group * a.result_group : nullptr;
  const auto put = [&](int i, int j, const Pack<column_run>& sums) {
    const int row = left_by_rows ? down + i * threads_down : i / row_run * row_run * threads_down + down * row_run + i % row_run;
    const int column = first_column + j * threads_across + across * column_run;
    if (first_row + row >= c.rows || column >= a.columns) return;
    const int r = (is_data_gradient ? s.result_of_rows[row] : first_row + row) * a.result_pitch;
    Pack<column_run> pack, bases = {};
    if (column_run == result_unit && base) bases = *reinterpret_cast<const Pack<column_run>*>(base + r + column);
#pragma unroll
    for (int n = 0; n < column_run; ++n) {
      if (column_run != result_unit && column + n >= a.columns) break;
      if (column_run != result_unit && base) bases.at[n] = base[r + column + n];
      pack.at[n] = finished(a, sums.at[n], group * a.columns + column + n, bases.at[n]);
    }
    if constexpr (column_run == result_unit) {
      *reinterpret_cast<Pack<column_run>*>(result + r + column) = pack;
      if (!positive) return;
      Answers<column_run> answers;
#pragma unroll
      for (int n = 0; n < column_run; ++n) answers.at[n] = pack.at[n] > 0;
      *reinterpret_cast<Answers<column_run>*>(positive + r + column) = answers;
    } else {
#pragma unroll
      for (int n = 0; n < column_run; ++n) {
        if (column + n >= a.columns) return;
        result[r + column + n] = pack.at[n];
        if (positive) positive[r + column + n] = pack.at[n] > 0;
      }
    }
  };
  constexpr int runs = thread_columns / column_run;
  const auto run_of = [&](int i, int j) {
    Pack<column_run> pack;
#pragma unroll
    for (int n = 0; n < column_run; ++n) pack.at[n] = sum[i][j * column_run + n];
    return pack;
  };
#if __CUDA_ARCH__ >= 900
  if (a.clustered) {
    // Each block leaves its sums where the others find them, and adds up a share of what all have, in the parts' order.
    auto* sums = reinterpret_cast<Pack<column_run>*>(&s.left[0][0]) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < thread_rows; ++i)
#pragma unroll
      for (int j = 0; j < runs; ++j) sums[(i * runs + j) * threads] = run_of(i, j);
    wait_for_cluster();
    for (int k = part; k < thread_rows * runs; k += a.splits) {
      Pack<column_run> total = {};
#pragma unroll 4
      for (int block = 0; block < a.splits; ++block) {
        const auto more = *of_block(sums + k * threads, block);
#pragma unroll
        for (int n = 0; n < column_run; ++n) total.at[n] += more.at[n];
      }
      put(k / runs, k % runs * column_run, total);
    }
    wait_for_cluster();
    return;
  }
#endif
#pragma unroll
  for (int i = 0; i < thread_rows; ++i)
#pragma unroll
    for (int j = 0; j < runs; ++j) put(i, j * column_run, run_of(i, j));
}
)";

}  // namespace

std::string TilesDesc::str() const {
  const char* name = member == ConvolutionMember::forward         ? "conv"
                     : member == ConvolutionMember::data_gradient ? "conv_data_gradient"
                                                                  : "conv_weights_gradient";
  std::string text = std::string(name) + "_" + std::string(name_of(dtype)) + "_by";
  for (int unit : {left_unit, right_unit, result_unit}) text += "_" + std::to_string(unit);
  return text + "_" + std::to_string(dimensions) + "d" + (classes > 1 ? "_strided" : "");
}

std::string TilesConfig::str() const {
  const auto text = [](int n) { return std::to_string(n); };
  return text(rows) + "x" + text(columns) + "x" + text(depth) + "_" + text(thread_rows) + "x" + text(thread_columns) + "x" + text(stages);
}

TilesSource generate(const TilesDesc& desc, const TilesConfig& config) {
  TilesSource source;
  source.entry = desc.str() + "_" + config.str();
  source.text = "// " + source.entry + ": tiles of " + std::to_string(config.rows) + " x " + std::to_string(config.columns) + ", " +
                std::to_string(config.threads()) + " threads\n" + element(desc.dtype);
  source.text += constant("rows", config.rows) + constant("columns", config.columns) + constant("depth", config.depth) +
                 constant("thread_rows", config.thread_rows) + constant("thread_columns", config.thread_columns) + constant("stages", config.stages) +
                 constant("resident", config.resident);
  source.text += constant("left_unit", desc.left_unit) + constant("right_unit", desc.right_unit) + constant("result_unit", desc.result_unit) +
                 constant("dimensions", desc.dimensions) + constant("most_classes", desc.classes);
  const bool is_data = desc.member == ConvolutionMember::data_gradient, is_weights = desc.member == ConvolutionMember::weights_gradient;
  const bool terms_of_one_tap = !is_weights && desc.channels_together % config.depth == 0;
  const auto flag = [](const char* name, bool value) { return std::string("constexpr bool ") + name + (value ? " = true;\n" : " = false;\n"); };
  source.text += flag("is_data_gradient", is_data) + flag("is_weights_gradient", is_weights) + flag("terms_of_one_tap", terms_of_one_tap);
  source.text += definitions_for("divided follow") + std::string(tiles_text::pack);
  source.text += std::string(tiles_text::copies) + std::string(cluster);
  std::string kernel(body);
  kernel.replace(kernel.find("NAME("), 4, source.entry);
  source.text += kernel;

  // As Shared says.
  const int bytes = static_cast<int>(size_of(desc.dtype)), pad = 16 / bytes, spot = desc.dimensions == 3 ? 16 : 8;
  const int left = is_weights ? config.depth * config.rows : config.rows * (config.depth + pad),
            right = is_data ? config.columns * (config.depth + pad) : config.depth * config.columns;
  const int elements = config.stages * (left + right), sums = config.rows * config.columns;
  const int ring = terms_of_one_tap ? 1 : 2 * config.threads() + 1;
  const int spots = (!is_weights && !terms_of_one_tap ? config.rows : 1) + ring, places = (is_data ? ring + config.rows : 2);
  source.shared_bytes = static_cast<unsigned>((elements < sums ? sums : elements + 4) * bytes + spots * spot + places * 4 + 31) / 16 * 16;
  return source;
}

}  // namespace weft::cuda
