// The studio's web server: the page, its news, and what it asks.
#pragma once

#include "apps/studio/routes.h"

#include <cstdint>
#include <memory>
#include <string>

namespace weft::apps::studio {

class Server {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 8080;  ///< 0: any that is free
  };
  static constexpr std::size_t largest_body = 256 * 1024;

  /// Listens from now on. Throws RunError when it can't. The board must outlive the server, which closes it at its end.
  Server(const Options& options, Routes routes, Board& board);
  ~Server();

  int port() const;
  /// "http://127.0.0.1:8080/"
  std::string address() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::apps::studio
