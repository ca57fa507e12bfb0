// Convolutions as matrix products of windows.
#include "backend/cuda/convolution.h"
#include "backend/cuda/cublas.h"

#include <algorithm>
#include <string_view>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;
using Geometry = ConvolutionGeometry;
using Sizes = Geometry::Sizes;

// Kernels ---------------------------------------------------------------------------------------------------------------

/// Sizes are in the source, so that divisions by them are multiplications; the number of images is not.
constexpr const char* unfold_source = R"(
// A row of the matrix for each place of the result: the elements of its window, zero where it lies outside.
extern "C" __global__ void unfold_windows(const Unit* data, Unit* rows, Index count) {
  const Index t = Index(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= count) return;
  Index rest = t;
  const Index channel = rest % channels; rest /= channels;
  const Index w2 = rest % window2; rest /= window2;
  const Index w1 = rest % window1; rest /= window1;
  const Index w0 = rest % window0; rest /= window0;
  const Index o2 = rest % out2; rest /= out2;
  const Index o1 = rest % out1; rest /= out1;
  const Index o0 = rest % out0, image = rest / out0;
  const long long i0 = (long long)(o0 * stride0 + w0 * dilation0) - low0;
  const long long i1 = (long long)(o1 * stride1 + w1 * dilation1) - low1;
  const long long i2 = (long long)(o2 * stride2 + w2 * dilation2) - low2;
  const bool inside = i0 >= 0 && i0 < in0 && i1 >= 0 && i1 < in1 && i2 >= 0 && i2 < in2;
  Unit value = {};
  if (inside) value = data[(((image * in0 + Index(i0)) * in1 + Index(i1)) * in2 + Index(i2)) * channels + channel];
  rows[t] = value;
}
)";

constexpr const char* fold_source = R"(
// An element of the data for each thread: the sum of the rows' elements that its windows have for it, in the windows' order.
extern "C" __global__ void fold_windows(const Sum* rows, Element* data, Index count) {
  const Index t = Index(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= count) return;
  Index rest = t;
  const Index channel = rest % channels; rest /= channels;
  const int i2 = rest % in2; rest /= in2;
  const int i1 = rest % in1; rest /= in1;
  const int i0 = rest % in0;
  const Index image = rest / in0;
  Sum sum = 0;
  for (int w0 = 0; w0 < window0; ++w0) {
    const int at0 = i0 + low0 - w0 * dilation0;
    if (at0 < 0 || at0 % stride0 != 0 || at0 / stride0 >= out0) continue;
    for (int w1 = 0; w1 < window1; ++w1) {
      const int at1 = i1 + low1 - w1 * dilation1;
      if (at1 < 0 || at1 % stride1 != 0 || at1 / stride1 >= out1) continue;
      for (int w2 = 0; w2 < window2; ++w2) {
        const int at2 = i2 + low2 - w2 * dilation2;
        if (at2 < 0 || at2 % stride2 != 0 || at2 / stride2 >= out2) continue;
        const Index row = ((image * out0 + at0 / stride0) * out1 + at1 / stride1) * out2 + at2 / stride2;
        sum += rows[(((row * window0 + w0) * window1 + w1) * window2 + w2) * channels + channel];
      }
    }
  }
  data[t] = to_element(sum);
}
)";

/// The sizes as constants. `channels` counts what a thread moves.
std::string constants_of(const Geometry& g, std::int64_t channels, bool is_wide) {
  const char* index = is_wide ? "unsigned long long" : "unsigned";
  std::string text = std::string("typedef ") + index + " Index;\nconstexpr Index channels = " + std::to_string(channels) + ";\n";
  auto add = [&](const char* name, const Sizes& sizes) {
    for (std::size_t d = 0; d < 3; ++d) text += std::string("constexpr int ") + name + std::to_string(d) + " = " + std::to_string(sizes[d]) + ";\n";
  };
  add("in", g.in);
  add("out", g.out);
  add("window", g.window);
  add("stride", g.strides);
  add("dilation", g.dilations);
  add("low", g.low);
  return text;
}

