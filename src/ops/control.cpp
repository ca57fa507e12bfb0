// Loops and branches: their types, derivatives and reference evaluation. Functions come from graph/function.h.
#include "ops/control.h"

#include "graph/function.h"
#include "ops/families.h"
#include "ops/reference_array.h"
#include "ops/shape_like.h"

#include <weft/control.h>
#include <weft/elementwise.h>
#include <weft/movement.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

namespace weft {
namespace ops {
namespace {

using reference::Array;
using reference::wide;

constexpr std::array<std::string_view, 2> branches{"otherwise", "then"}, while_functions{"body", "condition"};
constexpr std::array<std::string_view, 1> for_functions{"body"};

// Types ---------------------------------------------------------------------------------------------------------------

/// What both types leave open; empty when they differ.
std::optional<TensorType> common(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype) return {};
  if (!a.shape.ranked() || !b.shape.ranked()) return TensorType{a.dtype, Shape::unranked()};
  if (a.shape.rank() != b.shape.rank()) return {};
  Shape shape = a.shape;
  for (int i = 0; i < shape.rank(); ++i) {
    if (a.shape[i] != dynamic && b.shape[i] != dynamic && a.shape[i] != b.shape[i]) return {};
    if (b.shape[i] == dynamic) shape = shape.with(i, dynamic);
  }
  return TensorType{a.dtype, shape};
}

Shape element_shape(const Shape& sequence) {
  if (!sequence.ranked()) return sequence;
  return Shape(sequence.sizes().subspan(1));
}

TensorType stacked(const TensorType& element, std::int64_t count) {
  if (!element.shape.ranked()) return element;
  std::vector<std::int64_t> sizes{count};
  sizes.insert(sizes.end(), element.shape.begin(), element.shape.end());
  return {element.dtype, Shape(sizes)};
}

/// The functions' parameters must stand for what they are given.
void require_parameters(Inference& c) {
  const auto given = parameter_types(c.op, c.attributes, c.operands);
  for (auto name : functions_of(c.op)) {
    const auto declared = c.attributes.function(name).parameter_types();
    if (declared.size() != given.size())
      c.fail(std::string(name) + " takes " + std::to_string(declared.size()) + " values, is given " + std::to_string(given.size()));
    for (std::size_t i = 0; i < given.size(); ++i)
      if (!common(declared[i], given[i])) c.fail(std::string(name) + " takes " + declared[i].str() + ", is given " + given[i].str());
  }
}

void require_scalar(Inference& c, const TensorType& type, bool is_right, const std::string& what, const char* wanted) {
  if (!is_right || (type.shape.ranked() && type.shape.rank() != 0)) c.fail(what + " is " + type.str() + ", expects a scalar " + wanted);
}

void infer_if(Inference& c) {
  require_scalar(c, c[0], c.dtype(0) == boolean, "the predicate", "bool");
  require_parameters(c);
  const auto then = c.attributes.function("then").result_types(), otherwise = c.attributes.function("otherwise").result_types();
  if (then.size() != otherwise.size())
    c.fail("one branch gives " + std::to_string(then.size()) + " results, the other " + std::to_string(otherwise.size()));
  if (then.empty()) c.fail("the branches give no results");
  for (std::size_t i = 0; i < then.size(); ++i) {
    const auto type = common(then[i], otherwise[i]);
    if (!type) c.fail("result " + std::to_string(i) + " is " + then[i].str() + " of one branch and " + otherwise[i].str() + " of the other");
    c.result(*type);
  }
}

/// The type that state i keeps.
void infer_state(Inference& c, std::size_t i, const TensorType& initial, const TensorType& next) {
  const auto type = common(initial, next);
  if (!type) c.fail("state " + std::to_string(i) + " is " + initial.str() + " at first, the body gives " + next.str());
  c.result(*type);
}

void infer_while(Inference& c) {
  require_parameters(c);
  const auto states = static_cast<std::size_t>(c.attributes.integer("states"));
  const auto condition = c.attributes.function("condition").result_types(), body = c.attributes.function("body").result_types();
  if (condition.size() != 1) c.fail("the condition has " + std::to_string(condition.size()) + " results");
  require_scalar(c, condition[0], condition[0].dtype == boolean, "the condition", "bool");
  if (states == 0 || states > c.count()) c.fail("needs at least one initial state");
  if (body.size() != states) c.fail("there are " + std::to_string(states) + " states, the body gives " + std::to_string(body.size()));
  for (std::size_t i = 0; i < states; ++i) infer_state(c, i, c[i], body[i]);
}

void infer_for(Inference& c) {
  const ForOperands o(c.attributes);
  if (o.first_capture > c.count()) c.fail("has too few operands");
  if (o.counted) require_scalar(c, c[0], is_integer(c.dtype(0)), "the count", "integer");
  if (!o.counted && o.sequences == 0 && c.attributes.integer("count") < 0) c.fail("the count is " + std::to_string(c.attributes.integer("count")));
  for (std::size_t i = 0; i < o.sequences; ++i)
    if (c.shape(o.first_sequence + i).ranked() && c.shape(o.first_sequence + i).rank() == 0)
      c.fail("sequence " + std::to_string(i) + " is a scalar, expects an axis to go along");
  for (std::size_t i = 1; i < o.sequences; ++i) {
    const Shape &a = c.shape(o.first_sequence), &b = c.shape(o.first_sequence + i);
    if (a.ranked() && b.ranked() && a[0] != dynamic && b[0] != dynamic && a[0] != b[0])
      c.fail("sequences " + c[o.first_sequence].str() + " and " + c[o.first_sequence + i].str() + " have different lengths");
  }
  require_parameters(c);
  const auto body = c.attributes.function("body").result_types();
  if (body.size() < o.states) c.fail("there are " + std::to_string(o.states) + " states, the body gives " + std::to_string(body.size()));
  if (body.empty()) c.fail("the body gives neither states nor outputs");
  if (o.counted && body.size() > o.states) c.fail("a body that is run as often as a tensor says can't have outputs: their shape would not be known");
  for (std::size_t i = 0; i < o.states; ++i) infer_state(c, i, c[o.first_state + i], body[i]);
  const auto count = iterations(c.attributes, c.operands);
  for (std::size_t i = o.states; i < body.size(); ++i) c.result(stacked(body[i], count));
}

// Reference evaluation ------------------------------------------------------------------------------------------------

std::vector<Array> evaluate(const ir::Function& function, std::vector<Array> arguments, std::uint64_t run_index) {
  std::vector<std::vector<Array>> values(function.graph.nodes.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) values[i].push_back(std::move(arguments[i]));
  const auto value = [&](ir::Value v) -> const Array& { return values[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)]; };
  for (std::size_t id = arguments.size(); id < values.size(); ++id) {
    const ir::Node& node = function.graph.nodes[id];
    Evaluation evaluation{node, {}, {}, run_index};
    for (auto v : node.operands) evaluation.operands.push_back(&value(v));
    for (const auto& t : node.types) values[id].emplace_back(t);
    for (auto& a : values[id]) evaluation.results.push_back(&a);
    node.op->evaluate(evaluation);
  }
  std::vector<Array> results;
  for (auto v : function.results) results.push_back(value(v));
  return results;
}

void evaluate_if(Evaluation& e) {
  std::vector<Array> captures;
  for (std::size_t i = 1; i < e.operands.size(); ++i) captures.push_back(*e.operands[i]);
  auto results = evaluate(e.node.attributes.function(e.operands[0]->index(0) ? "then" : "otherwise"), std::move(captures), e.run_index);
  for (std::size_t i = 0; i < results.size(); ++i) *e.results[i] = std::move(results[i]);
}

void evaluate_while(Evaluation& e) {
  const ir::Function &condition = e.node.attributes.function("condition"), &body = e.node.attributes.function("body");
  std::vector<Array> values;
  for (const auto* a : e.operands) values.push_back(*a);
  while (evaluate(condition, values, e.run_index)[0].index(0)) {
    auto next = evaluate(body, values, e.run_index);
    std::ranges::move(next, values.begin());
  }
  for (std::size_t i = 0; i < e.results.size(); ++i) *e.results[i] = std::move(values[i]);
}

Array element(const Array& sequence, std::int64_t i) {
  Array a(TensorType{sequence.type.dtype, element_shape(sequence.type.shape)});
  std::visit(
      [&](auto& to) {
        const auto& from = std::get<std::decay_t<decltype(to)>>(sequence.elements);
        std::copy_n(from.begin() + i * a.size(), a.size(), to.begin());
      },
      a.elements);
  return a;
}

void put(Array& sequence, std::int64_t i, const Array& a) {
  std::visit(
      [&](auto& to) {
        const auto& from = std::get<std::decay_t<decltype(to)>>(a.elements);
        std::copy(from.begin(), from.end(), to.begin() + i * a.size());
      },
      sequence.elements);
}

void evaluate_for(Evaluation& e) {
  const ForOperands o(e.node.attributes);
  const ir::Function& body = e.node.attributes.function("body");
  std::vector<TensorType> types;
  for (const auto* a : e.operands) types.push_back(a->type);
  const std::int64_t count = o.counted ? e.operands[0]->index(0) : iterations(e.node.attributes, types);
  std::vector<Array> states;
  for (std::size_t i = 0; i < o.states; ++i) states.push_back(*e.operands[o.first_state + i]);
  for (std::int64_t step = 0; step < count; ++step) {
    const std::int64_t index = o.reverse ? count - 1 - step : step;
    Array counter(TensorType{i64, {}});
    counter.as<wide>()[0] = index;
    std::vector<Array> arguments{std::move(counter)};
    std::ranges::move(states, std::back_inserter(arguments));
    for (std::size_t i = 0; i < o.sequences; ++i) arguments.push_back(element(*e.operands[o.first_sequence + i], index));
    for (std::size_t i = o.first_capture; i < e.operands.size(); ++i) arguments.push_back(*e.operands[i]);
    auto next = evaluate(body, std::move(arguments), e.run_index);
    for (std::size_t i = 0; i < o.states; ++i) states[i] = std::move(next[i]);
    for (std::size_t i = o.states; i < next.size(); ++i) put(*e.results[i], index, next[i]);
  }
  for (std::size_t i = 0; i < o.states; ++i) *e.results[i] = std::move(states[i]);
}

// Building ------------------------------------------------------------------------------------------------------------

Tensor tensor_of(GraphState& graph, ir::Value v) { return Tensor(&graph, v.node, v.output); }

std::vector<Tensor> read_all(std::string_view op, std::span<const Tensor> tensors, const GraphState* graph, std::source_location where) {
  std::vector<Tensor> list;
  for (auto t : tensors) {
    if (t.graph() != graph)
      fail_graph(std::string(op) + ": " + (t ? t.name() + " belongs to another graph" : "a tensor is empty"), ir::Location::of(where));
    list.push_back(implicitly_read(t));
  }
  return list;
}

GraphState& graph_of(std::string_view op, std::initializer_list<std::span<const Tensor>> lists, std::source_location where) {
  for (auto list : lists)
    for (auto t : list)
      if (t) return *t.graph();
  fail_graph(std::string(op) + ": no initial state or sequence is a tensor, which would tell the graph", ir::Location::of(where));
}

std::vector<Tensor> apply_control(std::string_view op, GraphState& graph, std::span<const Tensor> operands, std::span<const ir::Value> captures,
                                  Attributes attributes, std::source_location where) {
  std::vector<Operand> list;
  for (auto t : operands) list.emplace_back(t, where);
  for (auto v : captures) list.emplace_back(tensor_of(graph, v), where);
  return apply_all(op, list, std::move(attributes));
}

using Given = std::span<const Tensor>;
using BranchOf = std::function<std::vector<Tensor>(Given captures)>;

/// `captures`: what both branches are given, beside what they use by themselves.
std::vector<Tensor> build_if(Tensor predicate, Given captures, const BranchOf& then, const BranchOf& otherwise, std::source_location where) {
  GraphState& graph = *predicate.graph();
  const auto location = ir::Location::of(where);
  const auto trace = [&](const BranchOf& branch) {
    Trace t(graph, "if", Trace::Of::branch, location);
    std::vector<Tensor> given;
    for (auto c : captures) given.push_back(t.parameter(c.type()));
    t.finish(branch(given));
    return t;
  };
  const Trace yes = trace(then), no = trace(otherwise);
  std::vector<ir::Value> used;
  yes.collect(used), no.collect(used);
  std::vector<Tensor> operands{predicate};
  operands.insert(operands.end(), captures.begin(), captures.end());
  return apply_control("if", graph, operands, used, {{"then", yes.function(used)}, {"otherwise", no.function(used)}}, where);
}

struct Counting {
  std::optional<std::int64_t> count;  ///< unless there are sequences or `counted`
  Tensor counted;
  std::vector<Tensor> states, sequences, captures;
  bool reverse = false;
};
using BodyOf = std::function<LoopValues(const Iteration& iteration, Given captures)>;

LoopValues build_for(GraphState& graph, const Counting& loop, const BodyOf& body, std::source_location where) {
  Trace trace(graph, "for", Trace::Of::loop, ir::Location::of(where));
  Iteration iteration{trace.parameter({i64, {}}), {}, {}};
  std::vector<Tensor> given, operands;
  if (loop.counted) operands.push_back(loop.counted);
  for (auto t : loop.states) iteration.states.push_back(trace.parameter(t.type())), operands.push_back(t);
  for (auto t : loop.sequences) {
    if (t.shape().ranked() && t.shape().rank() == 0)
      fail_graph("for: sequence " + t.name() + " is a scalar, expects an axis to go along", ir::Location::of(where));
    iteration.elements.push_back(trace.parameter({t.dtype(), element_shape(t.shape())}));
    operands.push_back(t);
  }
  for (auto t : loop.captures) given.push_back(trace.parameter(t.type())), operands.push_back(t);
  const LoopValues next = body(iteration, given);
  if (next.states.size() != loop.states.size())
    fail_graph("for: there are " + std::to_string(loop.states.size()) + " states, the body gives " + std::to_string(next.states.size()),
               ir::Location::of(where));
  std::vector<Tensor> results = next.states;
  results.insert(results.end(), next.outputs.begin(), next.outputs.end());
  trace.finish(results);
  std::vector<ir::Value> used;
  trace.collect(used);
  Attributes attributes{{"body", trace.function(used)},
                        {"states", static_cast<std::int64_t>(loop.states.size())},
                        {"sequences", static_cast<std::int64_t>(loop.sequences.size())}};
  if (loop.counted) attributes.set("counted", std::int64_t{1});
  else if (loop.sequences.empty()) attributes.set("count", *loop.count);
  if (loop.reverse) attributes.set("reverse", std::int64_t{1});
  const auto made = apply_control("for", graph, operands, used, std::move(attributes), where);
  const auto states = made.begin() + static_cast<std::ptrdiff_t>(loop.states.size());
  return {{made.begin(), states}, {states, made.end()}};
}

// Derivatives ---------------------------------------------------------------------------------------------------------

/// Derivatives of the function's results, weighted by cotangents where there are some, with respect to those arguments that are wanted.
std::vector<Tensor> derivatives(GraphState& graph, const ir::Function& function, Given arguments, Given cotangents, const std::vector<bool>& wanted) {
  std::vector<Tensor> ys, weights, xs;
  const auto results = instantiate(graph, function, arguments);
  for (std::size_t i = 0; i < cotangents.size(); ++i)
    if (cotangents[i]) ys.push_back(results[i]), weights.push_back(cotangents[i]);
  for (std::size_t i = 0; i < arguments.size(); ++i)
    if (wanted[i]) xs.push_back(arguments[i]);
  return differentiate(graph, ys, weights, xs);
}

void gradient_if(Gradient& g) {
  GraphState& graph = *g.operand(0).graph();
  const Attributes attributes = g.attributes();  // a copy: operations are added
  std::vector<Tensor> captures, given;
  std::vector<bool> wanted;
  for (std::size_t i = 1; i < g.operand_count(); ++i) given.push_back(g.operand(i)), wanted.push_back(g.wanted(i));
  const std::size_t captured = given.size();
  std::vector<std::size_t> weighted;
  for (std::size_t i = 0; i < attributes.function("then").results.size(); ++i)
    if (g.has_cotangent(i)) weighted.push_back(i), given.push_back(g.cotangent(i));
  const auto branch = [&](std::string_view name) {
    return [&, name](Given all) {
      const ir::Function& function = attributes.function(name);
      std::vector<Tensor> cotangents(function.results.size());
      for (std::size_t i = 0; i < weighted.size(); ++i) cotangents[weighted[i]] = all[captured + i];
      return derivatives(graph, function, all.first(captured), cotangents, wanted);
    };
  };
  const auto found = build_if(g.operand(0), given, branch("then"), branch("otherwise"), std::source_location::current());
  for (std::size_t i = 0, next = 0; i < captured; ++i)
    if (wanted[i]) g.set(i + 1, found[next++]);
}

/// Has a `for` give the states that its iterations start from as outputs, after its other ones; says which the first is.
std::size_t keep_states(GraphState& graph, ir::NodeId id, const ForOperands& o) {
  if (const auto* kept = graph.ir[id].attributes.find("kept")) return static_cast<std::size_t>(std::get<std::int64_t>(*kept));
  auto body = std::make_shared<ir::Function>(graph.ir[id].attributes.function("body"));
  const std::size_t first = body->results.size();
  for (std::size_t i = 0; i < o.states; ++i) body->results.push_back({static_cast<ir::NodeId>(1 + i), 0});
  graph.ir[id].attributes.set("body", std::shared_ptr<const ir::Function>(body));
  graph.ir[id].attributes.set("kept", static_cast<std::int64_t>(first));
  infer_types(graph.ir, graph.ir[id]);
  return first;
}

/// Walks back: the states' cotangents are states, those of what the body uses of the graph around it are summed up in states, those of the
/// sequences' elements are outputs.
void gradient_for(Gradient& g) {
  const Tensor node = g.result();
  GraphState& graph = *node.graph();
  const ForOperands o(g.attributes());
  if (o.counted)
    fail_graph("gradients: for: a loop that runs as often as a tensor says has no derivative; give the count as a number, or a sequence",
               graph.ir[node.node()].where);
  const std::size_t given_outputs = g.attributes().function("body").results.size(), kept = keep_states(graph, node.node(), o);
  const auto body = std::make_shared<const ir::Function>(graph.ir[node.node()].attributes.function("body"));

  Counting back;
  back.reverse = !o.reverse;
  std::vector<std::size_t> differentiated, weighted;  // states; outputs
  for (std::size_t i = 0; i < o.states; ++i) {
    back.sequences.push_back(g.result(kept + i));
    if (is_floating(g.operand(o.first_state + i).dtype())) differentiated.push_back(i), back.states.push_back(g.cotangent(i));
  }
  for (std::size_t i = 0; i < o.sequences; ++i) back.sequences.push_back(g.operand(o.first_sequence + i));
  for (std::size_t i = o.states; i < given_outputs; ++i)
    if (g.has_cotangent(i)) weighted.push_back(i), back.sequences.push_back(g.cotangent(i));
  std::vector<bool> wanted(1 + o.states + o.sequences);
  for (auto i : differentiated) wanted[1 + i] = true;
  for (std::size_t i = 0; i < o.sequences; ++i) wanted[1 + o.states + i] = g.wanted(o.first_sequence + i);
  std::vector<std::size_t> captured;
  for (std::size_t i = o.first_capture; i < g.operand_count(); ++i) {
    const Tensor capture = g.operand(i);
    back.captures.push_back(capture);
    wanted.push_back(g.wanted(i));
    if (g.wanted(i)) captured.push_back(i), back.states.push_back(broadcast_like(scalar_constant(graph, 0.0, capture.dtype()), capture));
  }
  if (back.sequences.empty()) back.count = g.attributes().integer("count");

  const auto step = [&](const Iteration& at, Given captures) {
    std::vector<Tensor> arguments{at.index};
    arguments.insert(arguments.end(), at.elements.begin(), at.elements.begin() + static_cast<std::ptrdiff_t>(o.states + o.sequences));
    arguments.insert(arguments.end(), captures.begin(), captures.end());
    std::vector<Tensor> cotangents(body->results.size());
    for (std::size_t i = 0; i < differentiated.size(); ++i) cotangents[differentiated[i]] = at.states[i];
    for (std::size_t i = 0; i < weighted.size(); ++i) cotangents[weighted[i]] = at.elements[o.states + o.sequences + i];
    const auto found = derivatives(graph, *body, arguments, cotangents, wanted);
    LoopValues next;
    std::size_t from = 0;
    for (; from < differentiated.size(); ++from) next.states.push_back(found[from]);
    for (std::size_t i = 0; i < o.sequences; ++i)
      if (wanted[1 + o.states + i]) next.outputs.push_back(found[from++]);
    for (std::size_t i = 0; i < captured.size(); ++i) next.states.push_back(at.states[differentiated.size() + i] + found[from++]);
    return next;
  };
  const LoopValues found = build_for(graph, back, step, std::source_location::current());
  for (std::size_t i = 0; i < differentiated.size(); ++i) g.set(o.first_state + differentiated[i], found.states[i]);
  for (std::size_t i = 0, next = 0; i < o.sequences; ++i)
    if (wanted[1 + o.states + i]) g.set(o.first_sequence + i, found.outputs[next++]);
  for (std::size_t i = 0; i < captured.size(); ++i) g.set(captured[i], found.states[differentiated.size() + i]);
}

const Primitive table[] = {
    {.name = "if", .min_operands = 1, .max_operands = -1, .kind = Kind::control, .infer = infer_if, .gradient = gradient_if, .evaluate = evaluate_if},
    {.name = "while", .min_operands = 1, .max_operands = -1, .kind = Kind::control, .infer = infer_while, .evaluate = evaluate_while},
    {.name = "for",
     .min_operands = 0,
     .max_operands = -1,
     .kind = Kind::control,
     .infer = infer_for,
     .gradient = gradient_for,
     .evaluate = evaluate_for},
};

}  // namespace

