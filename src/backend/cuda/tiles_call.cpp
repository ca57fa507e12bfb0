// Choosing tiles, and starting kernels of them.
#include "backend/cuda/tiles_call.h"

#include "backend/cuda/choice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;

/// Tiles, and about how many blocks of them each multiprocessor is to have.
struct Candidate {
  const TilesConfig* config;
  int blocks_each;
  double cycles = 0;  ///< estimated

  std::string str() const { return config->str() + " " + std::to_string(blocks_each); }
};

constexpr int most_blocks_each = 4;

/// Cycles that a multiprocessor takes for its share of the blocks, one after the other, and what adding up parts takes.
double estimate(const TilesProblem& p, const TilesConfig& c, std::int64_t splits, int multiprocessors) {
  constexpr double begin_and_end = 1500, next_kernel = 2500, bytes_a_cycle = 2000;
  const double of_thread = c.thread_rows * c.thread_columns, efficiency = of_thread / (of_thread + 12);
  const double steps = std::ceil(static_cast<double>(p.terms()) / static_cast<double>(splits) / c.depth);
  const double multiply = steps * c.depth * c.rows * c.columns / (p.desc.dtype == f64 ? 64 : 128) / efficiency;
  const auto blocks = static_cast<double>(p.row_tiles(c) * p.column_tiles(c) * p.groups * static_cast<std::int64_t>(p.classes.size()) * splits);
  // With few blocks each waits for its copies.
  const double waits = blocks < 2 * multiprocessors ? steps * 300 : 0;
  const double parts = splits == 1 ? 0 : next_kernel + static_cast<double>(2 * splits * p.arguments.part) * size_of(p.desc.dtype) / bytes_a_cycle;
  return std::ceil(blocks / multiprocessors) * multiply + waits + begin_and_end + parts;
}

/// Different ones, the likeliest to be fast first.
std::vector<Candidate> candidates(const TilesProblem& p, int multiprocessors) {
  constexpr std::size_t most_configs = 4, most_of_config = 2;
  std::vector<std::vector<Candidate>> by_config;
  for (const auto& config : tiles_for(p.desc.dtype)) {
    std::vector<Candidate> list;
    std::int64_t before = 0;
    for (int each = 1; each <= most_blocks_each; ++each) {
      const auto splits = splits_for(p, config, each, multiprocessors);
      if (splits != before) list.push_back({&config, each, estimate(p, config, splits, multiprocessors)});
      before = splits;
    }
    std::ranges::stable_sort(list, {}, &Candidate::cycles);
    if (list.size() > most_of_config) list.resize(most_of_config);
    by_config.push_back(std::move(list));
  }
  std::ranges::stable_sort(by_config, {}, [](const auto& list) { return list[0].cycles; });
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < std::min(most_configs, by_config.size()); ++i) all.insert(all.end(), by_config[i].begin(), by_config[i].end());
  return all;
}

struct SumArguments {
  const void *parts, *bias;
  void *result, *positive;
  std::int64_t part;
  std::int32_t splits, channels, relu;
};

std::size_t bytes_of(const TilesProblem& p) { return static_cast<std::size_t>(p.arguments.part) * size_of(p.desc.dtype); }

class TilesCall final : public LibraryCall {
 public:
  TilesCall(Gpu& gpu, const TilesProblem& p, const TilesConfig& config, int blocks_each, const BiasRelu* after)
      : gpu_(gpu),
        arguments_(p.arguments),
        part_bytes_(bytes_of(p)),
        threads_(static_cast<unsigned>(config.threads())),
        has_bias_(after && after->bias >= 0),
        tells_positive_(after && after->positive >= 0) {
    result_ = after && after->is_positive_first() ? 1 : 0;
    const auto splits = splits_for(p, config, blocks_each, gpu.properties().multiprocessors);
    arguments_.column_tiles = static_cast<std::int32_t>(p.column_tiles(config));
    arguments_.splits = static_cast<std::int32_t>(splits);
    arguments_.relu = after && after->relu;
    classes_ = p.classes;
    classes_.resize(static_cast<std::size_t>(p.desc.classes));
    blocks_[0] = static_cast<unsigned>(p.row_tiles(config));
    blocks_[1] = static_cast<unsigned>(p.column_tiles(config) * p.groups);
    blocks_[2] = static_cast<unsigned>(splits * static_cast<std::int64_t>(p.classes.size()));
    std::vector<TilesSource> sources{generate(p.desc, config)};
    sum_unit_ = arguments_.part * static_cast<std::int64_t>(size_of(p.desc.dtype)) % 16 == 0 ? 16 / static_cast<int>(size_of(p.desc.dtype)) : 1;
    if (splits > 1) sources.push_back(generate_sum_of_parts(p.desc.dtype, sum_unit_));
    std::vector<Gpu::Source> list;
    for (const auto& s : sources) list.push_back({s.text, s.entry, s.shared_bytes});
    const auto functions = gpu.load(list);
    multiply_ = functions[0].handle;
    if (splits > 1) add_ = functions[1].handle;
    shared_bytes_ = sources[0].shared_bytes;
    sum_channels_ = static_cast<std::int32_t>(p.arguments.columns * p.groups);
    name_ = "tiles of " + std::to_string(config.rows) + " x " + std::to_string(config.columns) +
            (splits > 1 ? ", sums in " + std::to_string(splits) + " parts" : "") + (after ? after->str() : "");
  }

