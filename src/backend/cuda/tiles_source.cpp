// The code of kernels that multiply tiles of windows.
#include "backend/cuda/tiles.h"

#include "backend/cuda/emit_library.h"

#include <string_view>

namespace weft::cuda {
namespace {

constexpr std::string_view pack = R"(
template <int n> struct alignas(n * sizeof(Element) < 16 ? n * sizeof(Element) : 16) Pack {
  Element at[n];
};
template <int n> struct alignas(n) Answers {
  bool at[n];
};
)";

constexpr std::string_view copies = R"(
/// Copies to shared memory while the thread goes on; zeros where it is not inside.
template <int bytes> __device__ void copy(void* to, const void* from, bool inside) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to)), count = inside ? bytes : 0;
  if constexpr (bytes == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(count));
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from), "n"(bytes), "r"(count));
}
__device__ void end_of_copies() { asm volatile("cp.async.commit_group;"); }
/// Until all but the latest groups of copies are there.
template <int latest> __device__ void wait_for_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(latest)); }

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
  const Element* bias;
  bool* positive;
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

/// The left matrix at a row and a term is the data at the sum of two spots, one of them a place's and one a tap's; zero outside the data.
struct alignas(16) Spot {
  int offset, at0, at1, at2;
};
struct Shared {
  Element left[stages][left_lines * left_line], right[stages][right_lines * right_line];
  Element more_for_sums[left_elements + right_elements < rows * columns ? rows * columns - left_elements - right_elements : 4];
  Spot of_rows[rows], of_terms[stages][depth];
  int result_of_rows[rows], right_of_terms[stages][depth];  // -1: there is none
};

__device__ Spot nowhere() { return {0, 0, 0, -(1 << 30)}; }

__device__ Spot place(const Arguments& a, const Class& c, int index, int& result) {
  const int rest = divided(index, c.axes[2].by_places), image_and_0 = divided(rest, c.axes[1].by_places);
  const int image = divided(image_and_0, c.axes[0].by_places);
  const int p0 = image_and_0 - image * c.axes[0].places, p1 = rest - image_and_0 * c.axes[1].places, p2 = index - rest * c.axes[2].places;
  const auto in_result = [&](int d, int p) { return c.axes[d].first_result + p * c.axes[d].result_step; };
  result = ((image * a.result_sizes[0] + in_result(0, p0)) * a.result_sizes[1] + in_result(1, p1)) * a.result_sizes[2] + in_result(2, p2);
  const int at0 = c.axes[0].start + p0 * c.axes[0].step, at1 = c.axes[1].start + p1 * c.axes[1].step, at2 = c.axes[2].start + p2 * c.axes[2].step;
  return {(((image * a.left_sizes[0] + at0) * a.left_sizes[1] + at1) * a.left_sizes[2] + at2) * a.left_pitch, at0, at1, at2};
}

__device__ Spot tap(const Arguments& a, const Class& c, int index, int& weight) {
  const int t = divided(index, a.by_channels), channel = index - t * a.channels;
  const int rest = divided(t, c.axes[2].by_taps), t0 = divided(rest, c.axes[1].by_taps);
  const int t1 = rest - t0 * c.axes[1].taps, t2 = t - rest * c.axes[2].taps;
  const auto in_window = [&](int d, int t) { return c.axes[d].first_weight + t * c.axes[d].weight_step; };
  weight = ((in_window(0, t0) * a.weights_sizes[0] + in_window(1, t1)) * a.weights_sizes[1] + in_window(2, t2)) * a.weights_pitch + channel;
  const auto delta = [&](int d, int t) { return c.axes[d].first_delta + t * c.axes[d].delta_step; };
  const int d0 = delta(0, t0), d1 = delta(1, t1), d2 = delta(2, t2);
  return {((d0 * a.left_sizes[1] + d1) * a.left_sizes[2] + d2) * a.left_pitch + channel, d0, d1, d2};
}

__device__ void find_rows(const Arguments& a, const Class& c, int first, Shared& s) {
#pragma unroll 1
  for (int r = threadIdx.x; r < rows; r += threads) {
    const int row = first + r;
    Spot spot = nowhere();
    int result = -1;
    if (row < c.rows) {
      spot = is_weights_gradient ? tap(a, c, row, result) : place(a, c, row, result);
      result = (is_data_gradient ? result : row) * a.result_pitch;
    }
    s.of_rows[r] = spot;
    s.result_of_rows[r] = result;
  }
}

__device__ void find_term(const Arguments& a, const Class& c, int tile, int at, Shared& s) {
  const int term = tile * depth + at, stage = tile % stages;
  Spot spot = nowhere();
  int right = -1;
  if (term < c.terms) {
    spot = is_weights_gradient ? place(a, c, term, right) : tap(a, c, term, right);
    if (!is_data_gradient) right = term * a.right_pitch;
  }
  s.of_terms[stage][at] = spot;
  s.right_of_terms[stage][at] = right;
}

