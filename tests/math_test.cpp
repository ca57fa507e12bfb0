// How far compiled functions are from the true value: never farther than declared, for every f32 there is when
// WEFT_MATH_EXHAUSTIVE is set, and else for a sample of them and all that are special.
#include "backend/cpu/math_functions.h"
#include "compile/backend.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

namespace weft {
namespace {

using Wide = long double;

struct Reference {
  std::string_view name;
  Tensor (*build)(Operand);
  double (*f32)(double);
  Wide (*f64)(Wide);
};

template <class T> T exp10_of(T x) { return ::pow(T(10), x); }
template <class T> T sigmoid_of(T x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
template <class T> T rsqrt_of(T x) { return 1 / std::sqrt(x); }

#define WEFT_REFERENCE(name) \
  { #name, name, std::name, std::name }
const Reference references[] = {
    WEFT_REFERENCE(exp),  WEFT_REFERENCE(exp2), {"exp10", exp10, ::exp10, ::exp10l},
    WEFT_REFERENCE(log),  WEFT_REFERENCE(log2), WEFT_REFERENCE(log10),
    WEFT_REFERENCE(tanh), WEFT_REFERENCE(erf),  {"sigmoid", sigmoid, sigmoid_of<double>, sigmoid_of<Wide>},
};
#undef WEFT_REFERENCE

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

struct Worst {
  double distance = 0.5, at = 0;
};

class Math : public ::testing::TestWithParam<Reference> {
 protected:
  static constexpr std::int64_t chunk = 1 << 18;

  double declared(DType dtype) const {
    for (const auto& f : cpu::math_functions())
      if (f.name == GetParam().name) return dtype == f64 ? f.ulp_f64 : f.ulp_f32;
    return 0.5;
  }

  /// `fill` makes chunk number i, and returns false when there is none.
  template <class T, class W, class Fill> void check(DType dtype, W (*reference)(W), int chunks, Fill fill) {
    Graph g;
    const Tensor x = g.placeholder({dynamic}, dtype, "x");
    const Executable e = g.compile({{x, {dtype, {chunk}}}}, {GetParam().build(x)}, {}, {.backend = Backend::cpu});
    std::atomic<int> next = 0;
    std::vector<Worst> worst(std::max(1u, std::thread::hardware_concurrency()));
    auto work = [&](Worst& w) {
      NDArray in(dtype, {chunk});
      for (int i = next++; i < chunks; i = next++) {
        fill(i, in.elements<T>());
        const NDArray out = e.run({in})[0];
        for (std::size_t k = 0; k < std::size_t{chunk}; ++k) {
          const T v = in.elements<T>()[k], got = out.elements<T>()[k];
          const W expected = reference(W(v));
          if (got == T(expected) && got != 0) continue;  // rounded correctly
          const double d = distance(expected, got);
          if (d > w.distance) w = {d, v};
        }
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t t = 1; t < worst.size(); ++t) threads.emplace_back(work, std::ref(worst[t]));
    work(worst[0]);
    for (auto& t : threads) t.join();
    for (const Worst& w : worst)
      if (w.distance > worst[0].distance) worst[0] = w;
    EXPECT_LE(worst[0].distance, declared(dtype)) << " ulp at " << std::hexfloat << worst[0].at << " (" << std::defaultfloat << worst[0].at << ")";
    RecordProperty(dtype == f64 ? "f64" : "f32", std::to_string(worst[0].distance));
    if (std::getenv("WEFT_MATH_REPORT"))
      std::printf("%-8s %s declared %.2f, measured %.3f at %a\n", std::string(GetParam().name).c_str(), dtype == f64 ? "f64" : "f32", declared(dtype),
                  worst[0].distance, worst[0].at);
  }
};

TEST_P(Math, OfF32IsAsCloseAsDeclared) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "the cpu backend is not part of this build";
  const bool all = std::getenv("WEFT_MATH_EXHAUSTIVE") != nullptr;
  const std::uint64_t step = all ? 1 : 4099, patterns = (std::uint64_t{1} << 32) / step + 1;
  check<float>(f32, GetParam().f32, static_cast<int>((patterns + chunk - 1) / chunk), [&](int i, std::span<float> x) {
    for (std::size_t k = 0; k < x.size(); ++k)
      x[k] = std::bit_cast<float>(static_cast<std::uint32_t>((static_cast<std::uint64_t>(i) * chunk + k) * step));
  });
}

std::string name_of_case(const ::testing::TestParamInfo<Reference>& info) { return std::string(info.param.name); }

INSTANTIATE_TEST_SUITE_P(Functions, Math, ::testing::ValuesIn(references), name_of_case);

}  // namespace
}  // namespace weft
