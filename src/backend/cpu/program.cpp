// A program on the CPU: generated kernels and library calls in order, over one arena.
#include "backend/cpu/copy.h"
#include "backend/cpu/launch.h"
#include "backend/cpu/library_call.h"
#include "backend/cpu/parted.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/walk.h"
#include "compile/backend.h"
#include "plan/address_table.h"
#include "runtime/memory.h"
#include "stitch/epilogue.h"

#include <weft/error.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace weft::cpu {
namespace {

using plan::Copy;
using plan::Place;
using plan::Placement;
using plan::StepMemory;

std::shared_ptr<std::byte> allocate_arena(std::int64_t bytes) {
  auto memory = runtime::allocate(static_cast<std::size_t>(bytes), runtime::Fill::none);
  if (!memory) throw RunError("out of memory: a run needs " + std::to_string(bytes) + " bytes for intermediate values");
  return memory;
}

/// Operations that code written by hand computes.
constexpr struct {
  std::string_view operation;
  std::unique_ptr<LibraryCall> (*make)(const ir::Graph&, const ir::Node&);
} own_calls[] = {{"sort", make_sort_call}, {"arg_sort", make_sort_call}, {"top_k", make_sort_call}, {"distance_transform", make_distance_call}};

struct LibraryInvocation {
  std::unique_ptr<LibraryCall> call;
  const Schedule::LibraryStep* step = nullptr;
  /// How the parts of the result are computed, if it has any.
  std::optional<PartedRun> parted = {};
  std::optional<Epilogue> epilogue = {};
  std::vector<const kernel::Term*> checks = {};
  plan::AddressTable::Range operands = {}, results = {}, buffers = {};  ///< `buffers` are the epilogue's
  std::size_t scratch = 0;

  bool has_results() const { return !parted || !parted->holds_parts(); }
};

/// What starts at once: kernels first, first + 1, ... or one library call.
struct Launch {
  bool is_library = false;
  std::size_t first = 0, count = 1;
};

/// Memory of one run at a time, and the addresses that kernels and library calls take from it.
struct CpuContext : CompiledProgram::Context {
  std::shared_ptr<std::byte> arena;
  plan::AddressTable::Addresses addresses;
  std::vector<IndexFault> faults;
  std::uint64_t run_index = 0;
};

class CpuProgram : public CompiledProgram {
 public:
  CpuProgram(const Program& program, const RunOptions& options) : program_(program) {
    std::map<ir::NodeId, LibraryChoice> library;
    const StitchRules rules = stitch_rules(options);
    schedule_ = lower(program_, rules, [&](ir::NodeId id) {
      const auto name = program_.graph[id].op->name;
      for (const auto& own : own_calls)
        if (own.operation == name) {
          library[id].call = own.make(program_.graph, program_.graph[id]);
          return true;
        }
      if (name != "matmul" && name != "conv" && name != "conv_data_gradient" && name != "conv_weights_gradient") return false;
      auto& choice = library[id];
      choice.refusal = faster_generated(program_.graph, program_.graph[id]);
      if (choice.refusal.empty()) choice = make_onednn_call(program_.graph, program_.graph[id]);
      if (!choice.call) refusals_.push_back({id, -1, "is not left to oneDNN: " + choice.refusal});
      return choice.call != nullptr;
    });
    if (rules.epilogues)
      attach_epilogues(program_, schedule_,
                       [&](ir::NodeId id, kernel::Kernel& k, bool) { return Epilogue::fit(k, library[id].call->parts(), columns_of(id)); });
    if (options.stitch) choose_streams(program_, schedule_);
    choose_walks(schedule_);
    std::vector<StepMemory> memory(schedule_.steps.size());
    for (std::size_t s = 0; s < memory.size(); ++s)
      if (const auto* step = std::get_if<Schedule::LibraryStep>(&schedule_.steps[s])) {
        const auto& call = library_calls_.emplace_back(invocation(*step, std::move(library[step->node].call)));
        memory[s] = {call.parted ? call.parted->scratch_bytes() : call.call->scratch_bytes(), call.has_results()};
      }
    placement_ = plan::place_values(program_, schedule_, memory);
    prepare_launches();
  }

  bool is_in_place(std::size_t update) const override { return placement_.is_in_place[update]; }

  std::unique_ptr<Context> make_context() const override {
    auto context = std::make_unique<CpuContext>();
    context->arena = allocate_arena(placement_.arena_bytes);
    context->faults.resize(kernel_calls_.size());
    context->addresses = table_.addresses([&](Place p) { return own_address(p, *context); });
    return context;
  }

