// The only header that brings in oneDNN's. Versions 2.6 and later describe a primitive by an operation descriptor, from
// which a primitive descriptor is made; version 3 makes primitive descriptors from the same arguments directly.
#pragma once

#include "backend/cpu/library_call.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft::cpu::onednn {

using Sizes = dnnl::memory::dims;
using Memory = dnnl::memory::desc;
/// An operation with its kernel chosen; false when the library has none.
using Chosen = dnnl::primitive_desc_base;

/// The CPU, shared by the whole process.
const dnnl::engine& engine();

/// oneDNN's name of an element type that its kernels compute fast on this machine.
std::optional<dnnl::memory::data_type> fast_type(DType type);

/// Elements side by side whose dimensions, given in oneDNN's order, lie in memory in the order `outermost_first`.
Memory dense(const Sizes& sizes, dnnl::memory::data_type type, const std::vector<int>& outermost_first);
/// A layout of the library's choice.
inline Memory any_layout(const Sizes& sizes, dnnl::memory::data_type type) { return {sizes, type, dnnl::memory::format_tag::any}; }

/// a b, over all leading dimensions. Errors are dnnl::error.
Chosen choose_matmul(const Memory& a, const Memory& b, const Memory& result);

enum class Member : std::uint8_t { forward, data_gradient, weights_gradient };

/// A convolution and its derivatives: `result` is the convolution's, whichever of the three is computed.
struct Convolution {
  Member member;
  Memory data, weights, result;
  Sizes strides, gaps, low, high;  ///< gaps: dilations less one
};
Chosen choose_convolution(const Convolution& c);

/// Where a primitive's argument lies in the caller's buffers, and how.
struct Port {
  int argument;
  bool is_result;
  std::size_t index;  ///< among the node's operands or results
  Memory memory;
};

/// True f32 whatever the environment says, and no memory allocated while running.
dnnl::primitive_attr strict_attributes();

/// Sizes of blocks of scratch memory are multiples of this.
inline std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// A primitive and how its arguments lie. What a run needs besides their addresses is made once and kept for later runs.
class Execution {
 public:
  struct Argument {
    int id;
    Memory memory;
  };
  static constexpr std::size_t most_arguments = 4;

  Execution(dnnl::primitive primitive, std::vector<Argument> arguments);
  /// Addresses in the order of the arguments. May be called from several threads at once. Throws dnnl::error.
  void run(std::span<const void* const> addresses) const;

 private:
  /// Memory objects of one run at a time.
  struct Prepared {
    std::array<dnnl::memory, most_arguments> memories;
    std::array<dnnl_exec_arg_t, most_arguments> arguments{};
  };
  struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<Prepared>> free;
  };
  std::unique_ptr<Prepared> prepare() const;
  std::unique_ptr<Prepared> take() const;

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  std::unique_ptr<Pool> pool_ = std::make_unique<Pool>();
};

/// Copies between two layouts.
class LayoutCopy {
 public:
  LayoutCopy(const Memory& from, const Memory& to) : LayoutCopy(from, to, {engine(), from, engine(), to, strict_attributes()}) {}
  void run(const void* source, const void* destination, void* scratch) const;
  std::size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  LayoutCopy(const Memory& from, const Memory& to, const dnnl::reorder::primitive_desc& chosen);

  Execution copy_;
  std::size_t scratch_bytes_;
};

/// Whether oneDNN chose a loop without any blocking, which is no faster than a naive one.
bool is_reference(const Chosen& chosen);
/// Whether it chose to copy windows into a matrix and multiply.
bool is_window_copying(const Chosen& chosen);

/// A call of `chosen` that copies what it wants laid out otherwise than the ports say. It divides the work among as many threads
/// as OpenMP has now, so it must not run where there are fewer: inside a parallel region.
std::unique_ptr<LibraryCall> make_call(const Chosen& chosen, const std::vector<Port>& ports);

/// A result in parts. Each is computed by one of a few primitives, made for one thread, on parts of the node's two operands.
struct Parting {
  struct Piece {
    std::size_t kind;                    ///< the primitive
    std::int64_t data, weights, result;  ///< where its arguments begin, in elements
    Part part;
  };
  int data_argument, weights_argument, result_argument;
  std::size_t element_bytes;
  std::vector<Chosen> kinds = {};
  std::vector<Piece> pieces = {};
  /// How the second operand lies where all pieces need all of it: it is laid out as the primitives want before they run.
  std::optional<Memory> shared_weights = {};
};

/// While it lives, primitives made by this thread are for one thread: to run inside a parallel region.
class ForOneThread {
 public:
  ForOneThread();
  ~ForOneThread();
  ForOneThread(const ForOneThread&) = delete;
  ForOneThread& operator=(const ForOneThread&) = delete;

 private:
  int threads_;
};

/// Null when the primitives don't agree on how shared weights should lie. Constant ones are copied here, others in every run.
std::unique_ptr<LibraryCall> make_parted_call(const Parting& parting, const ir::Graph& graph, ir::Value weights);

LibraryChoice make_matmul(const ir::Graph& graph, const ir::Node& node);
LibraryChoice make_convolution(const ir::Graph& graph, const ir::Node& node, Member member);

}  // namespace weft::cpu::onednn
