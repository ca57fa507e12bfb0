#include "graph/build.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace weft {
namespace {

std::string file_name(std::string_view path) {
  const auto slash = path.find_last_of('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string scoped_label(const GraphState& graph, std::string_view label) {
  if (label.empty() || graph.scope.empty()) return label.empty() ? graph.scope : std::string(label);
  return graph.scope + "/" + std::string(label);
}

const ir::Node& node_of(GraphState* graph, std::int32_t node) {
  if (!graph) throw GraphError("an empty weft::Tensor or weft::Operation was used");
  return graph->ir[node];
}

}  // namespace

std::string ir::Location::str() const { return line ? file_name(file) + ":" + std::to_string(line) : std::string(); }

std::string ir::describe(const Node& node) {
  std::string s(node.op->name);
  if (!node.label.empty()) s += " \"" + node.label + "\"";
  return s;
}

void fail_graph(const std::string& message, const ir::Location& where) {
  throw GraphError(where.line ? message + " (at " + where.str() + ")" : message);
}

// Tensor, Operation ---------------------------------------------------------------------------------------------------

const TensorType& Tensor::type() const { return node_of(graph_, node_).types[static_cast<std::size_t>(output_)]; }
Operation Tensor::operation() const { return Operation(*this); }
Tensor Tensor::named(std::string_view label) const {
  operation().named(label);
  return *this;
}
std::string Tensor::name() const {
  const auto& node = node_of(graph_, node_);
  return node.label.empty() ? "%" + std::to_string(node_) : node.label;
}

std::string_view Operation::name() const { return node_of(graph_, node_).op->name; }
std::string Operation::label() const { return node_of(graph_, node_).label; }
int Operation::result_count() const { return static_cast<int>(node_of(graph_, node_).types.size()); }
Tensor Operation::result(int index) const {
  if (index < 0 || index >= result_count()) throw GraphError(ir::describe(graph_->ir[node_]) + " has no result " + std::to_string(index));
  return Tensor(graph_, node_, index);
}
Operation Operation::named(std::string_view label) const {
  node_of(graph_, node_);
  graph_->ir[node_].label = scoped_label(*graph_, label);
  return *this;
}

// Inference -----------------------------------------------------------------------------------------------------------

void Inference::fail(const std::string& message) const {
  std::string s(op.name);
  if (!label.empty()) s += " \"" + std::string(label) + "\"";
  throw GraphError(s + ": " + message);
}

void Inference::require(bool (*accepted)(DType), std::size_t i, std::string_view wanted) const {
  if (!accepted(dtype(i))) fail("operand " + std::to_string(i) + " is " + operands[i].str() + ", expects " + std::string(wanted));
}

void Inference::require_same_dtype(std::size_t i, std::size_t j) const {
  if (dtype(i) != dtype(j)) fail("operands " + operands[i].str() + " and " + operands[j].str() + " have different element types; cast one of them");
}

int Inference::axis(std::int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank)
    fail("axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank) +
         (rank ? ", expects " + std::to_string(-rank) + " to " + std::to_string(rank - 1) : ""));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<int> Inference::axes(std::span<const std::int64_t> list, int rank) const {
  std::vector<int> result;
  for (auto a : list) {
    const int resolved = axis(a, rank);
    for (int earlier : result)
      if (earlier == resolved) fail("axis " + std::to_string(a) + " is given twice");
    result.push_back(resolved);
  }
  return result;
}

void infer_types(const ir::Graph& graph, ir::Node& node) {
  std::vector<TensorType> types;
  for (auto v : node.operands) types.push_back(graph.type(v));
  Inference inference(*node.op, std::move(types), node.attributes, node.label);
  node.op->infer(inference);
  node.types = std::move(inference.results);
}

// Building ------------------------------------------------------------------------------------------------------------

GraphState& graph_of(std::string_view op, std::span<const Operand> operands) {
  GraphState* graph = nullptr;
  const Operand* first = nullptr;
  for (const auto& o : operands) {
    if (!o.tensor() && !o.is_scalar())
      fail_graph(std::string(op) + ": operand " + std::to_string(&o - operands.data()) + " is an empty tensor", ir::Location::of(o.where()));
    if (!o.tensor()) continue;
    if (!graph) graph = o.tensor().graph(), first = &o;
    else if (graph != o.tensor().graph())
      fail_graph(std::string(op) + ": operands " + first->tensor().name() + " and " + o.tensor().name() + " belong to different graphs",
                 ir::Location::of(o.where()));
  }
  if (!graph)
    fail_graph(std::string(op) + ": no operand is a tensor, which would tell the graph",
               operands.empty() ? ir::Location{} : ir::Location::of(operands[0].where()));
  return *graph;
}

Tensor implicitly_read(Tensor t) {
  GraphState& graph = *t.graph();
  if (graph.ir[t.node()].op->name != "variable") return t;
  // Inside control dependencies a read of its own: it may have to see an assignment.
  const bool at_start = graph.control.empty();
  if (auto found = graph.implicit_reads.find(t.node()); at_start && found != graph.implicit_reads.end()) return Tensor(&graph, found->second, 0);
  ir::Node node;
  node.op = &primitive("read");
  node.operands = {{t.node(), 0}};
  if (at_start) node.attributes.set("implicit", std::int64_t{1});
  node.control = graph.control;
  node.where = graph.ir[t.node()].where;
  infer_types(graph.ir, node);
  const auto id = graph.ir.add(std::move(node));
  if (at_start) graph.implicit_reads[t.node()] = id;
  return Tensor(&graph, id, 0);
}

Tensor scalar_constant(GraphState& graph, const Scalar& value, DType dtype, std::source_location where) {
  auto refuse = [&](const std::string& text) {
    fail_graph("constant: " + text + " is not a value of " + std::string(name_of(dtype)),
               graph.user_call ? *graph.user_call : ir::Location::of(where));
  };
  std::byte element[8] = {};
  visit_dtype(dtype, [&](auto e) {
    using T = decltype(e);
    T out{};
    std::visit(
        [&](auto v) {
          using V = decltype(v);
          if constexpr (std::is_same_v<T, bool>) {
            if (v != V(0) && v != V(1)) refuse(std::to_string(v));
            out = v != V(0);
          } else if constexpr (std::is_integral_v<T>) {
            if constexpr (std::is_floating_point_v<V>) {
              if (!(v == std::trunc(v)) || !(v >= static_cast<double>(std::numeric_limits<T>::min())) ||
                  !(v < std::ldexp(1.0, std::numeric_limits<T>::digits)))
                refuse(std::to_string(v));
              out = static_cast<T>(v);
            } else if constexpr (std::is_same_v<V, bool>) {
              out = static_cast<T>(v);
            } else {
              if (!std::in_range<T>(v)) refuse(std::to_string(v));
              out = static_cast<T>(v);
            }
          } else if constexpr (std::is_same_v<T, std::complex<float>>) {
            out = T(static_cast<float>(v), 0.0f);
          } else if constexpr (std::is_same_v<T, double>) {
            out = static_cast<double>(v);
          } else {
            out = static_cast<T>(static_cast<float>(v));
          }
        },
        value);
    std::memcpy(element, &out, sizeof out);
  });
  ir::Node node;
  node.op = &primitive("constant");
  node.attributes.set("value", Literal::filled({dtype, {}}, std::span(element, size_of(dtype))));
  node.types = {{dtype, {}}};
  node.where = graph.user_call ? *graph.user_call : ir::Location::of(where);
  return Tensor(&graph, graph.ir.add(std::move(node)), 0);
}

ir::NodeId add_operation(std::string_view op, std::span<const Operand> operands, Attributes attributes, int scalar_like) {
  GraphState& graph = graph_of(op, operands);
  const Operand* typed = nullptr;
  for (std::size_t i = 0; i < operands.size() && !typed; ++i)
    if (operands[i].tensor() && (scalar_like < 0 || static_cast<int>(i) == scalar_like)) typed = &operands[i];

  ir::Node node;
  node.op = &primitive(op);
  node.attributes = std::move(attributes);
  node.where = graph.user_call ? *graph.user_call : ir::Location::of(operands[0].where());
  node.label = graph.scope;
  node.control = graph.control;
  const bool takes_variable = node.op->kind == Kind::state;
  for (const auto& o : operands) {
    Tensor t = o.tensor();
    if (!t) t = scalar_constant(graph, o.scalar(), typed ? typed->tensor().dtype() : f32, o.where());
    else if (!takes_variable || &o != &operands[0]) t = implicitly_read(t);
    node.operands.push_back({t.node(), t.output()});
  }
  const auto count = static_cast<int>(operands.size());
  if (count < node.op->min_operands || (node.op->max_operands >= 0 && count > node.op->max_operands))
    throw InternalError(std::string(op) + " was built with " + std::to_string(count) + " operands");
  try {
    infer_types(graph.ir, node);
  } catch (const GraphError& e) { fail_graph(e.what(), node.where); }
  return graph.ir.add(std::move(node));
}

Tensor apply(std::string_view op, std::initializer_list<Operand> operands, Attributes attributes, int scalar_like) {
  const std::span list(operands.begin(), operands.size());
  const auto id = add_operation(op, list, std::move(attributes), scalar_like);
  return Tensor(&graph_of(op, list), id, 0);
}

std::vector<Tensor> apply_all(std::string_view op, std::span<const Operand> operands, Attributes attributes, int scalar_like) {
  const auto id = add_operation(op, operands, std::move(attributes), scalar_like);
  GraphState& graph = graph_of(op, operands);
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < graph.ir[id].types.size(); ++i) results.emplace_back(&graph, id, static_cast<std::int32_t>(i));
  return results;
}

