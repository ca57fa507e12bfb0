#include "plan/placement.h"

#include "stitch/explain.h"

#include "plan/plan.h"
#include "stitch/checks.h"
#include "stitch/in_place.h"

#include <algorithm>

namespace weft::plan {
namespace {

/// Kernels that touch more bytes than this gain nothing from starting together with others. (A GPU starts a kernel in the time that some megabytes
/// take.)
constexpr std::int64_t joins_below = 1 << 20;

class Placer {
 public:
  Placer(const Program& program, const Schedule& schedule, const std::vector<StepMemory>& memory, Failure failure)
      : program_(program), graph_(program.graph), schedule_(schedule), memory_(memory), failure_(failure) {}

  Placement run() {
    place_given();
    name_values();
    for (std::size_t s = 0; s < schedule_.steps.size(); ++s) steps_.push_back(step(s));
    const plan::Plan plan = plan::make_plan(values_, steps_);
    result_.launches = plan.launches;
    leave_out_copies(plan);
    result_.arena_bytes = plan.bytes;
    result_.live_maximum = plan.live_maximum;
    for (const auto& [v, number] : numbers_)
      if (values_[at(number)].in_arena) result_.places[v] = {Place::Kind::arena, plan.offsets[at(number)]};
    for (auto offset : plan.scratch) result_.scratch.push_back({Place::Kind::arena, offset});
    finish_copies();
    const bool fails_late = failure_ == Failure::is_late && std::ranges::any_of(steps_, &Step::can_fail);
    for (std::size_t i = 0; i < program_.updates.size(); ++i) result_.is_in_place.push_back(!fails_late && is_in_place(i, plan));
    return std::move(result_);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  static Place place(Place::Kind kind, std::size_t index) { return {kind, static_cast<std::int64_t>(index)}; }

  void place_given() {
    auto& places = result_.places;
    for (std::size_t i = 0; i < program_.feeds.size(); ++i) places[{program_.feeds[i].node, 0}] = place(Place::Kind::feed, i);
    for (std::size_t i = 0; i < program_.variables.size(); ++i) places[{program_.variables[i].node, 0}] = place(Place::Kind::variable, i);
    // What is computed for the outside is written where the caller wants it; a second such place gets a copy.
    auto leave = [&](ir::Value v, Place to) {
      const ir::Value root = schedule_.storage(v);
      const auto name = graph_[root.node].op->name;
      const bool computed = name != "placeholder" && name != "variable" && name != "constant" && name != "run_index";
      if (computed && !places.contains(root)) places[root] = to;
      else copies_.push_back({root, to});
    };
    for (std::size_t i = 0; i < program_.targets.size(); ++i) leave(program_.targets[i], place(Place::Kind::target, i));
    for (std::size_t i = 0; i < program_.updates.size(); ++i) leave(program_.updates[i].value, place(Place::Kind::update, i));
  }

  /// The number by which the plan knows a value.
  int number(ir::Value v) {
    v = schedule_.storage(v);
    const auto [found, is_new] = numbers_.try_emplace(v, static_cast<int>(values_.size()));
    if (!is_new) return found->second;
    if (!result_.places.contains(v) && v.node >= 0 && graph_[v.node].op->name == "constant") {
      result_.places[v] = place(Place::Kind::constant, result_.constants.size());
      result_.constants.push_back(graph_[v.node].attributes.literal("value").array());
    } else if (!result_.places.contains(v) && v.node >= 0 && graph_[v.node].op->name == "run_index") {
      result_.places[v] = place(Place::Kind::run_index, 0);
    }
    values_.push_back({schedule_.type_of(graph_, v).byte_count(), !result_.places.contains(v), false, -1});
    return found->second;
  }

  /// Updates and the variables that they replace.
  void name_values() {
    for (std::size_t i = 0; i < program_.updates.size(); ++i) {
      const auto& update = program_.updates[i];
      const auto variable =
          std::find_if(program_.variables.begin(), program_.variables.end(), [&](const auto& v) { return v.variable == update.variable; });
      const int written = number(update.value);
      if (variable == program_.variables.end()) {
        old_.push_back(static_cast<int>(values_.size()));  // nothing reads it
        values_.push_back({values_[at(written)].bytes, false, false, -1});
      } else {
        old_.push_back(number({variable->node, 0}));
      }
      if (is_placed_as_update(i)) values_[at(written)].replaces = old_.back();
    }
    for (const auto& [v, to] : copies_)
      if (to.kind == Place::Kind::update) values_[at(number(v))].is_kept = true;
  }

  bool is_placed_as_update(std::size_t i) const {
    const auto found = result_.places.find(schedule_.storage(program_.updates[i].value));
    return found != result_.places.end() && found->second.kind == Place::Kind::update && found->second.index == static_cast<std::int64_t>(i);
  }

  plan::Step step(std::size_t s) {
    plan::Step step;
    step.scratch = static_cast<std::int64_t>(memory_[s].scratch);
    if (const auto* k = std::get_if<Schedule::KernelStep>(&schedule_.steps[s])) {
      std::vector<int> values;
      std::int64_t bytes = 0;
      for (const auto& use : k->kernel.buffers) {
        values.push_back(number(use.value));
        (use.written ? step.writes : step.reads).push_back(values.back());
        bytes += values_[at(values.back())].bytes;
      }
      for (const auto& o : kernel::overlays(k->kernel, values)) step.overlays.push_back({o.read, o.written});
      step.can_fail = program_.keeps_variables && !kernel::checked_terms(k->kernel).empty();
      step.can_join = bytes < joins_below || std::any_of(step.writes.begin(), step.writes.end(), [&](int v) { return values_[at(v)].replaces >= 0; });
    } else {
      const auto& library = std::get<Schedule::LibraryStep>(schedule_.steps[s]);
      for (auto v : graph_[library.node].operands) step.reads.push_back(number(v));
      if (memory_[s].has_results)
        for (std::size_t r = 0; r < graph_[library.node].types.size(); ++r)
          step.writes.push_back(number({library.node, static_cast<std::int32_t>(r)}));
      if (library.epilogue)
        for (const auto& use : library.epilogue->buffers)
          if (use.value.node != library.node) (use.written ? step.writes : step.reads).push_back(number(use.value));
      if (library.epilogue && memory_[s].can_overlay) {
        std::vector<int> values;
        for (const auto& use : library.epilogue->buffers) values.push_back(use.value.node == library.node ? -1 : number(use.value));
        for (const auto& o : kernel::overlays(*library.epilogue, values))
          if (o.read >= 0 && std::ranges::none_of(graph_[library.node].operands, [&](auto v) { return number(v) == o.read; }))
            step.overlays.push_back({o.read, o.written});
      }
      step.can_fail = program_.keeps_variables && failure_ == Failure::stops;
    }
    for (auto* list : {&step.reads, &step.writes}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    return step;
  }

  /// A variable's value, copied to be changed in part, needs no copy when it is changed where it lies.
  void leave_out_copies(const plan::Plan& plan) {
    const auto is_needless = [&](int s) {
      const auto* k = std::get_if<Schedule::KernelStep>(&schedule_.steps[at(s)]);
      if (!k || !kernel::is_copy(k->kernel) || steps_[at(s)].overlays.size() != 1) return false;
      const auto& [read, written] = steps_[at(s)].overlays[0];
      return plan.is_in_place[at(written)] && values_[at(written)].replaces == read;
    };
    for (auto& launch : result_.launches) std::erase_if(launch, is_needless);
    std::erase_if(result_.launches, [](const auto& launch) { return launch.empty(); });
  }

  void finish_copies() {
    for (const auto& [v, to] : copies_) {
      number(v);  // a constant that no step reads gets its place
      const Place from = result_.places.at(v);
      const bool is_source = from.kind != Place::Kind::target && from.kind != Place::Kind::update;
      auto& list = is_source && to.kind == Place::Kind::target ? result_.first_copies : result_.last_copies;
      list.push_back({from, to, schedule_.type_of(graph_, v).byte_count()});
    }
  }

  bool is_in_place(std::size_t update, const plan::Plan& plan) const {
    if (is_placed_as_update(update)) return plan.is_in_place[at(numbers_.at(schedule_.storage(program_.updates[update].value)))];
    // Copied last, when nothing can fail any more.
    return !values_[at(old_[update])].is_kept;
  }

  const Program& program_;
  const ir::Graph& graph_;
  const Schedule& schedule_;
  const std::vector<StepMemory>& memory_;
  const Failure failure_;
  Placement result_;
  struct Outward {
    ir::Value value;
    Place to;
  };
  std::vector<Outward> copies_;
  std::map<ir::Value, int> numbers_;
  std::vector<plan::Value> values_;
  std::vector<plan::Step> steps_;
  std::vector<int> old_;  ///< by update: the value that it replaces
};

}  // namespace

Placement place_values(const Program& program, const Schedule& schedule, const std::vector<StepMemory>& memory, Failure failure) {
  return Placer(program, schedule, memory, failure).run();
}

void describe(const Program& program, const Schedule& schedule, const Placement& placement, CompileStatistics& s) {
  s.launches = static_cast<int>(placement.launches.size());
  s.arena_bytes = placement.arena_bytes;
  s.live_maximum = placement.live_maximum;
  for (std::size_t i = 0; i < program.updates.size(); ++i)
    if (!placement.is_in_place[i]) s.shadow_bytes += schedule.type_of(program.graph, program.updates[i].value).byte_count();
  for (const auto& launch : placement.launches)
    for (int step : launch) {
      const Traffic t = traffic_of(program.graph, schedule, schedule.steps[static_cast<std::size_t>(step)]);
      s.bytes_read += t.read, s.bytes_written += t.written;
    }
  for (const auto* copies : {&placement.first_copies, &placement.last_copies})
    for (const auto& c : *copies) s.bytes_read += c.bytes, s.bytes_written += c.bytes;
}

Explanation explain(const Program& program, const Schedule& schedule, const Placement& placement,
                    const std::function<std::string(ir::NodeId)>& library_kernel, std::span<const Explanation::Refusal> refusals) {
  std::vector<int> order;
  for (const auto& steps : placement.launches) order.insert(order.end(), steps.begin(), steps.end());
  Explanation e = weft::explain(program, schedule, order, library_kernel);
  e.refusals.insert(e.refusals.begin(), refusals.begin(), refusals.end());
  return e;
}

std::string print(const Program& program, const Placement& placement, const Explanation& explanation) {
  const auto named = [&](ir::NodeId id) { return "%" + std::to_string(id) + " " + ir::describe(program.graph[id]); };
  std::string text = "== not stitched\n";
  for (const auto& r : explanation.refusals)
    text += named(r.producer) + (r.consumer < 0 ? " " : " apart from " + named(r.consumer) + ": ") + r.why + "\n";
  return text + "arena: " + std::to_string(placement.arena_bytes) + " bytes, at most " + std::to_string(placement.live_maximum) + " alive\n";
}

}  // namespace weft::plan
