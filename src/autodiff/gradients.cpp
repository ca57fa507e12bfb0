// Reverse-mode differentiation: walks from y back to xs, asking each operation's gradient rule (in src/ops) for its
// operands' derivatives. The derivatives are operations in the same graph, so they can be differentiated again.
#include "graph/build.h"
#include "ops/shape_like.h"

#include <weft/elementwise.h>
#include <weft/graph.h>

#include <algorithm>

namespace weft {

Gradient::Gradient(GraphState* graph, ir::NodeId node, std::vector<Tensor> cotangents, std::vector<bool> wanted)
    : derivatives(wanted.size()), graph_(graph), node_(node), cotangents_(std::move(cotangents)), wanted_(std::move(wanted)) {}

Tensor Gradient::operand(std::size_t i) const {
  const auto v = graph_->ir[node_].operands[i];
  return Tensor(graph_, v.node, v.output);
}

Tensor Gradient::result(std::size_t i) const { return Tensor(graph_, node_, static_cast<std::int32_t>(i)); }

Tensor Gradient::cotangent(std::size_t i) const {
  if (cotangents_[i]) return cotangents_[i];
  return broadcast_like(scalar_constant(*graph_, 0.0, result(i).dtype()), result(i));
}

const Attributes& Gradient::attributes() const { return graph_->ir[node_].attributes; }
std::size_t Gradient::operand_count() const { return graph_->ir[node_].operands.size(); }

namespace {

/// While the derivative of an operation is built, new operations carry its place and label.
class DerivativeScope {
 public:
  DerivativeScope(GraphState& graph, ir::NodeId node) : graph_(graph), scope_(graph.scope), outer_(graph.user_call), location_(graph.ir[node].where) {
    const std::string label = graph.ir[node].label;
    graph.scope = label.empty() ? "gradient" : label + "/gradient";
    graph.user_call = &location_;
  }
  ~DerivativeScope() {
    graph_.scope = scope_;
    graph_.user_call = outer_;
  }
  DerivativeScope(const DerivativeScope&) = delete;
  DerivativeScope& operator=(const DerivativeScope&) = delete;

 private:
  GraphState& graph_;
  std::string scope_;
  const ir::Location* outer_;
  ir::Location location_;
};

bool surely_equal(const Shape& a, const Shape& b) { return a.is_static() && a == b; }

class Walk {
 public:
  Walk(GraphState& graph, std::span<const Tensor> ys, std::span<const Tensor> xs) : graph_(graph) {
    for (const auto& y : ys) last_ = std::max(last_, y.node());
    reaches_x_.resize(static_cast<std::size_t>(last_ + 1));
    cotangents_.resize(reaches_x_.size());
    for (const auto& x : xs)
      if (x.node() <= last_) targets_.push_back({x.node(), x.output()});
    std::sort(targets_.begin(), targets_.end());
    mark();
  }

  void start(Tensor y, Tensor weight) { accumulate({y.node(), y.output()}, weight); }

  void run() {
    for (ir::NodeId id = last_; id >= 0; --id) {
      const auto& slots = cotangents_[static_cast<std::size_t>(id)];
      if (!reaches_x_[static_cast<std::size_t>(id)] || std::none_of(slots.begin(), slots.end(), [](Tensor t) { return static_cast<bool>(t); }))
        continue;
      differentiate(id);
    }
  }

  /// Empty when no y depends on t.
  Tensor cotangent(Tensor t) const {
    if (t.node() > last_) return {};
    const auto& slots = cotangents_[static_cast<std::size_t>(t.node())];
    return slots.empty() ? Tensor{} : slots[static_cast<std::size_t>(t.output())];
  }

 private:
  /// Marks the operations whose results depend on some x; only through them do derivatives flow.
  void mark() {
    for (ir::NodeId id = 0; id <= last_; ++id) {
      const auto& node = graph_.ir[id];
      bool reaches = false;
      for (auto v : node.operands) reaches = reaches || depends(v);
      reaches_x_[static_cast<std::size_t>(id)] = reaches;
    }
  }

  bool depends(ir::Value v) const {
    return is_floating(graph_.ir.type(v).dtype) &&
           (reaches_x_[static_cast<std::size_t>(v.node)] || std::binary_search(targets_.begin(), targets_.end(), v));
  }

  void accumulate(ir::Value v, Tensor derivative) {
    auto& slots = cotangents_[static_cast<std::size_t>(v.node)];
    if (slots.empty()) slots.resize(graph_.ir[v.node].types.size());
    auto& slot = slots[static_cast<std::size_t>(v.output)];
    slot = slot ? slot + derivative : derivative;
  }

  void differentiate(ir::NodeId id) {
    const DerivativeScope scope(graph_, id);
    const Primitive& op = *graph_.ir[id].op;
    const auto operands = graph_.ir[id].operands;  // a copy: rules add nodes
    std::vector<bool> wanted;
    for (auto v : operands) wanted.push_back(depends(v));
    if (!op.gradient) {
      std::string from;
      for (std::size_t i = 0; i < operands.size(); ++i)
        if (wanted[i]) from = graph_.ir.type(operands[i]).str();
      fail_graph("gradients: " + ir::describe(graph_.ir[id]) + " of " + from + " has no derivative, and y depends on x through it",
                 graph_.ir[id].where);
    }
    Gradient gradient(&graph_, id, cotangents_[static_cast<std::size_t>(id)], wanted);
    op.gradient(gradient);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      Tensor d = gradient.derivatives[i];
      if (!wanted[i] || !d) continue;
      const Tensor operand(&graph_, operands[i].node, operands[i].output);
      if (op.kind == Kind::elementwise && !surely_equal(operand.shape(), d.shape())) d = sum_to_like(d, operand);
      accumulate(operands[i], d);
    }
  }

  GraphState& graph_;
  ir::NodeId last_ = -1;
  std::vector<ir::Value> targets_;
  std::vector<bool> reaches_x_;
  std::vector<std::vector<Tensor>> cotangents_;
};

}  // namespace

std::vector<Tensor> differentiate(GraphState& graph, std::span<const Tensor> ys, std::span<const Tensor> weights, std::span<const Tensor> xs) {
  Walk walk(graph, ys, xs);
  for (std::size_t i = 0; i < ys.size(); ++i) walk.start(ys[i], weights[i]);
  walk.run();
  std::vector<Tensor> result;
  for (auto x : xs) {
    const Tensor d = walk.cotangent(x);
    result.push_back(d ? d : broadcast_like(scalar_constant(graph, 0.0, x.dtype()), x));
  }
  return result;
}

std::vector<Tensor> Graph::gradients(Tensor y, std::span<const Tensor> xs, std::source_location where) {
  const auto location = ir::Location::of(where);
  auto check = [&](Tensor t, const char* role) {
    if (t.graph() != state_.get())
      fail_graph(std::string("gradients: ") + role + " is " + (t ? "a tensor of another graph" : "an empty tensor"), location);
    if (!is_floating(t.dtype()))
      fail_graph(std::string("gradients: ") + role + " " + t.name() + " is " + t.type().str() + "; only floating-point tensors have derivatives",
                 location);
  };
  check(y, "y");
  for (auto x : xs) check(x, "x");

  const Tensor value = implicitly_read(y);
  const Tensor weight = broadcast_like(scalar_constant(*state_, 1.0, value.dtype(), where), value);
  return differentiate(*state_, {&value, 1}, {&weight, 1}, xs);
}

}  // namespace weft
