// What batch sizes share: the code of their kernels.
#include "backend/cuda/emit.h"

#include "compile/pipeline.h"
#include "stitch/lower.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace weft::cuda_sizes_test {
namespace {

/// The sources of a training step's kernels, on a GPU like an H100, when products and convolutions are a library's.
std::set<std::string> sources_of_step(std::int64_t batch) {
  Graph g;
  const Tensor images = g.placeholder({batch, 28, 28, 1}, f32), labels = g.placeholder({batch}, i32);
  const auto convolve_and_pool = [&](Tensor x, Shape weights) {
    const Tensor y = conv2d(x, g.variable(init::he(weights)), {.padding = Padding::same});
    return max_pool2d(relu(y + g.variable(init::zeros({weights[3]}))), {2});
  };
  const auto dense = [&](Tensor x, Shape weights) { return matmul(x, g.variable(init::he(weights))) + g.variable(init::zeros({weights[1]})); };
  const Tensor features = convolve_and_pool(convolve_and_pool(images, {5, 5, 1, 32}), {5, 5, 32, 64});
  const Tensor logits = dense(relu(dense(reshape(features, {batch, 7 * 7 * 64}), {7 * 7 * 64, 1024})), {1024, 10});
  const Tensor loss = softmax_cross_entropy(logits, labels);
  const std::vector<FeedType> feeds{{images, images.type()}, {labels, labels.type()}};
  const Compiled compiled =
      compile(*g.state(), feeds, std::vector{loss}, adam(g.variables(), g.gradients(loss, g.variables()), 0.001f), {.backend = Backend::reference});
  const auto in_library = [&](ir::NodeId id) {
    const auto name = compiled.program.graph[id].op->name;
    return name == "matmul" || name.starts_with("conv");
  };
  std::set<std::string> sources;
  for (const auto& step : lower(compiled.program, stitch_rules(settled({})), in_library, kernel::targets::gpu).steps)
    if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) sources.insert(cuda::generate(k->kernel, {90, 132, 232448}).source);
  return sources;
}

std::size_t new_sources(const std::set<std::string>& known, const std::set<std::string>& sources) {
  std::size_t count = 0;
  for (const auto& s : sources) count += !known.contains(s);
  return count;
}

TEST(CudaSizes, OfABatchAreNoPartOfTheCode) {
  const auto known = sources_of_step(16);
  for (const std::int64_t batch : {24, 32, 48, 64}) EXPECT_EQ(new_sources(known, sources_of_step(batch)), 0u) << batch;
}

/// Reductions over the batch are cut into parts, or shared by more threads, when there is more to reduce.
TEST(CudaSizes, OfLargerBatchesNeedFewKernelsOfTheirOwn) {
  auto known = sources_of_step(64);
  known.merge(sources_of_step(128));
  for (const std::int64_t batch : {100, 120, 200}) EXPECT_LE(new_sources(known, sources_of_step(batch)), 1u) << batch;
  EXPECT_LE(new_sources(known, sources_of_step(1024)), 4u);
}

}  // namespace
}  // namespace weft::cuda_sizes_test