/// The type in which folded rows are, and the element that a sum becomes, rounded to nearest even.
std::string_view element_source(DType dtype) {
  if (dtype == f64) return "typedef double Sum;\ntypedef double Element;\n__device__ Element to_element(Sum s) { return s; }\n";
  if (dtype == f32) return "typedef float Sum;\ntypedef float Element;\n__device__ Element to_element(Sum s) { return s; }\n";
  if (dtype == f16)
    return "typedef float Sum;\ntypedef unsigned short Element;\n"
           "__device__ Element to_element(Sum s) { Element e; asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(e) : \"f\"(s)); return e; }\n";
  return "typedef float Sum;\ntypedef unsigned short Element;\n"
         "__device__ Element to_element(Sum s) { Element e; asm(\"cvt.rn.bf16.f32 %0, %1;\" : \"=h\"(e) : \"f\"(s)); return e; }\n";
}

constexpr unsigned threads = 256;

void launch(CUfunction function, CUstream stream, const void* from, void* to, std::int64_t count, bool is_wide) {
  auto narrow = static_cast<unsigned>(count);
  auto wide = static_cast<unsigned long long>(count);
  void* parameters[] = {&from, &to, is_wide ? static_cast<void*>(&wide) : &narrow};
  check(
      driver().cuLaunchKernel(function, static_cast<unsigned>((count + threads - 1) / threads), 1, 1, threads, 1, 1, 0, stream, parameters, nullptr),
      "moving windows");
}

std::byte* at(void* memory, std::int64_t bytes) { return static_cast<std::byte*>(memory) + bytes; }

/// Bytes of a matrix of windows, about: more images are taken one lot after the other.
constexpr std::int64_t matrix_bytes = std::int64_t{256} << 20;

class WindowsCall final : public LibraryCall {
 public:
  WindowsCall(Gpu& gpu, Member member, DType dtype, const Geometry& g, const LibraryOptions& options)
      : member_(member), g_(g), bytes_(static_cast<std::int64_t>(size_of(dtype))) {
    const DType rows_dtype = member == Member::data_gradient && (dtype == f16 || dtype == bf16) ? f32 : dtype;
    row_bytes_ = g_.columns() * static_cast<std::int64_t>(size_of(rows_dtype));
    const std::int64_t affordable = std::max<std::int64_t>(matrix_bytes / (g_.places() * row_bytes_), 1);
    lot_ = g_.is_plain() ? g_.images : std::min(affordable, g_.images);
    while (g_.images % lot_ != 0) --lot_;
    // Sums over lots would be rounded to the narrow type one by one.
    if (member == Member::weights_gradient && bytes_ == 2 && lot_ < g_.images) {
      refusal_ = "sums over lots of images would be rounded to " + std::string(name_of(dtype)) + " in between";
      return;
    }
    const Matrix rows{lot_ * g_.places(), g_.columns()}, weights{g_.columns(), g_.out_channels}, results{lot_ * g_.places(), g_.out_channels};
    const ProductShape shape = member == Member::forward         ? ProductShape{rows, weights, results}
                               : member == Member::data_gradient ? ProductShape{results, weights, rows, false, true}
                                                                 : ProductShape{rows, results, weights, true, false};
    auto choice = make_product(gpu, dtype, g_.is_plain() ? dtype : rows_dtype, shape, options);
    product_ = std::move(choice.product);
    refusal_ = std::move(choice.refusal);
    if (product_ && !g_.is_plain()) prepare_kernel(gpu, dtype);
  }

  const std::string& refusal() const { return refusal_; }

  std::size_t scratch_bytes() const override { return matrix_size() + product_->scratch_bytes(); }
  std::string describe() const override { return g_.is_plain() ? "cublaslt matmul" : "windows and cublaslt matmul"; }

