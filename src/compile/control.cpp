#include "compile/control.h"

#include "compile/control_step.h"
#include "compile/pipeline.h"
#include "graph/primitive.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace weft {
namespace {

using namespace control;

/// What a part between loops and branches computes.
struct Part {
  Program program;
  std::vector<std::size_t> feeds, variables, targets;  ///< slots
  std::unique_ptr<CompiledProgram> code;
};

struct PartContext {
  std::unique_ptr<CompiledProgram::Context> code;
  std::vector<const std::byte*> feeds, variables;
  std::vector<std::byte*> targets;
  std::vector<Device> feed_devices, target_devices;
};

struct RunFrame : CompiledProgram::Context, Frame {
  std::vector<PartContext> parts;
  std::vector<std::unique_ptr<StepContext>> steps;
};

bool is_repeated(const ir::Node& node) {
  return node.operands.empty() && node.op->kind != Kind::control && node.op->name != "placeholder" && node.op->name != "variable";
}

class ControlledProgram : public CompiledProgram {
 public:
  ControlledProgram(const Program& program, const RunOptions& options) : program_(program) {
    cut();
    for (auto& part : parts_)
      if (!part.program.targets.empty()) part.code = make_code(options.backend, part.program, options);
    for (auto id : controls_) steps_.push_back(make_step(program_, id, options, operands_of(id), results_of(id)));
    for (const auto& part : parts_)
      if (part.code) device_ = part.code->device();
    for (const auto& step : steps_) device_ = step->device();
  }

  Device device() const override { return device_; }

  std::unique_ptr<Context> make_context() const override {
    auto frame = std::make_unique<RunFrame>();
    frame->device = device_;
    frame->slots.resize(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].kind == Slot::Kind::memory) frame->slots[i].memory.emplace(slots_[i].type, device_);
    for (const auto& part : parts_) {
      PartContext& c = frame->parts.emplace_back();
      if (!part.code) continue;
      c.code = part.code->make_context();
      c.feeds.resize(part.feeds.size()), c.feed_devices.resize(part.feeds.size());
      c.variables.resize(part.variables.size());
      c.targets.resize(part.targets.size()), c.target_devices.assign(part.targets.size(), device_);
    }
    for (const auto& step : steps_) frame->steps.push_back(step->make_context());
    return frame;
  }

  void run(Context& context, const RunArrays& arrays) const override {
    auto& frame = static_cast<RunFrame&>(context);
    place(frame, arrays);
    std::vector<double> seconds;
    if (arrays.step_seconds) arrays.step_seconds->clear();
    for (std::size_t level = 0, next = 0; level < parts_.size(); ++level) {
      run(parts_[level], frame, frame.parts[level], arrays, arrays.step_seconds ? &seconds : nullptr);
      for (; next < steps_.size() && levels_[next] == level; ++next) {
        StepTimer timer(arrays.step_seconds ? &seconds : nullptr);
        steps_[next]->run(frame, *frame.steps[next], arrays.run_index);
        if (arrays.step_seconds && !device_.is_cpu()) wait_for_gpu(device_.index());
        timer.lap();
        if (arrays.step_seconds) arrays.step_seconds->insert(arrays.step_seconds->end(), seconds.begin(), seconds.end());
      }
    }
    for (std::size_t i = 0; i < program_.targets.size(); ++i)
      copy(arrays.target_devices.empty() ? device_ : arrays.target_devices[i], arrays.targets[i], frame, target_slots_[i]);
    for (std::size_t i = 0; i < program_.updates.size(); ++i) copy(device_, arrays.updates[i], frame, update_slots_[i]);
  }

  void describe(CompileStatistics& s) const override {
    const auto add = [&](const CompiledProgram& code) {
      CompileStatistics of;
      code.describe(of);
      s.kernels += of.kernels, s.library_calls += of.library_calls, s.launches += of.launches, s.kernels_compiled += of.kernels_compiled;
      s.arena_bytes += of.arena_bytes, s.live_maximum += of.live_maximum, s.shadow_bytes += of.shadow_bytes;
      s.bytes_read += of.bytes_read, s.bytes_written += of.bytes_written;
    };
    for (const auto& part : parts_)
      if (part.code) add(*part.code);
    for (const auto& step : steps_)
      for (const auto* code : step->codes()) add(*code);
    for (const auto& slot : slots_)
      if (slot.kind == Slot::Kind::memory) s.arena_bytes += slot.type.byte_count(), s.live_maximum += slot.type.byte_count();
  }

