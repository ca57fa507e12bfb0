#include "backend/cuda/sum_of_parts.h"

#include "backend/cuda/emit_library.h"
#include "backend/cuda/tiles_text.h"

namespace weft::cuda {
namespace {

using tiles_text::constant, tiles_text::element;

constexpr unsigned threads = 256;

constexpr std::string_view sum_of_parts = R"(
struct Arguments {
  const Element *parts, *bias, *base;
  Element* result;
  bool* positive;
  double scale;
  long long part;
  int splits, channels, relu;
};

// Where a result has few elements, threads add up slices of its parts, and one of them the slices' sums.
extern "C" __global__ void __launch_bounds__(256) add_parts(const Arguments a) {
  follow();
  constexpr int units = 256 / slices;
  const long long first = (blockIdx.x * (long long)units + threadIdx.x % units) * unit;
  const bool is_inside = first < a.part;
  Pack<unit> sum = {};
  if (is_inside) {
#pragma unroll 4
    for (int part = threadIdx.x / units; part < a.splits; part += slices) {
      const auto more = *reinterpret_cast<const Pack<unit>*>(a.parts + part * a.part + first);
#pragma unroll
      for (int n = 0; n < unit; ++n) sum.at[n] += more.at[n];
    }
  }
  if constexpr (slices > 1) {
    __shared__ Pack<unit> sums[256];
    sums[threadIdx.x] = sum;
    __syncthreads();
#pragma unroll
    for (int slice = 1; slice < slices; ++slice)
#pragma unroll
      for (int n = 0; n < unit; ++n) sum.at[n] += sums[slice * units + threadIdx.x % units].at[n];
  }
  if (!is_inside || threadIdx.x >= units) return;
  Pack<unit> base = {};
  if (a.base) base = *reinterpret_cast<const Pack<unit>*>(a.base + first);
#pragma unroll
  for (int n = 0; n < unit; ++n) {
    if (a.bias) sum.at[n] += a.bias[(first + n) % a.channels];
    if (a.base) sum.at[n] = sum.at[n] * Element(a.scale) + base.at[n];
    if (a.relu && sum.at[n] <= 0) sum.at[n] = 0;
  }
  *reinterpret_cast<Pack<unit>*>(a.result + first) = sum;
  if (!a.positive) return;
  Answers<unit> answers;
#pragma unroll
  for (int n = 0; n < unit; ++n) answers.at[n] = sum.at[n] > 0;
  *reinterpret_cast<Answers<unit>*>(a.positive + first) = answers;
}
)";

struct Arguments {
  const void *parts, *bias, *base;
  void *result, *positive;
  double scale;
  std::int64_t part;
  std::int32_t splits, channels, relu;
};

}  // namespace

TilesSource generate_sum_of_parts(DType dtype, int unit, int slices) {
  return {element(dtype) + constant("unit", unit) + constant("slices", slices) + definitions_for("follow") + std::string(tiles_text::pack) +
              std::string(sum_of_parts),
          "add_parts", 0};
}

SumOfParts::SumOfParts(Gpu& gpu, DType dtype, std::int64_t elements, std::int64_t parts, std::int64_t channels)
    : gpu_(gpu), elements_(elements), parts_(parts), channels_(channels), element_bytes_(size_of(dtype)) {
  const auto together = static_cast<std::int64_t>(16 / element_bytes_);
  unit_ = elements % together == 0 ? together : 1;
  constexpr std::int64_t many_parts = 16, few_units = 1 << 14;
  constexpr int slices = 32;
  slices_ = parts >= many_parts && elements / unit_ < few_units ? slices : 1;
  const TilesSource source = generate_sum_of_parts(dtype, static_cast<int>(unit_), slices_);
  const Gpu::Source loaded{source.text, source.entry, source.shared_bytes};
  function_ = gpu.load({&loaded, 1})[0].handle;
}

void SumOfParts::start(CUstream stream, const void* parts, const Finish& after, std::span<void* const> operands, void* result, void* positive) const {
  Arguments a{parts,
              after.bias_of(operands),
              after.base_of(operands),
              result,
              positive,
              after.scale,
              elements_,
              static_cast<std::int32_t>(parts_),
              static_cast<std::int32_t>(channels_),
              after.relu};
  void* parameters[] = {&a};
  const std::int64_t of_block = threads / slices_ * unit_;
  const auto blocks = static_cast<unsigned>((elements_ + of_block - 1) / of_block);
  gpu_.start(function_, {.blocks = {blocks, 1, 1}, .threads = threads, .follows_itself = true}, stream, parameters, "adding up parts");
}

}  // namespace weft::cuda
