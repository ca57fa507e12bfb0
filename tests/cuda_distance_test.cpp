// The kernels of distance transforms compile.
#include "backend/cuda/compiler.h"
#include "backend/cuda/distance_transform.h"

#include <gtest/gtest.h>

namespace weft::cuda::cuda_distance_test {
namespace {

TEST(CudaDistance, CompilesForEveryGeneration) {
  const Compiler& compiler = Compiler::instance();
  if (!compiler.refusal().empty()) GTEST_SKIP() << compiler.refusal();
  const auto compile = [&](const std::string& text, int capability) { EXPECT_NO_THROW(compiler.compile(text, compiler.target(capability))) << text; };
  const DType pixels[] = {u8, f16, f32, f64};
  constexpr int capabilities[] = {80, 90, 100};
  for (std::size_t i = 0; i < std::size(pixels); ++i) compile(distance_sources(pixels[i], i % 2 == 0, true, 0).find_sites, capabilities[i % 3]);
  for (const int capability : capabilities) {
    compile(distance_sources(u8, true, true, 0).solve_near, capability);
    compile(distance_sources(u8, true, true, 0).solve_rows, capability);
  }
  for (const int index_bytes : {0, 4, 8}) {
    const DistanceSources wide = distance_sources(u8, false, false, index_bytes);
    compile(wide.solve_rows, capabilities[index_bytes / 4]);
    if (index_bytes > 0) continue;
    compile(wide.find_sites, 80);
    compile(wide.place_sites, 90);
    compile(wide.carry, 100);
  }
  compile(distance_sources(u8, true, true, 0).carry, 80);
}

TEST(CudaDistance, KernelsKnowOnlyWhatTheyUse) {
  const DistanceSources bytes = distance_sources(u8, true, true, 0), floats = distance_sources(f32, false, true, 0);
  EXPECT_NE(bytes.find_sites, floats.find_sites);
  EXPECT_EQ(bytes.carry, floats.carry);
  EXPECT_EQ(bytes.solve_rows, floats.solve_rows);
  EXPECT_EQ(bytes.solve_near, floats.solve_near);
  EXPECT_TRUE(bytes.place_sites.empty());
  EXPECT_TRUE(distance_sources(u8, true, false, 0).solve_near.empty());
}

}  // namespace
}  // namespace weft::cuda::cuda_distance_test