  void run(Context& given_context, const RunArrays& arrays) const override {
    auto& context = static_cast<CpuContext&>(given_context);
    context.run_index = arrays.run_index;
    table_.update(context.addresses, [&](Place p) { return address(p, context, arrays); });
    copy(placement_.first_copies, context, arrays);
    if (arrays.step_seconds) return run_timed(context, arrays);
    for (const auto& l : launches_) {
      if (l.is_library) {
        run(library_calls_[l.first], context.addresses.table.data());
      } else {
        IndexFault* faults = context.faults.data() + l.first;
        launch({kernel_calls_.data() + l.first, l.count}, context.addresses.table.data(), faults);
        for (std::size_t i = 0; i < l.count; ++i)
          if (faults[i].term >= 0) {
            const IndexFault fault = faults[i];
            std::fill_n(faults, l.count, IndexFault{});
            fail(kernel_calls_[l.first + i].checks, fault);
          }
      }
    }
    copy(placement_.last_copies, context, arrays);
  }

  void describe(CompileStatistics& s) const override {
    s.kernels = static_cast<int>(kernel_calls_.size());
    s.library_calls = static_cast<int>(library_calls_.size());
    s.kernels_compiled = 0;
    for (const auto& call : kernel_calls_) s.kernels_compiled += call.code.was_compiled;
    for (const auto& call : library_calls_) s.kernels_compiled += call.epilogue && call.epilogue->was_compiled();
    plan::describe(program_, schedule_, placement_, s);
  }

  std::string dump() const override {
    std::string text = "== kernels\n";
    for (const auto& l : launches_) {
      if (l.count > 1) text += std::to_string(l.count) + " kernels start together:\n";
      for (std::size_t i = l.first; i < l.first + l.count; ++i)
        if (!l.is_library) text += kernel::print(*kernel_calls_[i].kernel, [&](ir::Value v) { return type_of(v); });
      if (l.is_library) {
        const auto& call = library_calls_[l.first];
        text += "library " + describe(call.step->node) + ": " + call.call->describe() + "\n";
        if (call.step->epilogue) text += "with " + kernel::print(*call.step->epilogue, [&](ir::Value v) { return type_of(v); });
      }
    }
    return text + plan::print(program_, placement_, explain());
  }

  Explanation explain() const override {
    std::map<ir::NodeId, std::string> kernels;
    for (const auto& call : library_calls_) kernels[call.step->node] = call.call->describe();
    return plan::explain(
        program_, schedule_, placement_, [&](ir::NodeId id) { return kernels.at(id); }, refusals_);
  }

  std::vector<Listing> listings() const override {
    std::vector<const kernel::Kernel*> kernels;
    for (const auto& call : kernel_calls_) kernels.push_back(call.kernel);
    for (const auto& call : library_calls_)
      if (call.step->epilogue) kernels.push_back(&*call.step->epilogue);
    return kernel_listings(kernels);
  }

 private:
  /// Every kernel by itself, those that would start together too.
  void run_timed(CpuContext& context, const RunArrays& arrays) const {
    StepTimer timer(arrays.step_seconds);
    for (const auto& l : launches_)
      for (std::size_t i = l.first; i < l.first + l.count; ++i) {
        if (l.is_library) {
          run(library_calls_[i], context.addresses.table.data());
        } else {
          launch({&kernel_calls_[i], 1}, context.addresses.table.data(), &context.faults[i]);
          if (context.faults[i].term >= 0) fail(kernel_calls_[i].checks, std::exchange(context.faults[i], {}));
        }
        timer.lap();
      }
    copy(placement_.last_copies, context, arrays);
  }

  std::string describe(ir::NodeId id) const { return "%" + std::to_string(id) + " " + ir::describe(program_.graph[id]); }

  std::int64_t columns_of(ir::NodeId id) const {
    const Shape& shape = program_.graph[id].types[0].shape;
    return shape[shape.rank() - 1];
  }

  LibraryInvocation invocation(const Schedule::LibraryStep& step, std::unique_ptr<LibraryCall> call) const {
    LibraryInvocation made{std::move(call), &step};
    const auto parts = made.call->parts();
    if (parts.empty()) return made;
    const bool is_held = !step.keeps_result && PartedRun::are_whole_rows(parts, columns_of(step.node));
    made.parted.emplace(*made.call, step.epilogue ? step.epilogue->buffers.size() : 0, columns_of(step.node),
                        is_held ? std::optional(size_of(type_of({step.node, 0}).dtype)) : std::nullopt);
    return made;
  }

  TensorType type_of(ir::Value v) const { return schedule_.type_of(program_.graph, v); }

