// The code of distance transforms.
//
// Sites become bits, 32 rows of a column in a word, and for each word it is found where the column's closest sites above and below it are. That tells
// any pixel's closest site in its column. Along a row the squared distance is the least of parabolas, one a column. Where sites are near, a pixel
// tries the columns beside it, two rows at a time in 16 bits each, until what is farther can't be less. Where they are far, it counts that each two
// parabolas cross once, so that the columns that are the least are in order: intervals of pixels are halved, the column that is the least in the
// middle being between those of the ends, until few columns are left for each pixel.
#include "backend/cuda/distance_transform.h"

namespace weft::cuda {
namespace {

constexpr std::string_view arguments = R"(
// 32 rows of a column: a bit for each, and the closest sites above and below them: how far they are from the first and the last row, `none` for none;
// where 64 bits are needed, or the sites' places, their rows, -1 for none.
struct alignas(8) Word {
  unsigned sites;
  Place above, below;
};
struct Arguments {
  const Bits* pixels;
  Word* words;                           // for each band of 32 rows those of a line's elements
  int* rows;                             // rows of the closest sites in the pixels' columns, -1 for none
  int* firsts;                           // for each block, as many as a row has intervals and one more
  float* distances;
  Index* indices;
  long long images, line;                // elements of a row of all channels
  int height, width, channels, bands;
  long long most_squared;
  int* solved;                           // for each group of rows and channel how many rows were near
  int group;                             // rows; even, and a band has a whole number of groups
};
constexpr int none = 0x8000;             // more than any distance that is not computed in 64 bits; its square can be added to another's
__device__ bool is_site(Bits bits) { return (bits & relevant) != 0; }
)";

constexpr std::string_view find_sites = R"(
struct alignas(sizeof(Bits) * packed) Pack {
  Bits at[packed];
};
extern "C" __global__ void find_sites(const __grid_constant__ Arguments a) {
  const long long across = a.line / packed, all = a.images * a.bands * across;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += (long long)gridDim.x * blockDim.x) {
    const long long band_of_all = i / across, image = band_of_all / a.bands;
    const int band = int(band_of_all - image * a.bands), rows = min(32, a.height - 32 * band);
    const Pack* from = (const Pack*)a.pixels + (image * a.height + 32ll * band) * across + (i - band_of_all * across);
    unsigned sites[packed] = {};
#pragma unroll 16
    for (int row = 0; row < rows; ++row) {
      const Pack pixels = from[row * across];
#pragma unroll
      for (int k = 0; k < packed; ++k) sites[k] |= unsigned(is_site(pixels.at[k])) << row;
    }
#pragma unroll
    for (int k = 0; k < packed; ++k) a.words[i * packed + k].sites = sites[k];
  }
}
)";

/// A block has 32 columns and 32 pieces of them.
constexpr std::string_view carry = R"(
extern "C" __global__ void carry(const __grid_constant__ Arguments a) {
  __shared__ int last[32][33], first[32][33];
  const int lane = threadIdx.x % 32, piece = threadIdx.x / 32;
  const long long tiles = (a.line + 31) / 32;
  const int words = (a.bands + 31) / 32, begin = min(piece * words, a.bands), end = min(begin + words, a.bands);
  for (long long tile = blockIdx.x; tile < a.images * tiles; tile += gridDim.x) {
    const long long image = tile / tiles, column = (tile - image * tiles) * 32 + lane;
    const bool is_inside = column < a.line;
    const long long at = image * a.bands * a.line + column;
    int low = -1, high = -1;
    if (is_inside)
#pragma unroll 4
      for (int band = begin; band < end; ++band) {
        const unsigned word = a.words[at + band * a.line].sites;
        if (word) {
          if (low < 0) low = 32 * band + __ffs(word) - 1;
          high = 32 * band + 31 - __clz(word);
        }
      }
    first[piece][lane] = low;
    last[piece][lane] = high;
    __syncthreads();
    int above = -1, below = -1;
    for (int p = piece; p-- > 0 && above < 0;) above = last[p][lane];
    for (int p = piece; ++p < 32 && below < 0;) below = first[p][lane];
    if (is_inside) {
      for (int band = begin; band < end; ++band) {
        Word& w = a.words[at + band * a.line];
        w.above = !is_narrow ? above : above < 0 ? none : 32 * band - above;
        const unsigned word = w.sites;
        if (word) above = 32 * band + 31 - __clz(word);
      }
      for (int band = end; band-- > begin;) {
        Word& w = a.words[at + band * a.line];
        w.below = !is_narrow ? below : below < 0 ? none : below - 32 * band - 31;
        const unsigned word = w.sites;
        if (word) below = 32 * band + __ffs(word) - 1;
      }
    }
    __syncthreads();
  }
}
)";

