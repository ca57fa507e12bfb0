// Variables. A run sees them as plain data flow: specialising replaces a read by the value that it sees (see
// compile/specialize.cpp), so that neither read nor assign is ever evaluated.
#include "graph/build.h"
#include "ops/families.h"

#include <weft/graph.h>

#include <algorithm>
#include <iterator>

namespace weft {
namespace ops {
namespace {

constexpr std::string_view initializers[] = {"literal", "constant", "uniform", "normal", "truncated_normal"};  // as Initializer::Kind

void infer_variable(Inference& c) {
  const TensorType type{c.attributes.dtype("dtype"), c.attributes.shape()};
  const std::string& initializer = c.attributes.text("initializer");
  if (!type.shape.is_static()) c.fail("shape " + type.shape.str() + " has unknown sizes");
  if (std::ranges::find(initializers, initializer) == std::end(initializers)) c.fail("there is no initializer " + initializer);
  if (initializer == "literal") {
    const TensorType& value = c.attributes.literal("value").type;
    if (value != type) c.fail("initial value is " + value.str() + ", expects " + type.str());
  } else {
    c.attributes.real("a"), c.attributes.real("b"), c.attributes.integer("seed");
  }
  c.result(type);
}

void require_variable_type(Inference& c) {
  if (!c.shape(0).is_static()) c.fail("operand " + c[0].str() + " is not a variable");
}

void infer_read(Inference& c) {
  require_variable_type(c);
  c.result(c[0]);
}

void infer_assign(Inference& c) {
  require_variable_type(c);
  if (c.dtype(1) != c.dtype(0) || !(c.shape(1).is_static() ? c.shape(1) == c.shape(0) : accepts(c.shape(1), c.shape(0))))
    c.fail("value " + c[1].str() + " can't be assigned to a variable of type " + c[0].str());
}

const Primitive table[] = {
    {.name = "variable", .kind = Kind::state, .infer = infer_variable},
    {.name = "read",
     .min_operands = 1,
     .max_operands = 1,
     .kind = Kind::state,
     .infer = infer_read,
     .gradient = [](Gradient& g) { g.set(0, g.cotangent()); }},
    {.name = "assign", .min_operands = 2, .max_operands = 2, .kind = Kind::state, .infer = infer_assign},
};

}  // namespace

std::span<const Primitive> state() { return table; }

}  // namespace ops

namespace {

void require_variable(std::string_view op, Tensor t, std::source_location where) {
  if (!t || t.operation().name() != "variable")
    fail_graph(std::string(op) + ": " + (t ? t.name() + " (" + std::string(t.operation().name()) + ")" : std::string("an empty tensor")) +
                   " is not a variable",
               ir::Location::of(where));
}

}  // namespace

Tensor add_variable(GraphState& graph, const Initializer& initializer, std::string_view label, std::source_location where) {
  using Kind = Initializer::Kind;
  const TensorType& type = initializer.type;
  if (!type.shape.is_static()) fail_graph("variable: shape " + type.shape.str() + " has unknown sizes", ir::Location::of(where));
  Attributes attributes{{"dtype", type.dtype}};
  attributes.set_shape(type.shape);
  attributes.set("initializer", std::string(ops::initializers[static_cast<int>(initializer.kind)]));
  if (initializer.kind == Kind::literal) {
    attributes.set("value", Literal::of(initializer.literal));
  } else {
    attributes.set("a", initializer.a);
    attributes.set("b", initializer.b);
    attributes.set("seed", static_cast<std::int64_t>(initializer.seed));
  }
  const Tensor t = apply_source(graph, "variable", std::move(attributes), where, label);
  graph.variables.push_back(t.node());
  return t;
}

Operation add_assign(Tensor variable, Operand value) {
  require_variable("assign", variable, value.where());
  const Operand operands[] = {Operand(variable, value.where()), value};
  return Operation(variable.graph(), add_operation("assign", operands));
}

Tensor Graph::variable(Initializer initializer, std::string_view label, std::source_location where) {
  return add_variable(*state_, initializer, label, where);
}

Tensor Graph::variable(const NDArray& value, std::string_view label, std::source_location where) {
  return variable(init::literal(value), label, where);
}

Tensor Graph::read(Tensor variable, std::source_location where) {
  require_variable("read", variable, where);
  return apply("read", {Operand(variable, where)});
}

Operation Graph::assign(Tensor variable, Operand value) {
  require_variable("assign", variable, value.where());
  if (variable.graph() != state_.get())
    fail_graph("assign: variable " + variable.name() + " belongs to another graph", ir::Location::of(value.where()));
  return add_assign(variable, value);
}

void Graph::control_dependencies(std::span<const Operation> operations, const std::function<void()>& body) {
  const auto outer = state_->control;
  for (const auto& o : operations) {
    if (o.graph() != state_.get()) throw GraphError("control_dependencies: an operation of another graph, or an empty one");
    state_->control.push_back(o.node());
  }
  struct Restore {
    GraphState& state;
    std::vector<ir::NodeId> control;
    ~Restore() { state.control = std::move(control); }
  } restore{*state_, outer};
  body();
}

void Graph::scope(std::string_view label, const std::function<void()>& body) {
  struct Restore {
    GraphState& state;
    std::string scope;
    ~Restore() { state.scope = std::move(scope); }
  } restore{*state_, state_->scope};
  state_->scope = state_->scope.empty() ? std::string(label) : state_->scope + "/" + std::string(label);
  body();
}

std::vector<Tensor> Graph::variables() const {
  std::vector<Tensor> list;
  for (auto id : state_->variables) list.emplace_back(state_.get(), id, 0);
  return list;
}

}  // namespace weft