Tensor apply_source(GraphState& graph, std::string_view op, Attributes attributes, std::source_location where, std::string_view label) {
  ir::Node node;
  node.op = &primitive(op);
  node.attributes = std::move(attributes);
  node.where = graph.user_call ? *graph.user_call : ir::Location::of(where);
  node.label = scoped_label(graph, label);
  node.control = graph.control;
  try {
    infer_types(graph.ir, node);
  } catch (const GraphError& e) { fail_graph(e.what(), node.where); }
  return Tensor(&graph, graph.ir.add(std::move(node)), 0);
}

CompositeScope::CompositeScope(std::string_view name, std::initializer_list<Operand> operands)
    : graph_(graph_of(name, std::span(operands.begin(), operands.size()))), outer_(graph_.user_call) {
  for (const auto& o : operands)
    if (o.tensor()) {
      dtype_ = o.tensor().dtype();
      break;
    }
  location_ = ir::Location::of(operands.begin()->where());
  if (!outer_) graph_.user_call = &location_;
}

CompositeScope::~CompositeScope() { graph_.user_call = outer_; }

Tensor CompositeScope::tensor(const Operand& operand) const {
  return operand.tensor() ? operand.tensor() : scalar_constant(graph_, operand.scalar(), dtype_, operand.where());
}

