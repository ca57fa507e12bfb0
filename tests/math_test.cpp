// How far compiled functions are from the true value: never farther than declared. WEFT_MATH_EXHAUSTIVE=n tries every n-th f32
// (1: all there are) and more f64, WEFT_MATH_REPORT=1 prints what was measured.
#ifdef WEFT_WITH_CPU
#include "backend/cpu/math_functions.h"
#endif
#ifdef WEFT_WITH_CUDA
#include "backend/cuda/emit.h"
#endif
#include "compile/backend.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <thread>
#include <tuple>

namespace weft::math_test {
namespace {

using Wide = long double;

struct Reference {
  std::string_view name;
  Tensor (*unary)(Operand);
  Tensor (*binary)(Operand, Operand);
  double (*f32)(double, double);
  Wide (*f64)(Wide, Wide);
};

template <class T> T sigmoid_of(T x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

#define WEFT_UNARY(name)                                                                                           \
  {                                                                                                                \
#name, name, nullptr, [](double x, double) { return std::name(x); }, [](Wide x, Wide) { return std::name(x); } \
  }
#define WEFT_BINARY(name)                                                                                                    \
  {                                                                                                                          \
#name, nullptr, name, [](double x, double y) { return std::name(x, y); }, [](Wide x, Wide y) { return std::name(x, y); } \
  }
const Reference references[] = {
    WEFT_UNARY(exp),
    WEFT_UNARY(exp2),
    {"exp10", exp10, nullptr, [](double x, double) { return ::exp10(x); }, [](Wide x, Wide) { return ::exp10l(x); }},
    WEFT_UNARY(expm1),
    WEFT_UNARY(log),
    WEFT_UNARY(log2),
    WEFT_UNARY(log10),
    WEFT_UNARY(log1p),
    WEFT_UNARY(sin),
    WEFT_UNARY(cos),
    WEFT_UNARY(tan),
    WEFT_UNARY(asin),
    WEFT_UNARY(acos),
    WEFT_UNARY(atan),
    WEFT_UNARY(sinh),
    WEFT_UNARY(cosh),
    WEFT_UNARY(tanh),
    WEFT_UNARY(asinh),
    WEFT_UNARY(acosh),
    WEFT_UNARY(atanh),
    WEFT_UNARY(erf),
    {"sigmoid", sigmoid, nullptr, [](double x, double) { return sigmoid_of(x); }, [](Wide x, Wide) { return sigmoid_of(x); }},
    {"rsqrt", rsqrt, nullptr, [](double x, double) { return 1 / std::sqrt(x); }, [](Wide x, Wide) { return 1 / std::sqrt(x); }},
    WEFT_BINARY(pow),
    WEFT_BINARY(atan2),
    {"rem", nullptr, rem, [](double x, double y) { return std::fmod(x, y); }, [](Wide x, Wide y) { return std::fmod(x, y); }},
};
#undef WEFT_UNARY
#undef WEFT_BINARY

/// The distance in units in the last place of the true value; infinite where the kind or the sign is wrong.
template <class T, class W> double distance(W expected, T got) {
  using Limits = std::numeric_limits<T>;
  constexpr double wrong = std::numeric_limits<double>::infinity();
  if (std::isnan(expected) || std::isnan(got)) return std::isnan(expected) && std::isnan(got) ? 0 : wrong;
  if (std::signbit(expected) != std::signbit(got)) return wrong;
  if (expected == 0) return got == 0 ? 0 : wrong;
  // What overflows counts as the power of two that is next.
  const W limit = std::ldexp(W(1), Limits::max_exponent);
  const W y = std::min(std::abs(expected), limit), g = std::min(std::abs(W(got)), limit);
  const int exponent = std::max(std::ilogb(std::min(y, W(Limits::max()))), Limits::min_exponent - 1);
  return static_cast<double>(std::ldexp(std::abs(y - g), Limits::digits - 1 - exponent));
}

/// Zeros, infinities, NaN, the ends of the normal and subnormal numbers, and where functions change their form or turn.
template <class T> std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  constexpr double pi = 3.14159265358979323846, ln2 = 0.693147180559945309417;
  std::vector<T> values{0, Limits::denorm_min(), Limits::min(), Limits::max(), Limits::infinity(), Limits::quiet_NaN()};
  for (double v : {0.25, 0.5,     1.0,    2.0,    3.0,     4.0,    6.0,    64.0,    1.5,     ln2 / 2, ln2,   std::sqrt(0.5), std::sqrt(2.0), 1e-20,
                   1e20, 0x1p20,  0x1p30, 0x1p24, 0x1p25,  0x1p53, 0x1p54, 0x1p-12, 0x1p-24, 0x1p-53, 7.0,   17.0,           22.0,           88.72,
                   89.4, -103.97, 709.78, 710.47, -745.13, 38.53,  308.25, -149.0,  -1074.0, -323.0,  128.0, 1024.0})
    values.push_back(static_cast<T>(v));
  for (int k = 1; k <= 16; ++k) values.push_back(static_cast<T>(k * pi / 4));
  return values;
}

/// Special values, their neighbours, and the negatives of all.
template <class T> std::vector<T> special_neighbourhoods(int around) {
  std::vector<T> values;
  for (T v : special_values<T>()) {
    T up = v, down = v;
    for (int i = 0; i <= around; ++i) {
      for (T n : {up, down}) values.push_back(n), values.push_back(-n);
      up = std::nextafter(up, std::numeric_limits<T>::infinity()), down = std::nextafter(down, -std::numeric_limits<T>::infinity());
    }
  }
  return values;
}

/// In turn: any bits at all, and numbers of ordinary size.
template <class T> T random_value(std::mt19937_64& random, std::size_t k) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  const std::uint64_t bits = random();
  if (k % 2 == 0) return std::bit_cast<T>(static_cast<Bits>(bits));
  const double v = std::ldexp(1 + static_cast<double>(bits >> 12) * 0x1p-52, static_cast<int>(bits % 24) - 16);
  return static_cast<T>(bits & 64 ? -v : v);
}

/// How many units the function may be off, if a backend says so.
template <class Functions> std::optional<double> declared_in(const Functions& functions, std::string_view name, DType dtype) {
  for (const auto& f : functions)
    if (f.name == name) return dtype == f64 ? f.ulp_f64 : f.ulp_f32;
  return std::nullopt;
}

class Math : public ::testing::TestWithParam<std::tuple<Reference, Backend>> {
 protected:
  const Reference& function() const { return std::get<0>(GetParam()); }
  Backend backend() const { return std::get<1>(GetParam()); }

