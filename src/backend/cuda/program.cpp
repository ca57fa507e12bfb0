// A program on a GPU: generated kernels and library calls in order, over one arena, replayed as one CUDA graph once they ran before.
#include "backend/cuda/convolution.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/distance_transform.h"
#include "backend/cuda/emit.h"
#include "backend/cuda/group.h"
#include "backend/cuda/library_call.h"
#include "backend/cuda/replay.h"
#include "backend/cuda/side_by_side.h"
#include "backend/cuda/sort.h"
#include "backend/cuda/staging.h"
#include "compile/backend.h"
#include "plan/address_table.h"
#include "stitch/epilogue.h"
#include "stitch/rules.h"

#include <weft/error.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace weft::cuda {
namespace {

using plan::Copy;
using plan::Place;

using Entries = plan::AddressTable::Range;

/// One of the kernels of a grid.
struct KernelPart {
  const kernel::Kernel* kernel = nullptr;
  std::size_t place = 0;  ///< among all kernels and library calls, in the order of the launches
  std::vector<const kernel::Term*> checks;
  std::size_t fault = 0;  ///< place of its report, if it checks anything
  Entries buffers;
};

struct KernelCall {
  Generated code;
  std::vector<KernelPart> parts;
  Gpu::Function function;
};

struct LibraryInvocation {
  std::size_t place = 0;  ///< as of a kernel
  std::unique_ptr<LibraryCall> call;
  ir::NodeId node = -1;
  Entries operands, results;
  std::size_t scratch = 0;
};

/// A feed or variable whose elements index something, unless that is neither.
struct IndexSource {
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
  bool is_feed = false;
  std::size_t index = nowhere;
  ValueRange allowed;
  bool stays_within = true;  ///< what the variable gets by a run is
};

/// A grid or a library call, in the order of execution.
struct Step {
  bool is_library = false;
  std::size_t index = 0;
};

/// Steps first, first + 1, ... that don't depend on each other.
struct Launch {
  std::size_t first = 0, count = 0;
};

/// Memory of one run at a time, and what depends on its addresses.
struct CudaContext : CompiledProgram::Context {
  explicit CudaContext(Gpu& gpu, const Program& program, bool takes_run_index, std::size_t faults)
      : gpu(gpu), staging(gpu, program, takes_run_index, faults) {
    for (auto& lane : lanes) {
      check(driver().cuStreamCreate(&lane.stream, CU_STREAM_NON_BLOCKING), "making a queue");
      check(driver().cuEventCreate(&lane.done, CU_EVENT_DISABLE_TIMING), "making an event");
    }
    check(driver().cuEventCreate(&ready, CU_EVENT_DISABLE_TIMING), "making an event");
  }
  ~CudaContext() override {
    for (auto& lane : lanes) {
      driver().cuStreamDestroy(lane.stream);
      driver().cuEventDestroy(lane.done);
    }
    driver().cuEventDestroy(ready);
  }
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  void forget_graphs() {
    replays.forget();
    serial = ++serials;
  }

