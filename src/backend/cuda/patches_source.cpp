// The code of kernels that read windows of patches.
#include "backend/cuda/emit_library.h"
#include "backend/cuda/patches.h"
#include "backend/cuda/tiles_text.h"

#include <string_view>

namespace weft::cuda {
namespace {

using tiles_text::constant;

constexpr std::string_view common = R"(
struct Arguments {
  const Element *data, *right;
  Element* result;
  const Element *bias, *base;
  bool* positive;
  double scale;
  int images, sizes[2], start[2], places[2];
  int image_lines;  // that windows of an image cover
  int rows, columns, block_rows, patch_lines;
  Divisor by_places[2], by_image_lines;
  int relu;
};

constexpr int terms = window0 * window1 * channels;
/// Lines of a patch from one tap to the next, elements of a line likewise.
constexpr int tap_lines = dilation0 * line, tap_elements = dilation1 * channels;

/// Where a place's window begins: the line, of all that windows of all images cover, and the element there.
__device__ int line_of(const Arguments& a, int place, int& element) {
  const int row = divided(place, a.by_places[1]), image = divided(row, a.by_places[0]);
  element = (place - row * a.places[1]) * stride1 * channels;
  return image * a.image_lines + (row - image * a.places[0]) * stride0;
}

/// Zeros lie around the images.
__device__ void copy_patch(const Arguments& a, int first_line, Element* patch) {
  for (int i = threadIdx.x; i < a.patch_lines * line; i += threads) {
    const int l = first_line + i / line, image = divided(l, a.by_image_lines), length = a.sizes[1] * channels;
    const int y = l - image * a.image_lines + a.start[0], at = i % line + a.start[1] * channels;
    const bool is_outside = image >= a.images || unsigned(y) >= unsigned(a.sizes[0]) || unsigned(at) >= unsigned(length);
    copy<sizeof(Element)>(patch + i, a.data + (is_outside ? 0 : (image * a.sizes[0] + y) * length + at), is_outside);
  }
}
)";

constexpr std::string_view forward = R"(
constexpr int threads_across = columns / thread_columns, threads_down = rows / thread_rows;

extern "C" __global__ void __launch_bounds__(threads, resident) NAME(const __grid_constant__ Arguments a) {
  extern __shared__ uint4 memory[];
  Element *weights = reinterpret_cast<Element*>(memory), *patch = weights + terms * columns;
  const int first_row = blockIdx.x * rows, first_column = blockIdx.y * columns;
  int element;
  const int first_line = line_of(a, first_row, element);
  follow();
  copy_patch(a, first_line, patch);
  for (int i = threadIdx.x * unit; i < terms * columns; i += threads * unit) {
    const int term = i / columns, column = first_column + i % columns;
    copy<unit * sizeof(Element)>(weights + i, a.right + (column < a.columns ? term * a.columns + column : 0), column >= a.columns);
  }
  end_of_copies();

  const int across = threadIdx.x % threads_across, down = threadIdx.x / threads_across;
  int at[thread_rows];
#pragma unroll
  for (int i = 0; i < thread_rows; ++i) {
    const int row = min(first_row + down + i * threads_down, a.rows - 1);
    const int line_at = line_of(a, row, element) - first_line;
    at[i] = line_at * line + element;
  }
  Element sum[thread_rows][thread_columns] = {};
  wait_for_copies<0>();
  __syncthreads();
#pragma unroll(terms <= 32 ? window0 : 1)
  for (int t0 = 0; t0 < window0; ++t0)
#pragma unroll
    for (int t1 = 0; t1 < window1; ++t1)
#pragma unroll
      for (int channel = 0; channel < channels; ++channel) {
        const int term = (t0 * window1 + t1) * channels + channel;
        Element l[thread_rows], r[thread_columns];
#pragma unroll
        for (int i = 0; i < thread_rows; ++i) l[i] = patch[at[i] + t0 * tap_lines + t1 * tap_elements + channel];
#pragma unroll
        for (int j = 0; j < thread_columns; j += 4) {
          const auto pack = *reinterpret_cast<const Pack<4>*>(weights + term * columns + j * threads_across + across * 4);
#pragma unroll
          for (int n = 0; n < 4; ++n) r[j + n] = pack.at[n];
        }
#pragma unroll
        for (int i = 0; i < thread_rows; ++i)
#pragma unroll
          for (int across = 0; across < thread_columns; ++across) {
            const int j = i % 2 == 1 ? thread_columns - 1 - across : across;
            sum[i][j] = fma(l[i], r[j], sum[i][j]);
          }
      }

#pragma unroll
  for (int j = 0; j < thread_columns; j += 4) {
    const int column = first_column + j * threads_across + across * 4;
    Element bias[4] = {};
#pragma unroll
    for (int n = 0; n < 4; ++n)
      if (a.bias && column + n < a.columns) bias[n] = a.bias[column + n];
#pragma unroll
    for (int i = 0; i < thread_rows; ++i) {
      const int row = first_row + down + i * threads_down;
      if (row >= a.rows) break;
      Pack<4> pack;
      Answers<4> answers;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        pack.at[n] = sum[i][j + n] + bias[n];
        if (a.base && column + n < a.columns) pack.at[n] = pack.at[n] * Element(a.scale) + a.base[row * a.columns + column + n];
        if (a.relu && pack.at[n] <= 0) pack.at[n] = 0;
        answers.at[n] = pack.at[n] > 0;
      }
#pragma unroll
      for (int n = 0; n < 4; n += unit) {
        if (column + n >= a.columns) break;
        const int to = row * a.columns + column + n;
        *reinterpret_cast<Pack<unit>*>(a.result + to) = *reinterpret_cast<const Pack<unit>*>(pack.at + n);
        if (a.positive) *reinterpret_cast<Answers<unit>*>(a.positive + to) = *reinterpret_cast<const Answers<unit>*>(answers.at + n);
      }
    }
  }
}
)";