/// Where 64 bits are needed, or the sites' places.
constexpr std::string_view place_sites = R"(
extern "C" __global__ void place_sites(const __grid_constant__ Arguments a) {
  const long long all = a.images * a.height * a.line;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += (long long)gridDim.x * blockDim.x) {
    const long long row_of_all = i / a.line, image = row_of_all / a.height;
    const int y = int(row_of_all - image * a.height), bit = y % 32;
    const Word word = a.words[(image * a.bands + y / 32) * a.line + (i - row_of_all * a.line)];
    const unsigned to_here = word.sites & (0xffffffffu >> (31 - bit)), from_here = word.sites >> bit;
    const int above = to_here ? y - bit + 31 - __clz(to_here) : word.above, below = from_here ? y + __ffs(from_here) - 1 : word.below;
    a.rows[i] = above >= 0 && (below < 0 || y - above <= below - y) ? above : below;
  }
}
)";

/// What both ways to solve rows in 32 bits use.
constexpr std::string_view columns_and_roots = R"(
/// How far a column's closest sites are from row `bit` of the band.
__device__ int above_of(const Word& w, int bit) {
  const unsigned to_here = w.sites & (0xffffffffu >> (31 - bit));
  return to_here ? bit - 31 + __clz(to_here) : w.above + bit;
}
__device__ int below_of(const Word& w, int bit) {
  const unsigned from_here = w.sites >> bit;
  return from_here ? __ffs(from_here) - 1 : w.below + 31 - bit;
}
__device__ int most_squared_of(const Arguments& a) { return int(min(a.most_squared, (1ll << 30) - 1)); }

/// The correctly rounded root of an integer below 2^24: one step of Newton's from the hardware's (Markstein 1990).
__device__ float root_of(int squared) {
  const float value = float(squared);
  float inverse;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(fmaxf(value, 1)));
  const float root = value * inverse;
  return fmaf(fmaf(-root, root, value), 0.5f * inverse, root);
}
)";

/// A block solves a group of rows as long as they are near, two in one word, 16 bits each. A pixel tries the columns beside it, ever farther ones,
/// until they are farther than what it has found.
constexpr std::string_view solve_near = R"(
/// Sites `margin` columns away or more aren't sought; up to `window` what has been read stays in registers.
constexpr int margin = 32, window = 12;
constexpr unsigned longest = 254, far_squares = longest * longest * 0x10001u;   // with (margin - 1)^2 less than 2^16

/// Squares of a column's distances in rows `bit` and `bit` + 1, as far as they matter.
__device__ unsigned near_squares(const Word& w, int bit) {
  const unsigned above = min(unsigned(above_of(w, bit)), longest), below = min(unsigned(below_of(w, bit + 1)), longest);
  const unsigned first = min(above, below + 1), second = min(below, above + 1);
  return second * second << 16 | first * first;
}

/// Where rows of one channel go: every `step`-th element.
struct Output {
  float* distances;
  long long line;
  unsigned step;
  int width, most_squared;
  bool is_aligned;                       // four pixels can be written at once
};