  void enqueue(CUstream stream, std::span<void* const> operands, std::span<void* const> results, void* scratch) const override {
    void *matrix = scratch, *workspace = at(scratch, static_cast<std::int64_t>(matrix_size()));
    const std::int64_t data_bytes = lot_ * Geometry::product(g_.in) * g_.in_channels * bytes_,
                       result_bytes = lot_ * g_.places() * g_.out_channels * bytes_;
    for (std::int64_t lot = 0; lot < g_.images / lot_; ++lot) switch (member_) {
        case Member::forward:
          product_->enqueue(stream, unfolded(stream, at(operands[0], lot * data_bytes), matrix), operands[1], at(results[0], lot * result_bytes),
                            workspace);
          break;
        case Member::weights_gradient:
          product_->enqueue(stream, unfolded(stream, at(operands[0], lot * data_bytes), matrix), at(operands[1], lot * result_bytes), results[0],
                            workspace, lot > 0);
          break;
        case Member::data_gradient:
          std::byte* data = at(results[0], lot * data_bytes);
          product_->enqueue(stream, at(operands[0], lot * result_bytes), operands[1], g_.is_plain() ? data : matrix, workspace);
          if (!g_.is_plain()) launch(kernel_, stream, matrix, data, count_, is_wide_);
      }
  }

 private:
  /// A multiple of what the library wants its memory aligned to.
  std::size_t matrix_size() const { return g_.is_plain() ? 0 : static_cast<std::size_t>((lot_ * g_.places() * row_bytes_ + 255) / 256 * 256); }

  void prepare_kernel(Gpu& gpu, DType dtype) {
    std::string text;
    const char* entry = "fold_windows";
    if (member_ == Member::data_gradient) {
      count_ = lot_ * Geometry::product(g_.in) * g_.in_channels;
      is_wide_ = std::max(count_, lot_ * g_.places() * g_.columns()) > 0x7fffffff;
      text = constants_of(g_, g_.in_channels, is_wide_) + std::string(element_source(dtype)) + fold_source;
    } else {
      entry = "unfold_windows";
      std::int64_t unit = 16;
      while (g_.in_channels * bytes_ % unit != 0) unit /= 2;
      const char* type = unit == 16 ? "uint4" : unit == 8 ? "uint2" : unit == 4 ? "unsigned" : "unsigned short";
      const std::int64_t channels = g_.in_channels * bytes_ / unit;
      count_ = lot_ * g_.places() * Geometry::product(g_.window) * channels;
      is_wide_ = std::max(count_, lot_ * Geometry::product(g_.in) * channels) > 0x7fffffff;
      text = constants_of(g_, channels, is_wide_) + "typedef " + type + " Unit;\n" + unfold_source;
    }
    const Gpu::Source sources[] = {{text, entry}};
    kernel_ = gpu.load(sources)[0].handle;
  }

  const void* unfolded(CUstream stream, const void* data, void* matrix) const {
    if (g_.is_plain()) return data;
    launch(kernel_, stream, data, matrix, count_, is_wide_);
    return matrix;
  }

  Member member_;
  Geometry g_;
  std::int64_t bytes_;          ///< of an element
  std::int64_t row_bytes_ = 0;  ///< of the matrix
  std::int64_t lot_ = 1;        ///< images at a time
  std::unique_ptr<Product> product_;
  CUfunction kernel_ = nullptr;
  std::int64_t count_ = 0;  ///< of the kernel's threads
  bool is_wide_ = false;
  std::string refusal_;
};

}  // namespace

LibraryChoice make_windows_call(Gpu& gpu, ConvolutionMember member, DType dtype, const ConvolutionGeometry& g, const LibraryOptions& options) {
  if (g.groups != 1) return {nullptr, "channels are in groups"};
  auto call = std::make_unique<WindowsCall>(gpu, member, dtype, g, options);
  if (!call->refusal().empty()) return {nullptr, call->refusal()};
  return {std::move(call), {}};
}

}  // namespace weft::cuda