  Gpu& gpu;
  Staging staging;
  plan::AddressTable::Addresses addresses;
  std::vector<std::vector<std::byte>> arguments;  ///< by kernel call
  Replays replays;
  /// Other than that of every other context, and other than before when the staging's memory is.
  std::uintptr_t serial = ++serials;
  static inline std::atomic<std::uintptr_t> serials = 0;
  /// Steps that don't depend on each other are dealt out to these besides the queue itself.
  struct Lane {
    CUstream stream = nullptr;
    CUevent done = nullptr;
  };
  std::array<Lane, 3> lanes;
  CUevent ready = nullptr;
};

/// Fewer steps that don't depend on each other take less time one after the other than lanes take to wait for each other.
constexpr std::size_t least_dealt_out = 4;
/// Of a kernel within a graph, about.
constexpr double launch_seconds = 1.5e-6;
/// A graph of less is no faster than the launch itself.
constexpr std::size_t least_captured = 2;

/// Operations that code written by hand computes.
constexpr struct {
  std::string_view operation;
  std::unique_ptr<LibraryCall> (*make)(Gpu&, const ir::Graph&, const ir::Node&);
} own_calls[] = {{"sort", make_sort_call}, {"arg_sort", make_sort_call}, {"top_k", make_sort_call}, {"distance_transform", make_distance_call}};

bool is_contraction(const ir::Node& node) { return node.op->name == "matmul" || node.op->name.starts_with("conv"); }

class CudaProgram : public GpuProgram {
 public:
  CudaProgram(const Program& program, const RunOptions& options) : program_(program), gpu_(Gpu::at(options.device)) {
    std::map<ir::NodeId, LibraryChoice> library;
    const LibraryOptions library_options{options.tf32, options.measure};
    compile_contractions(library_options);
    const auto in_library = [&](ir::NodeId id) {
      const auto name = program_.graph[id].op->name;
      for (const auto& own : own_calls)
        if (own.operation == name) {
          library[id].call = own.make(gpu_, program_.graph, program_.graph[id]);
          return true;
        }
      if (!is_contraction(program_.graph[id])) return false;
      auto& choice = library[id];
      choice = make_contraction_call(program_.graph[id], library_options, nullptr);
      if (!choice.call) refusals_.push_back({id, -1, "is not left to a library: " + choice.refusal});
      return choice.call != nullptr;
    };
    const StitchRules rules = stitch_rules(options);
    schedule_ = lower(program_, rules, in_library, kernel::targets::gpu);
    if (rules.epilogues)
      attach_epilogues(program_, schedule_, [&](ir::NodeId id, const kernel::Kernel& k, bool keeps_result) {
        return keeps_result ? "others need its result" : fuse(id, k, library_options, library.at(id));
      });
    std::vector<plan::StepMemory> memory(schedule_.steps.size());
    for (std::size_t s = 0; s < memory.size(); ++s)
      if (const auto* step = std::get_if<Schedule::LibraryStep>(&schedule_.steps[s]))
        memory[s] = {library[step->node].call->scratch_bytes(), step->keeps_result, true};
    placement_ = plan::place_values(program_, schedule_, memory, plan::Failure::is_late);
    upload_constants();
    find_index_sources();
    prepare_steps(library);
    give_copied_places();
    find_updates();
  }

  Device device() const override { return Device::cuda(gpu_.index()); }
  bool is_in_place(std::size_t update) const override { return placement_.is_in_place[update]; }
  /// A run that may fail must have ended before another changes what it would leave as it was.
  bool goes_on(int runs, const KnownRanges& known) const override {
    return std::ranges::all_of(index_sources_, [&](const IndexSource& s) {
      const auto list = s.is_feed ? known.feeds : known.variables;
      return s.index < list.size() && list[s.index] && list[s.index]->within(s.allowed) && (runs == 1 || s.stays_within);
    });
  }
  bool asks_for_range(std::size_t feed) const override {
    return std::ranges::any_of(index_sources_, [&](const IndexSource& s) { return s.is_feed && s.index == feed; });
  }

  std::unique_ptr<Context> make_context() const override {
    gpu_.make_current();
    auto context = std::make_unique<CudaContext>(gpu_, program_, table_.gives(Place::Kind::run_index), faults_);
    {
      const std::lock_guard lock(mutex_);
      if (!arena_) arena_ = gpu_.allocate(static_cast<std::size_t>(placement_.arena_bytes), "intermediate values");
    }
    context->addresses = table_.addresses([&](Place p) { return own_address(p); });
    for (const auto& call : kernel_calls_) context->arguments.push_back(call.code.arguments);
    return context;
  }

  std::unique_ptr<RunGroup> make_group() const override { return cuda::make_group(gpu_); }

  void take(Context& given_context, const RunArrays& arrays) const override {
    auto& context = static_cast<CudaContext&>(given_context);
    if (context.staging.prepare(arrays)) context.forget_graphs();
    context.staging.take_turn();
    take_addresses(context, arrays, 0);
    context.staging.take_feeds(arrays);
  }

