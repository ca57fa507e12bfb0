#include "compile/control_step.h"

#include "compile/pipeline.h"
#include "graph/function.h"
#include "ops/control.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft::control {

void copy_between(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::int64_t bytes) {
  if (bytes == 0) return;
  if (to_device.is_cpu() && from_device.is_cpu()) std::memcpy(to, from, static_cast<std::size_t>(bytes));
  else copy_bytes(to_device, to, from_device, from, static_cast<std::size_t>(bytes));
}

const std::byte* Frame::bring(std::size_t slot) {
  Place& place = slots[slot];
  if (place.device != device) {
    if (!place.memory) place.memory.emplace(*place.type, device);
    copy_between(device, place.memory->data(), place.device, place.at, place.type->byte_count());
    place.at = place.memory->data();
    place.device = device;
  }
  return place.at;
}

namespace {

using Slots = std::vector<std::size_t>;
using ResultSlots = std::vector<std::optional<std::size_t>>;

/// The function as a program: parameter i is feed i, or variable i when it is one of the states, which the first results update.
/// `targets` are the results that are wanted beside them.
Program program_of(const ir::Function& function, std::size_t first_state, std::size_t states, std::span<const std::size_t> targets) {
  Program p;
  p.graph = function.graph;
  p.keeps_variables = false;
  const std::size_t parameters = function.parameter_types().size();
  for (std::size_t i = 0; i < parameters; ++i) {
    const auto id = static_cast<ir::NodeId>(i);
    if (i < first_state || i >= first_state + states) {
      p.feeds.push_back({id, id});
      continue;
    }
    ir::Node& node = p.graph[id];
    node.op = &primitive("variable");
    node.attributes.set("initializer", std::string("constant"));
    node.attributes.set("a", 0.0), node.attributes.set("b", 0.0), node.attributes.set("seed", std::int64_t{0});
    p.variables.push_back({id, id});
    p.updates.push_back({id, function.results[i - first_state]});
  }
  for (auto t : targets) p.targets.push_back(function.results[t]);
  return p;
}

/// A program made ready, whose feeds and variables are known by the numbers of parameters.
struct Routine {
  Routine(Program of, const RunOptions& options) : program(simplified(std::move(of), options)), code(make_program(program, options)) {}
  Program program;
  std::unique_ptr<CompiledProgram> code;
};

/// What one run of a routine takes and gives.
struct RoutineContext {
  explicit RoutineContext(const Routine& routine)
      : code(routine.code->make_context()),
        feeds(routine.program.feeds.size()),
        feed_devices(feeds.size(), routine.code->device()),
        targets(routine.program.targets.size()),
        target_devices(targets.size(), routine.code->device()),
        variables(routine.program.variables.size()),
        updates(routine.program.updates.size()),
        present(updates.size()) {}
  std::unique_ptr<CompiledProgram::Context> code;
  std::vector<const std::byte*> feeds;
  std::vector<Device> feed_devices;
  std::vector<std::byte*> targets;
  std::vector<Device> target_devices;
  std::vector<const std::byte*> variables;
  std::vector<std::byte*> updates, present;

  void run(const Routine& routine, std::uint64_t run_index, int steps = 1) {
    routine.code->run(*code, {.feeds = feeds,
                              .variables = variables,
                              .targets = targets,
                              .updates = updates,
                              .run_index = run_index,
                              .feed_devices = feed_devices,
                              .target_devices = target_devices,
                              .steps = steps,
                              .present = present});
  }
};

/// States of a loop: each with memory for its value and, where the new one can't be written over it, for that.
class States {
 public:
  States(const Routine& routine, std::size_t first_state, std::span<const TensorType> types) : first_(first_state) {
    const Device device = routine.code->device();
    for (const auto& t : types) current_.emplace_back(t, device), next_.emplace_back();
    for (std::size_t i = 0; i < routine.program.updates.size(); ++i)
      if (!routine.code->is_in_place(i))
        next_[of(routine.program.updates[i].variable)].emplace(types[of(routine.program.updates[i].variable)], device);
  }

  NDArray& operator[](std::size_t state) { return current_[state]; }