  std::string dump() const override {
    std::string text;
    for (std::size_t level = 0, next = 0; level < parts_.size(); ++level) {
      if (parts_[level].code) text += "== part " + std::to_string(level) + "\n" + parts_[level].code->dump();
      for (; next < steps_.size() && levels_[next] == level; ++next)
        for (const auto* code : steps_[next]->codes()) text += "== " + steps_[next]->describe() + "\n" + code->dump();
    }
    return text;
  }

  Explanation explain() const override {
    Explanation all;
    for (std::size_t level = 0, next = 0; level < parts_.size(); ++level) {
      if (parts_[level].code) append(all, parts_[level].code->explain());
      for (; next < steps_.size() && levels_[next] == level; ++next) append(all, *steps_[next], controls_[next]);
    }
    return all;
  }

  std::vector<Listing> listings() const override {
    std::vector<Listing> all;
    const auto add = [&](const CompiledProgram& code) {
      for (auto& l : code.listings()) all.push_back(std::move(l));
    };
    for (const auto& part : parts_)
      if (part.code) add(*part.code);
    for (const auto& step : steps_)
      for (const auto* code : step->codes()) add(*code);
    return all;
  }

 private:
  // Cutting -------------------------------------------------------------------------------------------------------------

  const ir::Node& node_of(ir::Value v) const { return program_.graph[v.node]; }

  /// The part that computes each node, or after which a loop or branch runs.
  std::vector<std::size_t> levels(const std::vector<bool>& live) const {
    std::vector<std::size_t> level(live.size(), 0);
    for (ir::NodeId id = 0; id < program_.graph.size(); ++id)
      for (auto v : program_.graph[id].operands) {
        const auto before = level[static_cast<std::size_t>(v.node)] + (node_of(v).op->kind == Kind::control ? 1 : 0);
        level[static_cast<std::size_t>(id)] = std::max(level[static_cast<std::size_t>(id)], before);
      }
    return level;
  }

  /// Whether it is the last state of a loop, which has memory for it.
  bool is_state(ir::Value v) const {
    const ir::Node& node = node_of(v);
    return (node.op->name == "for" || node.op->name == "while") && v.output < node.attributes.integer("states");
  }

  std::size_t new_slot(ir::Value v, Slot::Kind kind, std::size_t index) {
    slots_.push_back({kind, index, program_.graph.type(v)});
    return slot_of_[v] = slots_.size() - 1;
  }

  void cut() {
    const ir::Graph& graph = program_.graph;
    const auto live = Rewriter::live(program_);
    const auto level = levels(live);
    for (std::size_t i = 0; i < program_.feeds.size(); ++i) new_slot({program_.feeds[i].node, 0}, Slot::Kind::feed, i);
    for (std::size_t i = 0; i < program_.variables.size(); ++i) new_slot({program_.variables[i].node, 0}, Slot::Kind::variable, i);
    for (ir::NodeId id = 0; id < graph.size(); ++id)
      if (live[static_cast<std::size_t>(id)] && graph[id].op->kind == Kind::control) controls_.push_back(id);
    std::ranges::stable_sort(controls_, {}, [&](ir::NodeId id) { return level[static_cast<std::size_t>(id)]; });
    for (auto id : controls_) levels_.push_back(level[static_cast<std::size_t>(id)]);

    // What must be in memory: what loops and branches read and give, and what a part reads that an earlier one computes.
    std::set<ir::Value> kept;
    const auto keep = [&](ir::Value v) {
      if (!slot_of_.contains(v)) kept.insert(v);
    };
    for (ir::NodeId id = 0; id < graph.size(); ++id) {
      if (!live[static_cast<std::size_t>(id)]) continue;
      for (auto v : graph[id].operands) {
        const bool crosses = graph[id].op->kind == Kind::control || node_of(v).op->kind == Kind::control ||
                             (level[static_cast<std::size_t>(v.node)] != level[static_cast<std::size_t>(id)] && !is_repeated(node_of(v)));
        if (crosses) keep(v);
      }
    }
    for (auto v : program_.targets) keep(v);
    for (const auto& u : program_.updates) keep(u.value);
    for (auto v : kept) new_slot(v, is_state(v) ? Slot::Kind::state : Slot::Kind::memory, 0);
    for (auto v : program_.targets) target_slots_.push_back(slot_of_.at(v));
    for (const auto& u : program_.updates) update_slots_.push_back(slot_of_.at(u.value));

    std::size_t last = 0;
    for (ir::NodeId id = 0; id < graph.size(); ++id)
      if (live[static_cast<std::size_t>(id)]) last = std::max(last, level[static_cast<std::size_t>(id)]);
    for (std::size_t l = 0; l <= last; ++l) parts_.push_back(part(l, level, live));
  }

