// Choosing tiles, and starting kernels of them.
#include "backend/cuda/tiles_call.h"

#include "backend/cuda/patches_call.h"
#include "backend/cuda/sum_of_parts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;

constexpr int most_blocks_each = 4;
/// Blocks that every GPU that has clusters can bring together.
constexpr std::int64_t most_clustered = 8;

bool has_clusters(const Gpu& gpu) { return gpu.properties().compute_capability >= 90; }

/// Tiles, about how many blocks of them each multiprocessor is to have, and whether clusters of blocks add up the parts of sums.
struct Candidate {
  const TilesConfig* config;
  int blocks_each;
  bool is_clustered = false;
  double cycles = 0;  ///< estimated

  std::string str() const { return config->str() + " " + std::to_string(blocks_each) + (is_clustered ? " clustered" : ""); }
  std::int64_t splits(const TilesProblem& p, const Gpu& gpu) const {
    const auto splits = splits_for(p, *config, blocks_each, gpu.properties().multiprocessors);
    return is_clustered ? std::min(splits, most_clustered) : splits;
  }
};

/// Cycles until all blocks are done and the parts added up. The constants, and the slowness of the tiles, are fitted to some 300 measured on an H100.
double estimate(const TilesProblem& p, const Candidate& candidate, std::int64_t splits, int multiprocessors) {
  constexpr double block = 3900, wait = 330, copy = 0.5;                     // of a block; of a step of a block that is alone; of an element
  constexpr double cluster = 1.16, exchange = 0.2, meet = 600;               // how much longer clusters take; of an element of a tile and a part
  constexpr double next_kernel = 5600, bytes_a_cycle = 7200, result = 5100;  // of the kernel that adds up parts; that leaves results
  const TilesConfig& c = *candidate.config;
  const bool is_narrow = p.desc.left_unit == 1 && p.desc.member != Member::data_gradient;
  const double multiply =
      static_cast<double>(c.rows) * c.columns * c.depth / (p.desc.dtype == f64 ? 64 : 128) * c.slowness + (is_narrow ? copy * c.depth * c.rows : 0);
  const double steps = std::ceil(std::ceil(static_cast<double>(p.terms()) / c.depth) / static_cast<double>(splits));
  const std::int64_t blocks = p.row_tiles(c) * p.column_tiles(c) * p.groups * static_cast<std::int64_t>(p.classes.size()) * splits;
  const std::int64_t each = (blocks + multiprocessors - 1) / multiprocessors, rest = each % c.resident;
  const auto round = [&](std::int64_t side_by_side) {
    const double all = static_cast<double>(side_by_side) * multiply;
    return side_by_side == 0 ? 0 : steps * std::max(all, multiply + wait) + block;
  };
  const double cycles = static_cast<double>(each / c.resident) * round(c.resident) + round(rest) + result;
  if (splits == 1) return cycles;
  if (candidate.is_clustered) return cycles * cluster + meet + exchange * static_cast<double>(splits) * c.rows * c.columns;
  return cycles + next_kernel + static_cast<double>(2 * splits * p.arguments.part) * size_of(p.desc.dtype) / bytes_a_cycle;
}

/// Different ones, the likeliest to be fast first.
std::vector<Candidate> candidates(const TilesProblem& p, const Gpu& gpu, std::size_t most_configs) {
  constexpr std::size_t most_of_config = 2;
  constexpr double most_cycles = 1.2;  // of those of the likeliest
  std::vector<std::vector<Candidate>> by_config;
  for (const auto& config : tiles_for(p.desc.dtype)) {
    std::vector<Candidate> list;
    for (const bool is_clustered : {false, true}) {
      std::int64_t before = is_clustered ? 1 : 0;
      for (int each = 1; each <= most_blocks_each && (!is_clustered || has_clusters(gpu)); ++each) {
        Candidate candidate{&config, each, is_clustered};
        const auto splits = candidate.splits(p, gpu);
        if (splits == before) continue;
        candidate.cycles = estimate(p, candidate, splits, gpu.properties().multiprocessors);
        list.push_back(candidate);
        before = splits;
      }
    }
    std::ranges::stable_sort(list, {}, &Candidate::cycles);
    if (list.size() > most_of_config) list.resize(most_of_config);
    by_config.push_back(std::move(list));
  }
  std::ranges::stable_sort(by_config, {}, [](const auto& list) { return list[0].cycles; });
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < std::min(most_configs, by_config.size()); ++i)
    if (by_config[i][0].cycles <= most_cycles * by_config[0][0].cycles) all.insert(all.end(), by_config[i].begin(), by_config[i].end());
  return all;
}