  void add_key(const Context& given_context, const RunArrays& arrays, std::vector<void*>& key) const override {
    const auto& context = static_cast<const CudaContext&>(given_context);
    for (const auto n : {context.serial, static_cast<std::uintptr_t>(arrays.steps)}) key.push_back(reinterpret_cast<void*>(n));
    key.insert(key.end(), context.addresses.given.begin(), context.addresses.given.end());
  }

  std::byte* staged_target(const Context& context, std::size_t target) const override {
    return static_cast<const CudaContext&>(context).staging.target(target);
  }

  void enqueue(Context& context, const RunArrays& arrays, CUstream stream) const override {
    const std::lock_guard lock(mutex_);
    enqueue_all(static_cast<CudaContext&>(context), arrays, stream);
  }

  void leave(Context& context) const override { static_cast<CudaContext&>(context).staging.leave(true); }

  void run(Context& given_context, const RunArrays& arrays) const override {
    auto& context = static_cast<CudaContext&>(given_context);
    gpu_.make_current();
    take(context, arrays);
    begin(context, arrays);
    const bool may_fail = faults_ > 0 && !arrays.goes_on;
    if (arrays.defers || !(may_fail || context.staging.has_results())) return context.staging.leave(arrays.defers);
    const auto faults = context.staging.wait(arrays);
    for (const auto& call : kernel_calls_)
      for (const auto& part : call.parts)
        if (!part.checks.empty() && faults[part.fault].term >= 0) {
          const kernel::IndexFault fault = faults[part.fault];
          context.staging.clear_faults();
          kernel::fail(program_.graph, *part.checks[static_cast<std::size_t>(fault.term)], fault.index);
        }
  }

  void finish(Context& context, std::span<std::byte* const> targets) const override { static_cast<CudaContext&>(context).staging.finish(targets); }

  void describe(CompileStatistics& s) const override {
    s.kernels = 0;
    s.library_calls = static_cast<int>(library_calls_.size());
    s.kernels_compiled = 0;
    for (const auto& call : kernel_calls_) {
      s.kernels += static_cast<int>(call.parts.size());
      s.kernels_compiled += call.function.was_compiled;
    }
    plan::describe(program_, schedule_, placement_, s);
  }

  std::string dump() const override {
    std::string text = "== kernels\n";
    for (const auto& step : steps_) {
      if (step.is_library) {
        const auto& call = library_calls_[step.index];
        text += "library " + describe(call.node) + ": " + call.call->describe() + "\n";
      } else {
        for (const auto& part : kernel_calls_[step.index].parts)
          text += kernel::print(*part.kernel, [&](ir::Value v) { return schedule_.type_of(program_.graph, v); });
      }
    }
    return text + plan::print(program_, placement_, explain());
  }

  Explanation explain() const override {
    std::map<ir::NodeId, std::string> kernels;
    for (const auto& call : library_calls_) kernels[call.node] = call.call->describe();
    return plan::explain(
        program_, schedule_, placement_, [&](ir::NodeId id) { return kernels.at(id); }, refusals_);
  }

  std::vector<Listing> listings() const override {
    std::vector<Listing> list;
    std::set<std::string_view> seen;
    for (const auto& call : kernel_calls_) {
      if (!seen.insert(call.code.source).second) continue;
      const std::string number = std::to_string(seen.size() - 1);
      list.push_back(
          {std::string(number.size() < 3 ? 3 - number.size() : 0, '0') + number + "_" + call.parts[0].kernel->name + ".cu", call.code.source});
    }
    return list;
  }

 private:
  std::string describe(ir::NodeId id) const { return "%" + std::to_string(id) + " " + ir::describe(program_.graph[id]); }

  // Making ready --------------------------------------------------------------------------------------------------------

  void upload_constants() {
    for (const auto& c : placement_.constants) constants_.push_back(c.dense().to(device()));
  }