  static constexpr std::int64_t chunk = 1 << 16;
  static std::uint64_t step() {
    const char* wish = std::getenv("WEFT_MATH_EXHAUSTIVE");
    return wish ? static_cast<std::uint64_t>(std::max(1, std::atoi(wish))) : 4099;
  }

  void SetUp() override {
    if (const auto why = why_not(backend()); !why.empty()) GTEST_SKIP() << why;
  }

  double declared([[maybe_unused]] DType dtype) const {
    std::optional<double> ulp;
#ifdef WEFT_WITH_CPU
    if (backend() == Backend::cpu) ulp = declared_in(cpu::math_functions(), function().name, dtype);
#endif
#ifdef WEFT_WITH_CUDA
    if (backend() == Backend::cuda) ulp = declared_in(cuda::math_functions(), function().name, dtype);
    // Units from the correctly rounded value, which is half a one from the true value.
    if (ulp && backend() == Backend::cuda) *ulp += 0.5;
#endif
    return ulp.value_or(4);
  }

  struct Worst {
    double distance = 0, x = 0, y = 0;
  };

  /// `fill(i, x, y)` makes chunk i of the operands.
  template <class T, class W, class Fill> void check(DType dtype, W (*reference)(W, W), int chunks, Fill fill) {
    Graph g;
    const Tensor x = g.placeholder({chunk}, dtype, "x"), y = g.placeholder({chunk}, dtype, "y");
    const bool is_unary = function().unary;
    const Tensor result = is_unary ? function().unary(x) : function().binary(x, y);
    std::vector<FeedType> feeds{{x, {dtype, {chunk}}}};
    if (!is_unary) feeds.push_back({y, {dtype, {chunk}}});
    const Executable e = g.compile(feeds, std::span(&result, 1), {}, {.backend = backend()});
    std::atomic<int> next = 0;
    std::vector<Worst> worst(std::max(1u, std::thread::hardware_concurrency()));
    auto work = [&](Worst& w) {
      NDArray a(dtype, {chunk}), b(dtype, {chunk});
      for (int i = next++; i < chunks; i = next++) {
        fill(i, a.elements<T>(), b.elements<T>());
        const NDArray out = is_unary ? e.run({a})[0] : e.run({a, b})[0];
        for (std::size_t k = 0; k < std::size_t{chunk}; ++k) {
          const T u = a.elements<T>()[k], v = b.elements<T>()[k], got = out.elements<T>()[k];
          const W expected = reference(W(u), W(v));
          if (got == static_cast<T>(expected) && got != 0) continue;  // rounded correctly
          const double d = distance(expected, got);
          if (d > w.distance) w = {d, u, v};
        }
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t t = 1; t < worst.size(); ++t) threads.emplace_back(work, std::ref(worst[t]));
    work(worst[0]);
    for (auto& t : threads) t.join();
    Worst all;
    for (const Worst& w : worst)
      if (w.distance > all.distance) all = w;
    EXPECT_LE(all.distance, declared(dtype)) << "ulp at " << std::hexfloat << all.x << ", " << all.y << std::defaultfloat << " = " << all.x << ", "
                                             << all.y;
    if (std::getenv("WEFT_MATH_REPORT"))
      std::printf("%-8s %s %s declared %.1f, measured %.3f at %a, %a\n", std::string(function().name).c_str(),
                  backend() == Backend::cuda ? "cuda" : "cpu", dtype == f64 ? "f64" : "f32", declared(dtype), all.distance, all.x, all.y);
  }

  /// Special values, against each other where there are two operands, and then random ones.
  template <class T, class W> void check_sampled(DType dtype, W (*reference)(W, W)) {
    const auto first = special_neighbourhoods<T>(function().unary ? 200 : 1);
    const auto second = function().unary ? std::vector<T>{0} : first;
    const std::size_t special = first.size() * second.size(), random_chunks = std::clamp<std::size_t>(4096 / step(), 8, 256);
    const auto chunks = (special + chunk - 1) / chunk + random_chunks;
    check<T>(dtype, reference, static_cast<int>(chunks), [&](int i, std::span<T> x, std::span<T> y) {
      std::mt19937_64 random(static_cast<std::uint64_t>(i));
      for (std::size_t k = 0; k < x.size(); ++k) {
        const std::size_t n = static_cast<std::size_t>(i) * chunk + k;
        x[k] = n < special ? first[n / second.size()] : random_value<T>(random, k);
        y[k] = n < special ? second[n % second.size()] : random_value<T>(random, k / 2);
      }
    });
  }
};

TEST_P(Math, OfF32IsAsCloseAsDeclared) {
  check_sampled<float>(f32, function().f32);
  if (!function().unary) return;
  const std::uint64_t patterns = (std::uint64_t{1} << 32) / step() + 1;
  check<float>(f32, function().f32, static_cast<int>((patterns + chunk - 1) / chunk), [&](int i, std::span<float> x, std::span<float>) {
    for (std::size_t k = 0; k < x.size(); ++k)
      x[k] = std::bit_cast<float>(static_cast<std::uint32_t>((static_cast<std::uint64_t>(i) * chunk + k) * step()));
  });
}

TEST_P(Math, OfF64IsAsCloseAsDeclared) { check_sampled<double>(f64, function().f64); }

INSTANTIATE_TEST_SUITE_P(Functions, Math, ::testing::Combine(::testing::ValuesIn(references), ::testing::Values(Backend::cpu, Backend::cuda)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + (std::get<1>(info.param) == Backend::cuda ? "_cuda" : "_cpu");
                         });

}  // namespace
}  // namespace weft::math_test
