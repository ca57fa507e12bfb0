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

void build_linear(Setup& s, Sizes sizes, DType type) {
  const Tensor x = s.feed({sizes.m, sizes.k}, type), w = s.feed({sizes.k, sizes.n}, type), b = s.feed({sizes.n}, type);
  s.targets = {gelu(matmul(x, w) + b)};
}

void build_matmul(Setup& s, Sizes sizes, DType type) { s.targets = {matmul(s.feed({sizes.m, sizes.k}, type), s.feed({sizes.k, sizes.n}, type))}; }

Tensor convolution(Setup& s, std::int64_t images, std::int64_t channels, DType type) {
  return conv2d(s.feed({images, 56, 56, channels}, type), s.feed({3, 3, channels, channels}, type), {.padding = Padding::same});
}

}  // namespace

std::vector<Workload> contraction_workloads() {
  std::vector<Workload> rows;
  const auto name_of_arithmetic = [](DType type, bool tf32) { return tf32 ? std::string("tf32") : std::string(name_of(type)); };
  auto add_product = [&](Sizes sizes, DType type, bool large, bool tf32 = false) {
    const std::string suffix = "_" + name_of_arithmetic(type, tf32) + "_" + sizes.str(), bare = "matmul" + suffix;
    rows.push_back({.name = "linear_gelu" + suffix,
                    .build = [=](Setup& s) { build_linear(s, sizes, type); },
                    .iterations = 20,
                    .bare = bare,
                    .dtype = type,
                    .tf32 = tf32,
                    .is_large = large});
    rows.push_back(
        {.name = bare, .build = [=](Setup& s) { build_matmul(s, sizes, type); }, .iterations = 20, .dtype = type, .tf32 = tf32, .is_large = large});
  };
  for (const Sizes sizes : {Sizes{1024, 1024, 1024}, Sizes{512, 256, 1024}, Sizes{8, 1024, 1024}}) add_product(sizes, f32, false);
  for (const Sizes sizes : {Sizes{8192, 8192, 8192}, Sizes{8192, 1024, 4096}, Sizes{128, 4096, 4096}}) add_product(sizes, bf16, true);
  for (const bool tf32 : {false, true}) add_product({8192, 1024, 4096}, f32, true, tf32);
  // A matrix of 64 MB on either side of a vector.
  rows.push_back({.name = "matvec_f32_4096x4096", .build = [](Setup& s) { s.targets = {matmul(s.feed({4096, 4096}), s.feed({4096}))}; }});
  rows.push_back({.name = "vecmat_f32_4096x4096", .build = [](Setup& s) { s.targets = {matmul(s.feed({4096}), s.feed({4096, 4096}))}; }});
  auto add_convolution = [&](std::int64_t images, std::int64_t channels, DType type, bool large, bool tf32 = false) {
    const std::string suffix = "_" + name_of_arithmetic(type, tf32) + "_" + std::to_string(images) + "x56x56x" + std::to_string(channels),
                      bare = "conv3x3" + suffix;
    rows.push_back({.name = "conv3x3_bias_relu" + suffix,
                    .build = [=](Setup& s) { s.targets = {relu(convolution(s, images, channels, type) + s.feed({channels}, type))}; },
                    .iterations = 20,
                    .bare = bare,
                    .dtype = type,
                    .tf32 = tf32,
                    .is_large = large});
    rows.push_back({.name = bare,
                    .build = [=](Setup& s) { s.targets = {convolution(s, images, channels, type)}; },
                    .iterations = 20,
                    .dtype = type,
                    .tf32 = tf32,
                    .is_large = large});
  };
  add_convolution(4, 64, f32, false);
  for (const bool tf32 : {false, true}) add_convolution(64, 128, f32, true, tf32);
  add_convolution(64, 128, bf16, true);
  return rows;
}

}  // namespace weft::apps