  /// What all contractions will try, side by side. What goes wrong does so again when they are made.
  void compile_contractions(LibraryOptions options) {
    options.only_compiles = true;
    std::vector<ir::NodeId> nodes;
    for (ir::NodeId id = 0; id < program_.graph.size(); ++id)
      if (is_contraction(program_.graph[id])) nodes.push_back(id);
    side_by_side(nodes.size(), [&](std::size_t i) {
      try {
        make_contraction_call(program_.graph[nodes[i]], options, nullptr);
      } catch (const std::exception&) {}
    });
  }

  LibraryChoice make_contraction_call(const ir::Node& node, const LibraryOptions& options, const Finish* after) {
    return (node.op->name == "matmul" ? make_matmul_call : make_convolution_call)(gpu_, program_.graph, node, options, after);
  }

  /// Has the library compute the kernel too, if that takes less time than the kernel of its own; why not.
  std::string fuse(ir::NodeId id, const kernel::Kernel& k, const LibraryOptions& options, LibraryChoice& choice) {
    const ir::Node& node = program_.graph[id];
    if (!is_contraction(node)) return "no library computes more than the " + std::string(node.op->name);
    Finish after;
    const Shape& shape = node.types[0].shape;
    if (auto why = match(k, {id, 0}, shape[shape.rank() - 1], after); !why.empty()) return why;
    LibraryChoice fused = make_contraction_call(node, options, &after);
    if (!fused.call) return fused.refusal;
    const auto moved = static_cast<double>((after.base >= 0 ? 3 : 2) * node.types[0].byte_count());
    if (fused.seconds > choice.seconds + launch_seconds + moved / gpu_.properties().bandwidth) return "the library takes longer than two kernels";
    choice = std::move(fused);
    return {};
  }

  /// What a call reads and writes: with an epilogue, what that reads besides and what it writes instead.
  std::pair<std::vector<ir::Value>, std::vector<ir::Value>> arrays_of(const Schedule::LibraryStep& step) const {
    const ir::Node& node = program_.graph[step.node];
    std::vector<ir::Value> operands = node.operands, results;
    for (std::size_t r = 0; r < node.types.size() && !step.epilogue; ++r) results.push_back({step.node, static_cast<std::int32_t>(r)});
    if (step.epilogue)
      for (const auto& use : step.epilogue->buffers)
        if (use.value.node != step.node) (use.written ? results : operands).push_back(use.value);
    return {operands, results};
  }

  void prepare_steps(std::map<ir::NodeId, LibraryChoice>& library) {
    const GpuProperties& p = gpu_.properties();
    const DeviceProperties target{p.compute_capability, p.multiprocessors, p.shared_bytes_per_block};
    std::size_t place = 0;
    for (const auto& launch : placement_.launches) {
      const std::size_t first = steps_.size();
      std::vector<const kernel::Kernel*> kernels;
      std::vector<std::vector<bool>> ready;
      std::vector<std::size_t> places;
      for (int s : launch) {
        const auto& step = schedule_.steps[static_cast<std::size_t>(s)];
        if (const auto* k = std::get_if<Schedule::KernelStep>(&step))
          kernels.push_back(&k->kernel), places.push_back(place), ready.push_back(ready_buffers(k->kernel));
        else call_library(s, place, library);
        ++place;
      }
      for (auto& grid : generate_together(kernels, target, ready)) {
        steps_.push_back({false, kernel_calls_.size()});
        KernelCall& call = kernel_calls_.emplace_back();
        call.code = std::move(grid.code);
        for (auto k : grid.kernels) call.parts.push_back(part_of(*kernels[k], places[k]));
      }
      launches_.push_back({first, steps_.size() - first});
    }
    std::vector<Gpu::Source> sources;
    for (const auto& call : kernel_calls_) sources.push_back({call.code.source, call.code.entry, call.code.shared_bytes});
    const auto functions = gpu_.load(sources);
    for (std::size_t i = 0; i < functions.size(); ++i) kernel_calls_[i].function = functions[i];
  }

