#include "backend/cuda/emit_library.h"

#include <array>
#include <cctype>
#include <set>

namespace weft::cuda {
namespace {

struct Definition {
  std::string_view names;  ///< that call for it, between spaces
  std::string_view text;
};

// Each needs only those before it.
constexpr Definition definitions[] = {
    {"i8", "using i8 = signed char;\n"},
    {"u8", "using u8 = unsigned char;\n"},
    {"i16", "using i16 = short;\n"},
    {"u16", "using u16 = unsigned short;\n"},
    {"i32", "using i32 = int;\n"},
    {"u32", "using u32 = unsigned;\n"},
    {"i64", "using i64 = long long;\n"},
    {"u64", "using u64 = unsigned long long;\n"},
    {"f16", R"(
/// IEEE 754 binary16, as it lies in memory.
struct f16 {
  u16 bits;
  f16() = default;
  __device__ f16(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
  __device__ operator float() const {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
  }
};
)"},
    // What conversions do not keep: which NaN it is.
    {"widened", R"(
__device__ float widened(f16 x) {
  const float y = x;
  return y == y ? y : __uint_as_float((x.bits & 0x8000u) << 16 | 0x7f800000u | (x.bits & 0x3ffu) << 13);
}
)"},
    {"bf16", R"(
/// The upper half of a float, as it lies in memory.
struct bf16 {
  u16 bits;
  bf16() = default;
  __device__ bf16(float x) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
  __device__ operator float() const { return __uint_as_float(u32(bits) << 16); }
};
)"},
    {"f16_bits", R"(
__device__ u16 f16_bits(float x) {
  const u32 bits = __float_as_uint(x);
  return x == x ? f16(x).bits : u16((bits >> 16 & 0x8000u) | 0x7e00u | (bits >> 13 & 0x3ffu));
}
)"},
    {"bf16_bits", "__device__ u16 bf16_bits(float x) { return x == x ? bf16(x).bits : u16(__float_as_uint(x) >> 16 | 0x40u); }\n"},
    {"c64", R"(
struct alignas(8) c64 {
  float re, im;
};
__device__ c64 plus(c64 x, c64 y) { return {x.re + y.re, x.im + y.im}; }
__device__ c64 minus(c64 x, c64 y) { return {x.re - y.re, x.im - y.im}; }
__device__ c64 times(c64 x, c64 y) { return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re}; }
__device__ c64 negative(c64 x) { return {-x.re, -x.im}; }
__device__ c64 conjugate(c64 x) { return {x.re, -x.im}; }
__device__ bool equals(c64 x, c64 y) { return x.re == y.re && x.im == y.im; }
// In double: squares of floats neither overflow nor vanish there.
__device__ float magnitude(c64 x) { return float(sqrt(double(x.re) * x.re + double(x.im) * x.im)); }
__device__ c64 quotient(c64 x, c64 y) {
  const double a = x.re, b = x.im, c = y.re, d = y.im, norm = c * c + d * d;
  return {float((a * c + b * d) / norm), float((b * c - a * d) / norm)};
}
)"},
    {"wait_for_earlier", R"(
/// Returns when what earlier kernels wrote is there.
__device__ void wait_for_earlier() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
)"},
    {"follow", R"(
/// The same; from then on the next kernel may be brought in, to wait for this one.
__device__ void follow() {
  wait_for_earlier();
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
)"},
    {"IndexFault", R"(
/// The first index found out of range.
struct IndexFault {
  i64 term, index;
};
)"},
    {"report", R"(
__device__ void report(IndexFault* fault, i64 term, i64 index) {
  if (atomicCAS(reinterpret_cast<u64*>(&fault->term), u64(-1), u64(term)) == u64(-1)) fault->index = index;
}
)"},
    {"within", "template <class T, class N> __device__ bool within(T index, N extent) { return index >= 0 && index < extent; }\n"},
    {"Divisor divided", R"(
/// Division of n >= 0 by a number that is known before the launch. T. Granlund, P. Montgomery, "Division by invariant integers
/// using multiplication", 1994.
struct Divisor {
  u32 multiplier, shift;
};
__device__ int divided(int n, Divisor by) { return int((__umulhi(u32(n), by.multiplier) + u32(n)) >> by.shift); }
)"},
    {"Pack load store", R"(
/// Neighbouring elements, moved at once.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) Pack {
  T at[n];
  __device__ T& operator[](int k) { return at[k]; }
  __device__ const T& operator[](int k) const { return at[k]; }
};
template <int n, class T> __device__ Pack<T, n> load(const T* from) { return *reinterpret_cast<const Pack<T, n>*>(from); }
template <class T, int n> __device__ void store(T* to, const Pack<T, n>& pack) { *reinterpret_cast<Pack<T, n>*>(to) = pack; }
/// The first `count` of them.
template <int n, class T> __device__ Pack<T, n> load(const T* from, int count) {
  if (count >= n) return load<n>(from);
  Pack<T, n> pack = {};
  for (int k = 0; k < n; ++k)
    if (k < count) pack[k] = from[k];
  return pack;
}
template <class T, int n> __device__ void store(T* to, const Pack<T, n>& pack, int count) {
  if (count >= n) return store(to, pack);
  for (int k = 0; k < n; ++k)
    if (k < count) to[k] = pack[k];
}
)"},
    {"infinity_f32", "__device__ float infinity_f32() { return __uint_as_float(0x7f800000u); }\n"},
    {"infinity_f64", "__device__ double infinity_f64() { return __longlong_as_double(0x7ff0000000000000ll); }\n"},
    {"nan_f32", "__device__ float nan_f32() { return __uint_as_float(0x7fc00000u); }\n"},
    {"reciprocal quotient_by", R"(
/// 1 / y for quotient_by; not a number where that can't go by it.
__device__ float reciprocal(float y) {
  const float size = fabsf(y);
  return size > 0x1p-30f && size < 0x1p60f ? 1.0f / y : nan_f32();
}
/// x / y, rounded as a division rounds, where several are divided by one y. The first correction comes within an ulp, from where the second one's
/// remainder is exact and its sum the rounded quotient: P. Markstein, "Computation of elementary functions on the IBM RISC System/6000
/// processor", 1990. Within these bounds nothing overflows or loses bits on the way.
__device__ float quotient_by(float x, float y, float reciprocal) {
  float q = x * reciprocal;
  const float size = fabsf(q);
  if (size > 0x1p-70f && size < 0x1p60f) {
    q = fmaf(fmaf(-q, y, x), reciprocal, q);
    return fmaf(fmaf(-q, y, x), reciprocal, q);
  }
  return x == 0.0f && q == 0.0f ? q : x / y;
}
)"},
    {"nan_f64", "__device__ double nan_f64() { return __longlong_as_double(0x7ff8000000000000ll); }\n"},
    {"bits_as", R"(
template <class To, class From> __device__ To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
)"},
    {"saturated", R"(
/// Towards zero; the nearest integer of the type where there is none, 0 for NaN.
template <class To, class From> __device__ To saturated(From x) {
  if (x != x) return 0;
  constexpr bool is_signed = To(-1) < To(0);
  if constexpr (sizeof(To) == 8) {
    if constexpr (sizeof(From) == 8) return is_signed ? To(__double2ll_rz(x)) : To(__double2ull_rz(x));
    else return is_signed ? To(__float2ll_rz(x)) : To(__float2ull_rz(x));
  } else if constexpr (sizeof(To) == 4) {
    if constexpr (sizeof(From) == 8) return is_signed ? To(__double2int_rz(x)) : To(__double2uint_rz(x));
    else return is_signed ? To(__float2int_rz(x)) : To(__float2uint_rz(x));
  } else {
    constexpr int bits = 8 * sizeof(To), highest = (1 << (is_signed ? bits - 1 : bits)) - 1, lowest = is_signed ? -highest - 1 : 0;
    return To(min(max(saturated<int>(x), lowest), highest));
  }
}
)"},
    {"to_odd", R"(
/// Rounded so that rounding once more, to a type with at least two bits less, is the same as rounding only then. S. Boldo,
/// G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.
__device__ float to_odd(double x) {
  const float truncated = __double2float_rz(x);
  return double(truncated) == x || x != x ? truncated : __uint_as_float(__float_as_uint(truncated) | 1);
}
__device__ double to_odd(i64 x) {
  const double truncated = __ll2double_rz(x);
  return __double2ll_rz(truncated) == x ? truncated : __longlong_as_double(__double_as_longlong(truncated) | 1);
}
__device__ double to_odd(u64 x) {
  const double truncated = __ull2double_rz(x);
  return __double2ull_rz(truncated) == x ? truncated : __longlong_as_double(__double_as_longlong(truncated) | 1);
}
)"},
    {"relu", "template <class T> __device__ T relu(T x) { return x <= T(0) ? T(0) : x; }\n"},
    {"sign", "template <class T> __device__ T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? T(0) : x; }\n"},
    {"sigmoid", R"(
/// 1 / (1 + e^-x), in which nothing overflows.
__device__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
__device__ double sigmoid(double x) {
  const double e = exp(-fabs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}
)"},
    {"minimum maximum", R"(
/// NaN where one operand is.
__device__ float minimum(float x, float y) {
  float least;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(least) : "f"(x), "f"(y));
  return least;
}
__device__ float maximum(float x, float y) {
  float most;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(most) : "f"(x), "f"(y));
  return most;
}
__device__ double minimum(double x, double y) { return x < y || x != x ? x : y; }
__device__ double maximum(double x, double y) { return x > y || x != x ? x : y; }
)"},
    {"smaller larger", R"(
template <class T> __device__ T smaller(T x, T y) { return x < y ? x : y; }
template <class T> __device__ T larger(T x, T y) { return x > y ? x : y; }
)"},
    // Integers wrap around.
    {"plus", R"(
template <class T> __device__ T plus(T x, T y) { return T(u64(x) + u64(y)); }
__device__ float plus(float x, float y) { return x + y; }
__device__ double plus(double x, double y) { return x + y; }
)"},
    {"times", R"(
template <class T> __device__ T times(T x, T y) { return T(u64(x) * u64(y)); }
__device__ float times(float x, float y) { return x * y; }
__device__ double times(double x, double y) { return x * y; }
)"},
    {"minus", "template <class T> __device__ T minus(T x, T y) { return T(u64(x) - u64(y)); }\n"},
    {"negative", "template <class T> __device__ T negative(T x) { return T(0 - u64(x)); }\n"},
    {"magnitude", "template <class T> __device__ T magnitude(T x) { return x < T(0) ? T(0 - u64(x)) : x; }\n"},
    // Nothing by 0 is 0, with everything left over; the lowest number by -1 is itself.
    {"quotient", R"(
template <class T> __device__ T quotient(T x, T y) {
  return y == T(0) ? T(0) : T(-1) < T(0) && y == T(-1) ? T(0 - u64(x)) : T(x / y);
}
)"},
    {"remainder_of", R"(
template <class T> __device__ T remainder_of(T x, T y) {
  return y == T(0) ? x : T(-1) < T(0) && y == T(-1) ? T(0) : T(x % y);
}
)"},
    {"shifted_left shifted_right", R"(
// By less than 0 or by more than all bits: all are shifted out.
template <class T> __device__ T shifted_left(T x, T count) { return u64(count) < 8 * sizeof(T) ? T(u64(x) << u64(count)) : T(0); }
template <class T> __device__ T shifted_right(T x, T count) {
  return u64(count) < 8 * sizeof(T) ? T(x >> int(count)) : x < T(0) ? T(-1) : T(0);
}
)"},
    {"bits_set", "template <class T> __device__ T bits_set(T x) { return T(__popcll(u64(x) << (64 - 8 * sizeof(T)))); }\n"},
    {"raised", R"(
/// pow, and exactly x for an exponent of 1.
__device__ float raised(float x, float y) { return y == 1.0f ? x : powf(x, y); }
__device__ double raised(double x, double y) { return y == 1.0 ? x : pow(x, y); }
)"},
    {"power", R"(
template <class T> __device__ T power(T base, T exponent) {
  if (exponent < T(0)) return base == T(1) ? T(1) : base == T(-1) ? (exponent & T(1) ? T(-1) : T(1)) : T(0);
  T result = 1;
  for (u64 rest = u64(exponent), square = u64(base); rest != 0; rest >>= 1, square *= square)
    if (rest & 1) result = T(u64(result) * square);
  return result;
}
)"},
    {"philox", R"(
/// Word `position`, and the next above it, of a state. J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011
/// (Philox 4x32-10).
__device__ u64 philox(u64 position, u64 low, u64 high, u64 key) {
  const u64 at = low + (position >> 2);
  u32 c[4] = {u32(at), u32(at >> 32), u32(high), u32(high >> 32)};
  u32 k0 = u32(key), k1 = u32(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const u64 a = u64(0xD2511F53u) * c[0], b = u64(0xCD9E8D57u) * c[2];
    c[0] = u32(b >> 32) ^ c[1] ^ k0, c[1] = u32(b);
    c[2] = u32(a >> 32) ^ c[3] ^ k1, c[3] = u32(a);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  const u32 word = u32(position & 3);
  const u32 first = word == 0 ? c[0] : word == 1 ? c[1] : word == 2 ? c[2] : c[3];
  const u32 second = word == 0 ? c[1] : word == 1 ? c[2] : c[3];
  return first | u64(second) << 32;
}
)"},
    {"Extreme", R"(
template <class T> struct Extreme {
  T value;
  i64 index;
};
)"},
    {"highest lowest", R"(
/// The better of two: NaN first, then by value, then by the smaller index.
template <class T> __device__ Extreme<T> highest(Extreme<T> x, Extreme<T> y) {
  const bool x_nan = x.value != x.value, y_nan = y.value != y.value;
  const bool ties = x.value == y.value || (x_nan && y_nan);
  return (y.value > x.value || (y_nan && !x_nan)) || (ties && y.index < x.index) ? y : x;
}
template <class T> __device__ Extreme<T> lowest(Extreme<T> x, Extreme<T> y) {
  const bool x_nan = x.value != x.value, y_nan = y.value != y.value;
  const bool ties = x.value == y.value || (x_nan && y_nan);
  return (y.value < x.value || (y_nan && !x_nan)) || (ties && y.index < x.index) ? y : x;
}
)"},
    {"Plus", "struct Plus { template <class T> __device__ T operator()(T x, T y) const { return plus(x, y); } };\n"},
    {"Times", "struct Times { template <class T> __device__ T operator()(T x, T y) const { return times(x, y); } };\n"},
    {"Maximum", "struct Maximum { template <class T> __device__ T operator()(T x, T y) const { return maximum(x, y); } };\n"},
    {"Minimum", "struct Minimum { template <class T> __device__ T operator()(T x, T y) const { return minimum(x, y); } };\n"},
    {"Larger", "struct Larger { template <class T> __device__ T operator()(T x, T y) const { return larger(x, y); } };\n"},
    {"Smaller", "struct Smaller { template <class T> __device__ T operator()(T x, T y) const { return smaller(x, y); } };\n"},
    {"FMax", R"(
struct FMax {
  __device__ float operator()(float x, float y) const { return fmaxf(x, y); }
  __device__ double operator()(double x, double y) const { return fmax(x, y); }
};
)"},
    {"FMin", R"(
struct FMin {
  __device__ float operator()(float x, float y) const { return fminf(x, y); }
  __device__ double operator()(double x, double y) const { return fmin(x, y); }
};
)"},
    {"Both", "struct Both { __device__ bool operator()(bool x, bool y) const { return x && y; } };\n"},
    {"Either", "struct Either { __device__ bool operator()(bool x, bool y) const { return x || y; } };\n"},
    {"Highest",
     "struct Highest { template <class T> __device__ Extreme<T> operator()(Extreme<T> x, Extreme<T> y) const { return highest(x, y); } };\n"},
    {"Lowest", "struct Lowest { template <class T> __device__ Extreme<T> operator()(Extreme<T> x, Extreme<T> y) const { return lowest(x, y); } };\n"},
    {"exchanged", R"(
/// The value of the thread whose number differs by `mask`, among those of a warp that work together.
template <int team, class T> __device__ T exchanged(T value, int mask) {
  constexpr int words = (sizeof(T) + 3) / 4;
  const u32 members = team >= 32 ? ~0u : ((1u << (team & 31)) - 1) << (threadIdx.x % 32 / team * team);
  u32 word[words] = {};
  memcpy(word, &value, sizeof value);
  for (int i = 0; i < words; ++i) word[i] = __shfl_xor_sync(members, word[i], mask);
  memcpy(&value, word, sizeof value);
  return value;
}
)"},
    {"across", R"(
/// What the values of a team's threads come to, for all of them, combined in a fixed order.
template <int team, class Combine, class... T> __device__ void across(Combine combine, T&... values) {
#pragma unroll
  for (int mask = team / 2; mask > 0; mask /= 2) ((values = combine(values, exchanged<team>(values, mask))), ...);
}
/// The same for a team that is a whole block. By turns it writes to one of two places: who comes to the next turn's is past reading this one's.
template <int team, class Combine, class T, class... More> __device__ void across(unsigned& turn, Combine combine, T& first, More&... more) {
  constexpr int warps = team / 32;
  __shared__ T of_warps[2][1 + sizeof...(More)][warps];
  across<32>(combine, first, more...);
  T(*const row)[warps] = of_warps[turn % 2];
  ++turn;
  int v = 0;
  if (threadIdx.x % 32 == 0) row[v][threadIdx.x / 32] = first, ((row[++v][threadIdx.x / 32] = more), ...);
  __syncthreads();
  v = 0;
  first = row[v][threadIdx.x % warps], ((more = row[++v][threadIdx.x % warps]), ...);
#pragma unroll
  for (int mask = warps / 2; mask > 0; mask /= 2) {
    first = combine(first, exchanged<32>(first, mask));
    ((more = combine(more, exchanged<32>(more, mask))), ...);
  }
}
)"},
    {"copy_ahead wait_for_copies", R"(
/// Begins to copy a value to shared memory, which is there for this thread when wait_for_copies returns.
template <class T> __device__ void copy_ahead(T* to, const void* from) {
  const u32 address = u32(__cvta_generic_to_shared(to));
  if constexpr (sizeof(T) == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address), "l"(from), "n"(sizeof(T)) : "memory");
}
__device__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
)"},
    {"down", R"(
/// For what the threads of a block tell each other: a kernel has one such room, however many sums it has.
__device__ void* room() {
  __shared__ alignas(16) char bytes[18944];
  return bytes;
}
/// The same, for several values of a type at once and teams of which every `columns`-th thread of the block is one.
template <int columns, int team, class Combine, class T, class... More> __device__ void down(Combine combine, T& first, More&... more) {
  constexpr int count = 1 + sizeof...(More), warps = columns * team / 32, line = columns + 1;
  static_assert(columns <= 32 && warps <= 32 && sizeof(T) * count * (warps * line + columns) <= 18944);
  T* const all[count] = {&first, &more...};
  T* const of_warps = static_cast<T*>(room());
  T* const whole = of_warps + count * warps * line;
  __syncthreads();
#pragma unroll
  for (int v = 0; v < count; ++v) {
    T value = *all[v];
#pragma unroll
    for (int mask = 16; mask >= columns; mask /= 2) value = combine(value, exchanged<32>(value, mask));
    if (threadIdx.x % 32 < columns) of_warps[(v * warps + threadIdx.x / 32) * line + threadIdx.x % 32] = value;
  }
  __syncthreads();
#pragma unroll
  for (int begin = 0; begin < count * columns; begin += 32) {
    const int which = begin + threadIdx.x / warps, v = which / columns, column = which % columns;
    // Threads of a warp that have nothing to add up do so all the same, as those beside them wait for them.
    T value = of_warps[(min(v, count - 1) * warps + threadIdx.x % warps) * line + column];
#pragma unroll
    for (int mask = warps / 2; mask > 0; mask /= 2) value = combine(value, exchanged<warps>(value, mask));
    if (v < count && threadIdx.x % warps == 0) whole[v * columns + column] = value;
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < count; ++v) *all[v] = whole[v * columns + threadIdx.x % columns];
}
)"},
    {"listed", R"(
/// Lists the threads of the block for which something holds, in their order, and says how many they are.
template <int threads> __device__ int listed(bool holds, int* list) {
  __shared__ int of_warps[threads / 32];
  const u32 votes = __ballot_sync(~0u, holds);
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = __popc(votes);
  __syncthreads();
  int before = 0, all = 0;
  for (int w = 0; w < threads / 32; ++w) {
    if (w < threadIdx.x / 32) before += of_warps[w];
    all += of_warps[w];
  }
  if (holds) list[before + __popc(votes & ((1u << threadIdx.x % 32) - 1))] = threadIdx.x;
  __syncthreads();
  return all;
}
)"},
    {"scanned", R"(
/// What the values of the team's threads before this one come to; `all` gets what those of all come to. By warps in as many steps as
/// the logarithm of their size: W. Hillis, G. Steele, "Data parallel algorithms", 1986.
template <int team, class Combine, class T> __device__ T scanned(T value, Combine combine, T none, T& all) {
  constexpr int in_warp = team < 32 ? team : 32, warps = team / in_warp;
  const int lane = threadIdx.x % in_warp, warp = threadIdx.x / 32;
  const u32 members = in_warp == 32 ? ~0u : ((1u << (in_warp & 31)) - 1) << (threadIdx.x % 32 / in_warp * in_warp);
  auto from = [&](T v, int other) {
    constexpr int words = (sizeof(T) + 3) / 4;
    u32 word[words] = {};
    memcpy(word, &v, sizeof v);
    for (int i = 0; i < words; ++i) word[i] = __shfl_sync(members, word[i], other, in_warp);
    memcpy(&v, word, sizeof v);
    return v;
  };
#pragma unroll
  for (int step = 1; step < in_warp; step *= 2) {
    const T earlier = from(value, lane < step ? lane : lane - step);
    if (lane >= step) value = combine(earlier, value);
  }
  const T own = from(value, lane == 0 ? 0 : lane - 1);
  T before = lane == 0 ? none : own;
  all = from(value, in_warp - 1);
  if constexpr (warps > 1) {
    __shared__ T of_warps[warps];
    __syncthreads();
    if (lane == 0) of_warps[warp] = all;
    __syncthreads();
    T earlier = none;
    all = none;
    for (int w = 0; w < warps; ++w) {
      if (w == warp) earlier = all;
      all = combine(all, of_warps[w]);
    }
    before = combine(earlier, before);
  }
  return before;
}
)"},
    {"scanned_down", R"(
/// The same for teams of which every `columns`-th thread of the block is one.
template <int columns, int team, class Combine, class T> __device__ T scanned_down(T value, Combine combine, T none, T& all) {
  __shared__ T values[columns * team];
  const int column = threadIdx.x % columns;
  __syncthreads();
  values[threadIdx.x] = value;
  __syncthreads();
#pragma unroll
  for (int step = 1; step < team; step *= 2) {
    const bool has_earlier = threadIdx.x >= step * columns;
    if (has_earlier) value = combine(values[threadIdx.x - step * columns], value);
    __syncthreads();
    values[threadIdx.x] = value;
    __syncthreads();
  }
  all = values[(team - 1) * columns + column];
  return threadIdx.x < columns ? none : values[threadIdx.x - columns];
}
)"},
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

void collect_names(std::string_view code, std::set<std::string_view>& names) {
  for (std::size_t i = 0; i < code.size();) {
    if (!is_word(code[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < code.size() && is_word(code[end])) ++end;
    names.insert(code.substr(i, end - i));
    i = end;
  }
}

}  // namespace

std::string definitions_for(std::string_view code) {
  constexpr std::size_t count = std::size(definitions);
  std::set<std::string_view> wanted;
  collect_names(code, wanted);
  std::array<bool, count> used{};
  for (std::size_t i = count; i-- > 0;) {
    std::set<std::string_view> names;
    collect_names(definitions[i].names, names);
    for (auto n : names) used[i] = used[i] || wanted.contains(n);
    if (used[i]) collect_names(definitions[i].text, wanted);
  }
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    if (used[i]) text += definitions[i].text;
  return text;
}

}  // namespace weft::cuda