std::span<const Primitive> control() { return table; }

std::span<const std::string_view> functions_of(const Primitive& op) {
  if (op.kind != Kind::control) return {};
  if (op.name == "if") return branches;
  if (op.name == "while") return while_functions;
  return for_functions;
}

std::vector<TensorType> parameter_types(const Primitive& op, const Attributes& attributes, std::span<const TensorType> operands) {
  if (op.name == "if") return {operands.begin() + 1, operands.end()};
  if (op.name == "while") return {operands.begin(), operands.end()};
  const ForOperands o(attributes);
  std::vector<TensorType> types{{i64, {}}};
  for (std::size_t i = o.first_state; i < operands.size(); ++i) {
    const bool is_sequence = i >= o.first_sequence && i < o.first_capture;
    types.push_back(is_sequence ? TensorType{operands[i].dtype, element_shape(operands[i].shape)} : operands[i]);
  }
  return types;
}

ForOperands::ForOperands(const Attributes& attributes)
    : counted(attributes.flag("counted")),
      states(static_cast<std::size_t>(attributes.integer("states"))),
      sequences(static_cast<std::size_t>(attributes.integer("sequences"))),
      first_state(counted ? 1 : 0),
      first_sequence(first_state + states),
      first_capture(first_sequence + sequences),
      reverse(attributes.flag("reverse")) {}