__device__ void write_roots(const Output& to, int row, int x, const unsigned (&squares)[4], int shift) {
  float d[4], *at = to.distances + row * to.line + x * to.step;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int squared = squares[k] >> shift & 0xffff;
    d[k] = squared > to.most_squared ? __int_as_float(0x7f800000) : root_of(squared);
  }
  if (to.is_aligned && x + 3 < to.width) {
    *(float4*)at = make_float4(d[0], d[1], d[2], d[3]);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (x + k < to.width) at[k * to.step] = d[k];
}

__device__ bool is_any_more(const unsigned (&squares)[4], unsigned than) {
  const unsigned most = __vmaxu2(__vmaxu2(squares[0], squares[1]), __vmaxu2(squares[2], squares[3]));
  return __vminu2(most, than * 0x10001u) != most;
}

/// A warp takes 128 columns. False if a pixel is left whose closest site may be too far.
__device__ bool solve_two(const Output& to, int row, const unsigned* squares, bool has_second) {
  for (int begin = threadIdx.x / 32 * 128; begin < to.width; begin += 4 * blockDim.x) {
    const int x = begin + 4 * (threadIdx.x % 32);
    const bool is_inside = x < to.width;
    const unsigned* at = squares + (is_inside ? x : 0);
    unsigned read[2 * window + 4];
    unsigned* const own = read + window;
    const uint4 middle = *(const uint4*)at;
    own[0] = middle.x, own[1] = middle.y, own[2] = middle.z, own[3] = middle.w;
    unsigned best[4] = {own[0], own[1], own[2], own[3]};
    bool is_on = is_inside && is_any_more(best, 1);
#pragma unroll
    for (int d = 1; d <= window; ++d) {
      if (!__any_sync(0xffffffffu, is_on)) break;
      own[-d] = at[-d];
      own[3 + d] = at[3 + d];
#pragma unroll
      for (int k = 0; k < 4; ++k) best[k] = __vminu2(best[k], __vminu2(own[k - d], own[k + d]) + d * d * 0x10001u);
      is_on = is_inside && is_any_more(best, (d + 1) * (d + 1));
    }
    // Where most aren't done yet, some are far.
    if (__popc(__ballot_sync(0xffffffffu, is_on)) > 24) return false;
#pragma unroll 1
    for (int d = window + 1; d < margin && __any_sync(0xffffffffu, is_on); ++d) {
#pragma unroll
      for (int k = 0; k < 4; ++k) best[k] = __vminu2(best[k], __vminu2(at[k - d], at[k + d]) + d * d * 0x10001u);
      is_on = is_inside && is_any_more(best, (d + 1) * (d + 1));
    }
    if (__any_sync(0xffffffffu, is_on)) return false;
    if (!is_inside) continue;
    write_roots(to, row, x, best, 0);
    if (has_second) write_roots(to, row + 1, x, best, 16);
  }
  return true;
}

/// Writes how many rows were solved before the first that are far.
extern "C" __global__ void solve_near(const __grid_constant__ Arguments a) {
  extern __shared__ uint4 memory[];
  unsigned* const squares = (unsigned*)memory + margin;
  const int groups = (a.height + a.group - 1) / a.group, end = (a.width + 3) / 4 * 4 + margin;
  const bool is_aligned = a.line % 4 == 0 && a.channels == 1 && (unsigned long long)a.distances % 16 == 0;
  for (int i = threadIdx.x; i < margin; i += blockDim.x) squares[i - margin] = far_squares;
  for (int x = a.width + threadIdx.x; x < end; x += blockDim.x) squares[x] = far_squares;
  for (long long g = blockIdx.x; g < a.images * groups; g += gridDim.x) {
    const long long image = g / groups;
    const int y = int(g - image * groups) * a.group, rows = min(a.group, a.height - y);
    for (int c = 0; c < a.channels; ++c) {
      const Word* words = a.words + (image * a.bands + y / 32) * a.line + c;
      const Output to{a.distances + (image * a.height + y) * a.line + c, a.line, unsigned(a.channels), a.width, most_squared_of(a), is_aligned};
      int row = 0;
      for (; row < rows; row += 2) {
#pragma unroll 4
        for (int x = threadIdx.x; x < a.width; x += blockDim.x) squares[x] = near_squares(words[x * to.step], y % 32 + row);
        __syncthreads();
        if (!__syncthreads_and(solve_two(to, row, squares, row + 1 < rows))) break;
      }
      if (threadIdx.x == 0) a.solved[g * a.channels + c] = row;
    }
  }
}
)";