  void place(const Routine& routine, RoutineContext& c) {
    for (std::size_t i = 0; i < c.variables.size(); ++i) c.variables[i] = current_[of(routine.program.variables[i].variable)].data();
    for (std::size_t i = 0; i < c.updates.size(); ++i) {
      const auto state = of(routine.program.updates[i].variable);
      c.present[i] = current_[state].data();
      c.updates[i] = next_[state] ? next_[state]->data() : c.present[i];
    }
  }
  /// After an odd number of iterations.
  void advance() {
    for (std::size_t i = 0; i < current_.size(); ++i)
      if (next_[i]) std::swap(current_[i], *next_[i]);
  }

 private:
  std::size_t of(ir::NodeId parameter) const { return static_cast<std::size_t>(parameter) - first_; }
  std::size_t first_;
  std::vector<NDArray> current_;
  std::vector<std::optional<NDArray>> next_;
};

std::vector<std::size_t> numbers(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> list;
  for (; begin < end; ++begin) list.push_back(begin);
  return list;
}

// If ------------------------------------------------------------------------------------------------------------------

class IfStep : public Step {
 public:
  IfStep(const ir::Node& node, const RunOptions& options, Slots operands, const ResultSlots& results) : operands_(std::move(operands)) {
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < results.size(); ++i)
      if (results[i]) wanted.push_back(i), results_.push_back(*results[i]);
    for (const char* name : {"otherwise", "then"}) branches_.emplace_back(program_of(node.attributes.function(name), 0, 0, wanted), options);
  }

  Device device() const override { return branches_[0].code->device(); }
  std::string describe() const override { return "if"; }
  std::vector<const CompiledProgram*> codes() const override { return {branches_[1].code.get(), branches_[0].code.get()}; }

  struct Context : StepContext {
    std::vector<RoutineContext> branches;
  };
  std::unique_ptr<StepContext> make_context() const override {
    auto context = std::make_unique<Context>();
    for (const auto& b : branches_) context->branches.emplace_back(b);
    return context;
  }

  void run(Frame& frame, StepContext& context, std::uint64_t run_index) const override {
    std::byte holds{};
    const auto& predicate = frame.slots[operands_[0]];
    copy_between(Device::cpu(), &holds, predicate.device, predicate.at, 1);
    const std::size_t which = holds != std::byte{0} ? 1 : 0;
    const Routine& branch = branches_[which];
    RoutineContext& c = static_cast<Context&>(context).branches[which];
    for (std::size_t i = 0; i < c.feeds.size(); ++i)
      c.feeds[i] = frame.bring(operands_[1 + static_cast<std::size_t>(branch.program.feeds[i].placeholder)]);
    for (std::size_t i = 0; i < results_.size(); ++i) c.targets[i] = frame.slots[results_[i]].at;
    c.run(branch, run_index);
  }

 private:
  Slots operands_;
  std::vector<std::size_t> results_;
  std::vector<Routine> branches_;
};

// Loops ---------------------------------------------------------------------------------------------------------------

/// The initial states, and afterwards the last ones.
struct LoopSlots {
  Slots initial;
  ResultSlots results;

  void begin(Frame& frame, States& states, std::size_t first) const {
    for (std::size_t i = 0; i < initial.size(); ++i)
      copy_between(frame.device, states[first + i].data(), frame.device, frame.bring(initial[i]), states[first + i].byte_count());
  }
  void end(Frame& frame, States& states, std::size_t first) const {
    for (std::size_t i = 0; i < initial.size(); ++i)
      if (results[i]) frame.slots[*results[i]].at = states[first + i].data();
  }
};

/// The body, then the condition for the states that it gives.
ir::Function body_and_condition(const ir::Node& node) {
  const ir::Function &body = node.attributes.function("body"), &condition = node.attributes.function("condition");
  ir::Function both = body;
  std::vector<ir::Value> arguments = body.results;
  for (auto i = body.results.size(); i < body.parameter_types().size(); ++i) arguments.push_back({static_cast<ir::NodeId>(i), 0});
  both.results.push_back(put(condition, arguments, [&](ir::Node made) { return add_node(both.graph, std::move(made)); })[0]);
  return both;
}

class WhileStep : public Step {
 public:
  WhileStep(const ir::Node& node, const RunOptions& options, const Slots& operands, ResultSlots results)
      : states_(static_cast<std::size_t>(node.attributes.integer("states"))),
        operands_(operands),
        loop_{{operands.begin(), operands.begin() + static_cast<std::ptrdiff_t>(states_)}, std::move(results)},
        types_(node.types),
        condition_(program_of(node.attributes.function("condition"), 0, 0, numbers(0, 1)), options),
        body_(program_of(body_and_condition(node), 0, states_, numbers(states_, states_ + 1)), options) {}

