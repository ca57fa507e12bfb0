// Evaluates a program operation by operation in double precision, integers in 128 bits. The truth that other backends
// are compared with, and what runs where none was built.
#include "compile/backend.h"
#include "graph/primitive.h"
#include "ops/reference_array.h"

#include <weft/error.h>

#include <cstring>

namespace weft::reference {
namespace {

class Evaluator : public CompiledProgram {
 public:
  explicit Evaluator(const Program& program) : program_(program), uses_(program.graph.nodes.size()) {
    for (const auto& node : program.graph.nodes)
      for (auto v : node.operands) ++uses_[static_cast<std::size_t>(v.node)];
    for (auto v : program.targets) ++uses_[static_cast<std::size_t>(v.node)];
    for (const auto& u : program.updates) ++uses_[static_cast<std::size_t>(u.value.node)];
  }

  void run(Context&, const RunArrays& arrays) const override {
    const ir::Graph& graph = program_.graph;
    std::vector<std::vector<Array>> values(graph.nodes.size());
    auto uses = uses_;
    for (std::size_t i = 0; i < program_.feeds.size(); ++i)
      values[static_cast<std::size_t>(program_.feeds[i].node)] = {read(arrays.feeds[i], graph[program_.feeds[i].node].types[0])};
    for (std::size_t i = 0; i < program_.variables.size(); ++i)
      values[static_cast<std::size_t>(program_.variables[i].node)] = {read(arrays.variables[i], graph[program_.variables[i].node].types[0])};

    auto value = [&](ir::Value v) -> const Array& { return values[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.output)]; };
    for (ir::NodeId id = 0; id < graph.size(); ++id) {
      const ir::Node& node = graph[id];
      const auto slot = static_cast<std::size_t>(id);
      if (uses[slot] == 0 || !values[slot].empty()) continue;
      if (!node.op->evaluate) throw InternalError(ir::describe(node) + " has no reference evaluation");
      Evaluation evaluation{node, {}, {}, arrays.run_index};
      for (auto v : node.operands) evaluation.operands.push_back(&value(v));
      for (const auto& t : node.types) values[slot].emplace_back(t);
      for (auto& a : values[slot]) evaluation.results.push_back(&a);
      node.op->evaluate(evaluation);
      for (auto v : node.operands)
        if (--uses[static_cast<std::size_t>(v.node)] == 0) values[static_cast<std::size_t>(v.node)].clear();
    }
    for (std::size_t i = 0; i < program_.targets.size(); ++i) write(value(program_.targets[i]), arrays.targets[i]);
    for (std::size_t i = 0; i < program_.updates.size(); ++i) write(value(program_.updates[i].value), arrays.updates[i]);
  }

 private:
  // NDArray has no form for memory that is only read.
  static Array read(const std::byte* from, const TensorType& type) { return from_ndarray(NDArray::wrap(const_cast<std::byte*>(from), type)); }
  static void write(const Array& value, std::byte* to) {
    const NDArray array = to_ndarray(value);
    std::memcpy(to, array.data(), static_cast<std::size_t>(array.byte_count()));
  }

  Program program_;
  std::vector<int> uses_;
};

}  // namespace

std::unique_ptr<CompiledProgram> make_code(const Program& program) { return std::make_unique<Evaluator>(program); }

}  // namespace weft::reference
