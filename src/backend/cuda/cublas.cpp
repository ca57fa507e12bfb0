#include "backend/cuda/cublas.h"

#include "backend/cuda/choice.h"
#include "backend/cuda/library.h"
#include "backend/cuda/tiles_call.h"
#include "graph/primitive.h"

#include <weft/error.h>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>

#include <cublasLt.h>

namespace weft::cuda {
namespace {

// clang-format off
#define WEFT_CUBLAS_FUNCTIONS(F) \
  F(cublasLtCreate) F(cublasLtGetStatusString) F(cublasLtGetVersion) F(cublasLtMatmul) F(cublasLtMatmulAlgoCheck) \
  F(cublasLtMatmulAlgoGetHeuristic) F(cublasLtMatmulDescCreate) \
  F(cublasLtMatmulDescDestroy) F(cublasLtMatmulDescSetAttribute) F(cublasLtMatmulPreferenceCreate) F(cublasLtMatmulPreferenceDestroy) \
  F(cublasLtMatmulPreferenceSetAttribute) F(cublasLtMatrixLayoutCreate) F(cublasLtMatrixLayoutDestroy) F(cublasLtMatrixLayoutSetAttribute)
// clang-format on

struct Functions {
#define WEFT_CUBLAS_MEMBER(name) decltype(&::name) name = nullptr;
  WEFT_CUBLAS_FUNCTIONS(WEFT_CUBLAS_MEMBER)
#undef WEFT_CUBLAS_MEMBER
};

struct Cublas {
  Functions functions;
  std::string refusal, version;
};

/// Looked for once.
const Cublas& cublas() {
  static const Cublas found = [] {
    Cublas c;
    static constexpr const char* names[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
    const Library library(names, "cublas");
    if (!library) {
      c.refusal = "there is no cuBLASLt (libcublasLt.so.13 or .12)";
      return c;
    }
#define WEFT_CUBLAS_FIND(name)                                                          \
  c.functions.name = reinterpret_cast<decltype(c.functions.name)>(library.find(#name)); \
  if (!c.functions.name) c.refusal = library.path() + " lacks " #name;
    WEFT_CUBLAS_FUNCTIONS(WEFT_CUBLAS_FIND)
#undef WEFT_CUBLAS_FIND
    if (c.refusal.empty()) c.version = std::to_string(c.functions.cublasLtGetVersion());
    return c;
  }();
  return found;
}

void check(cublasStatus_t status, const char* doing) {
  if (status != CUBLAS_STATUS_SUCCESS) throw RunError(std::string("cublas: ") + doing + ": " + cublas().functions.cublasLtGetStatusString(status));
}

/// Of each GPU, for the life of the process.
cublasLtHandle_t handle_of(Gpu& gpu) {
  static std::mutex mutex;
  static auto* const handles = new std::map<int, cublasLtHandle_t>;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = (*handles)[gpu.index()];
  gpu.make_current();
  if (!handle) check(cublas().functions.cublasLtCreate(&handle), "starting");
  return handle;
}

struct Types {
  cudaDataType_t data, scale;
  cublasComputeType_t compute;
};

std::optional<Types> types_of(DType dtype, bool tf32) {
  switch (dtype) {
    case f32: return Types{CUDA_R_32F, CUDA_R_32F, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F};
    case f16: return Types{CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case bf16: return Types{CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case f64: return Types{CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    default: return std::nullopt;
  }
}

/// The batch dimensions of an operand against those of the result: all of them, or one matrix for all. None for others.
std::optional<Matrix> side_of(const Shape& shape, const Shape& result) {
  Matrix side{shape[shape.rank() - 2], shape[shape.rank() - 1]};
  bool is_one = true, is_whole = true;
  for (int d = 0; d + 2 < result.rank(); ++d) {
    const int own = d - (result.rank() - shape.rank());
    const std::int64_t size = own < 0 ? 1 : shape[own];
    is_one &= size == 1;
    is_whole &= size == result[d];
  }
  if (!is_one && !is_whole) return std::nullopt;
  if (!is_one) side.batch_stride = side.rows * side.columns;
  return side;
}

std::string described(const ProductShape& p) {
  const auto text = [](const Matrix& m, bool transposed) {
    return std::to_string(m.rows) + "x" + std::to_string(m.columns) + (transposed ? " transposed" : "");
  };
  return "multiplying " + std::to_string(p.batch) + " of " + text(p.a, p.transpose_a) + " by " + text(p.b, p.transpose_b);
}

class CublasProduct final : public Product {
 public:
  CublasProduct(Gpu& gpu, Types types, cudaDataType_t result_type, const ProductShape& p, const Finish* after)
      : handle_(handle_of(gpu)), is_f64_(types.scale == CUDA_R_64F), what_(described(p)) {
    // Of row-major matrices, cuBLASLt, which counts along columns first, computes the transposed product: b' a'.
    set(a_, types.data, p.b, p.batch);
    set(b_, types.data, p.a, p.batch);
    set(result_, result_type, p.result, p.batch);
    check(f_.cublasLtMatmulDescCreate(&product_.descriptor, types.compute, types.scale), "describing a product");
    const cublasOperation_t operation_a = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, operation_b = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(f_.cublasLtMatmulDescSetAttribute(product_.descriptor, CUBLASLT_MATMUL_DESC_TRANSA, &operation_a, sizeof operation_a),
          "describing a product");
    check(f_.cublasLtMatmulDescSetAttribute(product_.descriptor, CUBLASLT_MATMUL_DESC_TRANSB, &operation_b, sizeof operation_b),
          "describing a product");
    if (!after) return;
    const bool has_bias = after->bias >= 0;
    const cublasLtEpilogue_t epilogue = !has_bias ? CUBLASLT_EPILOGUE_RELU : after->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    check(f_.cublasLtMatmulDescSetAttribute(product_.descriptor, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue), "describing a product");
    if (has_bias) set_bias(product_.descriptor, reinterpret_cast<const void*>(workspace_alignment));  // aligned as any will be
  }

  /// Kernels that can, the one that the library's heuristics put first first. A name is the library's description of one and the bytes of scratch
  /// memory that it uses.
  std::vector<std::string> kernels() const {
    const std::size_t most_scratch = std::min(std::size_t{32} << 20, most_workspace());
    constexpr std::uint32_t alignment = 16;
    // Parts of a sum are added up in the type that it is computed in, in a fixed order.
    constexpr std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulPreference_t wishes = nullptr;
    check(f_.cublasLtMatmulPreferenceCreate(&wishes), "choosing a kernel");
    auto wish = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      f_.cublasLtMatmulPreferenceSetAttribute(wishes, which, &value, sizeof value);
    };
    wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_scratch);
    wish(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
    for (auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                       CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      wish(which, alignment);
    cublasLtMatmulHeuristicResult_t found[most_kernels] = {};
    int count = 0;
    const auto status = f_.cublasLtMatmulAlgoGetHeuristic(handle_, product_.descriptor, a_.descriptor, b_.descriptor, result_.descriptor,
                                                          result_.descriptor, wishes, most_kernels, found, &count);
    f_.cublasLtMatmulPreferenceDestroy(wishes);
    std::vector<std::string> names;
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i)
      if (found[i].state == CUBLAS_STATUS_SUCCESS) names.push_back(name_of_kernel(found[i]));
    return names;
  }

  /// Takes a kernel of `kernels`, which may be those of another process. False when the library doesn't. One that `works` is not shown to the
  /// library, which in a new process would first find out what its kernels are.
  bool take(const std::string& name, bool works) {
    std::istringstream words(name);
    words >> std::hex;
    for (auto& word : algorithm_.data) words >> word;
    words >> scratch_bytes_;
    if (!words || works) return !words.fail();
    cublasLtMatmulHeuristicResult_t result{};
    const auto status = f_.cublasLtMatmulAlgoCheck(handle_, product_.descriptor, a_.descriptor, b_.descriptor, result_.descriptor, result_.descriptor,
                                                   &algorithm_, &result);
    scratch_bytes_ = result.workspaceSize;
    return status == CUBLAS_STATUS_SUCCESS && result.state == CUBLAS_STATUS_SUCCESS;
  }

  void enqueue(CUstream stream, const void* a, const void* b, void* result, void* scratch, bool adds, const void* bias) const override {
    static constexpr double factors_f64[] = {0, 1};
    static constexpr float factors_f32[] = {0, 1};
    const auto factor = [&](bool one) { return is_f64_ ? static_cast<const void*>(factors_f64 + one) : factors_f32 + one; };
    // The library refuses memory that isn't aligned, even if it is to use none of it.
    void* aligned = scratch_bytes_ == 0 ? nullptr : scratch;
    std::size_t room = scratch_bytes();
    if (aligned) std::align(workspace_alignment, scratch_bytes_, aligned, room);
    // The address of a bias is part of the descriptor.
    cublasLtMatmulDescOpaque_t own = *product_.descriptor;
    if (bias) set_bias(&own, bias);
    check(f_.cublasLtMatmul(handle_, &own, factor(true), b, a_.descriptor, a, b_.descriptor, factor(adds), result, result_.descriptor, result,
                            result_.descriptor, &algorithm_, aligned, scratch_bytes_, stream),
          what_.c_str());
  }
  std::size_t scratch_bytes() const override { return scratch_bytes_ == 0 ? 0 : scratch_bytes_ + workspace_alignment; }

 private:
  static constexpr int most_kernels = 5;  ///< that are tried

  static std::string name_of_kernel(const cublasLtMatmulHeuristicResult_t& kernel) {
    std::ostringstream words;
    words << std::hex;
    for (auto word : kernel.algo.data) words << word << ' ';
    words << kernel.workspaceSize;
    return words.str();
  }

  /// Of the scratch memory that the library is given.
  static constexpr std::size_t workspace_alignment = 256;

  const Functions& f_ = cublas().functions;

  struct Layout {
    cublasLtMatrixLayout_t descriptor = nullptr;
    Layout() = default;
    ~Layout() { cublas().functions.cublasLtMatrixLayoutDestroy(descriptor); }
    Layout(const Layout&) = delete;
    Layout& operator=(const Layout&) = delete;
  };
  struct Description {
    cublasLtMatmulDesc_t descriptor = nullptr;
    Description() = default;
    ~Description() { cublas().functions.cublasLtMatmulDescDestroy(descriptor); }
    Description(const Description&) = delete;
    Description& operator=(const Description&) = delete;
  };

  void set_bias(cublasLtMatmulDesc_t descriptor, const void* bias) const {
    check(f_.cublasLtMatmulDescSetAttribute(descriptor, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias), "describing a product");
  }

  void set(Layout& layout, cudaDataType_t type, Matrix side, std::int64_t batch) {
    check(f_.cublasLtMatrixLayoutCreate(&layout.descriptor, type, static_cast<std::uint64_t>(side.columns), static_cast<std::uint64_t>(side.rows),
                                        side.columns),
          "describing a matrix");
    if (batch == 1) return;
    const auto count = static_cast<std::int32_t>(batch);
    check(f_.cublasLtMatrixLayoutSetAttribute(layout.descriptor, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "describing a matrix");
    check(f_.cublasLtMatrixLayoutSetAttribute(layout.descriptor, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &side.batch_stride,
                                              sizeof side.batch_stride),
          "describing a matrix");
  }

  cublasLtHandle_t handle_;
  Layout a_, b_, result_;
  Description product_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t scratch_bytes_ = 0;
  bool is_f64_;
  std::string what_;  ///< for errors
};

class MatmulCall final : public LibraryCall {
 public:
  MatmulCall(std::unique_ptr<Product> product, const Finish* after)
      : product_(std::move(product)), name_("cublaslt matmul" + (after ? after->str() : "")) {}
  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    product_->enqueue(stream, operands[0], operands[1], results[0], scratch, false, operands.size() > 2 ? operands[2] : nullptr);
  }
  std::size_t scratch_bytes() const override { return product_->scratch_bytes(); }
  std::string describe() const override { return name_; }

 private:
  std::unique_ptr<Product> product_;
  std::string name_;
};

/// A product as a convolution with windows of one place, whose images are rows.
struct ByTiles {
  ConvolutionMember member = ConvolutionMember::forward;
  ConvolutionGeometry geometry = {};
};

std::optional<ByTiles> by_tiles(const ProductShape& p, const LibraryOptions& options) {
  // For larger ones cuBLASLt has the faster kernels.
  constexpr std::int64_t most_multiplications = std::int64_t{1} << 32;
  const std::int64_t terms = p.transpose_a ? p.a.rows : p.a.columns;
  if (!options.measures || options.tf32 || p.batch > 1 || (p.transpose_a && p.transpose_b)) return std::nullopt;
  if (p.result.rows * p.result.columns * terms > most_multiplications) return std::nullopt;
  ByTiles tiles;
  if (p.transpose_a) tiles.member = ConvolutionMember::weights_gradient;
  if (p.transpose_b) tiles.member = ConvolutionMember::data_gradient;
  tiles.geometry.images = p.transpose_a ? terms : p.result.rows;
  tiles.geometry.in_channels = p.transpose_a ? p.result.rows : p.transpose_b ? p.result.columns : terms;
  tiles.geometry.out_channels = p.transpose_b ? terms : p.result.columns;
  return tiles;
}

/// Products of fewer multiplications take a generated kernel less time, and that is stitched with what is around it.
constexpr std::int64_t least_multiplications = 1 << 20;

/// A product or, where that is faster, a call of tiles.
struct Found {
  ProductChoice by_library;
  std::unique_ptr<LibraryCall> by_tiles = nullptr;
};

Found find_product(Gpu& gpu, DType dtype, DType result_dtype, const ProductShape& p, const LibraryOptions& options, const Finish* after,
                   const std::optional<ByTiles>& tiles) {
  const auto types = types_of(dtype, options.tf32), result_types = types_of(result_dtype, options.tf32);
  if (!types || !result_types) return {{nullptr, "cuBLASLt doesn't multiply " + std::string(name_of(dtype))}};
  constexpr std::int64_t largest = 0x7fffffff;
  if (std::max({p.a.rows, p.a.columns, p.b.rows, p.b.columns, p.batch}) > largest) return {{nullptr, "a size is past 32 bits"}};
  if (!cublas().refusal.empty()) return {{nullptr, cublas().refusal}};
  const auto make = [&](const std::string& kernel, bool works = false) {
    auto product = std::make_unique<CublasProduct>(gpu, *types, result_types->data, p, after);
    if (!product->take(kernel, works)) product.reset();
    return product;
  };
  const auto make_tiles = [&](const std::string& name) {
    return make_tiles_call(gpu, tiles->member, dtype, tiles->geometry, after, name.substr(tiles_prefix.size())).call;
  };
  const auto bytes_of = [&](const Matrix& m, DType type) {
    return static_cast<std::size_t>(m.rows * m.columns + (p.batch - 1) * m.batch_stride) * size_of(type);
  };
  std::vector<std::size_t> operand_bytes{bytes_of(p.a, dtype), bytes_of(p.b, dtype)}, result_bytes{bytes_of(p.result, result_dtype)};
  if (after) after->add_bytes(p.result.rows * p.result.columns, p.result.columns, dtype, operand_bytes, result_bytes);
  const std::string problem = std::string("matmul") + (p.transpose_a ? ", left side transposed" : "") +
                              (p.transpose_b ? ", right side transposed" : "") + (p.a.batch_stride == 0 ? ", one left side" : "") +
                              (p.b.batch_stride == 0 ? ", one right side" : "") + ", " +
                              (options.tf32 && dtype == f32 ? "tf32" : std::string(name_of(dtype))) + " to " + std::string(name_of(result_dtype)) +
                              (after ? after->str() : "") + "\ncublaslt " + cublas().version + std::string(tiles ? tiles_version : "");
  Alternatives alternatives{problem,
                            {p.result.rows, p.result.columns, p.transpose_a ? p.a.rows : p.a.columns, p.batch},
                            [&] {
                              std::vector<std::string> names;
                              if (!after || (after->positive < 0 && after->base < 0))
                                names = CublasProduct(gpu, *types, result_types->data, p, after).kernels();
                              if (tiles)
                                for (const auto& name : tiles_names(gpu, tiles->member, dtype, tiles->geometry))
                                  names.push_back(std::string(tiles_prefix) + name);
                              return names;
                            },
                            [&](const std::string& kernel) -> std::unique_ptr<LibraryCall> {
                              if (kernel.starts_with(tiles_prefix)) return make_tiles(kernel);
                              auto product = make(kernel);
                              return product ? std::make_unique<MatmulCall>(std::move(product), after) : nullptr;
                            },
                            [&] {
                              if (tiles) tiles_names(gpu, tiles->member, dtype, tiles->geometry);
                            },
                            operand_bytes,
                            result_bytes};
  alternatives.believes_tried = true;
  const Choice choice = fastest(gpu, alternatives, options);
  if (choice.name.empty()) return {{nullptr, "cuBLASLt has no kernel for it"}};
  if (choice.name.starts_with(tiles_prefix)) return {{nullptr, {}, choice.seconds}, make_tiles(choice.name)};
  // The library finds out what its kernels are when it is first shown one: beside what is left to do before a run.
  static const auto starting = std::async(std::launch::async, [gpu = &gpu, types, result_types, p, name = choice.name] {
    try {
      CublasProduct(*gpu, *types, result_types->data, p, nullptr).take(name, false);
    } catch (const RunError&) {
      // The first run says so.
    }
  });
  return {{make(choice.name, choice.was_tried), {}, choice.seconds}};
}

}  // namespace

const std::string& cublas_refusal() { return cublas().refusal; }
const std::string& cublas_version() { return cublas().version; }

ProductChoice make_product(Gpu& gpu, DType dtype, DType result_dtype, const ProductShape& p, const LibraryOptions& options, const Finish* after) {
  return find_product(gpu, dtype, result_dtype, p, options, after, std::nullopt).by_library;
}

void load_cublas_ahead() {
  // The process doesn't end before it is loaded.
  static const auto loading = std::async(std::launch::async, [] { cublas(); });
}

LibraryChoice make_matmul_call(Gpu& gpu, const ir::Graph& graph, const ir::Node& node, const LibraryOptions& options, const Finish* after) {
  const TensorType& type = node.types[0];
  const Shape& y = type.shape;
  const auto a = side_of(graph.type(node.operands[0]).shape, y), b = side_of(graph.type(node.operands[1]).shape, y);
  if (!a || !b) return {nullptr, "the batch dimensions of an operand are neither all of the result's nor all 1"};
  ProductShape p{*a, *b, {y[y.rank() - 2], y[y.rank() - 1]}, node.attributes.flag("transpose_a"), node.attributes.flag("transpose_b")};
  if (y.element_count() * (p.transpose_a ? a->rows : a->columns) < least_multiplications)
    return {nullptr, "a product this small takes a generated kernel no longer"};
  if (p.result.rows == 1 || p.result.columns == 1) return {nullptr, "a matrix times a vector is a reduction"};
  p.batch = y.element_count() / (p.result.rows * p.result.columns);
  if (p.batch > 1 && b->batch_stride == 0 && !p.transpose_a) {
    // The same right side for all: the batch is more rows.
    p.a = {p.a.rows * p.batch, p.a.columns};
    p.result.rows *= p.batch;
    p.batch = 1;
  }
  if (p.batch > 1) p.result.batch_stride = p.result.rows * p.result.columns;
  auto [choice, tiles] = find_product(gpu, type.dtype, type.dtype, p, options, after, by_tiles(p, options));
  if (tiles) return {std::move(tiles), {}, choice.seconds};
  if (!choice.product) return {nullptr, choice.refusal};
  return {std::make_unique<MatmulCall>(std::move(choice.product), after), {}, choice.seconds};
}

}  // namespace weft::cuda
