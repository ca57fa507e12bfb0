// Matrix products and convolutions, bare and with what follows them.
#include "apps/workloads/workload.h"

#include <weft/activation.h>
#include <weft/convolution.h>
#include <weft/matmul.h>

namespace weft::apps {
namespace {

struct Sizes {
  std::int64_t m, k, n;
  std::string str() const { return std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n); }
};

void build_linear(Setup& s, Sizes sizes) {
  const Tensor x = s.feed({sizes.m, sizes.k}), w = s.feed({sizes.k, sizes.n}), b = s.feed({sizes.n});
  s.targets = {gelu(matmul(x, w) + b)};
}

void build_matmul(Setup& s, Sizes sizes) { s.targets = {matmul(s.feed({sizes.m, sizes.k}), s.feed({sizes.k, sizes.n}))}; }

Tensor convolution(Setup& s) { return conv2d(s.feed({4, 56, 56, 64}), s.feed({3, 3, 64, 64}), {.padding = Padding::same}); }

}  // namespace

std::vector<Workload> contraction_workloads() {
  std::vector<Workload> rows;
  for (const Sizes sizes : {Sizes{1024, 1024, 1024}, Sizes{512, 256, 1024}, Sizes{8, 1024, 1024}}) {
    const std::string bare = "matmul_f32_" + sizes.str();
    rows.push_back({.name = "linear_gelu_f32_" + sizes.str(), .build = [=](Setup& s) { build_linear(s, sizes); }, .iterations = 20, .bare = bare});
    rows.push_back({.name = bare, .build = [=](Setup& s) { build_matmul(s, sizes); }, .iterations = 20});
  }
  // A matrix of 64 MB on either side of a vector.
  rows.push_back({.name = "matvec_f32_4096x4096", .build = [](Setup& s) { s.targets = {matmul(s.feed({4096, 4096}), s.feed({4096}))}; }});
  rows.push_back({.name = "vecmat_f32_4096x4096", .build = [](Setup& s) { s.targets = {matmul(s.feed({4096}), s.feed({4096, 4096}))}; }});
  rows.push_back({.name = "conv3x3_bias_relu_f32_4x56x56x64",
                  .build = [](Setup& s) { s.targets = {relu(convolution(s) + s.feed({64}))}; },
                  .iterations = 20,
                  .bare = "conv3x3_f32_4x56x56x64"});
  rows.push_back({.name = "conv3x3_f32_4x56x56x64", .build = [](Setup& s) { s.targets = {convolution(s)}; }, .iterations = 20});
  return rows;
}

}  // namespace weft::apps
