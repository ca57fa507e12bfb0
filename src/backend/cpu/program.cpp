// Runs a program on the CPU: generated kernels and library calls in order, over one arena.
#include "backend/cpu/jit.h"
#include "backend/cpu/library_call.h"
#include "backend/cpu/parted.h"
#include "backend/cpu/stream.h"
#include "compile/backend.h"
#include "plan/plan.h"
#include "stitch/epilogue.h"
#include "stitch/lower.h"

#include <weft/error.h>

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace weft::cpu {
namespace {

using kernel::Kernel;

/// Expressions evaluated in a kernel below which a parallel region costs more than it gives.
constexpr std::int64_t parallel_from = 1 << 16;
/// Tiles that a kernel is cut into, so that threads can share them evenly.
constexpr std::int64_t wanted_tiles = 64;

struct FreeAligned {
  void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(64)); }
};
using Memory = std::unique_ptr<std::byte, FreeAligned>;

/// Arenas of runs that are over, kept for the next.
class ArenaPool {
 public:
  explicit ArenaPool(std::size_t bytes) : bytes_(bytes) {}
  Memory take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        Memory m = std::move(free_.back());
        free_.pop_back();
        return m;
      }
    }
    try {
      return Memory(static_cast<std::byte*>(::operator new(std::max<std::size_t>(bytes_, 64), std::align_val_t(64))));
    } catch (const std::bad_alloc&) { throw RunError("out of memory: a run needs " + std::to_string(bytes_) + " bytes for intermediate values"); }
  }
  void give(Memory m) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(m));
  }

 private:
  std::size_t bytes_;
  std::mutex mutex_;
  std::vector<Memory> free_;
};

/// Where a value's elements are.
struct Place {
  enum class Kind : std::uint8_t { feed, variable, constant, target, update, arena, run_index } kind = Kind::arena;
  std::int64_t index = 0;  ///< in the list of its kind; offset in the arena
};

struct KernelCall {
  KernelCode code;
  std::vector<Place> buffers;
  std::int64_t tiles = 0, chunk = 1;
  bool parallel = false;
  const Kernel* kernel = nullptr;
  std::vector<const kernel::Term*> checks;
};

struct LibraryInvocation {
  std::unique_ptr<LibraryCall> call;
  const Schedule::LibraryStep* step = nullptr;
  std::vector<Place> operands, results;
  Place scratch;
  /// How the parts of the result are computed, if it has any.
  std::optional<PartedRun> parted = {};
  std::optional<Epilogue> epilogue = {};
  std::vector<Place> buffers = {};  ///< of the epilogue
  std::vector<const kernel::Term*> checks = {};
};

struct Copy {
  Place from, to;
  std::int64_t bytes;
};

class CpuProgram : public CompiledProgram {
 public:
  CpuProgram(const Program& program, const RunOptions& options) : program_(program) {
    std::map<ir::NodeId, LibraryChoice> library;
    schedule_ = lower(program_, options.stitch, [&](ir::NodeId id) {
      const auto name = program_.graph[id].op->name;
      if (name == "sort" || name == "arg_sort" || name == "top_k") {
        library[id].call = make_sort_call(program_.graph, program_.graph[id]);
        return true;
      }
      if (name != "matmul" && name != "conv" && name != "conv_data_gradient" && name != "conv_weights_gradient") return false;
      auto& choice = library[id];
      choice.refusal = faster_generated(program_.graph, program_.graph[id]);
      if (choice.refusal.empty()) choice = make_onednn_call(program_.graph, program_.graph[id]);
      if (!choice.call)
        refusals_ += "%" + std::to_string(id) + " " + ir::describe(program_.graph[id]) + " is not left to oneDNN: " + choice.refusal + "\n";
      return choice.call != nullptr;
    });
    if (options.stitch)
      attach_epilogues(program_, schedule_, [&](ir::NodeId id, Kernel& k) { return Epilogue::fit(k, library[id].call->parts(), columns_of(id)); });
    for (const auto& s : schedule_.steps)
      if (const auto* step = std::get_if<Schedule::LibraryStep>(&s)) {
        LibraryInvocation invocation{std::move(library[step->node].call), step, {}, {}, {}};
        const auto parts = invocation.call->parts();
        const bool is_held = !step->keeps_result && PartedRun::are_whole_rows(parts, columns_of(step->node));
        if (!parts.empty())
          invocation.parted.emplace(*invocation.call, step->epilogue ? step->epilogue->buffers.size() : 0, columns_of(step->node),
                                    is_held ? std::optional(size_of(type_of({step->node, 0}).dtype)) : std::nullopt);
        library_calls_.push_back(std::move(invocation));
      }
    if (options.stitch) choose_streams(program_, schedule_);
    place_values();
    prepare_kernels();
  }