  void prepare_launches() {
    std::map<const Schedule::LibraryStep*, std::size_t> call_of;
    for (std::size_t i = 0; i < library_calls_.size(); ++i) call_of[library_calls_[i].step] = i;
    std::vector<const kernel::Kernel*> kernels;
    for (const auto& steps : placement_.launches) {
      Launch& l = launches_.emplace_back();
      l.count = steps.size();
      l.first = kernels.size();
      for (int s : steps) {
        const auto& step = schedule_.steps[static_cast<std::size_t>(s)];
        if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) {
          kernels.push_back(&k->kernel);
        } else {
          l.is_library = true;
          l.first = call_of.at(&std::get<Schedule::LibraryStep>(step));
          enter_call(library_calls_[l.first], placement_.scratch[static_cast<std::size_t>(s)]);
        }
      }
    }
    const std::size_t own = kernels.size();
    for (const auto& call : library_calls_)
      if (call.step->epilogue) kernels.push_back(&*call.step->epilogue);
    auto codes = compile_kernels(kernels);
    for (std::size_t i = 0; i < own; ++i) {
      KernelCall& call = kernel_calls_.emplace_back(make_kernel_call(*kernels[i], std::move(codes[i])));
      call.buffers = table_.size();
      for (const auto& use : kernels[i]->buffers) table_.enter(placement_.of(schedule_, use.value));
    }
    std::size_t next = own;
    for (auto& call : library_calls_) {
      if (!call.step->epilogue) continue;
      const kernel::Kernel& k = *call.step->epilogue;
      const auto input = std::find_if(k.buffers.begin(), k.buffers.end(), [&](const auto& use) { return use.value.node == call.step->node; });
      call.epilogue.emplace(k, std::move(codes[next++]), static_cast<std::size_t>(input - k.buffers.begin()), call.call->parts(),
                            columns_of(call.step->node));
      call.checks = checked_terms(k);
    }
  }

  void enter_call(LibraryInvocation& call, Place scratch) {
    const ir::Node& node = program_.graph[call.step->node];
    call.operands = {table_.size(), node.operands.size()};
    for (auto v : node.operands) table_.enter(placement_.of(schedule_, v));
    call.results = {table_.size(), call.has_results() ? node.types.size() : 0};
    for (std::size_t r = 0; r < call.results.count; ++r) table_.enter(placement_.of(schedule_, {call.step->node, static_cast<std::int32_t>(r)}));
    call.scratch = table_.enter(scratch);
    if (!call.step->epilogue) return;
    call.buffers = {table_.size(), call.step->epilogue->buffers.size()};
    // Where the result lies is known only part by part.
    for (const auto& use : call.step->epilogue->buffers)
      table_.enter(use.value.node == call.step->node ? scratch : placement_.of(schedule_, use.value));
  }

  void run(const LibraryInvocation& call, void* const* table) const {
    const std::span<const void* const> operands = call.operands.of<const void* const>(table);
    const std::span<void* const> results = call.results.of(table);
    if (!call.parted) return call.call->run(operands, results, table[call.scratch]);
    IndexFault fault;
    call.parted->run(*call.call, operands, results.empty() ? nullptr : results[0], table[call.scratch], call.epilogue ? &*call.epilogue : nullptr,
                     call.buffers.of(table), fault);
    if (fault.term >= 0) fail(call.checks, fault);
  }

  // Addresses -----------------------------------------------------------------------------------------------------------

  // The generated code takes addresses of inputs as of outputs, and doesn't write to inputs.
  void* address(Place p, CpuContext& context, const RunArrays& arrays) const {
    const auto i = static_cast<std::size_t>(p.index);
    switch (p.kind) {
      case Place::Kind::feed: return const_cast<std::byte*>(arrays.feeds[i]);
      case Place::Kind::variable: return const_cast<std::byte*>(arrays.variables[i]);
      case Place::Kind::target: return arrays.targets[i];
      case Place::Kind::update: return arrays.updates[i];
      default: return own_address(p, context);
    }
  }

  void* own_address(Place p, CpuContext& context) const {
    if (p.kind == Place::Kind::constant) return const_cast<std::byte*>(placement_.constants[static_cast<std::size_t>(p.index)].data());
    return p.kind == Place::Kind::run_index ? static_cast<void*>(&context.run_index) : context.arena.get() + p.index;
  }

  void copy(const std::vector<Copy>& copies, CpuContext& context, const RunArrays& arrays) const {
    for (const auto& c : copies) copy_bytes(address(c.to, context, arrays), address(c.from, context, arrays), static_cast<std::size_t>(c.bytes));
  }

  [[noreturn]] void fail(std::span<const kernel::Term* const> checks, const IndexFault& fault) const {
    kernel::fail(program_.graph, *checks[static_cast<std::size_t>(fault.term)], fault.index);
  }

  Program program_;
  Schedule schedule_;
  std::vector<Explanation::Refusal> refusals_;  ///< of the library
  Placement placement_;
  std::vector<Launch> launches_;
  std::vector<KernelCall> kernel_calls_;
  std::vector<LibraryInvocation> library_calls_;
  plan::AddressTable table_;
};

}  // namespace

std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options) {
  return std::make_unique<CpuProgram>(program, options);
}

}  // namespace weft::cpu
