#include "backend/cuda/patches_call.h"

#include "backend/cuda/sum_of_parts.h"
#include "backend/cuda/tiles_call.h"

#include <optional>
#include <utility>

namespace weft::cuda {
namespace {

class PatchesCall final : public LibraryCall {
 public:
  PatchesCall(Gpu& gpu, const PatchesProblem& p, const Finish* after)
      : gpu_(gpu), arguments_(p.arguments), after_(after ? *after : Finish()), result_(after_.is_positive_first() ? 1 : 0) {
    const TilesSource source = generate(p.desc);
    const Gpu::Source loaded = to_load(gpu, source);
    function_ = gpu.load({&loaded, 1})[0].handle;
    grid_.blocks = {static_cast<unsigned>(p.row_blocks), static_cast<unsigned>(p.column_blocks), 1};
    grid_.threads = static_cast<unsigned>(p.desc.threads());
    grid_.shared_bytes = p.shared_bytes;
    grid_ = gpu.shared_out(grid_);
    arguments_.relu = after_.relu;
    arguments_.scale = after_.scale;
    if (p.has_parts() || (after && p.desc.member == ConvolutionMember::weights_gradient))
      sum_.emplace(gpu, f32, p.result_elements(), p.row_blocks, p.arguments.columns);
    name_ = "patches of " + std::to_string(p.arguments.patch_lines) + " x " + std::to_string(p.desc.line) +
            (p.has_parts() ? ", sums in " + std::to_string(p.row_blocks) + " parts" : "") + after_.str();
  }

  std::size_t scratch_bytes() const override { return sum_ ? sum_->scratch_bytes() : 0; }
  std::string describe() const override { return name_; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    PatchesArguments a = arguments_;
    a.data = operands[0];
    a.right = operands[1];
    a.bias = sum_ ? nullptr : after_.bias_of(operands);
    a.base = sum_ ? nullptr : after_.base_of(operands);
    a.result = sum_ ? scratch : results[result_];
    a.positive = after_.positive >= 0 ? results[1 - result_] : nullptr;
    void* parameters[] = {&a};
    gpu_.start(function_, grid_, stream, parameters, "multiplying windows of patches");
    if (sum_) sum_->start(stream, scratch, after_, operands, results[result_], a.positive);
  }

 private:
  const Gpu& gpu_;
  PatchesArguments arguments_;
  Gpu::Grid grid_;
  Finish after_;
  std::size_t result_;  ///< among the results
  CUfunction function_ = nullptr;
  std::optional<SumOfParts> sum_;  ///< none where the kernel's sums are whole
  std::string name_;
};

}  // namespace

LibraryChoice make_patches_call(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& g, const Finish* after) {
  PatchesProblem p;
  if (auto why = describe_problem(member, dtype, g, gpu.properties().multiprocessors, p); !why.empty()) return {nullptr, std::move(why)};
  return {std::make_unique<PatchesCall>(gpu, p, after), {}};
}

}  // namespace weft::cuda