class TilesCall final : public LibraryCall {
 public:
  TilesCall(Gpu& gpu, const TilesProblem& p, const Candidate& candidate, const Finish* after)
      : gpu_(gpu), arguments_(p.arguments), after_(after ? *after : Finish()) {
    result_ = after_.is_positive_first() ? 1 : 0;
    const TilesConfig& config = *candidate.config;
    const auto splits = candidate.splits(p, gpu);
    const bool is_clustered = candidate.is_clustered && splits > 1;
    arguments_.column_tiles = static_cast<std::int32_t>(p.column_tiles(config));
    arguments_.splits = static_cast<std::int32_t>(splits);
    arguments_.clustered = is_clustered;
    arguments_.relu = after_.relu;
    arguments_.scale = after_.scale;
    classes_ = p.classes;
    classes_.resize(static_cast<std::size_t>(p.desc.classes));
    grid_.blocks = {static_cast<unsigned>(p.row_tiles(config)), static_cast<unsigned>(p.column_tiles(config) * p.groups),
                    static_cast<unsigned>(splits * static_cast<std::int64_t>(p.classes.size()))};
    grid_.threads = static_cast<unsigned>(config.threads());
    if (is_clustered) grid_.cluster = static_cast<unsigned>(splits);
    const TilesSource source = generate(p.desc, config);
    const Gpu::Source loaded = to_load(gpu, source);
    multiply_ = gpu.load({&loaded, 1})[0].handle;
    grid_.shared_bytes = source.shared_bytes;
    grid_ = gpu.shared_out(grid_);
    if (splits > 1 && !is_clustered) sum_.emplace(gpu, p.desc.dtype, arguments_.part, splits, p.arguments.columns * p.groups);
    name_ = "tiles of " + std::to_string(config.rows) + " x " + std::to_string(config.columns) +
            (splits > 1 ? ", sums in " + std::to_string(splits) + " parts" : "") + (is_clustered ? " of a cluster" : "") + after_.str();
  }

  std::size_t scratch_bytes() const override { return sum_ ? sum_->scratch_bytes() : 0; }
  std::string describe() const override { return name_; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    std::vector<std::byte> bytes(sizeof arguments_ + classes_.size() * sizeof(TilesClass));
    TilesArguments a = arguments_;
    a.left = operands[0];
    a.right = operands[1];
    a.bias = after_.bias_of(operands);
    a.base = after_.base_of(operands);
    a.result = sum_ ? scratch : results[result_];
    a.positive = after_.positive >= 0 ? results[1 - result_] : nullptr;
    std::memcpy(bytes.data(), &a, sizeof a);
    std::memcpy(bytes.data() + sizeof a, classes_.data(), classes_.size() * sizeof(TilesClass));
    void* parameters[] = {bytes.data()};
    gpu_.start(multiply_, grid_, stream, parameters, "multiplying tiles");
    if (sum_) sum_->start(stream, scratch, after_, operands, results[result_], a.positive);
  }

 private:
  const Gpu& gpu_;
  TilesArguments arguments_;
  std::vector<TilesClass> classes_;
  Gpu::Grid grid_;
  Finish after_;
  std::size_t result_ = 0;  ///< among the results
  CUfunction multiply_ = nullptr;
  std::optional<SumOfParts> sum_;  ///< none where the kernel's sums are whole
  std::string name_;
};

std::string refusal_of(const Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g, TilesProblem& p) {
  if (gpu.properties().compute_capability < 80) return "kernels of tiles copy as GPUs do from compute capability 8.0 on";
  if (auto why = describe_problem(member, dtype, g, p); !why.empty()) return why;
  constexpr std::int64_t most_in_grid = 65535;
  for (const auto& c : tiles_for(dtype))
    if (p.column_tiles(c) * p.groups > most_in_grid) return "too many channels";
  return {};
}

}  // namespace

bool has_tiles(const Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g) {
  TilesProblem p;
  return refusal_of(gpu, member, dtype, g, p).empty();
}

std::vector<std::string> tiles_names(Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g) {
  TilesProblem p;
  std::vector<std::string> names;
  if (!refusal_of(gpu, member, dtype, g, p).empty()) return names;
  PatchesProblem patches;
  const bool has_patches = describe_problem(member, dtype, g, gpu.properties().multiprocessors, patches).empty();
  // Where there are patches they are seldom much slower than the fastest tiles.
  const auto list = candidates(p, gpu, has_patches ? 1 : 4);
  // All that will be tried is compiled side by side.
  std::vector<TilesSource> sources;
  std::vector<Gpu::Source> texts;
  for (const auto& c : list) sources.push_back(generate(p.desc, *c.config));
  if (has_patches) sources.push_back(generate(patches.desc)), names.emplace_back(patches_name);
  for (const auto& s : sources) texts.push_back(to_load(gpu, s));
  gpu.load(texts);
  for (const auto& c : list) names.push_back(c.str());
  return names;
}

LibraryChoice make_tiles_call(Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g, const Finish* after, const std::string& name) {
  TilesProblem p;
  if (auto why = refusal_of(gpu, member, dtype, g, p); !why.empty()) return {nullptr, std::move(why)};
  if (name == patches_name) return make_patches_call(gpu, member, dtype, g, after);
  for (const auto& config : tiles_for(dtype))
    for (int each = 1; each <= most_blocks_each; ++each)
      for (const bool is_clustered : {false, true})
        if (const Candidate candidate{&config, each, is_clustered}; candidate.str() == name && (!is_clustered || has_clusters(gpu)))
          return {std::make_unique<TilesCall>(gpu, p, candidate, after), {}};
  return {nullptr, "there are no tiles " + name};
}

}  // namespace weft::cuda
