// Elementary functions on one core, over arrays that stay in its caches; the floor is abs, which only reads and writes.
#include <weft/weft.h>

#include <cmath>
#include <cstdio>
#include <string_view>

#include "timing.h"

// Of the OpenMP runtime that the library is linked with.
extern "C" void omp_set_num_threads(int);

using namespace weft;

namespace {

struct Function {
  std::string_view name;
  Tensor (*build)(Operand);
  double low, high;
};

const Function functions[] = {
    {"abs", abs, -4, 4},
    {"exp", exp, -10, 10},
    {"exp2", exp2, -10, 10},
    {"exp10", exp10, -10, 10},
    {"expm1", expm1, -4, 4},
    {"log", log, 0.01, 100},
    {"log2", log2, 0.01, 100},
    {"log10", log10, 0.01, 100},
    {"log1p", log1p, -0.9, 9},
    {"sin", sin, -20, 20},
    {"cos", cos, -20, 20},
    {"tan", tan, -20, 20},
    {"asin", asin, -1, 1},
    {"acos", acos, -1, 1},
    {"atan", atan, -8, 8},
    {"sinh", sinh, -8, 8},
    {"cosh", cosh, -8, 8},
    {"tanh", tanh, -5, 5},
    {"asinh", asinh, -9, 9},
    {"acosh", acosh, 1, 9},
    {"atanh", atanh, -0.99, 0.99},
    {"erf", erf, -4, 4},
    {"sigmoid", sigmoid, -9, 9},
    {"rsqrt", rsqrt, 0.01, 9},
    {"pow", [](Operand x) { return pow(x, reverse(x.tensor(), {0})); }, 0.1, 9},
    {"atan2", [](Operand x) { return atan2(x, reverse(x.tensor(), {0})); }, -9, 9},
    {"rem", [](Operand x) { return rem(x, reverse(x.tensor(), {0})); }, -9, 9},
};

double nanoseconds(const Function& f, DType dtype) {
  constexpr std::int64_t n = 1 << 17;
  NDArray in(dtype, {n}), out(dtype, {n});
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = f.low + (f.high - f.low) * (static_cast<double>(i % 8191) + 0.5) / 8191;
    if (dtype == f64) in.elements<double>()[static_cast<std::size_t>(i)] = x;
    else in.elements<float>()[static_cast<std::size_t>(i)] = static_cast<float>(x);
  }
  Graph g;
  const Tensor x = g.placeholder({dynamic}, dtype, "x");
  const Executable e = g.compile({{x, {dtype, {n}}}}, {f.build(x)});
  TensorData result(out);
  return median_seconds(21, [&] { e.run(std::vector<TensorData>{in}, std::span(&result, 1)); }) * 1e9 / n;
}

}  // namespace

int main(int count, char** names) {
  omp_set_num_threads(1);
  std::printf("ns per element on one core\n%-8s %6s %6s\n", "", "f32", "f64");
  for (const auto& f : functions) {
    bool wanted = count == 1;
    for (int i = 1; i < count; ++i) wanted |= f.name == names[i];
    if (wanted) std::printf("%-8s %6.3f %6.3f\n", std::string(f.name).c_str(), nanoseconds(f, f32), nanoseconds(f, f64));
  }
}
