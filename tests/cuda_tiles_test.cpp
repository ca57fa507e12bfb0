// Kernels of tiles: their code compiles, and what they are given covers a convolution.
#include "backend/cuda/tiles.h"

#include "backend/cuda/compiler.h"
#include "backend/cuda/patches_call.h"
#include "backend/cuda/sum_of_parts.h"
#include "backend/cuda/tiles_call.h"
#include "compile/backend.h"

#include <weft/ndarray.h>

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace weft::cuda::cuda_tiles_test {
namespace {

using Geometry = ConvolutionGeometry;
using Member = ConvolutionMember;

constexpr Member members[] = {Member::forward, Member::data_gradient, Member::weights_gradient};

/// `high`: padding at the ends.
Geometry geometry(std::int64_t images, Geometry::Sizes in, std::int64_t in_channels, std::int64_t out_channels, Geometry::Sizes window,
                  Geometry::Sizes strides, Geometry::Sizes dilations, Geometry::Sizes low, Geometry::Sizes high, std::int64_t groups = 1) {
  Geometry g;
  g.images = images, g.in_channels = in_channels, g.out_channels = out_channels, g.groups = groups;
  g.in = in, g.window = window, g.strides = strides, g.dilations = dilations, g.low = low;
  for (std::size_t d = 0; d < 3; ++d) g.out[d] = (in[d] + low[d] + high[d] - (window[d] - 1) * dilations[d] - 1) / strides[d] + 1;
  return g;
}

const Geometry geometries[] = {
    geometry(2, {1, 6, 7}, 8, 12, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}),
    geometry(1, {1, 9, 8}, 4, 8, {1, 3, 2}, {1, 2, 2}, {1, 1, 1}, {0, 1, 0}, {0, 0, 1}),
    geometry(2, {1, 9, 8}, 1, 5, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 2, 2}, {0, 2, 2}),
    geometry(1, {4, 5, 6}, 3, 7, {2, 2, 3}, {2, 1, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 0}),
    geometry(1, {1, 9, 9}, 4, 8, {1, 3, 3}, {1, 2, 2}, {1, 2, 3}, {0, 2, 2}, {0, 2, 2}, 2),
    geometry(1, {1, 7, 7}, 3, 4, {1, 1, 1}, {1, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 2),
    geometry(3, {1, 8, 8}, 6, 10, {1, 4, 4}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}),
    geometry(37, {1, 1, 1}, 20, 24, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    geometry(16, {1, 1, 1}, 1000, 132, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    geometry(5, {1, 14, 14}, 32, 64, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 2, 2}, {0, 2, 2}),
    geometry(7, {1, 11, 9}, 1, 36, {1, 3, 4}, {1, 2, 1}, {1, 1, 2}, {0, 1, 3}, {0, 0, 2}),
    geometry(3, {1, 13, 12}, 3, 8, {1, 7, 7}, {1, 2, 2}, {1, 1, 1}, {0, 3, 3}, {0, 3, 3}),
    geometry(40, {1, 12, 12}, 2, 72, {1, 5, 5}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    geometry(2, {3, 6, 7}, 32, 16, {2, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}),
    geometry(2, {1, 8, 8}, 16, 32, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, 2),
};

TEST(CudaTiles, CompileForEveryGeneration) {
  const Compiler& compiler = Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  constexpr int capabilities[] = {80, 90, 100};
  for (const DType dtype : {f32, f64})
    for (std::size_t m = 0; m < 3; ++m) {
      const Member member = members[m];
      const auto tiles = tiles_for(dtype);
      for (std::size_t i = m; i < tiles.size(); i += 3) {
        const int unit = i % 2 == 1 ? 1 : 16 / static_cast<int>(size_of(dtype)), capability = capabilities[i % 3];
        const TilesDesc desc{.member = member,
                             .dtype = dtype,
                             .left_unit = unit,
                             .right_unit = unit,
                             .result_unit = member == Member::data_gradient ? 1 : unit,
                             .classes = i % 2 == 0 ? 1 : 4,
                             .dimensions = 1 + static_cast<int>(i % 3),
                             .channels_together = unit == 1 ? 1 : 32};
        EXPECT_NO_THROW(compiler.compile(generate(desc, tiles[i]).text, compiler.target(capability))) << desc.str() << " " << tiles[i].str();
      }
      EXPECT_NO_THROW(compiler.compile(generate_sum_of_parts(dtype, 1, m == 0 ? 1 : 32).text, compiler.target(90)));
    }
}

TEST(CudaTiles, OfPatchesCompileForEveryGeneration) {
  const Compiler& compiler = Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  constexpr int capabilities[] = {80, 90, 100};
  std::size_t next = 0;
  for (const Geometry& g : geometries)
    for (const Member member : {Member::forward, Member::weights_gradient}) {
      PatchesProblem p;
      if (!describe_problem(member, f32, g, 132, p).empty()) continue;
      EXPECT_NO_THROW(compiler.compile(generate(p.desc).text, compiler.target(capabilities[next++ % 3]))) << p.desc.str();
    }
}

/// A block's patch has the lines of all windows of its places, whichever place is the first.
TEST(CudaTiles, OfPatchesCoverWindows) {
  std::size_t met = 0;
  for (const Geometry& g : geometries)
    for (const Member member : {Member::forward, Member::weights_gradient}) {
      PatchesProblem p;
      if (!describe_problem(member, f32, g, 132, p).empty()) continue;
      ++met;
      const auto& a = p.arguments;
      const auto line_of = [&](std::int64_t place) {
        const std::int64_t row = place / a.places[1];
        return row / a.places[0] * a.image_lines + row % a.places[0] * p.desc.strides[0];
      };
      for (std::int64_t first = 0; first < a.rows; first += a.block_rows) {
        const std::int64_t last = std::min<std::int64_t>(first + a.block_rows, a.rows) - 1;
        EXPECT_LE(line_of(last) + (p.desc.window[0] - 1) * p.desc.dilations[0] - line_of(first), a.patch_lines - 1) << p.desc.str();
      }
      EXPECT_GE(p.desc.line, ((a.places[1] - 1) * p.desc.strides[1] + (p.desc.window[1] - 1) * p.desc.dilations[1] + 1) * p.desc.channels);
    }
  EXPECT_GE(met, 6);
}

TEST(CudaTiles, AreNamedAfterWhatTheyCompute) {
  const TilesConfig config = tiles_for(f32)[0];
  const TilesSource source = generate(
      {.member = Member::weights_gradient, .dtype = f32, .left_unit = 4, .right_unit = 4, .result_unit = 4, .classes = 1, .dimensions = 2}, config);
  EXPECT_EQ(source.entry, "conv_weights_gradient_f32_by_4_4_4_2d_128x128x16_8x8x3");
  EXPECT_NE(source.text.find("void __launch_bounds__(threads, resident) " + source.entry + "("), std::string::npos);
}

TEST(CudaTiles, ShareCodeAmongSizes) {
  TilesProblem some, more;
  ASSERT_EQ(describe_problem(Member::forward, f32, geometries[0], some), "");
  Geometry g = geometries[0];
  g.images = 100;
  ASSERT_EQ(describe_problem(Member::forward, f32, g, more), "");
  EXPECT_EQ(generate(some.desc, tiles_for(f32)[0]).text, generate(more.desc, tiles_for(f32)[0]).text);
  EXPECT_EQ(more.rows(), 50 * some.rows());
}

/// Every place of the data is in one class, and each pair of a place of the result and a tap that reads it is met once.
TEST(CudaTiles, DealOutStridedGradientsOfDataToClasses) {
  for (const Geometry& g : geometries) {
    TilesProblem p;
    ASSERT_EQ(describe_problem(Member::data_gradient, f32, g, p), "");
    std::int64_t places = 0, met = 0, expected = 0;
    for (const auto& c : p.classes) {
      places += c.rows;
      std::int64_t pairs = g.images;
      for (std::size_t d = 0; d < 3; ++d) {
        std::int64_t of_axis = 0;
        for (std::int64_t i = 0; i < c.axes[d].places && c.terms > 0; ++i)
          for (std::int64_t t = 0; t < c.axes[d].taps; ++t) {
            const std::int64_t at = i + c.axes[d].first_delta + t * c.axes[d].delta_step;
            of_axis += at >= 0 && at < g.out[d];
          }
        pairs *= of_axis;
      }
      met += pairs;
    }
    std::int64_t pairs = g.images;
    for (std::size_t d = 0; d < 3; ++d) {
      std::int64_t of_axis = 0;
      for (std::int64_t o = 0; o < g.out[d]; ++o)
        for (std::int64_t w = 0; w < g.window[d]; ++w) {
          const std::int64_t at = o * g.strides[d] + w * g.dilations[d] - g.low[d];
          of_axis += at >= 0 && at < g.in[d];
        }
      pairs *= of_axis;
    }
    expected = pairs;
    EXPECT_EQ(places, g.images * Geometry::product(g.in));
    EXPECT_EQ(met, expected);
  }
}

TEST(CudaTiles, CutSumsOnlyWhereResultsAreFew) {
  TilesProblem p;
  Geometry g = geometries[9];
  g.images = 16;
  ASSERT_EQ(describe_problem(Member::weights_gradient, f32, g, p), "");
  EXPECT_GT(splits_for(p, tiles_for(f32)[3], 1, 132), 5);
  g.images = 1024;
  ASSERT_EQ(describe_problem(Member::forward, f32, g, p), "");
  EXPECT_EQ(splits_for(p, tiles_for(f32)[3], 1, 132), 1);
}

std::vector<double> numbers(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> between(-1, 1);
  std::vector<double> list(count);
  for (auto& n : list) n = between(engine);
  return list;
}

/// The result and the sum of the terms' magnitudes, by plain loops.
std::pair<std::vector<double>, std::vector<double>> convolved(Member m, const Geometry& g, const std::vector<double>& x, const std::vector<double>& w,
                                                              const std::vector<double>& y) {
  const std::int64_t all_in = g.in_channels * g.groups, of_group = g.out_channels / g.groups;
  const std::size_t size = m == Member::forward ? y.size() : m == Member::data_gradient ? x.size() : w.size();
  std::vector<double> sums(size), magnitudes(size);
  for (std::int64_t n = 0; n < g.images; ++n)
    for (std::int64_t o = 0; o < g.places(); ++o)
      for (std::int64_t t = 0; t < Geometry::product(g.window); ++t) {
        const std::int64_t os[] = {o / (g.out[1] * g.out[2]), o / g.out[2] % g.out[1], o % g.out[2]},
                           ts[] = {t / (g.window[1] * g.window[2]), t / g.window[2] % g.window[1], t % g.window[2]};
        std::int64_t place = n;
        bool inside = true;
        for (std::size_t d = 0; d < 3; ++d) {
          const std::int64_t at = os[d] * g.strides[d] + ts[d] * g.dilations[d] - g.low[d];
          inside &= at >= 0 && at < g.in[d];
          place = place * g.in[d] + at;
        }
        for (std::int64_t co = 0; inside && co < g.out_channels; ++co)
          for (std::int64_t ci = 0; ci < g.in_channels; ++ci) {
            const auto xi = static_cast<std::size_t>(place * all_in + co / of_group * g.in_channels + ci),
                       wi = static_cast<std::size_t>((t * g.in_channels + ci) * g.out_channels + co),
                       yi = static_cast<std::size_t>((n * g.places() + o) * g.out_channels + co);
            const auto to = m == Member::forward ? yi : m == Member::data_gradient ? xi : wi;
            const double term = m == Member::forward ? x[xi] * w[wi] : m == Member::data_gradient ? y[yi] * w[wi] : x[xi] * y[yi];
            sums[to] += term;
            magnitudes[to] += std::abs(term);
          }
      }
  return {std::move(sums), std::move(magnitudes)};
}

NDArray on_gpu(const std::vector<double>& values, DType dtype) {
  NDArray a(f64, {static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, a.elements<double>().begin());
  return a.cast(dtype).to(Device::cuda(0));
}

void expect_convolved(Gpu& gpu, Member m, DType dtype, const Geometry& g, const std::vector<std::string>& names) {
  const auto x = numbers(static_cast<std::size_t>(g.images * Geometry::product(g.in) * g.in_channels * g.groups), 1),
             w = numbers(static_cast<std::size_t>(g.columns() * g.out_channels), 2),
             y = numbers(static_cast<std::size_t>(g.images * g.places() * g.out_channels), 3);
  const auto [expected, magnitudes] = convolved(m, g, x, w, y);
  const NDArray left = on_gpu(m == Member::data_gradient ? y : x, dtype), right = on_gpu(m == Member::weights_gradient ? y : w, dtype);
  const std::int64_t channels = m == Member::data_gradient ? g.in_channels * g.groups : g.out_channels;
  const auto bias = numbers(static_cast<std::size_t>(channels), 4), base = numbers(expected.size(), 5);
  const NDArray bias_there = on_gpu(bias, dtype);
  const double epsilon = dtype == f32 ? 6e-8 : 1.2e-16;
  // As they are; what a step of gradient descent leaves, in place; and all at once.
  Finish descent, all;
  descent.base = 1, descent.written = 2, descent.scale = -0.25;
  all.bias = 1, all.base = 2, all.positive = 3, all.written = 4, all.relu = true;
  for (const auto& name : names)
    for (const Finish* after : {static_cast<const Finish*>(nullptr), static_cast<const Finish*>(&descent), static_cast<const Finish*>(&all)}) {
      SCOPED_TRACE(name + (after ? after->str() : ""));
      const auto made = make_tiles_call(gpu, m, dtype, g, after, name);
      ASSERT_TRUE(made.call) << made.refusal;
      const auto scratch = gpu.allocate(made.call->scratch_bytes(), "a test");
      const NDArray base_there = on_gpu(base, dtype);
      NDArray result = on_gpu(std::vector<double>(expected.size(), 7), dtype), positive = NDArray(boolean, {result.byte_count()}).to(Device::cuda(0));
      const auto at = [](const NDArray& array) -> void* { return const_cast<std::byte*>(array.data()); };
      std::vector<void*> operands{at(left), at(right)}, results{at(result)};
      if (after == &descent) operands.push_back(at(base_there)), results = {at(base_there)};
      if (after == &all) operands.insert(operands.end(), {at(bias_there), at(base_there)}), results = {at(positive), at(result)};
      made.call->enqueue(gpu.stream(), operands, results, scratch.get());
      const NDArray got = (after == &descent ? base_there : result).to(Device::cpu()).cast(f64), answers = positive.to(Device::cpu());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        double value = expected[i];
        if (after == &descent) value = base[i] - 0.25 * value;
        if (after == &all) value = std::max(value + bias[i % static_cast<std::size_t>(channels)] + base[i], 0.0);
        // Operands are rounded, then each product and each of the sums, whose errors seldom add up.
        ASSERT_NEAR(got.elements<double>()[i], value, epsilon * (8 * magnitudes[i] + (after ? 4 : 1))) << " at " << i;
        if (after == &all) { ASSERT_EQ(answers.elements<bool>()[i], got.elements<double>()[i] > 0) << " at " << i; }
      }
    }
}

TEST(CudaTiles, ConvolveAsPlainLoopsDo) {
  if (const auto why = why_not(Backend::cuda); !why.empty()) GTEST_SKIP() << why;
  std::size_t next = 0;
  for (const DType dtype : {f32, f64})
    for (const Geometry& g : geometries)
      for (const Member m : members) {
        SCOPED_TRACE(std::to_string(&g - geometries) + ", " + std::to_string(static_cast<int>(m)));
        const auto tiles = tiles_for(dtype);
        const std::string config = tiles[next++ % tiles.size()].str();
        std::vector<std::string> names{config + " 1", config + " 4"};
        if (Gpu::at(0).properties().compute_capability >= 90) names.push_back(config + " 4 clustered");
        if (PatchesProblem p; describe_problem(m, dtype, g, 132, p).empty()) names.emplace_back(patches_name);
        expect_convolved(Gpu::at(0), m, dtype, g, names);
      }
}

}  // namespace
}  // namespace weft::cuda::cuda_tiles_test