  /// Where the indices that kernels check come from.
  void find_index_sources() {
    const ValueRanges ranges(program_.graph);
    for (const auto& node : program_.graph.nodes) {
      const auto allowed = checked_range(program_.graph, node);
      if (!allowed) continue;
      const ir::NodeId source = ranges.source(node.operands[1]);
      const auto feed = std::ranges::find(program_.feeds, source, &Program::Feed::node);
      const auto variable = std::ranges::find(program_.variables, source, &Program::Variable::node);
      IndexSource& s = index_sources_.emplace_back();
      s.allowed = *allowed;
      s.is_feed = feed != program_.feeds.end();
      if (s.is_feed) s.index = static_cast<std::size_t>(feed - program_.feeds.begin());
      else if (variable != program_.variables.end()) s.index = static_cast<std::size_t>(variable - program_.variables.begin());
      if (s.is_feed || variable == program_.variables.end()) continue;
      const auto update = std::ranges::find(program_.updates, variable->variable, &Program::Update::variable);
      s.stays_within = update == program_.updates.end() || ranges[update->value]->within(*allowed);
    }
  }

  /// What all that runs when the kernel is brought in leaves alone: constants, and variables that no kernel writes over. What came before the kernel
  /// ahead of this one has ended by then, since that one has waited for it; without one ahead, what an earlier run writes may still be on its way.
  /// (Feeds are left alone, too, but have batches, and what is read ahead may depend on sizes.)
  std::vector<bool> ready_buffers(const kernel::Kernel& k) const {
    const bool is_first = std::ranges::none_of(kernel_calls_, [](const KernelCall& call) { return call.code.blocks > 0; });
    std::vector<bool> ready;
    for (const auto& use : k.buffers) {
      const Place p = placement_.of(schedule_, use.value);
      bool stays = p.kind == Place::Kind::constant;
      if (p.kind == Place::Kind::variable) {
        const auto variable = program_.variables[static_cast<std::size_t>(p.index)].variable;
        const auto update = std::ranges::find(program_.updates, variable, &Program::Update::variable);
        stays = update == program_.updates.end() || !placement_.is_in_place[static_cast<std::size_t>(update - program_.updates.begin())];
      }
      ready.push_back(!is_first && !use.written && stays);
    }
    return ready;
  }

  void call_library(int step, std::size_t place, std::map<ir::NodeId, LibraryChoice>& library) {
    const auto& library_step = std::get<Schedule::LibraryStep>(schedule_.steps[static_cast<std::size_t>(step)]);
    const ir::NodeId id = library_step.node;
    const auto [operands, results] = arrays_of(library_step);
    steps_.push_back({true, library_calls_.size()});
    LibraryInvocation& call = library_calls_.emplace_back();
    call.place = place;
    call.call = std::move(library.at(id).call);
    call.node = id;
    call.operands = {table_.size(), operands.size()};
    for (auto v : operands) table_.enter(placement_.of(schedule_, v));
    call.results = {table_.size(), results.size()};
    for (auto v : results) table_.enter(placement_.of(schedule_, v));
    call.scratch = table_.enter(placement_.scratch[static_cast<std::size_t>(step)]);
  }

  KernelPart part_of(const kernel::Kernel& k, std::size_t place) {
    KernelPart part{.kernel = &k, .place = place, .checks = kernel::checked_terms(k), .buffers = {}};
    if (!part.checks.empty()) part.fault = faults_++;
    part.buffers = {table_.size(), k.buffers.size()};
    for (const auto& use : k.buffers) table_.enter(placement_.of(schedule_, use.value));
    return part;
  }

  void find_updates() {
    for (const auto& v : program_.variables) {
      update_of_.push_back(-1);
      for (std::size_t u = 0; u < program_.updates.size(); ++u)
        if (program_.updates[u].variable == v.variable && !is_in_place(u)) update_of_.back() = static_cast<int>(u);
    }
  }

  // Addresses -----------------------------------------------------------------------------------------------------------

  void give_copied_places() {
    for (const auto* copies : {&placement_.first_copies, &placement_.last_copies})
      for (const auto& c : *copies)
        for (Place p : {c.from, c.to})
          if (table_.is_given(p)) table_.give(p);
  }

  /// Those of the `step`-th of the runs.
  void take_addresses(CudaContext& context, const RunArrays& arrays, int step) const {
    table_.update(context.addresses, [&](Place p) { return given_address(p, context, arrays, step); });
  }

