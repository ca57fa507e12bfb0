#include "backend/cpu/onednn.h"

#include "graph/primitive.h"

#include <weft/error.h>

#include <omp.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace weft::cpu {
namespace onednn {

dnnl::primitive_attr strict_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);
  return attributes;
}

Execution::Execution(dnnl::primitive primitive, std::vector<Argument> arguments)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)) {
  if (arguments_.size() > most_arguments) throw InternalError("onednn: a primitive takes too many arguments");
}

std::unique_ptr<Execution::Prepared> Execution::prepare() const {
  auto prepared = std::make_unique<Prepared>();
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    prepared->memories[i] = dnnl::memory(arguments_[i].memory, engine(), nullptr);
    prepared->arguments[i] = {arguments_[i].id, prepared->memories[i].get()};
  }
  return prepared;
}

std::unique_ptr<Execution::Prepared> Execution::take() const {
  const std::lock_guard lock(pool_->mutex);
  // One for each thread of the run, so that a later one needs no more however they happen to meet.
  if (pool_->free.empty())
    for (int i = 0; i < std::max(omp_get_max_threads(), 1); ++i) pool_->free.push_back(prepare());
  auto prepared = std::move(pool_->free.back());
  pool_->free.pop_back();
  return prepared;
}

void Execution::run(std::span<const void* const> addresses) const {
  auto prepared = take();
  // oneDNN takes addresses of inputs as of outputs, and doesn't write to inputs.
  for (std::size_t i = 0; i < arguments_.size(); ++i) prepared->memories[i].set_data_handle(const_cast<void*>(addresses[i]));
  static thread_local const dnnl::stream stream(engine());
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream.get(), static_cast<int>(arguments_.size()), prepared->arguments.data()),
                          "could not execute a primitive");
  const std::lock_guard lock(pool_->mutex);
  pool_->free.push_back(std::move(prepared));
}

LayoutCopy::LayoutCopy(const Memory& from, const Memory& to, const dnnl::reorder::primitive_desc& chosen)
    : copy_(dnnl::reorder(chosen), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, chosen.query_md(dnnl::query::scratchpad_md)}}),
      scratch_bytes_(chosen.query_md(dnnl::query::scratchpad_md).get_size()) {}

void LayoutCopy::run(const void* source, const void* destination, void* scratch) const {
  const std::array<const void*, 3> addresses{source, destination, scratch};
  copy_.run(addresses);
}

namespace {

constexpr bool may_be_empty = true;

#if DNNL_VERSION_MAJOR >= 3
template <class P, class... Description> auto choose(const Description&... description) {
  return typename P::primitive_desc(engine(), description..., strict_attributes(), may_be_empty);
}
template <class P, class Forward, class... Description> auto choose_gradient(const Forward& forward, const Description&... description) {
  return typename P::primitive_desc(engine(), description..., forward, strict_attributes(), may_be_empty);
}
#else
template <class P, class... Description> auto choose(const Description&... description) {
  return typename P::primitive_desc(typename P::desc(description...), strict_attributes(), engine(), may_be_empty);
}
template <class P, class Forward, class... Description> auto choose_gradient(const Forward& forward, const Description&... description) {
  return typename P::primitive_desc(typename P::desc(description...), strict_attributes(), engine(), forward, may_be_empty);
}
#endif

class Call final : public LibraryCall {
 public:
  Call(const Chosen& chosen, const std::vector<Port>& ports)
      : execution_(dnnl::primitive(chosen.get()), arguments_of(chosen, ports)), name_(chosen.impl_info_str()) {
    std::size_t shared = chosen.query_md(dnnl::query::scratchpad_md).get_size();
    for (const auto& port : ports) {
      Memory wanted = chosen.query_md(dnnl::query::exec_arg_md, port.argument);
      Side side{port, wanted, {}, 0};
      if (wanted != port.memory) {
        side.copy.emplace(port.is_result ? wanted : port.memory, port.is_result ? port.memory : wanted);
        shared = std::max(shared, side.copy->scratch_bytes());
      }
      sides_.push_back(std::move(side));
    }
    bytes_ = aligned(shared);
    for (auto& side : sides_)
      if (side.copy) {
        side.offset = bytes_;
        bytes_ += aligned(side.wanted.get_size());
        ++copies_;
      }
  }

  void run(std::span<const void* const> operands, std::span<void* const> results, void* scratch) override {
    auto* const base = static_cast<std::byte*>(scratch);
    auto caller = [&](const Side& s) { return s.port.is_result ? static_cast<const void*>(results[s.port.index]) : operands[s.port.index]; };
    try {
      std::array<const void*, Execution::most_arguments> addresses{};
      for (std::size_t i = 0; i < sides_.size(); ++i) {
        const Side& side = sides_[i];
        if (side.copy && !side.port.is_result) side.copy->run(caller(side), base + side.offset, base);
        addresses[i] = side.copy ? base + side.offset : caller(side);
      }
      addresses[sides_.size()] = base;
      execution_.run(addresses);
      for (const auto& side : sides_)
        if (side.copy && side.port.is_result) side.copy->run(base + side.offset, caller(side), base);
    } catch (const dnnl::error& e) { throw InternalError("onednn " + name_ + ": " + e.what()); }
  }