  Device device() const override { return body_.code->device(); }
  std::string describe() const override { return "while"; }
  std::vector<const CompiledProgram*> codes() const override { return {condition_.code.get(), body_.code.get()}; }

  struct Context : StepContext {
    Context(const Routine& first, const Routine& body_routine, const std::vector<TensorType>& types)
        : condition(first), body(body_routine), states(body_routine, 0, types) {
      condition.target_devices[0] = body.target_devices[0] = Device::cpu();
      condition.targets[0] = body.targets[0] = &holds;
    }
    RoutineContext condition, body;
    States states;
    std::byte holds{};
  };
  std::unique_ptr<StepContext> make_context() const override { return std::make_unique<Context>(condition_, body_, types_); }

  void run(Frame& frame, StepContext& context, std::uint64_t run_index) const override {
    auto& c = static_cast<Context&>(context);
    const auto give = [&](const Routine& routine, RoutineContext& to) {
      for (std::size_t i = 0; i < to.feeds.size(); ++i)
        to.feeds[i] = frame.bring(operands_[static_cast<std::size_t>(routine.program.feeds[i].placeholder)]);
    };
    loop_.begin(frame, c.states, 0);
    give(condition_, c.condition);
    give(body_, c.body);
    for (c.condition.run(condition_, run_index); c.holds != std::byte{0}; c.states.advance()) {
      c.states.place(body_, c.body);
      c.body.run(body_, run_index);
    }
    loop_.end(frame, c.states, 0);
  }

 private:
  std::size_t states_;
  Slots operands_;
  LoopSlots loop_;
  std::vector<TensorType> types_;
  Routine condition_, body_;
};

/// The body, then the next index.
ir::Function counted_body(const ir::Node& node, bool reverse) {
  ir::Function f = node.attributes.function("body");
  const ir::Node constant = make_node(f.graph, "constant", {}, {{"value", Literal::of(NDArray::of<std::int64_t>({}, {reverse ? -1 : 1}))}}, node);
  const ir::Value one = add_node(f.graph, constant)[0];
  f.results.insert(f.results.begin(), add_node(f.graph, make_node(f.graph, "add", {{0, 0}, one}, {}, node))[0]);
  return f;
}

class ForStep : public Step {
 public:
  ForStep(const ir::Node& node, std::int64_t count, const RunOptions& options, const Slots& operands, const ResultSlots& results)
      : o_(node.attributes),
        count_(count),
        operands_(operands),
        loop_{{operands.begin() + static_cast<std::ptrdiff_t>(o_.first_state), operands.begin() + static_cast<std::ptrdiff_t>(o_.first_sequence)},
              results},
        types_(node.types.begin(), node.types.begin() + static_cast<std::ptrdiff_t>(o_.states)),
        outputs_(wanted_outputs(results)),
        body_(program_of(counted_body(node, o_.reverse), 0, 1 + o_.states, outputs_), options) {
    types_.insert(types_.begin(), TensorType{i64, {}});
    for (auto v : body_.program.targets) output_types_.push_back(body_.program.graph.type(v));
  }

  Device device() const override { return body_.code->device(); }
  std::string describe() const override { return o_.counted ? "for" : "for, " + std::to_string(count_) + " iterations"; }
  std::vector<const CompiledProgram*> codes() const override { return {body_.code.get()}; }

  struct Context : StepContext {
    Context(const Routine& routine, const std::vector<TensorType>& types)
        : body(routine), states(routine, 0, types), feed_copies(body.feeds.size()), target_copies(body.targets.size()) {}
    RoutineContext body;
    States states;
    std::vector<std::optional<NDArray>> feed_copies, target_copies;  ///< for elements that lie where kernels can't use them
  };
  std::unique_ptr<StepContext> make_context() const override { return std::make_unique<Context>(body_, types_); }

