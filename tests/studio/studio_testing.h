// A studio of a test's own, and a client.
#pragma once

#include "apps/studio/studio.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <functional>
#include <string>

namespace weft::apps::studio::testing {

/// The data of an event stream's first events, until `enough` is content with one.
inline Json event_until(int port, const std::function<bool(const Json&)>& enough) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(60);
  std::string unread;
  Json found;
  client.Get("/events", [&](const char* data, std::size_t size) {
    unread.append(data, size);
    for (std::size_t end; (end = unread.find("\n\n")) != std::string::npos; unread.erase(0, end + 2)) {
      if (!unread.starts_with("data: ")) continue;
      Json entry = Json::parse(unread.substr(6, end - 6));
      if (!enough(entry)) continue;
      found = std::move(entry);
      return false;
    }
    return true;
  });
  return found;
}

/// All that the studio shows, as a page that has just been opened gets it.
inline Json everything(int port) {
  return event_until(port, [](const Json& entry) { return entry.contains("whole"); })["whole"];
}

/// Asks until the state of a topic is as it should be.
inline Json wait_for(int port, const std::string& topic, const std::function<bool(const Json&)>& is_so) {
  for (int i = 0; i < 1200; ++i) {
    if (Json state = everything(port)[topic]; is_so(state)) return state;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ADD_FAILURE() << topic << " never came to be as expected: " << everything(port)[topic].dump().substr(0, 2000);
  return {};
}

struct Reply {
  int status = 0;
  Json body;
};
inline Reply post(int port, const std::string& path, const Json& arguments, const httplib::Headers& headers = {}) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(120);
  const auto result = client.Post(path, headers, arguments.dump(), "application/json");
  if (!result) return {};
  return {result->status, Json::parse(result->body, nullptr, false)};
}

}  // namespace weft::apps::studio::testing
