#include "backend/cuda/distance_transform.h"

#include "graph/primitive.h"

#include <algorithm>
#include <array>

namespace weft::cuda {
namespace {

/// As the source has it.
struct Arguments {
  const void* pixels = nullptr;
  void* words = nullptr;
  void* rows = nullptr;
  void* firsts = nullptr;
  void* distances = nullptr;
  void* indices = nullptr;
  std::int64_t images = 0, line = 0;
  std::int32_t height = 0, width = 0, channels = 0, bands = 0;
  std::int64_t most_squared = 0;
  void* solved = nullptr;
  std::int32_t group = 0;
};

constexpr std::int64_t band_rows = 32, interval = 16, margin = 32, wide_interval = 32;

std::size_t aligned(std::int64_t bytes) { return (static_cast<std::size_t>(bytes) + 255) & ~std::size_t{255}; }

class DistanceCall final : public LibraryCall {
 public:
  DistanceCall(Gpu& gpu, const TensorType& images, const ops::DistanceProblem& t, int index_bytes) : gpu_(gpu), t_(t) {
    if (t.element_count() == 0) return;
    all_.images = t.images;
    all_.line = t.width * t.channels;
    all_.height = static_cast<std::int32_t>(t.height);
    all_.width = static_cast<std::int32_t>(t.width);
    all_.channels = static_cast<std::int32_t>(t.channels);
    all_.bands = static_cast<std::int32_t>((t.height + band_rows - 1) / band_rows);
    all_.most_squared = t.most_squared;
    const std::int64_t intervals = (t.width + interval - 1) / interval;
    row_bytes_ = 4 * interval * intervals + 2 * (intervals + 1);
    near_bytes_ = 4 * ((t.width + 3) / 4 * 4 + 2 * margin);
    // Squares of distances, and what comes with them, must be below 2^31.
    constexpr std::int64_t most = 1 << 15;
    is_narrow_ = index_bytes == 0 && t.height <= most && t.width + interval <= most && all_.line < most * most &&
                 t.height * t.height + (t.width + interval) * (t.width + interval) <= most * most &&
                 std::max(row_bytes_, near_bytes_) <= gpu.properties().shared_bytes_per_block;
    const std::int64_t rows = t.images * t.height, multiprocessors = gpu.properties().multiprocessors;
    threads_ = t.width <= 512 ? 64 : t.width <= 4096 ? 128 : 256;
    blocks_ = is_narrow_ ? std::min<std::int64_t>(rows, 1 << 20) : std::min(rows * t.channels, 8 * multiprocessors);
    // Large groups read the columns' sites less often, but every multiprocessor should have a few.
    all_.group = 8;
    while (all_.group > 2 && rows < 3 * multiprocessors * all_.group) all_.group /= 2;
    groups_ = t.images * ((t.height + all_.group - 1) / all_.group);
    is_packed_ = size_of(images.dtype) < 4 && all_.line * static_cast<std::int64_t>(size_of(images.dtype)) % 4 == 0;
    packed_ = is_packed_ ? 4 / static_cast<std::int64_t>(size_of(images.dtype)) : 1;

    const DistanceSources sources = distance_sources(images.dtype, is_packed_, is_narrow_, index_bytes);
    const std::string* texts[] = {&sources.find_sites, &sources.carry, &sources.place_sites, &sources.solve_near, &sources.solve_rows};
    std::vector<Gpu::Source> list;
    for (std::size_t i = 0; i < std::size(texts); ++i)
      if (!texts[i]->empty())
        list.push_back(
            {*texts[i], DistanceSources::entries[i], i >= 3 && is_narrow_ ? static_cast<unsigned>(gpu.properties().shared_bytes_per_block) : 0});
    for (const auto& f : gpu.load(list)) functions_.push_back(f.handle);
  }

  std::size_t scratch_bytes() const override { return parts().back(); }
  std::string describe() const override { return is_narrow_ ? "distance transform in shared memory" : "distance transform in 64 bits"; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    if (functions_.empty()) return;
    Arguments a = all_;
    const auto at = parts();
    auto* memory = static_cast<std::byte*>(scratch);
    a.pixels = operands[0];
    a.words = memory;
    a.rows = memory + at[0];
    a.firsts = memory + at[1];
    a.solved = memory + at[2];
    a.distances = results[0];
    a.indices = results.size() > 1 ? results[1] : nullptr;
    std::size_t next = 0;
    const auto start = [&](std::int64_t blocks, unsigned threads, unsigned shared) {
      void* parameters[] = {&a};
      const auto count = static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, 1 << 30));
      gpu_.start(functions_[next++], {.blocks = {count, 1, 1}, .threads = threads, .shared_bytes = shared}, stream, parameters,
                 "transforming distances");
    };
    start((words() / packed_ + 127) / 128, 128, 0);
    start(a.images * ((a.line + 31) / 32), 1024, 0);
    if (!is_narrow_) start((t_.element_count() + 255) / 256, 256, 0);
    if (is_narrow_) start(groups_, t_.width <= 512 ? 128 : 256, static_cast<unsigned>(near_bytes_));
    start(blocks_, is_narrow_ ? threads_ : 256, is_narrow_ ? static_cast<unsigned>(row_bytes_) : 0);
  }

 private:
  std::int64_t words() const { return all_.images * all_.bands * all_.line; }

  /// Where the scratch memory's parts after the first begin, and where the last ends.
  std::array<std::size_t, 4> parts() const {
    const std::int64_t firsts = blocks_ * ((t_.width + wide_interval - 1) / wide_interval + 1);
    std::array<std::size_t, 4> ends{};
    ends[0] = aligned(words() * (is_narrow_ ? 8 : 16));
    ends[1] = ends[0] + (is_narrow_ ? 0 : aligned(t_.element_count() * 4));
    ends[2] = ends[1] + (is_narrow_ ? 0 : aligned(firsts * 4));
    ends[3] = ends[2] + (is_narrow_ ? aligned(groups_ * t_.channels * 4) : 0);
    return ends;
  }

  Gpu& gpu_;
  ops::DistanceProblem t_;
  Arguments all_;
  bool is_narrow_ = false, is_packed_ = false;
  std::int64_t row_bytes_ = 0, near_bytes_ = 0, blocks_ = 0, groups_ = 0, packed_ = 1;
  unsigned threads_ = 0;
  std::vector<CUfunction> functions_;
};

}  // namespace

std::unique_ptr<LibraryCall> make_distance_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node) {
  const TensorType& images = graph.type(node.operands[0]);
  const auto problem = ops::distance_problem_of(images, node.attributes);
  return std::make_unique<DistanceCall>(gpu, images, problem, problem.has_indices ? static_cast<int>(size_of(node.attributes.dtype("dtype"))) : 0);
}

}  // namespace weft::cuda