  void* given_address(Place p, CudaContext& context, const RunArrays& arrays, int step) const {
    const auto i = static_cast<std::size_t>(p.index);
    const bool is_odd = step % 2 == 1;
    switch (p.kind) {
      case Place::Kind::feed: return arrays.feed_devices[i].is_cpu() ? context.staging.feed(i) : const_cast<std::byte*>(arrays.feeds[i]);
      case Place::Kind::variable: {
        const int update = update_of_[i];
        return is_odd && update >= 0 ? arrays.updates[static_cast<std::size_t>(update)] : const_cast<std::byte*>(arrays.variables[i]);
      }
      case Place::Kind::target: return arrays.target_devices[i].is_cpu() ? context.staging.target(i) : arrays.targets[i];
      case Place::Kind::update: return (is_odd ? arrays.present : arrays.updates)[i];
      default: return context.staging.run_index(step);
    }
  }

  void* own_address(Place p) const {
    if (p.kind == Place::Kind::constant) return const_cast<std::byte*>(constants_[static_cast<std::size_t>(p.index)].data());
    return arena_.get() + p.index;
  }

  // Running -------------------------------------------------------------------------------------------------------------

  /// Contexts have their intermediate values in the same memory, so the steps of one run come after all those of another.
  void begin(CudaContext& context, const RunArrays& arrays) const {
    const std::lock_guard lock(mutex_);
    if (arrays.step_seconds) run_timed(context, *arrays.step_seconds);
    else if (const CUgraphExec graph = graph_of(context, arrays)) check(driver().cuGraphLaunch(graph, gpu_.stream()), "starting a run");
    else enqueue_all(context, arrays, gpu_.stream());
  }

  /// The graph of a run with these addresses, if it pays to have one.
  CUgraphExec graph_of(CudaContext& context, const RunArrays& arrays) const {
    const std::size_t of_a_run = steps_.size() + placement_.first_copies.size() + placement_.last_copies.size();
    if (of_a_run * static_cast<std::size_t>(arrays.steps) + context.staging.copies() < least_captured) return nullptr;
    return context.replays.find(context.addresses.given, arrays.steps, [&](CUstream stream) { enqueue_all(context, arrays, stream); });
  }

  void enqueue_all(CudaContext& context, const RunArrays& arrays, CUstream stream) const {
    context.staging.enqueue_in(stream);
    for (int step = 0; step < arrays.steps; ++step) {
      if (step > 0) take_addresses(context, arrays, step);
      enqueue(placement_.first_copies, context, stream);
      for (const auto& launch : launches_) enqueue(launch, context, stream);
      enqueue(placement_.last_copies, context, stream);
    }
    context.staging.enqueue_out(stream);
  }

  void enqueue(const Launch& launch, CudaContext& context, CUstream stream) const {
    const bool deals_out = launch.count >= least_dealt_out;
    if (deals_out) {
      check(driver().cuEventRecord(context.ready, stream), "starting lanes");
      for (const auto& lane : context.lanes) check(driver().cuStreamWaitEvent(lane.stream, context.ready, 0), "starting lanes");
    }
    for (std::size_t i = 0; i < launch.count; ++i) {
      const std::size_t lane = deals_out ? i % (context.lanes.size() + 1) : 0;
      enqueue(steps_[launch.first + i], context, lane == 0 ? stream : context.lanes[lane - 1].stream);
    }
    if (!deals_out) return;
    for (const auto& lane : context.lanes) {
      check(driver().cuEventRecord(lane.done, lane.stream), "joining lanes");
      check(driver().cuStreamWaitEvent(stream, lane.done, 0), "joining lanes");
    }
  }

