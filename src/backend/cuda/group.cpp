#include "backend/cuda/group.h"

#include "backend/cuda/replay.h"

#include <algorithm>
#include <ranges>

namespace weft::cuda {
namespace {

class GpuGroup final : public RunGroup {
 public:
  explicit GpuGroup(Gpu& gpu) : gpu_(gpu) {}

  void clear() override {
    runs_.clear();
    staged_.clear();
    key_.clear();
  }

  void add(const CompiledProgram& program, CompiledProgram::Context& context, const RunArrays& arrays) override {
    const auto& own = static_cast<const GpuProgram&>(program);
    gpu_.make_current();
    own.take(context, arrays);
    own.add_key(context, arrays, key_);
    for (std::size_t i = 0; i < arrays.targets.size(); ++i)
      if (arrays.target_devices[i].is_cpu()) staged_.push_back({arrays.targets[i], own.staged_target(context, i)});
    runs_.push_back({&own, &context, arrays});
  }

  const std::byte* staged(const std::byte* on_host) const override {
    const auto last_first = staged_ | std::views::reverse;
    const auto found = std::ranges::find(last_first, on_host, &Staged::on_host);
    return found == last_first.end() ? nullptr : found->on_gpu;
  }

  bool begin() override {
    gpu_.make_current();
    const auto enqueue = [&](CUstream stream) {
      for (const auto& r : runs_) r.program->enqueue(*r.context, r.arrays, stream);
    };
    const CUgraphExec graph = replays_.find(key_, 1, enqueue);
    if (graph) check(driver().cuGraphLaunch(graph, gpu_.stream()), "starting runs");
    else enqueue(gpu_.stream());
    for (const auto& r : runs_) r.program->leave(*r.context);
    return graph != nullptr;
  }

 private:
  struct Run {
    const GpuProgram* program;
    CompiledProgram::Context* context;
    RunArrays arrays;
  };
  struct Staged {
    const std::byte *on_host, *on_gpu;
  };

  Gpu& gpu_;
  std::vector<Run> runs_;
  std::vector<Staged> staged_;
  std::vector<void*> key_;
  Replays replays_;
};

}  // namespace

std::unique_ptr<RunGroup> make_group(Gpu& gpu) {
  gpu.make_current();
  return std::make_unique<GpuGroup>(gpu);
}

}  // namespace weft::cuda
