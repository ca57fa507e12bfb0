#include "compile/program.h"

#include "graph/text.h"

namespace weft {

std::string Program::str() const {
  std::string s = print(graph);
  auto list = [&](const char* title, auto&& values) {
    s += title;
    for (const auto& v : values) s += " %" + std::to_string(v.node) + (v.output ? "#" + std::to_string(v.output) : "");
    s += "\n";
  };
  list("targets:", targets);
  std::vector<ir::Value> updated;
  for (const auto& u : updates) updated.push_back(u.value);
  if (!updated.empty()) list("updates:", updated);
  return s;
}

void Rewriter::set(ir::Value old, ir::Value replacement) {
  auto& slots = map_[static_cast<std::size_t>(old.node)];
  if (slots.empty()) slots.resize(from_.graph[old.node].types.size());
  slots[static_cast<std::size_t>(old.output)] = replacement;
}

ir::Node Rewriter::mapped_node(ir::NodeId old) const {
  ir::Node node = from_.graph[old];
  for (auto& v : node.operands) v = mapped(v);
  return node;
}

ir::NodeId Rewriter::add(ir::NodeId old, ir::Node node) {
  const auto id = to_.graph.add(std::move(node));
  for (std::size_t i = 0; i < from_.graph[old].types.size(); ++i) set({old, static_cast<std::int32_t>(i)}, {id, static_cast<std::int32_t>(i)});
  return id;
}

ir::NodeId Rewriter::copy(ir::NodeId old) { return add(old, mapped_node(old)); }

std::vector<bool> Rewriter::live(const Program& program) {
  std::vector<bool> live(program.graph.nodes.size());
  for (auto v : program.targets) live[static_cast<std::size_t>(v.node)] = true;
  for (const auto& u : program.updates) live[static_cast<std::size_t>(u.value.node)] = true;
  for (auto id = program.graph.size() - 1; id >= 0; --id)
    if (live[static_cast<std::size_t>(id)])
      for (auto v : program.graph[id].operands) live[static_cast<std::size_t>(v.node)] = true;
  return live;
}

std::vector<int> Rewriter::uses(const Program& program) {
  std::vector<int> uses(program.graph.nodes.size());
  const auto live = Rewriter::live(program);
  for (ir::NodeId id = 0; id < program.graph.size(); ++id)
    if (live[static_cast<std::size_t>(id)])
      for (auto v : program.graph[id].operands) ++uses[static_cast<std::size_t>(v.node)];
  for (auto v : program.targets) ++uses[static_cast<std::size_t>(v.node)];
  for (const auto& u : program.updates) ++uses[static_cast<std::size_t>(u.value.node)];
  return uses;
}

Program Rewriter::finish() {
  for (auto f : from_.feeds)
    if (!map_[static_cast<std::size_t>(f.node)].empty()) to_.feeds.push_back({f.placeholder, mapped({f.node, 0}).node});
  for (auto v : from_.variables)
    if (!map_[static_cast<std::size_t>(v.node)].empty()) to_.variables.push_back({v.variable, mapped({v.node, 0}).node});
  for (auto v : from_.targets) to_.targets.push_back(mapped(v));
  for (auto u : from_.updates) to_.updates.push_back({u.variable, mapped(u.value)});
  to_.keeps_variables = from_.keeps_variables;
  return std::move(to_);
}

}  // namespace weft