  void enqueue(const Step& step, CudaContext& context, CUstream stream) const {
    if (step.is_library) {
      const auto& call = library_calls_[step.index];
      void* const* table = context.addresses.table.data();
      return call.call->enqueue(stream, call.operands.of(table), call.results.of(table), table[call.scratch]);
    }
    const KernelCall& call = kernel_calls_[step.index];
    if (call.code.blocks == 0) return;
    auto& arguments = context.arguments[step.index];
    for (std::size_t p = 0; p < call.parts.size(); ++p) {
      const KernelPart& part = call.parts[p];
      std::byte* const to = arguments.data() + call.code.parts[p];
      const std::size_t addresses = part.buffers.count * sizeof(void*);
      std::memcpy(to, context.addresses.table.data() + part.buffers.first, addresses);
      if (part.checks.empty()) continue;
      const void* fault = context.staging.fault(part.fault);
      std::memcpy(to + addresses, &fault, sizeof fault);
    }
    void* parameters[] = {arguments.data()};
    gpu_.start(call.function.handle,
               {.blocks = {call.code.blocks, 1, 1}, .threads = call.code.threads, .shared_bytes = call.code.shared_bytes, .follows_itself = true},
               stream, parameters, call.parts[0].kernel->name.c_str());
  }

  void enqueue(const std::vector<Copy>& copies, const CudaContext& context, CUstream stream) const {
    auto address = [&](Place p) {
      return reinterpret_cast<CUdeviceptr>(table_.is_given(p) ? context.addresses.given[table_.given(p)] : own_address(p));
    };
    for (const auto& c : copies)
      if (c.bytes > 0)
        check(driver().cuMemcpyDtoDAsync(address(c.to), address(c.from), static_cast<std::size_t>(c.bytes), stream), "copying a result");
  }

  /// Every step between two events. Kernels of one grid have their shares of its time.
  void run_timed(CudaContext& context, std::vector<double>& seconds) const {
    std::vector<CUevent> events(steps_.size() + 1);
    for (auto& e : events) check(driver().cuEventCreate(&e, CU_EVENT_DEFAULT), "making an event");
    const CUstream stream = gpu_.stream();
    context.staging.enqueue_in(stream);
    enqueue(placement_.first_copies, context, stream);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      check(driver().cuEventRecord(events[i], stream), "timing a step");
      enqueue(steps_[i], context, stream);
    }
    check(driver().cuEventRecord(events.back(), stream), "timing a step");
    enqueue(placement_.last_copies, context, stream);
    context.staging.enqueue_out(stream);
    gpu_.wait();
    std::size_t places = library_calls_.size();
    for (const auto& call : kernel_calls_) places += call.parts.size();
    seconds.assign(places, 0);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      float milliseconds = 0;
      check(driver().cuEventElapsedTime(&milliseconds, events[i], events[i + 1]), "timing a step");
      if (steps_[i].is_library) {
        seconds[library_calls_[steps_[i].index].place] = 1e-3 * milliseconds;
        continue;
      }
      const KernelCall& call = kernel_calls_[steps_[i].index];
      for (std::size_t p = 0; p < call.parts.size(); ++p)
        seconds[call.parts[p].place] = 1e-3 * milliseconds * call.code.shares[p] / std::max(call.code.blocks, 1u);
    }
    for (auto e : events) driver().cuEventDestroy(e);
  }

  Program program_;
  Gpu& gpu_;
  Schedule schedule_;
  std::vector<Explanation::Refusal> refusals_;  ///< of the library
  plan::Placement placement_;
  std::vector<NDArray> constants_;  ///< on the GPU
  std::vector<Step> steps_;
  std::vector<Launch> launches_;
  std::vector<KernelCall> kernel_calls_;
  std::vector<LibraryInvocation> library_calls_;
  std::size_t faults_ = 0;  ///< kernels that check indices
  std::vector<IndexSource> index_sources_;
  std::vector<int> update_of_;  ///< by variable: the update that is beside it; -1: none is
  plan::AddressTable table_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<std::byte> arena_;  ///< made with the first context
};

}  // namespace

std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options) {
  // Takes as long as the start of a device, and so is done beside it.
  if (std::ranges::any_of(program.graph.nodes, is_contraction)) load_cublas_ahead();
  return std::make_unique<CudaProgram>(program, options);
}

}  // namespace weft::cuda