/// A block solves a row that isn't near in shared memory. Columns go by fours, of which one has what is sought.
constexpr std::string_view solve_far = R"(
constexpr int interval = 16, greatest = 0x7fffffff;

/// (x - j)^2 + g^2 = x^2 + (height of j) - 2 x j. The least of that for four columns, but for x^2 and -8 x times the four's place; m is -x.
__device__ int least_of(int4 h, int m) { return min(h.w + 6 * m, min(min(h.x, h.y + 2 * m), h.z + 4 * m)); }

/// Four columns in [low, high] with one that is the least at x: for each group of `size` lanes of a warp. The closest site in x's own column bounds how far the
/// closest of all can be.
template <int size> __device__ int best_four(const int4* heights, int x, int low, int high) {
  const int lane = threadIdx.x % 32, m = -x;
  const float own = float(((const int*)heights)[x] - x * x);
  float root;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(own));
  const int reach = int(root) + 2;
  low = max(low, (x - reach) >> 2);
  high = min(high, (x + reach) >> 2);
  int best = greatest, best_at = low;
#pragma unroll 1
  for (int at = low + lane % size; at <= high; at += size) {
    const int value = least_of(heights[at], m) + 8 * m * at;
    if (value < best) best_at = at;
    best = min(best, value);
  }
  int least = best;
#pragma unroll
  for (int other = size / 2; other > 0; other /= 2) least = min(least, __shfl_xor_sync(0xffffffffu, least, other));
  const int begin = lane & -size;
  const unsigned found = __ballot_sync(0xffffffffu, best == least) >> begin & (0xffffffffu >> (32 - size));
  return __shfl_sync(0xffffffffu, best_at, begin + __ffs(found) - 1);
}

/// Halves `count` of the intervals' intervals: finds the best in the middle of each, `stride` intervals from both ends.
template <int size> __device__ void halve(const int4* heights, unsigned short* firsts, int intervals, int stride, int count) {
  const int groups = blockDim.x / size, of_warp = threadIdx.x / 32 * (32 / size);
  for (int begin = of_warp; begin < count; begin += groups) {
    // Lanes that have no interval of their own do the last one again.
    const int middle = stride * (2 * min(begin + int(threadIdx.x % 32) / size, count - 1) + 1);
    const int at = best_four<size>(heights, middle * interval, firsts[middle - stride], firsts[min(middle + stride, intervals)]);
    if (threadIdx.x % size == 0) firsts[middle] = at;
  }
}

/// What one channel of a row is read from and written to: every `step`-th element.
struct Row {
  const Word* words;
  float* distances;
  unsigned step;
  int width, bit, most_squared;
};