  void run(const RunArrays& arrays) override {
    Memory arena = pool_->take();
    try {
      run_in(arrays, arena.get());
    } catch (...) {
      pool_->give(std::move(arena));
      throw;
    }
    pool_->give(std::move(arena));
  }

  void describe(CompileStatistics& s) const override {
    s.kernels = static_cast<int>(kernel_calls_.size());
    s.library_calls = static_cast<int>(library_calls_.size());
    s.kernels_compiled = 0;
    for (const auto& call : kernel_calls_) s.kernels_compiled += call.code.was_compiled;
    for (const auto& call : library_calls_) s.kernels_compiled += call.epilogue && call.epilogue->was_compiled();
    s.arena_bytes = arena_bytes_;
    auto count = [&](ir::Value v, bool written) { (written ? s.bytes_written : s.bytes_read) += type_of(v).byte_count(); };
    for (const auto& step : schedule_.steps) {
      if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) {
        for (const auto& use : k->kernel.buffers) count(use.value, use.written);
      } else {
        const auto& library = std::get<Schedule::LibraryStep>(step);
        for (auto v : program_.graph[library.node].operands) count(v, false);
        if (library.keeps_result) count({library.node, 0}, true);
        if (library.epilogue)
          for (const auto& use : library.epilogue->buffers)
            if (use.value.node != library.node) count(use.value, use.written);
      }
    }
    for (const auto& c : copies_) s.bytes_read += c.bytes, s.bytes_written += c.bytes;
  }

  std::string dump() const override {
    std::string text = "== kernels\n";
    std::size_t library = 0;
    for (const auto& step : schedule_.steps) {
      if (const auto* k = std::get_if<Schedule::KernelStep>(&step)) text += kernel::print(k->kernel, [&](ir::Value v) { return type_of(v); });
      else {
        const auto& call = library_calls_[library++];
        text +=
            "library %" + std::to_string(call.step->node) + " " + ir::describe(program_.graph[call.step->node]) + ": " + call.call->describe() + "\n";
        if (call.step->epilogue) text += "with " + kernel::print(*call.step->epilogue, [&](ir::Value v) { return type_of(v); });
      }
    }
    text += "== not stitched\n" + refusals_;
    for (const auto& call : library_calls_)
      if (!call.step->refusal.empty())
        text += "%" + std::to_string(call.step->node) + " " + ir::describe(program_.graph[call.step->node]) +
                " has no epilogue: " + call.step->refusal + "\n";
    for (const auto& r : schedule_.regions.refusals)
      text += "%" + std::to_string(r.producer) + " " + ir::describe(program_.graph[r.producer]) + " apart from %" + std::to_string(r.consumer) + " " +
              ir::describe(program_.graph[r.consumer]) + ": " + std::string(r.why) + "\n";
    return text + "arena: " + std::to_string(arena_bytes_) + " bytes, at most " + std::to_string(live_maximum_) + " alive\n";
  }

 private:
  std::int64_t columns_of(ir::NodeId id) const {
    const Shape& shape = program_.graph[id].types[0].shape;
    return shape[shape.rank() - 1];
  }

  TensorType type_of(ir::Value v) const { return v.node < 0 ? schedule_.temporaries[static_cast<std::size_t>(-1 - v.node)] : program_.graph.type(v); }

  // Planning ----------------------------------------------------------------------------------------------------------

  void place_values() {
    const ir::Graph& graph = program_.graph;
    for (std::size_t i = 0; i < program_.feeds.size(); ++i) places_[{program_.feeds[i].node, 0}] = {Place::Kind::feed, static_cast<std::int64_t>(i)};
    for (std::size_t i = 0; i < program_.variables.size(); ++i)
      places_[{program_.variables[i].node, 0}] = {Place::Kind::variable, static_cast<std::int64_t>(i)};

    // What is computed for the outside is written where the caller wants it; a second such place gets a copy.
    auto leave = [&](ir::Value v, Place to) {
      const ir::Value root = schedule_.storage(v);
      const auto name = graph[root.node].op->name;
      const bool computed = name != "placeholder" && name != "variable" && name != "constant" && name != "run_index";
      if (computed && !places_.contains(root)) places_[root] = to;
      else outward_.push_back({root, to});
    };
    for (std::size_t i = 0; i < program_.targets.size(); ++i) leave(program_.targets[i], {Place::Kind::target, static_cast<std::int64_t>(i)});
    for (std::size_t i = 0; i < program_.updates.size(); ++i) leave(program_.updates[i].value, {Place::Kind::update, static_cast<std::int64_t>(i)});

    // Everything else lives in the arena, from the first step that touches it to the last.
    std::map<ir::Value, std::size_t> life_of;
    std::vector<plan::Lifetime> lives;
    auto touch = [&](ir::Value v, int step) {
      v = schedule_.storage(v);
      if (places_.contains(v)) return;
      if (v.node >= 0 && graph[v.node].op->name == "constant") {
        places_[v] = {Place::Kind::constant, static_cast<std::int64_t>(constants_.size())};
        constants_.push_back(graph[v.node].attributes.literal("value").array());
        return;
      }
      if (v.node >= 0 && graph[v.node].op->name == "run_index") {
        places_[v] = {Place::Kind::run_index, 0};
        return;
      }
      const auto [at, is_new] = life_of.try_emplace(v, lives.size());
      if (is_new) lives.push_back({type_of(v).byte_count(), step, step});
      lives[at->second].last = step;
    };
    std::size_t library = 0;
    std::vector<std::size_t> scratch_life;
    int step = 0;
    for (const auto& s : schedule_.steps) {
      if (const auto* k = std::get_if<Schedule::KernelStep>(&s)) {
        for (const auto& use : k->kernel.buffers) touch(use.value, step);
      } else {
        auto& call = library_calls_[library++];
        for_each_value(call, [&](ir::Value v) { touch(v, step); });
        scratch_life.push_back(lives.size());
        lives.push_back({static_cast<std::int64_t>(call.parted ? call.parted->scratch_bytes() : call.call->scratch_bytes()), step, step});
      }
      ++step;
    }
    for (const auto& [v, to] : outward_) touch(v, step);

    const plan::Arena arena = plan::arrange(lives);
    arena_bytes_ = arena.bytes;
    live_maximum_ = arena.live_maximum;
    pool_ = std::make_unique<ArenaPool>(static_cast<std::size_t>(arena.bytes));
    for (const auto& [v, life] : life_of) places_[v] = {Place::Kind::arena, arena.offsets[life]};
    for (std::size_t i = 0; i < library_calls_.size(); ++i) {
      auto& call = library_calls_[i];
      call.scratch = {Place::Kind::arena, arena.offsets[scratch_life[i]]};
      for (auto v : graph[call.step->node].operands) call.operands.push_back(place_of(v));
      for (auto v : results_of(call)) call.results.push_back(place_of(v));
      if (call.step->epilogue)
        for (const auto& use : call.step->epilogue->buffers)
          call.buffers.push_back(places_.contains(schedule_.storage(use.value)) ? place_of(use.value) : Place{});
    }
    for (const auto& [v, to] : outward_) copies_.push_back({place_of(v), to, type_of(v).byte_count()});
  }

  /// Results that have memory of their own.
  std::vector<ir::Value> results_of(const LibraryInvocation& call) const {
    std::vector<ir::Value> list;
    if (call.parted && call.parted->holds_parts()) return list;
    for (std::size_t r = 0; r < program_.graph[call.step->node].types.size(); ++r) list.push_back({call.step->node, static_cast<std::int32_t>(r)});
    return list;
  }

  /// Those in memory.
  template <class F> void for_each_value(const LibraryInvocation& call, F&& f) const {
    for (auto v : program_.graph[call.step->node].operands) f(v);
    for (auto v : results_of(call)) f(v);
    if (call.step->epilogue)
      for (const auto& use : call.step->epilogue->buffers)
        if (use.value.node != call.step->node) f(use.value);
  }

  Place place_of(ir::Value v) const { return places_.at(schedule_.storage(v)); }

  void prepare_kernels() {
    std::vector<const Kernel*> kernels;
    for (const auto& s : schedule_.steps)
      if (const auto* k = std::get_if<Schedule::KernelStep>(&s)) kernels.push_back(&k->kernel);
    const std::size_t steps = kernels.size();
    for (const auto& call : library_calls_)
      if (call.step->epilogue) kernels.push_back(&*call.step->epilogue);
    auto codes = compile_kernels(kernels);
    std::size_t next = steps;
    for (auto& call : library_calls_) {
      if (!call.step->epilogue) continue;
      const Kernel& k = *call.step->epilogue;
      const auto input = std::find_if(k.buffers.begin(), k.buffers.end(), [&](const auto& use) { return use.value.node == call.step->node; });
      call.epilogue.emplace(k, std::move(codes[next++]), static_cast<std::size_t>(input - k.buffers.begin()), call.call->parts(),
                            columns_of(call.step->node));
      call.checks = checked_terms(k);
    }
    for (std::size_t i = 0; i < steps; ++i) {
      KernelCall call;
      call.code = std::move(codes[i]);
      call.kernel = kernels[i];
      call.checks = checked_terms(*kernels[i]);
      for (const auto& use : kernels[i]->buffers) call.buffers.push_back(place_of(use.value));
      cut(call);
      kernel_calls_.push_back(std::move(call));
    }
  }

  /// Cuts the kernel's iterations into tiles. No result depends on how: an element is always computed whole.
  static void cut(KernelCall& call) {
    const Kernel& k = *call.kernel;
    std::int64_t parallel = 1, sequential = 1;
    for (int d = 0; d < k.loops(); ++d) (d >= k.parallel ? sequential : parallel) *= k.extents[static_cast<std::size_t>(d)];
    const bool vector = k.vector_loop >= 0 && !k.is_sequential(k.vector_loop);
    if (k.tiling.rows > 0) {
      const TileCount count = count_tiles(k, call.code.lanes);
      call.tiles = count.tiles, call.chunk = count.chunk;
    } else if (!vector) {
      call.tiles = parallel;
    } else {
      const std::int64_t extent = k.extents[static_cast<std::size_t>(k.vector_loop)];
      const std::int64_t rows = extent == 0 ? 0 : parallel / extent;
      // Scans go through memory in chunks: long ones.
      const std::int64_t pieces = std::max<std::int64_t>(1, (k.scan ? wanted_tiles / 8 : wanted_tiles) / std::max<std::int64_t>(rows, 1));
      const std::int64_t lanes = call.code.lanes;
      call.chunk = std::max(((extent + pieces - 1) / pieces + lanes - 1) / lanes * lanes, lanes);
      if (k.scan) call.chunk = std::min<std::int64_t>(call.chunk, scan_block);
      else if (sequential == 1) call.chunk = std::max(call.chunk, 16 * lanes);
      call.tiles = rows * ((extent + call.chunk - 1) / call.chunk);
    }
    const auto work = parallel * std::max<std::int64_t>(sequential, 1) * static_cast<std::int64_t>(std::max<std::size_t>(k.exprs.size() / 4, 1));
    // What a tile reads is used for all its rows.
    call.parallel = work / std::max(k.tiling.rows, 1) >= parallel_from && call.tiles > 1;
  }

  // Running -----------------------------------------------------------------------------------------------------------

  void run_in(const RunArrays& arrays, std::byte* arena) const {
    std::uint64_t run_index = arrays.run_index;
    auto address = [&](Place p) -> void* {
      const auto i = static_cast<std::size_t>(p.index);
      switch (p.kind) {
        case Place::Kind::feed: return const_cast<std::byte*>(arrays.feeds[i].data());
        case Place::Kind::variable: return const_cast<std::byte*>(arrays.variables[i].data());
        case Place::Kind::constant: return const_cast<std::byte*>(constants_[i].data());
        case Place::Kind::target: return arrays.targets[i].data();
        case Place::Kind::update: return arrays.updates[i].data();
        case Place::Kind::run_index: return &run_index;
        case Place::Kind::arena: break;
      }
      return arena + p.index;
    };
    std::vector<void*> buffers, results;
    std::vector<const void*> operands;
    std::size_t kernel = 0, library = 0;
    for (const auto& step : schedule_.steps) {
      buffers.clear();
      if (std::holds_alternative<Schedule::KernelStep>(step)) {
        const auto& call = kernel_calls_[kernel++];
        for (const auto& p : call.buffers) buffers.push_back(address(p));
        launch(call, buffers);
      } else {
        const auto& call = library_calls_[library++];
        operands.clear();
        results.clear();
        for (const auto& p : call.operands) operands.push_back(address(p));
        for (const auto& p : call.results) results.push_back(address(p));
        if (call.parted) {
          for (const auto& p : call.buffers) buffers.push_back(address(p));
          IndexFault fault;
          call.parted->run(*call.call, operands, results.empty() ? nullptr : results[0], address(call.scratch),
                           call.epilogue ? &*call.epilogue : nullptr, buffers, fault);
          check(fault, call.checks);
        } else {
          call.call->run(operands, results, address(call.scratch));
        }
      }
    }
    for (const auto& c : copies_) std::memcpy(address(c.to), address(c.from), static_cast<std::size_t>(c.bytes));
  }

  void launch(const KernelCall& call, std::span<void* const> buffers) const {
    IndexFault fault;
    const auto* parameters = call.code.parameters.data();
    if (!call.parallel) {
      call.code.function(parameters, buffers.data(), &fault, 0, call.tiles, call.chunk);
    } else {
#pragma omp parallel
      {
        const std::int64_t threads = omp_get_num_threads(), self = omp_get_thread_num();
        call.code.function(parameters, buffers.data(), &fault, call.tiles * self / threads, call.tiles * (self + 1) / threads, call.chunk);
      }
    }
    check(fault, call.checks);
  }

  void check(const IndexFault& fault, std::span<const kernel::Term* const> checks) const {
    if (fault.term < 0) return;
    const kernel::Term& term = *checks[static_cast<std::size_t>(fault.term)];
    throw RunError(ir::describe(program_.graph[term.node]) + ": index " + std::to_string(fault.index) + " is out of range for axis " +
                   std::to_string(term.axis) + " of size " + std::to_string(term.extent));
  }

  Program program_;
  Schedule schedule_;
  std::string refusals_;
  std::vector<KernelCall> kernel_calls_;
  std::vector<LibraryInvocation> library_calls_;
  std::map<ir::Value, Place> places_;
  std::vector<std::pair<ir::Value, Place>> outward_;
  std::vector<Copy> copies_;
  std::vector<NDArray> constants_;
  std::unique_ptr<ArenaPool> pool_;
  std::int64_t arena_bytes_ = 0, live_maximum_ = 0;
};

}  // namespace

std::unique_ptr<CompiledProgram> make_code(const Program& program, const RunOptions& options) {
  return std::make_unique<CpuProgram>(program, options);
}

}  // namespace weft::cpu
