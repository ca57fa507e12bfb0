#include "apps/studio/board.h"

namespace weft::apps::studio {
namespace {

constexpr std::size_t most_recent = 512;

/// Text that is not UTF-8 can come with errors from outside.
std::string dumped(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

void Board::set(const std::string& topic, const Json& values) {
  const std::lock_guard lock(mutex_);
  Json& state = topics_[topic];
  if (state.is_null()) state = Json::object();
  state.update(values);
  publish(dumped({{"topic", topic}, {"set", values}}));
}

void Board::append(const std::string& topic, const Json& values) {
  const std::lock_guard lock(mutex_);
  Json& state = topics_[topic];
  for (const auto& [key, more] : values.items()) {
    Json& value = state[key];
    if (more.is_string()) {
      value = value.is_string() ? value.get<std::string>() + more.get<std::string>() : more.get<std::string>();
      continue;
    }
    if (!value.is_array()) value = Json::array();
    for (const Json& element : more) value.push_back(element);
    if (value.size() <= longest_list) continue;
    Json thinned = Json::array();
    for (std::size_t i = 0; i < value.size(); i += 2) thinned.push_back(std::move(value[i]));
    value = std::move(thinned);
  }
  publish(dumped({{"topic", topic}, {"append", values}}));
}

void Board::publish(std::string entry) {
  recent_.push_back(std::move(entry));
  if (recent_.size() > most_recent) recent_.pop_front();
  ++count_;
  changed_.notify_all();
}

Json Board::state(const std::string& topic) const {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(topic);
  return found == topics_.end() ? Json::object() : *found;
}

Board::News Board::after(std::uint64_t seen, std::chrono::milliseconds longest) const {
  std::unique_lock lock(mutex_);
  News news;
  if (seen == 0 || seen > count_ || count_ - seen > recent_.size()) {
    news.entries.push_back(dumped({{"whole", topics_}}));
  } else {
    changed_.wait_for(lock, longest, [&] { return closed_ || count_ > seen; });
    for (std::size_t i = recent_.size() - static_cast<std::size_t>(count_ - seen); i < recent_.size(); ++i) news.entries.push_back(recent_[i]);
  }
  news.upto = count_;
  return news;
}

void Board::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool Board::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace weft::apps::studio