constexpr std::string_view weights_gradient = R"(
// A thread sums up four columns of the rows of some lines of taps, over the places of its slice of the block's.
constexpr int thread_terms = thread_taps * window1 * channels, threads_across = columns / 4, slices = threads / threads_across, ahead = 4;

extern "C" __global__ void __launch_bounds__(threads, resident) NAME(const __grid_constant__ Arguments a) {
  extern __shared__ uint4 memory[];
  Element* patch = reinterpret_cast<Element*>(memory);
  constexpr int tap_groups = (window0 + thread_taps - 1) / thread_taps;
  const int first_tap = blockIdx.y % tap_groups * thread_taps, first_column = blockIdx.y / tap_groups * columns;
  const int begin = blockIdx.x * a.block_rows, end = min(begin + a.block_rows, a.rows);
  int element;
  const int first_line = line_of(a, begin, element);
  follow();
  copy_patch(a, first_line, patch);
  end_of_copies();
  const int across = threadIdx.x % threads_across, slice = threadIdx.x / threads_across, column = first_column + across * 4;
  Element sum[4][thread_terms] = {};
  wait_for_copies<0>();
  __syncthreads();
  if (column < a.columns)
    for (int first = begin + slice; first < end; first += slices * ahead) {
      Pack<4> right[ahead];
#pragma unroll
      for (int k = 0; k < ahead; ++k) {
        right[k] = {};
        const int place = first + k * slices;
        if (place < end) right[k] = *reinterpret_cast<const Pack<4>*>(a.right + place * a.columns + column);
      }
#pragma unroll
      for (int k = 0; k < ahead; ++k) {
        const int line_at = line_of(a, min(first + k * slices, end - 1), element) - first_line;
        const Element* window = patch + (line_at + first_tap * dilation0) * line + element;
#pragma unroll
        for (int t = 0; t < thread_terms; ++t) {
          constexpr int length = window1 * channels;
          const Element left = window[t / length * tap_lines + t % length / channels * tap_elements + t % channels];
#pragma unroll
          for (int n = 0; n < 4; ++n) sum[n][t] = fma(left, right[k].at[n], sum[n][t]);
        }
      }
    }

  // Slices are added up within a warp, then among warps, always in the same order.
#pragma unroll
  for (int t = 0; t < thread_terms; ++t)
#pragma unroll
    for (int other = threads_across; other < 32; other *= 2)
#pragma unroll
      for (int n = 0; n < 4; ++n) sum[n][t] += __shfl_xor_sync(~0u, sum[n][t], other);
  __syncthreads();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  constexpr int of_warp = thread_terms * threads_across;
  auto* sums = reinterpret_cast<Pack<4>*>(memory);
  if (lane < threads_across)
#pragma unroll
    for (int t = 0; t < thread_terms; ++t) sums[warp * of_warp + t * threads_across + lane] = {{sum[0][t], sum[1][t], sum[2][t], sum[3][t]}};
  __syncthreads();
  Element* result = a.result + blockIdx.x * (terms * a.columns);
  for (int i = threadIdx.x; i < of_warp; i += threads) {
    const int term = first_tap * window1 * channels + i / threads_across, to = first_column + i % threads_across * 4;
    if (term >= terms || to >= a.columns) continue;
    Pack<4> total = sums[i];
#pragma unroll
    for (int w = 1; w < threads / 32; ++w)
#pragma unroll
      for (int n = 0; n < 4; ++n) total.at[n] += sums[w * of_warp + i].at[n];
    *reinterpret_cast<Pack<4>*>(result + term * a.columns + to) = total;
  }
}
)";

}  // namespace

std::string PatchesDesc::str() const {
  std::string text = member == ConvolutionMember::forward ? "conv" : "conv_weights_gradient";
  text += "_f32_patches";
  for (const auto* sizes : {&window, &strides, &dilations}) text += "_" + std::to_string((*sizes)[0]) + "x" + std::to_string((*sizes)[1]);
  return text + "_of_" + std::to_string(channels) + "_line_" + std::to_string(line) + "_by_" + std::to_string(columns) + "_" + std::to_string(unit);
}

TilesSource generate(const PatchesDesc& d) {
  const bool is_forward = d.member == ConvolutionMember::forward;
  TilesSource source;
  source.entry = d.str();
  source.shared_bytes = static_cast<unsigned>(is_forward ? d.most_patch_bytes + d.weights_bytes() : std::max(d.most_patch_bytes, d.sums_bytes()));
  source.text = "// " + source.entry + "\n" + tiles_text::element(f32);
  for (int i : {0, 1}) {
    const std::string n = std::to_string(i);
    source.text += constant("window" + n, d.window[i]) + constant("stride" + n, d.strides[i]) + constant("dilation" + n, d.dilations[i]);
  }
  source.text += constant("channels", d.channels) + constant("line", d.line) + constant("columns", d.columns) + constant("unit", d.unit) +
                 constant("threads", d.threads()) + constant("resident", is_forward ? 512 / d.threads() : 2) +
                 constant("thread_taps", d.thread_taps());
  if (is_forward)
    source.text +=
        constant("rows", d.forward_rows) + constant("thread_rows", d.forward_thread_rows) + constant("thread_columns", d.forward_thread_columns);
  source.text += definitions_for("divided follow") + std::string(tiles_text::pack) + std::string(tiles_text::copies) + std::string(common);
  std::string kernel(is_forward ? forward : weights_gradient);
  kernel.replace(kernel.find("NAME("), 4, source.entry);
  source.text += kernel;
  return source;
}

}  // namespace weft::cuda