  std::size_t scratch_bytes() const override { return bytes_; }

  std::string describe() const override {
    std::string text = "onednn " + name_;
    if (copies_ > 0) text += ", " + std::to_string(copies_) + (copies_ == 1 ? " layout copied" : " layouts copied");
    return text;
  }

 private:
  struct Side {
    Port port;
    Memory wanted;
    std::optional<LayoutCopy> copy;  ///< between the caller's layout and `wanted`, where they differ
    std::size_t offset;              ///< of the copy in the scratch memory
  };

  /// The ports', then the scratch memory.
  static std::vector<Execution::Argument> arguments_of(const Chosen& chosen, const std::vector<Port>& ports) {
    std::vector<Execution::Argument> list;
    for (const auto& port : ports) list.push_back({port.argument, chosen.query_md(dnnl::query::exec_arg_md, port.argument)});
    list.push_back({DNNL_ARG_SCRATCHPAD, chosen.query_md(dnnl::query::scratchpad_md)});
    return list;
  }

  Execution execution_;
  std::string name_;
  std::vector<Side> sides_;
  std::size_t bytes_ = 0;
  int copies_ = 0;
};

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

std::optional<dnnl::memory::data_type> fast_type(DType type) {
  if (type == f32) return dnnl::memory::data_type::f32;
  // The values of cpu_isa are sets of features.
  const auto has = static_cast<unsigned>(dnnl::get_effective_cpu_isa()), needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  if (type == bf16 && (has & needed) == needed) return dnnl::memory::data_type::bf16;
  return {};
}

Memory dense(const Sizes& sizes, dnnl::memory::data_type type, const std::vector<int>& outermost_first) {
  Sizes strides(sizes.size());
  std::int64_t stride = 1;
  for (auto d = outermost_first.rbegin(); d != outermost_first.rend(); ++d) {
    strides[static_cast<std::size_t>(*d)] = stride;
    stride *= sizes[static_cast<std::size_t>(*d)];
  }
  return {sizes, type, strides};
}

Chosen choose_matmul(const Memory& a, const Memory& b, const Memory& result) { return choose<dnnl::matmul>(a, b, result); }

Chosen choose_convolution(const Convolution& c) {
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  auto forward =
      choose<dnnl::convolution_forward>(dnnl::prop_kind::forward_training, direct, c.data, c.weights, c.result, c.strides, c.gaps, c.low, c.high);
  if (c.member == Member::forward || !forward) return forward;
  if (c.member == Member::data_gradient)
    return choose_gradient<dnnl::convolution_backward_data>(forward, direct, c.data, c.weights, c.result, c.strides, c.gaps, c.low, c.high);
  return choose_gradient<dnnl::convolution_backward_weights>(forward, direct, c.data, c.weights, c.result, c.strides, c.gaps, c.low, c.high);
}

bool is_reference(const Chosen& chosen) { return std::string_view(chosen.impl_info_str()).find("ref") != std::string_view::npos; }

bool is_window_copying(const Chosen& chosen) {
  const std::string_view name = chosen.impl_info_str();
  return name.starts_with("gemm:") || name.find(":gemm:") != std::string_view::npos;
}

std::unique_ptr<LibraryCall> make_call(const Chosen& chosen, const std::vector<Port>& ports) { return std::make_unique<Call>(chosen, ports); }

}  // namespace onednn

LibraryChoice make_onednn_call(const ir::Graph& graph, const ir::Node& node) {
  auto refuse = [](std::string why) { return LibraryChoice{nullptr, "onednn: " + std::move(why)}; };
  for (const auto& operand : node.operands)
    if (graph.type(operand).shape.element_count() == 0) return refuse("an operand has no elements");
  for (const auto& type : node.types) {
    if (type.shape.element_count() == 0) return refuse("the result has no elements");
    if (!onednn::fast_type(type.dtype)) return refuse("no fast kernels for " + std::string(name_of(type.dtype)) + " on this machine");
  }
  try {
    LibraryChoice choice;
    if (node.op->name == "matmul") choice = onednn::make_matmul(graph, node);
    else if (node.op->name == "conv") choice = onednn::make_convolution(graph, node, onednn::Member::forward);
    else if (node.op->name == "conv_data_gradient") choice = onednn::make_convolution(graph, node, onednn::Member::data_gradient);
    else if (node.op->name == "conv_weights_gradient") choice = onednn::make_convolution(graph, node, onednn::Member::weights_gradient);
    else choice.refusal = "not used for " + std::string(node.op->name);
    return choice.call ? std::move(choice) : refuse(std::move(choice.refusal));
  } catch (const dnnl::error& e) { return refuse(e.what()); }
}

}  // namespace weft::cpu