__device__ void solve(const Row& row, int4* heights) {
  int* height = (int*)heights;
  const int intervals = (row.width + interval - 1) / interval, padded = intervals * interval;
  unsigned short* firsts = (unsigned short*)(height + padded);
  const unsigned stride = blockDim.x * row.step;
  const Word* from = row.words + threadIdx.x * row.step;
  for (int x = threadIdx.x; x < row.width; x += blockDim.x, from += stride) {
    const Word word = *from;
    const int g = min(min(above_of(word, row.bit), below_of(word, row.bit)), none);
    height[x] = g * g + x * x;
  }
  if (row.width + threadIdx.x < padded) {
    const int x = row.width + threadIdx.x;
    height[x] = none * none + x * x;
  }
  __syncthreads();
  if (threadIdx.x < 64) {
    const bool is_end = threadIdx.x >= 32;
    const int at = best_four<32>(heights, is_end ? row.width - 1 : 0, 0, padded / 4 - 1);
    if (threadIdx.x % 32 == 0) firsts[is_end ? intervals : 0] = at;
  }
  __syncthreads();
  for (int bits = 31 - __clz(intervals); bits >= 0; --bits) {
    const int stride = 1 << bits, count = (intervals - 1 + stride) >> (bits + 1);
    if (32 * count <= blockDim.x) halve<32>(heights, firsts, intervals, stride, count);
    else halve<8>(heights, firsts, intervals, stride, count);
    __syncthreads();
  }
  float* to = row.distances + threadIdx.x * row.step;
  for (int x = threadIdx.x; x < row.width; x += blockDim.x, to += stride) {
    const unsigned short* ends = firsts + unsigned(x) / interval;
    const int m = -x;
    int best = greatest, left = ends[1] - ends[0], step = 8 * m * ends[0];
    const int4* at = heights + ends[0];
#pragma unroll 1
    do {
      best = min(least_of(*at++, m) + step, best);
      step += 8 * m;
    } while (--left >= 0);
    const int squared = best + x * x;
    float distance = squared < 1 << 24 ? root_of(squared) : float(sqrt(double(squared)));
    if (squared > row.most_squared) distance = __int_as_float(0x7f800000);
    *to = distance;
  }
  __syncthreads();
}

extern "C" __global__ void solve_rows(const __grid_constant__ Arguments a) {
  extern __shared__ int4 heights[];
  const int groups = (a.height + a.group - 1) / a.group;
  for (long long row_of_all = blockIdx.x; row_of_all < a.images * a.height; row_of_all += gridDim.x) {
    const long long image = row_of_all / a.height;
    const int y = int(row_of_all - image * a.height);
    const Word* words = a.words + (image * a.bands + y / 32) * a.line;
    for (int c = 0; c < a.channels; ++c)
      if (y % a.group >= a.solved[(image * groups + y / a.group) * a.channels + c])
        solve({words + c, a.distances + row_of_all * a.line + c, unsigned(a.channels), a.width, y % 32, most_squared_of(a)}, heights);
  }
}
)";

/// A block solves a row in 64 bits, from where the columns' closest sites are.
constexpr std::string_view solve_wide = R"(
constexpr int interval = 32;
constexpr long long greatest = 0x7fffffffffffffff;

/// The leftmost column in [low, high] that is the least at pixel x of row y; `low` if no column there has a site. For a warp.
__device__ int best_column(const int* rows, long long channels, int y, int x, int low, int high) {
  const int own = rows[x * channels];
  if (own >= 0) {
    const long long reach = abs(own - y);
    low = int(max((long long)low, x - reach));
    high = int(min((long long)high, x + reach));
  }
  long long best = greatest;
  int best_at = low;
  for (long long j = low + threadIdx.x % 32; j <= high; j += 32) {
    const int row = rows[j * channels];
    if (row < 0) continue;
    const long long dx = x - j, dy = y - row, value = dx * dx + dy * dy;
    if (value < best) {
      best = value;
      best_at = int(j);
    }
  }
  for (int other = 16; other > 0; other /= 2) {
    const long long value = __shfl_xor_sync(0xffffffffu, best, other);
    const int at = __shfl_xor_sync(0xffffffffu, best_at, other);
    if (value < best || (value == best && at < best_at)) {
      best = value;
      best_at = at;
    }
  }
  return best_at;
}