ir::Node make_node(const ir::Graph& graph, std::string_view op, std::vector<ir::Value> operands, Attributes attributes, const ir::Node& like) {
  ir::Node made;
  made.op = &primitive(op);
  made.operands = std::move(operands);
  made.attributes = std::move(attributes);
  made.label = like.label;
  made.where = like.where;
  infer_types(graph, made);
  return made;
}

// Expansion -----------------------------------------------------------------------------------------------------------

ir::Value Expansion::add(std::string_view op, std::vector<ir::Value> operands, Attributes attributes) {
  ir::Node made = make_node(graph_, op, std::move(operands), std::move(attributes), node);
  if (made.op->expand && made.op != node.op) {
    Expansion inner(graph_, made);
    if (const auto replacement = made.op->expand(inner); replacement.node >= 0) return replacement;
  }
  return {graph_.add(std::move(made)), 0};
}

ir::Value Expansion::constant(double value, DType dtype) {
  NDArray a(dtype, {});
  a.import_from(&value, f64);
  return add("constant", {}, {{"value", Literal::of(a)}});
}

ir::Value Expansion::zero(DType dtype) {
  static constexpr std::array<std::byte, 8> zeros{};
  return add("constant", {}, {{"value", Literal::filled({dtype, {}}, std::span(zeros).first(size_of(dtype)))}});
}

ir::Value Expansion::constant(std::span<const std::int64_t> values) {
  return add("constant", {}, {{"value", Literal::of(NDArray::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values))}});
}

}  // namespace weft
