// Rows are sorted as pairs of a key, an unsigned integer in the elements' order, and a place, so that no two are equal and their order is the
// stable one. K. Batcher, "Sorting networks and their applications", AFIPS 1968: the network compares the same pairs whatever the data.
#include "backend/cuda/sort.h"

#include "graph/primitive.h"

#include <bit>
#include <vector>

namespace weft::cuda {
namespace {

constexpr unsigned chunk = 1024;  ///< items that a block sorts in shared memory

/// Follows the definitions of `Bits` (the unsigned integer of an element's size) and `key_of`.
constexpr const char* source = R"(
struct Item {
  unsigned long long key, place;
};

struct Arguments {
  const Bits* keys;
  Item* items;            // `padded` for each row
  const void* from;       // what a result is taken from; null: places
  void* to;
  long long rows, length, padded, taken;
  unsigned long long flip;
  int bytes;              // of an element of the result
  int phase;              // 0: fill chunks and sort them; 1: compare at `step`; 2: compare in chunks from half a chunk down; 3: give results
  long long size, step;   // of the runs that are merged; between compared items
};

__device__ bool precedes(Item a, Item b) { return a.key < b.key || (a.key == b.key && a.place < b.place); }

// Runs are sorted upwards and downwards in turn, the whole row upwards.
__device__ void compare(Item& a, Item& b, long long place, long long size) {
  if (precedes(b, a) == ((place & size) == 0)) {
    const Item kept = a;
    a = b;
    b = kept;
  }
}

__device__ void compare_in_chunk(Item* items, long long first, const Arguments& a, long long size, int step) {
  for (; step > 0; step /= 2) {
    const int i = 2 * step * (threadIdx.x / step) + threadIdx.x % step;
    compare(items[i], items[i + step], (first + i) & (a.padded - 1), size);
    __syncthreads();
  }
}

extern "C" __global__ void sort_rows(const __grid_constant__ Arguments a) {
  const long long all = a.rows * a.padded;
  if (a.phase == 1) {
    const long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long i = 2 * a.step * (t / a.step) + t % a.step;
    if (i < all) compare(a.items[i], a.items[i + a.step], i & (a.padded - 1), a.size);
    return;
  }
  if (a.phase == 3) {
    const long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= a.rows * a.taken) return;
    const long long row = t / a.taken, place = a.items[row * a.padded + t % a.taken].place, at = row * a.length + place;
    if (!a.from && a.bytes == 4) ((int*)a.to)[t] = (int)place;
    else if (!a.from) ((long long*)a.to)[t] = place;
    else if (a.bytes == 1) ((unsigned char*)a.to)[t] = ((const unsigned char*)a.from)[at];
    else if (a.bytes == 2) ((unsigned short*)a.to)[t] = ((const unsigned short*)a.from)[at];
    else if (a.bytes == 4) ((unsigned*)a.to)[t] = ((const unsigned*)a.from)[at];
    else ((unsigned long long*)a.to)[t] = ((const unsigned long long*)a.from)[at];
    return;
  }
  __shared__ Item items[1024];
  const long long first = (long long)blockIdx.x * 1024;
  for (int i = threadIdx.x; i < 1024; i += blockDim.x) {
    const long long at = first + i, row = at / a.padded, place = at & (a.padded - 1);
    const Item last = {~0ull, ~0ull};
    if (a.phase == 2) items[i] = at < all ? a.items[at] : last;
    else if (at < all && place < a.length) items[i] = Item{(unsigned long long)key_of(a.keys[row * a.length + place]) ^ a.flip, (unsigned long long)place};
    else items[i] = last;
  }
  __syncthreads();
  if (a.phase == 2) compare_in_chunk(items, first, a, a.size, 512);
  else
    for (int size = 2; size <= 1024 && size <= a.padded; size *= 2) compare_in_chunk(items, first, a, size, size / 2);
  for (int i = threadIdx.x; i < 1024; i += blockDim.x)
    if (first + i < all) a.items[first + i] = items[i];
}
)";