std::int64_t iterations(const Attributes& attributes, std::span<const TensorType> operands) {
  const ForOperands o(attributes);
  if (o.counted) return dynamic;
  if (o.sequences == 0) return attributes.integer("count");
  for (std::size_t i = 0; i < o.sequences; ++i) {
    const Shape& shape = operands[o.first_sequence + i].shape;
    if (shape.ranked() && shape[0] != dynamic) return shape[0];
  }
  return dynamic;
}

}  // namespace ops

std::vector<Tensor> cond(Operand predicate, const Branch& then, const Branch& otherwise, std::source_location where) {
  graph_of("if", predicate);  // refuses what is no tensor
  return ops::build_if(
      implicitly_read(predicate.tensor()), {}, [&](ops::Given) { return then(); }, [&](ops::Given) { return otherwise(); }, where);
}

std::vector<Tensor> while_loop(std::span<const Tensor> initial, const Condition& condition, const WhileBody& body, std::source_location where) {
  GraphState& graph = ops::graph_of("while", {initial}, where);
  const auto states = ops::read_all("while", initial, &graph, where);
  const auto trace = [&](const auto& build) {
    Trace t(graph, "while", Trace::Of::loop, ir::Location::of(where));
    std::vector<Tensor> given;
    for (auto s : states) given.push_back(t.parameter(s.type()));
    t.finish(build(given));
    return t;
  };
  const Trace test = trace([&](const std::vector<Tensor>& given) { return std::vector{condition(given)}; });
  const Trace step = trace([&](const std::vector<Tensor>& given) { return body(given); });
  std::vector<ir::Value> used;
  test.collect(used), step.collect(used);
  return ops::apply_control("while", graph, states, used,
                            {{"condition", test.function(used)}, {"body", step.function(used)}, {"states", static_cast<std::int64_t>(states.size())}},
                            where);
}

