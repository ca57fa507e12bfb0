#include "stitch/checks.h"

#include "graph/build.h"

#include <weft/error.h>

#include <string>

namespace weft::kernel {

std::vector<const Term*> checked_terms(const Kernel& kernel) {
  std::vector<const Term*> list;
  auto visit = [&](const Access& access) {
    for (const auto& t : access.terms)
      if (t.checked) list.push_back(&t);
  };
  for (const auto& e : kernel.exprs) visit(e.access);
  for (const auto& s : kernel.stores) visit(s.access);
  return list;
}

void fail(const ir::Graph& graph, const Term& term, std::int64_t index) {
  throw RunError(ir::describe(graph[term.node]) + ": index " + std::to_string(index) + " is out of range for axis " + std::to_string(term.axis) +
                 " of size " + std::to_string(term.extent));
}

}  // namespace weft::kernel
