// Requests that a demonstration's thread answers.
#pragma once

#include "apps/studio/routes.h"
#include "apps/studio/worker.h"

#include <string>
#include <utility>

namespace weft::apps::studio {

class WorkerRoutes {
 public:
  /// `prefix` stands before all names, as "/api/text/" does. Routes and worker must outlive what is added.
  WorkerRoutes(Routes& routes, Worker& worker, std::string prefix) : routes_(routes), worker_(worker), prefix_(std::move(prefix)) {}

  /// f(call) is called in the thread; the answer says that it is done.
  template <class F> void post(const std::string& name, F f) {
    routes_.posts[prefix_ + name] = [&worker = worker_, f = std::move(f)](const Call& call) {
      worker.ask([&] { f(call); });
      return done();
    };
  }
  /// What the thread keeps there at the time.
  void get(const std::string& name, const std::string& bytes) {
    routes_.gets[prefix_ + name] = [&worker = worker_, &bytes](const Call&) {
      return worker.ask([&]() -> Answer { return {bytes, "application/octet-stream"}; });
    };
  }

 private:
  Routes& routes_;
  Worker& worker_;
  std::string prefix_;
};

}  // namespace weft::apps::studio
