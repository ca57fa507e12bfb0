// What the studio shows, and how pages follow it.
#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace weft::apps::studio {

using Json = nlohmann::json;

/// An object for each topic ("digits"), which changes by news: values that are replaced, and texts and lists that grow. A page gets everything
/// first and then the news, however late it comes and however often it leaves. Lists that have become long lose every other element, so that a
/// training of days takes no more memory than one of minutes. Safe to use from several threads.
class Board {
 public:
  void set(const std::string& topic, const Json& values);
  /// Values are strings, or arrays whose elements are added.
  void append(const std::string& topic, const Json& values);
  Json state(const std::string& topic) const;

  struct News {
    std::uint64_t upto = 0;            ///< what to ask for next
    std::vector<std::string> entries;  ///< {"whole": {topic: state}}, {"topic", "set"} or {"topic", "append"}
  };
  /// What has come after `seen`; everything when that is 0 or too long ago. Waits for news, not longer than this.
  News after(std::uint64_t seen, std::chrono::milliseconds longest) const;

  /// Ends all waiting, for good.
  void close();
  bool is_closed() const;

  static constexpr std::size_t longest_list = 4096;

 private:
  void publish(std::string entry);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Json topics_ = Json::object();
  std::deque<std::string> recent_;
  std::uint64_t count_ = 1;  ///< of entries so far, and one
  bool closed_ = false;
};

}  // namespace weft::apps::studio
