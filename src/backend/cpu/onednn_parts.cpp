// Results in parts: oneDNN's kernels for one thread, which our threads run side by side.
#include "backend/cpu/onednn.h"

#include "graph/primitive.h"

#include <weft/error.h>

#include <omp.h>

#include <algorithm>

namespace weft::cpu::onednn {
namespace {

/// Memory that begins at a multiple of 64 bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t bytes = 0) : memory_(bytes + 64) {}
  std::byte* begin() { return memory_.data() + (-reinterpret_cast<std::uintptr_t>(memory_.data()) & 63); }

 private:
  std::vector<std::byte> memory_;
};

constexpr std::size_t bytes_to_share = 1 << 18;

class PartedCall final : public LibraryCall {
 public:
  explicit PartedCall(const Parting& parting) : pieces_(parting.pieces), element_bytes_(parting.element_bytes) {
    for (const auto& piece : pieces_) parts_.push_back(piece.part);
    name_ = parting.kinds[0].impl_info_str();
    const ForOneThread one;
    for (const auto& chosen : parting.kinds) {
      auto argument = [&](int id) { return Execution::Argument{id, chosen.query_md(dnnl::query::exec_arg_md, id)}; };
      const Memory scratchpad = chosen.query_md(dnnl::query::scratchpad_md);
      kinds_.emplace_back(dnnl::primitive(chosen.get()),
                          std::vector{argument(parting.data_argument), argument(parting.weights_argument), argument(parting.result_argument),
                                      Execution::Argument{DNNL_ARG_SCRATCHPAD, scratchpad}});
      if (kinds_.size() == 1) weights_ = argument(parting.weights_argument).memory;
      part_bytes_ = std::max(part_bytes_, aligned(scratchpad.get_size()));
    }
  }

  void pack(const Memory& from, const void* constant) {
    if (from == weights_) return;
    {
      // Of few bytes, a copy by one thread is over before others wake.
      std::optional<ForOneThread> one;
      if (weights_.get_size() < bytes_to_share) one.emplace();
      copy_.emplace(from, weights_);
    }
    copy_bytes_ = aligned(copy_->scratch_bytes());
    if (!constant) return;
    constant_.emplace(weights_.get_size());
    copy_->run(constant, constant_->begin(), AlignedBytes(copy_bytes_).begin());
    packed_ = constant_->begin();
  }

  void run(std::span<const void* const> operands, std::span<void* const>, void* scratch) override {
    auto* const base = static_cast<std::byte*>(scratch);
    try {
      if (copy_ && !packed_) copy_->run(operands[1], base + copy_bytes_, base);
    } catch (const dnnl::error& e) { fail(e); }
  }
  std::size_t scratch_bytes() const override { return copy_ && !packed_ ? copy_bytes_ + aligned(weights_.get_size()) : 0; }

  std::span<const Part> parts() const override { return parts_; }

  void run_part(std::size_t part, std::span<const void* const> operands, void* result, const void* shared, void* scratch) const override {
    const auto& piece = pieces_[part];
    auto from = [&](const void* base, std::int64_t elements) {
      return static_cast<const std::byte*>(base) + elements * static_cast<std::int64_t>(element_bytes_);
    };
    const void* weights = packed_ ? packed_ : copy_ ? static_cast<const std::byte*>(shared) + copy_bytes_ : from(operands[1], piece.weights);
    try {
      const std::array<const void*, 4> addresses{from(operands[0], piece.data), weights, from(result, piece.result), scratch};
      kinds_[piece.kind].run(addresses);
    } catch (const dnnl::error& e) { fail(e); }
  }
  std::size_t part_scratch_bytes() const override { return part_bytes_; }

  std::string describe() const override {
    std::string text = "onednn " + name_ + ", " + std::to_string(parts_.size()) + (parts_.size() == 1 ? " part" : " parts");
    if (copy_) text += packed_ ? ", weights packed once" : ", weights packed";
    return text;
  }

 private:
  [[noreturn]] void fail(const dnnl::error& e) const { throw InternalError("onednn " + name_ + ": " + e.what()); }

  std::vector<Parting::Piece> pieces_;
  std::size_t element_bytes_;
  std::vector<Part> parts_;
  std::string name_;
  std::vector<Execution> kinds_;
  Memory weights_;  ///< as the primitives want them
  std::size_t part_bytes_ = 0, copy_bytes_ = 0;
  std::optional<LayoutCopy> copy_;  ///< from the caller's weights to what the primitives want
  std::optional<AlignedBytes> constant_;
  const std::byte* packed_ = nullptr;  ///< constant weights as the primitives want them
};

}  // namespace

ForOneThread::ForOneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
ForOneThread::~ForOneThread() { omp_set_num_threads(threads_); }

std::unique_ptr<LibraryCall> make_parted_call(const Parting& parting, const ir::Graph& graph, ir::Value weights) {
  auto call = std::make_unique<PartedCall>(parting);
  if (!parting.shared_weights) return call;
  for (const auto& kind : parting.kinds)
    if (kind.query_md(dnnl::query::exec_arg_md, parting.weights_argument) !=
        parting.kinds[0].query_md(dnnl::query::exec_arg_md, parting.weights_argument))
      return nullptr;
  const ir::Node& producer = graph[weights.node];
  if (producer.op->name == "constant") call->pack(*parting.shared_weights, producer.attributes.literal("value").array().data());
  else call->pack(*parting.shared_weights, nullptr);
  return call;
}

}  // namespace weft::cpu::onednn