  void run(Frame& frame, StepContext& context, std::uint64_t run_index) const override {
    auto& c = static_cast<Context&>(context);
    const std::int64_t count = o_.counted ? read_count(frame) : count_, first = o_.reverse ? count - 1 : 0;
    loop_.begin(frame, c.states, 1);
    copy_between(frame.device, c.states[0].data(), Device::cpu(), reinterpret_cast<const std::byte*>(&first), sizeof first);
    bool changes = false;  // what the body is given from iteration to iteration
    for (std::size_t i = 0; i < c.body.feeds.size(); ++i) {
      c.body.feeds[i] = frame.bring(operand(i));
      changes = changes || is_element(i);
    }
    const int at_once = !changes && outputs_.empty() && body_.code->goes_on(2, {}) ? 16 : 1;
    for (std::int64_t done = 0; done < count;) {
      const int steps = count - done >= at_once ? at_once : 1;
      const std::int64_t index = o_.reverse ? count - 1 - done : done;
      place_elements(frame, c, index);
      c.states.place(body_, c.body);
      c.body.run(body_, run_index, steps);
      keep_outputs(frame, c, index);
      if (steps % 2 == 1) c.states.advance();
      done += steps;
    }
    loop_.end(frame, c.states, 1);
  }

 private:
  /// Numbers among the results of the counted body.
  std::vector<std::size_t> wanted_outputs(const ResultSlots& results) const {
    std::vector<std::size_t> list;
    for (std::size_t i = o_.states; i < results.size(); ++i)
      if (results[i]) list.push_back(1 + i);
    return list;
  }

  /// The slot of what feed i of the body is given, or is given an element of.
  std::size_t operand(std::size_t feed) const { return operands_[parameter(feed) - 1 + o_.first_state]; }
  std::size_t parameter(std::size_t feed) const { return static_cast<std::size_t>(body_.program.feeds[feed].placeholder); }
  bool is_element(std::size_t feed) const { return parameter(feed) >= 1 + o_.states && parameter(feed) < 1 + o_.states + o_.sequences; }

  std::int64_t read_count(const Frame& frame) const {
    const auto& slot = frame.slots[operands_[0]];
    std::byte bytes[8];
    copy_between(Device::cpu(), bytes, slot.device, slot.at, slot.type->byte_count());
    return NDArray::wrap(bytes, *slot.type).cast(i64).elements<std::int64_t>()[0];
  }

  bool is_usable(std::int64_t offset) const { return device().is_cpu() || offset % 16 == 0; }

  void place_elements(Frame& frame, Context& c, std::int64_t index) const {
    for (std::size_t i = 0; i < c.body.feeds.size(); ++i) {
      if (!is_element(i)) continue;
      const TensorType& type = body_.program.graph.type({body_.program.feeds[i].node, 0});
      const std::int64_t offset = index * type.byte_count();
      const std::byte* at = frame.slots[operand(i)].at + offset;
      if (!is_usable(offset)) {
        if (!c.feed_copies[i]) c.feed_copies[i].emplace(type, frame.device);
        copy_between(frame.device, c.feed_copies[i]->data(), frame.device, at, type.byte_count());
        at = c.feed_copies[i]->data();
      }
      c.body.feeds[i] = at;
    }
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const std::int64_t offset = index * output_types_[i].byte_count();
      if (!is_usable(offset) && !c.target_copies[i]) c.target_copies[i].emplace(output_types_[i], frame.device);
      c.body.targets[i] = is_usable(offset) ? frame.slots[output(i)].at + offset : c.target_copies[i]->data();
    }
  }

  void keep_outputs(Frame& frame, Context& c, std::int64_t index) const {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const std::int64_t offset = index * output_types_[i].byte_count();
      if (!is_usable(offset))
        copy_between(frame.device, frame.slots[output(i)].at + offset, frame.device, c.body.targets[i], output_types_[i].byte_count());
    }
  }
  std::size_t output(std::size_t i) const { return *loop_.results[outputs_[i] - 1]; }

  ops::ForOperands o_;
  std::int64_t count_;
  Slots operands_;
  LoopSlots loop_;
  std::vector<TensorType> types_;  ///< of the index and the states
  std::vector<std::size_t> outputs_;
  Routine body_;
  std::vector<TensorType> output_types_;
};

}  // namespace

std::unique_ptr<Step> make_step(const Program& program, ir::NodeId id, const RunOptions& options, Slots operands, ResultSlots results) {
  const ir::Node& node = program.graph[id];
  if (node.op->name == "if") return std::make_unique<IfStep>(node, options, std::move(operands), results);
  if (node.op->name == "while") return std::make_unique<WhileStep>(node, options, operands, std::move(results));
  std::vector<TensorType> types;
  for (auto v : node.operands) types.push_back(program.graph.type(v));
  return std::make_unique<ForStep>(node, ops::iterations(node.attributes, types), options, operands, results);
}

}  // namespace weft::control
