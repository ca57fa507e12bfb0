#include "compile/verify.h"

#include "graph/primitive.h"

#include <weft/error.h>

namespace weft {

void verify(const Program& program, const char* pass) {
  auto fault = [&](const std::string& what) { throw InternalError(std::string("after pass ") + pass + ": " + what + "\n" + program.str()); };
  const ir::Graph& graph = program.graph;
  auto exists = [&](ir::Value v, ir::NodeId before) {
    return v.node >= 0 && v.node < before && v.output >= 0 && static_cast<std::size_t>(v.output) < graph[v.node].types.size();
  };
  for (ir::NodeId id = 0; id < graph.size(); ++id) {
    const ir::Node& node = graph[id];
    const std::string name = "%" + std::to_string(id) + " " + ir::describe(node);
    for (auto v : node.operands)
      if (!exists(v, id)) fault(name + " uses a value that does not come before it");
    if (!node.control.empty()) fault(name + " has control dependencies");
    if (node.op->name == "read" || node.op->name == "assign") fault(name + " is left over");
    ir::Node again = node;
    infer_types(graph, again);
    if (again.types != node.types) fault(name + " has another type than is inferred");
    for (const auto& t : node.types)
      if (!t.shape.is_static()) fault(name + " has unknown sizes");
  }
  for (auto v : program.targets)
    if (!exists(v, graph.size())) fault("a target does not exist");
  for (const auto& u : program.updates)
    if (!exists(u.value, graph.size())) fault("an update does not exist");
  for (const auto& f : program.feeds)
    if (!exists({f.node, 0}, graph.size()) || graph[f.node].op->name != "placeholder") fault("a feed is not a placeholder");
  for (const auto& v : program.variables)
    if (!exists({v.node, 0}, graph.size()) || graph[v.node].op->name != "variable") fault("a variable is not one");
}

}  // namespace weft
