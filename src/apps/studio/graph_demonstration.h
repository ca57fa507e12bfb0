// Graphs and what becomes of them, in the studio.
#pragma once

#include "apps/explained.h"
#include "apps/studio/routes.h"
#include "apps/studio/worker.h"

#include <map>
#include <string>
#include <utility>

namespace weft::apps::studio {

class GraphDemonstration {
 public:
  GraphDemonstration(Board& board, Backend backend);

  void add_to(Routes& routes);
  void use(Backend backend);

 private:
  /// The page that explains a graph, compiled and timed when it is first asked for.
  std::string page(const std::string& name, bool anew);
  Json show_function(const Call& call);
  const Machine& machine();

  Board& board_;
  Backend backend_;
  std::map<Backend, Machine> machines_;
  std::map<std::pair<std::string, Backend>, std::string> pages_;
  std::string function_page_;
  std::int64_t functions_ = 0;

  Worker worker_;
};

}  // namespace weft::apps::studio
