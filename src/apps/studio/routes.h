// What pages ask of the studio, and the answers.
#pragma once

#include "apps/studio/board.h"

#include <functional>
#include <map>
#include <stdexcept>
#include <string>

namespace weft::apps::studio {

/// What is wrong with a request, for its sender.
struct BadRequest : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Call {
  Json arguments = Json::object();  ///< the body, unless that is bytes; of a GET what stands behind the question mark
  std::string body;
};

struct Answer {
  std::string body, type;
  std::string save_as = {};  ///< the name under which a browser is to save it
  /// A page by itself, which may use the script that stands in it.
  bool is_page = false;
};
inline Answer answer(const Json& value) { return {value.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json"}; }
/// Says that it is done.
inline Answer done() { return answer(Json::object()); }

/// By path.
struct Routes {
  using Handler = std::function<Answer(const Call&)>;
  std::map<std::string, Handler> gets, posts;
};

/// An argument, from GETs too; `otherwise` when it isn't given. Throw BadRequest when it isn't what it should be.
double number(const Call& call, const std::string& name, double low, double high, double otherwise);
std::int64_t whole_number(const Call& call, const std::string& name, std::int64_t low, std::int64_t high, std::int64_t otherwise);
std::string text(const Call& call, const std::string& name, std::size_t longest, const std::string& otherwise);

}  // namespace weft::apps::studio