  Part part(std::size_t wanted, const std::vector<std::size_t>& level, const std::vector<bool>& live) {
    const ir::Graph& graph = program_.graph;
    Part made;
    std::map<ir::Value, ir::Value> map;
    const auto source = [&](ir::Value v) {
      if (const auto found = map.find(v); found != map.end()) return found->second;
      ir::Node node = graph[v.node];
      if (!is_repeated(node)) {
        const std::size_t slot = slot_of_.at(v);
        const bool is_variable = slots_[slot].kind == Slot::Kind::variable;
        if (!is_variable && node.op->name != "placeholder") {
          node = make_node(graph, "placeholder", {}, {{"dtype", graph.type(v).dtype}}, node);
          node.attributes.set_shape(graph.type(v).shape);
          node.types = {graph.type(v)};
        }
        const ir::NodeId id = made.program.graph.add(std::move(node));
        if (is_variable) made.program.variables.push_back({v.node, id}), made.variables.push_back(slot);
        else made.program.feeds.push_back({id, id}), made.feeds.push_back(slot);
        return map[v] = {id, 0};
      }
      return map[v] = {made.program.graph.add(std::move(node)), 0};
    };
    for (ir::NodeId id = 0; id < graph.size(); ++id) {
      const ir::Node& node = graph[id];
      const bool is_given = node.op->kind == Kind::control || node.op->name == "placeholder" || node.op->name == "variable";
      if (!live[static_cast<std::size_t>(id)] || level[static_cast<std::size_t>(id)] != wanted || is_given) continue;
      // Constants and the like come where they are read, and are computed here if they must be in memory.
      if (is_repeated(node) && !slot_of_.contains({id, 0})) continue;
      if (is_repeated(node)) {
        source({id, 0});
      } else {
        ir::Node copy = node;
        for (auto& v : copy.operands) v = source(v);
        const ir::NodeId added = made.program.graph.add(std::move(copy));
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(node.types.size()); ++i) map[{id, i}] = {added, i};
      }
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(node.types.size()); ++i)
        if (const auto slot = slot_of_.find({id, i}); slot != slot_of_.end())
          made.program.targets.push_back(map.at({id, i})), made.targets.push_back(slot->second);
    }
    return made;
  }

  std::vector<std::size_t> operands_of(ir::NodeId id) const {
    std::vector<std::size_t> list;
    for (auto v : program_.graph[id].operands) list.push_back(slot_of_.at(v));
    return list;
  }
  /// Results that nothing needs have no slot.
  std::vector<std::optional<std::size_t>> results_of(ir::NodeId id) const {
    std::vector<std::optional<std::size_t>> list;
    for (std::size_t i = 0; i < program_.graph[id].types.size(); ++i) {
      const auto found = slot_of_.find({id, static_cast<std::int32_t>(i)});
      list.push_back(found == slot_of_.end() ? std::nullopt : std::optional(found->second));
    }
    return list;
  }

  // Running -------------------------------------------------------------------------------------------------------------

  void place(RunFrame& frame, const RunArrays& arrays) const {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      auto& slot = frame.slots[i];
      const auto index = slots_[i].index;
      // Functions read what they are given, and don't write to it.
      switch (slots_[i].kind) {
        case Slot::Kind::feed:
          slot.at = const_cast<std::byte*>(arrays.feeds[index]);
          slot.device = arrays.feed_devices.empty() ? device_ : arrays.feed_devices[index];
          break;
        case Slot::Kind::variable: slot.at = const_cast<std::byte*>(arrays.variables[index]), slot.device = device_; break;
        case Slot::Kind::memory: slot.at = slot.memory->data(), slot.device = device_; break;
        case Slot::Kind::state: slot.device = device_; break;
      }
      slot.type = &slots_[i].type;
    }
  }

  void run(const Part& part, RunFrame& frame, PartContext& c, const RunArrays& arrays, std::vector<double>* seconds) const {
    if (!part.code) return;
    for (std::size_t i = 0; i < part.feeds.size(); ++i)
      c.feeds[i] = frame.slots[part.feeds[i]].at, c.feed_devices[i] = frame.slots[part.feeds[i]].device;
    for (std::size_t i = 0; i < part.variables.size(); ++i) c.variables[i] = frame.slots[part.variables[i]].at;
    for (std::size_t i = 0; i < part.targets.size(); ++i) c.targets[i] = frame.slots[part.targets[i]].at;
    part.code->run(*c.code, {.feeds = c.feeds,
                             .variables = c.variables,
                             .targets = c.targets,
                             .updates = {},
                             .run_index = arrays.run_index,
                             .step_seconds = seconds,
                             .feed_devices = c.feed_devices,
                             .target_devices = c.target_devices});
    if (seconds) arrays.step_seconds->insert(arrays.step_seconds->end(), seconds->begin(), seconds->end());
  }

  void copy(Device device, std::byte* to, const RunFrame& frame, std::size_t slot) const {
    const auto& from = frame.slots[slot];
    copy_between(device, to, from.device, from.at, from.type->byte_count());
  }

  // Explaining ----------------------------------------------------------------------------------------------------------

  static void append(Explanation& all, Explanation more) {
    const auto operations = static_cast<int>(all.operations.size()), steps = static_cast<int>(all.steps.size());
    const auto shift = [](int& at, int by) {
      if (at >= 0) at += by;
    };
    for (auto& o : more.operations) {
      for (int& v : o.operands) shift(v, operations);
      shift(o.step, steps);
      all.operations.push_back(std::move(o));
    }
    for (auto& s : more.steps) {
      for (int& v : s.operations) shift(v, operations);
      shift(s.continues, steps);
      all.steps.push_back(std::move(s));
    }
    for (auto& r : more.refusals) {
      shift(r.producer, operations), shift(r.consumer, operations);
      all.refusals.push_back(std::move(r));
    }
  }

  void append(Explanation& all, const Step& step, ir::NodeId id) const {
    const ir::Node& node = program_.graph[id];
    const int operation = static_cast<int>(all.operations.size()), place = static_cast<int>(all.steps.size());
    all.operations.push_back({.name = std::string(node.op->name),
                              .label = node.label,
                              .results = node.types,
                              .operands = {},
                              .place = Explanation::Place::step,
                              .step = place});
    Explanation::Step made;
    made.name = step.describe();
    made.operations = {operation};
    for (const auto* code : step.codes())
      for (const auto& s : code->explain().steps) {
        made.bytes_read += s.bytes_read, made.bytes_written += s.bytes_written;
        made.code += s.name + (s.epilogue.empty() ? "" : " with " + s.epilogue) + "\n" + s.code;
      }
    all.steps.push_back(std::move(made));
  }

  Program program_;
  Device device_;
  std::vector<Slot> slots_;
  std::map<ir::Value, std::size_t> slot_of_;
  std::vector<Part> parts_;
  std::vector<ir::NodeId> controls_;  ///< in the order in which they run
  std::vector<std::size_t> levels_;   ///< of each, the part after which it runs
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::size_t> target_slots_, update_slots_;
};

}  // namespace

bool has_control(const Program& program) {
  const auto live = Rewriter::live(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id)
    if (live[static_cast<std::size_t>(id)] && program.graph[id].op->kind == Kind::control) return true;
  return false;
}

std::unique_ptr<CompiledProgram> make_controlled(const Program& program, const RunOptions& options) {
  return std::make_unique<ControlledProgram>(program, options);
}

}  // namespace weft