extern "C" __global__ void solve_rows(const __grid_constant__ Arguments a) {
  const int intervals = int((a.width + 31ll) / interval), warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const long long channels = a.channels, lines = a.images * a.height * channels;
  int* firsts = a.firsts + blockIdx.x * (intervals + 1ll);
  for (long long l = blockIdx.x; l < lines; l += gridDim.x) {
    const long long row_of_all = l / channels, image = row_of_all / a.height, begin = row_of_all * a.line + (l - row_of_all * channels);
    const int y = int(row_of_all - image * a.height);
    const int* rows = a.rows + begin;
    if (warp < 2) {
      const int at = best_column(rows, channels, y, warp == 0 ? 0 : a.width - 1, 0, a.width - 1);
      if (threadIdx.x % 32 == 0) firsts[warp == 0 ? 0 : intervals] = at;
    }
    __syncthreads();
    long long stride = 1;
    while (2 * stride < intervals) stride *= 2;
    for (; stride > 0; stride /= 2) {
      for (long long middle = stride * (2ll * warp + 1); middle < intervals; middle += 2 * stride * warps) {
        const long long after = min(middle + stride, (long long)intervals);
        const int at = best_column(rows, channels, y, int(middle * interval), firsts[middle - stride], firsts[after]);
        if (threadIdx.x % 32 == 0) firsts[middle] = at;
      }
      __syncthreads();
    }
    for (long long x = threadIdx.x; x < a.width; x += blockDim.x) {
      long long best = greatest, place = -1;
      for (long long j = firsts[x / interval], high = firsts[x / interval + 1]; j <= high; ++j) {
        const int row = rows[j * channels];
        const long long dx = x - j, dy = y - row, value = dx * dx + dy * dy;
        if (row >= 0 && value < best) {
          best = value;
          place = (long long)row * a.width + j;
        }
      }
      const bool is_found = place >= 0 && best <= a.most_squared;
      a.distances[begin + x * channels] = is_found ? float(sqrt(double(best))) : __int_as_float(0x7f800000);
      if (has_indices) a.indices[begin + x * channels] = Index(is_found ? place : -1);
    }
    __syncthreads();
  }
}
)";

}  // namespace

DistanceSources distance_sources(DType pixel, bool is_packed, bool is_narrow, int index_bytes) {
  static constexpr const char* types[] = {"unsigned char", "unsigned short", "", "unsigned int", "", "", "", "unsigned long long"};
  const std::size_t bytes = size_of(pixel);
  const auto with = [&](bool knows_pixels, std::string_view body) {
    std::string text = "typedef " + std::string(types[(knows_pixels ? bytes : 1) - 1]) + " Bits;\n";
    // All bits but the sign of a zero.
    text += std::string("constexpr Bits relevant = (Bits)~(Bits)0") + (knows_pixels && is_floating(pixel) ? " >> 1;\n" : ";\n");
    text += "constexpr int packed = " + std::to_string(knows_pixels && is_packed && bytes < 4 ? 4 / bytes : 1) + ";\n";
    text +=
        std::string("constexpr bool is_narrow = ") + (is_narrow ? "true" : "false") + ", has_indices = " + (index_bytes ? "true" : "false") + ";\n";
    text += std::string("typedef ") + (is_narrow ? "unsigned short" : "int") + " Place;\n";
    text += std::string("typedef ") + (index_bytes == 8 ? "long long" : "int") + " Index;\n";
    return text.append(arguments).append(body);
  };
  DistanceSources sources;
  sources.find_sites = with(true, find_sites);
  sources.carry = with(false, carry);
  if (is_narrow) {
    sources.solve_near = with(false, std::string(columns_and_roots).append(solve_near));
    sources.solve_rows = with(false, std::string(columns_and_roots).append(solve_far));
  } else {
    sources.place_sites = with(false, place_sites);
    sources.solve_rows = with(false, solve_wide);
  }
  return sources;
}

}  // namespace weft::cuda