  std::size_t scratch_bytes() const override { return arguments_.splits > 1 ? static_cast<std::size_t>(arguments_.splits) * part_bytes_ : 0; }
  std::string describe() const override { return name_; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    std::vector<std::byte> bytes(sizeof arguments_ + classes_.size() * sizeof(TilesClass));
    TilesArguments a = arguments_;
    a.left = operands[0];
    a.right = operands[1];
    a.bias = has_bias_ ? operands[2] : nullptr;
    a.result = add_ ? scratch : results[result_];
    a.positive = tells_positive_ ? results[1 - result_] : nullptr;
    std::memcpy(bytes.data(), &a, sizeof a);
    std::memcpy(bytes.data() + sizeof a, classes_.data(), classes_.size() * sizeof(TilesClass));
    void* parameters[] = {bytes.data()};
    check(driver().cuLaunchKernel(multiply_, blocks_[0], blocks_[1], blocks_[2], threads_, 1, 1, shared_bytes_, stream, parameters, nullptr),
          "multiplying tiles");
    if (!add_) return;
    SumArguments sum{scratch, a.bias, results[result_], a.positive, a.part, a.splits, sum_channels_, a.relu};
    void* sum_parameters[] = {&sum};
    constexpr std::int64_t threads = 256;
    const std::int64_t units = a.part / sum_unit_;
    gpu_.start(add_, {{static_cast<unsigned>((units + threads - 1) / threads), 1, 1}, threads, 0}, stream, sum_parameters, "adding up parts");
  }

 private:
  const Gpu& gpu_;
  TilesArguments arguments_;
  std::vector<TilesClass> classes_;
  std::size_t part_bytes_;
  unsigned blocks_[3] = {}, threads_, shared_bytes_ = 0;
  bool has_bias_, tells_positive_;
  std::size_t result_ = 0;  ///< among the results
  int sum_unit_ = 1;
  std::int32_t sum_channels_ = 1;
  CUfunction multiply_ = nullptr, add_ = nullptr;  ///< `add_`: null for a sum in one part
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

std::vector<std::string> tiles_names(Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g) {
  TilesProblem p;
  std::vector<std::string> names;
  if (!refusal_of(gpu, member, dtype, g, p).empty()) return names;
  const auto list = candidates(p, gpu.properties().multiprocessors);
  // All that will be tried is compiled side by side.
  std::vector<TilesSource> sources;
  std::vector<Gpu::Source> texts;
  for (const auto& c : list) sources.push_back(generate(p.desc, *c.config));
  for (const auto& s : sources) texts.push_back({s.text, s.entry, s.shared_bytes});
  gpu.load(texts);
  for (const auto& c : list) names.push_back(c.str());
  return names;
}

LibraryChoice make_tiles_call(Gpu& gpu, Member member, DType dtype, const ConvolutionGeometry& g, const BiasRelu* after, const std::string& name) {
  TilesProblem p;
  if (auto why = refusal_of(gpu, member, dtype, g, p); !why.empty()) return {nullptr, std::move(why)};
  for (const auto& config : tiles_for(dtype))
    for (int each = 1; each <= most_blocks_each; ++each)
      if (Candidate{&config, each}.str() == name) return {std::make_unique<TilesCall>(gpu, p, config, each, after), {}};
  return {nullptr, "there are no tiles " + name};
}

}  // namespace weft::cuda