__device__ void load(const Arguments& a, const Element* left, const Element* right, int first_column, int stage, Shared& s) {
  constexpr int left_units = left_length / left_unit, right_units = right_length / right_unit;
#pragma unroll
  for (int first = 0; first < left_lines * left_units; first += threads) {
    const int unit = first + threadIdx.x, line = unit / left_units, at = unit % left_units * left_unit;
    if (left_lines * left_units % threads != 0 && line >= left_lines) break;
    const Spot row = s.of_rows[left_by_rows ? line : at], term = s.of_terms[stage][left_by_rows ? at : line];
    const bool inside = unsigned(row.at2 + term.at2) < unsigned(a.left_sizes[2]) &&
                        (dimensions < 2 || unsigned(row.at1 + term.at1) < unsigned(a.left_sizes[1])) &&
                        (dimensions < 3 || unsigned(row.at0 + term.at0) < unsigned(a.left_sizes[0]));
    copy<left_unit * sizeof(Element)>(&s.left[stage][line * left_line + at], left + (inside ? row.offset + term.offset : 0), inside);
  }
#pragma unroll
  for (int first = 0; first < right_lines * right_units; first += threads) {
    const int unit = first + threadIdx.x, line = unit / right_units, at = unit % right_units * right_unit;
    if (right_lines * right_units % threads != 0 && line >= right_lines) break;
    const int term = s.right_of_terms[stage][right_by_columns ? at : line], column = first_column + (right_by_columns ? line : at);
    const bool inside = term >= 0 && column < a.columns;
    const int offset = term + column * (right_by_columns ? a.right_pitch : 1);
    copy<right_unit * sizeof(Element)>(&s.right[stage][line * right_line + at], right + (inside ? offset : 0), inside);
  }
}

__device__ void multiply(const Element* left, const Element* right, int down, int across, Element (&sum)[thread_rows][thread_columns]) {
#pragma unroll
  for (int k = 0; k < depth; k += vector) {
    Element l[thread_rows][vector], r[vector][thread_columns];
    if constexpr (left_by_rows) {
#pragma unroll
      for (int i = 0; i < thread_rows; ++i) {
        const auto pack = *reinterpret_cast<const Pack<vector>*>(left + (down + i * threads_down) * left_line + k);
#pragma unroll
        for (int v = 0; v < vector; ++v) l[i][v] = pack.at[v];
      }
    } else {
#pragma unroll
      for (int v = 0; v < vector; ++v)
#pragma unroll
        for (int i = 0; i < thread_rows; i += row_run) {
          const auto pack = *reinterpret_cast<const Pack<row_run>*>(left + (k + v) * left_line + i * threads_down + down * row_run);
#pragma unroll
          for (int n = 0; n < row_run; ++n) l[i + n][v] = pack.at[n];
        }
    }
    if constexpr (right_by_columns) {
#pragma unroll
      for (int j = 0; j < thread_columns; ++j) {
        const auto pack = *reinterpret_cast<const Pack<vector>*>(right + (across + j * threads_across) * right_line + k);
#pragma unroll
        for (int v = 0; v < vector; ++v) r[v][j] = pack.at[v];
      }
    } else {
#pragma unroll
      for (int v = 0; v < vector; ++v)
#pragma unroll
        for (int j = 0; j < thread_columns; j += column_run) {
          const auto pack = *reinterpret_cast<const Pack<column_run>*>(right + (k + v) * right_line + j * threads_across + across * column_run);
#pragma unroll
          for (int n = 0; n < column_run; ++n) r[v][j + n] = pack.at[n];
        }
    }
#pragma unroll
    for (int v = 0; v < vector; ++v)
#pragma unroll
      for (int i = 0; i < thread_rows; ++i)
#pragma unroll
        for (int j = 0; j < thread_columns; ++j) sum[i][j] = fma(l[i][v], r[v][j], sum[i][j]);
  }
}

