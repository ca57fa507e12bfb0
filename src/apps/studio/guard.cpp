#include "apps/studio/guard.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

namespace weft::apps::studio {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// "localhost" of "localhost:8080", "::1" of "[::1]:8080".
std::string name_in(std::string_view host) {
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  return lower(host.substr(0, host.find(':')));
}

bool is_address(const std::string& name) {
  in6_addr address;
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 || ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

}  // namespace

std::string why_refused(const Sender& sender, std::string_view own_name) {
  const std::string name = name_in(sender.host);
  if (name != "localhost" && name != lower(own_name) && !is_address(name))
    return "the studio is not known as \"" + std::string(sender.host) + "\"; its address is printed where it was started";
  if (!sender.origin.empty() && lower(sender.origin) != "http://" + lower(sender.host))
    return "the request comes from a page of " + std::string(sender.origin) + ", not from the studio's";
  const bool is_foreign = sender.fetch_site == "cross-site" || sender.fetch_site == "same-site";
  if (is_foreign && sender.fetch_mode != "navigate") return "the request comes from a page that is not the studio's";
  return {};
}

}  // namespace weft::apps::studio
