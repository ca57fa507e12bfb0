// The demonstrations behind one page.
#pragma once

#include "apps/studio/digits_demonstration.h"
#include "apps/studio/gan_demonstration.h"
#include "apps/studio/graph_demonstration.h"
#include "apps/studio/server.h"
#include "apps/studio/text_demonstration.h"

#include <memory>
#include <string>
#include <vector>

namespace weft::apps::studio {

struct StudioOptions {
  Server::Options server = {};
  TextDemonstration::Options text = {};
  std::string data = {};  ///< a folder with MNIST's files; empty: where commands look
  Backend backend = Backend::automatic;
};

class Studio {
 public:
  /// Throws RunError when it can't listen.
  explicit Studio(const StudioOptions& options);

  std::string address() const { return server_->address(); }
  int port() const { return server_->port(); }

 private:
  Routes routes();
  void choose_device(const std::string& name);
  void tell_devices();

  Board board_;
  Backend backend_;
  DigitsShelf shelf_;
  TextDemonstration text_;
  DigitsDemonstration digits_;
  GanDemonstration gan_;
  GraphDemonstration graph_;
  std::unique_ptr<Server> server_;
};

}  // namespace weft::apps::studio