LoopValues for_loop(std::int64_t count, std::span<const Tensor> initial, const ForBody& body, std::source_location where) {
  if (count < 0) fail_graph("for: the count is " + std::to_string(count), ir::Location::of(where));
  GraphState& graph = ops::graph_of("for", {initial}, where);
  ops::Counting loop;
  loop.count = count;
  loop.states = ops::read_all("for", initial, &graph, where);
  return ops::build_for(
      graph, loop, [&](const Iteration& i, ops::Given) { return body(i); }, where);
}

std::vector<Tensor> for_loop(Tensor count, std::span<const Tensor> initial, const ForBody& body, std::source_location where) {
  GraphState& graph = ops::graph_of("for", {{&count, 1}, initial}, where);
  ops::Counting loop;
  loop.counted = ops::read_all("for", {&count, 1}, &graph, where)[0];
  loop.states = ops::read_all("for", initial, &graph, where);
  return ops::build_for(
             graph, loop, [&](const Iteration& i, ops::Given) { return body(i); }, where)
      .states;
}

LoopValues scan(std::span<const Tensor> sequences, std::span<const Tensor> initial, const ForBody& body, ScanOptions options,
                std::source_location where) {
  GraphState& graph = ops::graph_of("for", {sequences, initial}, where);
  if (sequences.empty()) fail_graph("for: there is no sequence to go along", ir::Location::of(where));
  ops::Counting loop;
  loop.states = ops::read_all("for", initial, &graph, where);
  loop.sequences = ops::read_all("for", sequences, &graph, where);
  loop.reverse = options.reverse;
  return ops::build_for(
      graph, loop, [&](const Iteration& i, ops::Given) { return body(i); }, where);
}

}  // namespace weft