__device__ Element finished(const Arguments& a, Element sum, int column) {
  if (a.splits > 1 && !a.clustered) return sum;
  if (a.bias) sum += a.bias[column];
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
  const Element *left = a.left + group * a.left_group, *right = a.right + group * a.right_group;

  find_rows(a, c, first_row, s);
#pragma unroll 1
  for (int t = threadIdx.x; t < stages * depth; t += threads) find_term(a, c, begin + t / depth, t % depth, s);
  __syncthreads();
#pragma unroll 1
  for (int i = 0; i < stages - 1; ++i) {
    if (begin + i < end) load(a, left, right, first_column, (begin + i) % stages, s);
    end_of_copies();
  }

  // A warp's threads are numbered in such an order that neighbours in pairs read the same of one tile or the other.
  constexpr int lanes_across = threads_across < 8 ? threads_across : 8, warps_across = threads_across / lanes_across;
  static_assert(lanes_across == 4 || lanes_across == 8);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int across = warp % warps_across * lanes_across + (lane & 1 | lane >> 1 & (lanes_across - 2));
  const int down = warp / warps_across * (32 / lanes_across) + (lane >> 1 & 1 | (lanes_across == 8 ? lane >> 3 & 2 : lane >> 2 & 6));
  Element sum[thread_rows][thread_columns] = {};
  for (int tile = begin; tile < end; ++tile) {
    wait_for_copies<stages - 2>();
    __syncthreads();
    if (tile + stages - 1 < end) load(a, left, right, first_column, (tile + stages - 1) % stages, s);
    end_of_copies();
    if (threadIdx.x < depth) find_term(a, c, tile + stages, threadIdx.x, s);
    multiply(s.left[tile % stages], s.right[tile % stages], down, across, sum);
  }

  const bool is_part = a.splits > 1 && !a.clustered;
  Element* result = a.result + (is_part ? part * a.part : 0) + group * a.result_group;
  bool* positive = a.positive && !is_part ? a.positive + group * a.result_group : nullptr;
  const auto put = [&](int i, int j, const Pack<column_run>& sums) {
    const int r = s.result_of_rows[left_by_rows ? down + i * threads_down : i / row_run * row_run * threads_down + down * row_run + i % row_run];
    const int column = first_column + j * threads_across + across * column_run;
    if (r < 0 || column >= a.columns) return;
    Pack<column_run> pack;
#pragma unroll
    for (int n = 0; n < column_run; ++n)
      if (column_run == result_unit || column + n < a.columns) pack.at[n] = finished(a, sums.at[n], group * a.columns + column + n);
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
    __syncthreads();
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

constexpr std::string_view sum_of_parts = R"(
struct Arguments {
  const Element *parts, *bias;
  Element* result;
  bool* positive;
  long long part;
  int splits, channels, relu;
};

extern "C" __global__ void __launch_bounds__(256) add_parts(const Arguments a) {
  follow();
  const long long first = (blockIdx.x * 256ll + threadIdx.x) * unit;
  if (first >= a.part) return;
  Pack<unit> sum = {};
#pragma unroll 4
  for (int part = 0; part < a.splits; ++part) {
    const auto more = *reinterpret_cast<const Pack<unit>*>(a.parts + part * a.part + first);
#pragma unroll
    for (int n = 0; n < unit; ++n) sum.at[n] += more.at[n];
  }
#pragma unroll
  for (int n = 0; n < unit; ++n) {
    if (a.bias) sum.at[n] += a.bias[(first + n) % a.channels];
    if (a.relu && sum.at[n] <= 0) sum.at[n] = 0;
  }
  *reinterpret_cast<Pack<unit>*>(a.result + first) = sum;
  if (!a.positive) return;
  Answers<unit> answers;
#pragma unroll
  for (int n = 0; n < unit; ++n) answers.at[n] = sum.at[n] > 0;
  *reinterpret_cast<Answers<unit>*>(a.positive + first) = answers;
}
)";

std::string constant(const char* name, int value) { return std::string("constexpr int ") + name + " = " + std::to_string(value) + ";\n"; }

std::string element(DType dtype) { return std::string("typedef ") + (dtype == f64 ? "double" : "float") + " Element;\n"; }

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
  source.text += std::string("constexpr bool is_data_gradient = ") + (is_data ? "true" : "false") +
                 ", is_weights_gradient = " + (is_weights ? "true" : "false") + ";\n";
  source.text += definitions_for("divided") + std::string(pack);
  source.text += copies;
  std::string kernel(body);
  kernel.replace(kernel.find("NAME("), 4, source.entry);
  source.text += kernel;

  const auto bytes = static_cast<int>(size_of(desc.dtype)), pad = 16 / bytes;
  const int left = is_weights ? config.depth * config.rows : config.rows * (config.depth + pad),
            right = is_data ? config.columns * (config.depth + pad) : config.depth * config.columns;
  const int elements = config.stages * (left + right), sums = config.rows * config.columns;
  source.shared_bytes =
      static_cast<unsigned>((elements < sums ? sums : elements + 4) * bytes + config.stages * config.depth * (16 + 4) + config.rows * (16 + 4) + 15) /
      16 * 16;
  return source;
}

TilesSource generate_sum_of_parts(DType dtype, int unit) {
  return {element(dtype) + constant("unit", unit) + definitions_for("follow") + std::string(pack) + std::string(sum_of_parts), "add_parts", 0};
}

}  // namespace weft::cuda