/// An element's order as that of unsigned integers: for floats all NaN are one number above all others, and -0 and +0 are one.
std::string key_source(DType dtype) {
  static constexpr const char* types[] = {"unsigned char", "unsigned short", "", "unsigned int", "", "", "", "unsigned long long"};
  const std::string bits = types[size_of(dtype) - 1], sign = "(Bits)(1ull << " + std::to_string(size_of(dtype) * 8 - 1) + ")";
  std::string text = "typedef " + bits + " Bits;\n__device__ Bits key_of(Bits u) {\n  const Bits sign = " + sign + ";\n";
  if (is_floating(dtype)) {
    const std::string infinity = dtype == f16 ? "0x7c00" : dtype == bf16 ? "0x7f80" : dtype == f32 ? "0x7f800000u" : "0x7ff0000000000000ull";
    text += "  const Bits magnitude = u & (Bits)~sign;\n  if (magnitude > (Bits)" + infinity +
            ") return (Bits)~(Bits)0;\n  if (magnitude == 0) return sign;\n  return u & sign ? (Bits)~u : (Bits)(u | sign);\n}\n";
  } else {
    text += is_signed_integer(dtype) ? "  return u ^ sign;\n}\n" : "  return u;\n}\n";
  }
  return text;
}

/// As the source has it.
struct Arguments {
  const void* keys = nullptr;
  void* items = nullptr;
  const void* from = nullptr;
  void* to = nullptr;
  std::int64_t rows = 0, length = 0, padded = 1, taken = 0;
  std::uint64_t flip = 0;
  std::int32_t bytes = 0, phase = 0;
  std::int64_t size = 0, step = 0;
};
constexpr std::size_t item_bytes = 16;

class SortCall final : public LibraryCall {
 public:
  SortCall(Gpu& gpu, const ir::Graph& graph, const ir::Node& node) {
    const TensorType& keys = graph.type(node.operands[0]);
    all_.length = keys.shape[keys.shape.rank() - 1];
    all_.rows = all_.length == 0 ? 0 : keys.shape.element_count() / all_.length;
    all_.padded = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(all_.length)));
    all_.taken = node.op->name == "top_k" ? node.attributes.integer("k") : all_.length;
    if (node.attributes.flag("descending")) all_.flip = ~std::uint64_t{0} >> (64 - 8 * size_of(keys.dtype));
    for (std::size_t r = 0; r < node.types.size(); ++r) {
      const bool is_places = node.op->name == "arg_sort" || (node.op->name == "top_k" && r == 1);
      results_.push_back({is_places, static_cast<std::int32_t>(size_of(node.types[r].dtype))});
    }
    const std::string text = key_source(keys.dtype) + source;
    const Gpu::Source sources[] = {{text, "sort_rows"}};
    function_ = gpu.load(sources)[0].handle;
  }

  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(all_.rows * all_.padded) * item_bytes; }
  std::string describe() const override { return "bitonic sort of rows"; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    if (all_.rows * all_.taken == 0) return;
    Arguments a = all_;
    a.keys = operands[0];
    a.items = scratch;
    const std::int64_t items = a.rows * a.padded, chunks = (items + chunk - 1) / chunk;
    auto start = [&](std::int64_t threads) {
      void* parameters[] = {&a};
      check(driver().cuLaunchKernel(function_, static_cast<unsigned>((threads + chunk / 2 - 1) / (chunk / 2)), 1, 1, chunk / 2, 1, 1, 0, stream,
                                    parameters, nullptr),
            "sorting");
    };
    start(chunks * (chunk / 2));
    for (a.size = 2 * chunk; a.size <= a.padded; a.size *= 2) {
      a.phase = 1;
      for (a.step = a.size / 2; a.step >= chunk; a.step /= 2) start(items / 2);
      a.phase = 2;
      start(chunks * (chunk / 2));
    }
    a.phase = 3;
    for (std::size_t r = 0; r < results_.size(); ++r) {
      a.from = results_[r].is_places ? nullptr : operands[r];
      a.to = results[r];
      a.bytes = results_[r].bytes;
      start(a.rows * a.taken);
    }
  }

 private:
  struct Result {
    bool is_places;
    std::int32_t bytes;
  };
  Arguments all_;
  std::vector<Result> results_;
  CUfunction function_ = nullptr;
};

}  // namespace

std::unique_ptr<LibraryCall> make_sort_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node) {
  return std::make_unique<SortCall>(gpu, graph, node);
}

}  // namespace weft::cuda
