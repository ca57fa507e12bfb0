// Whose requests the studio answers.
#pragma once

#include <string>
#include <string_view>

namespace weft::apps::studio {

/// Of a request, as its headers say; empty when they aren't there.
struct Sender {
  std::string_view host, origin, fetch_site, fetch_mode;
};

/// Empty when the request may be answered, otherwise why not. Browsers say in Origin which page a request comes from, and in Host under which name
/// they found the server: only addresses, "localhost" and the name that the server was told to have are taken, since any other may be a
/// foreign page's whose name has been pointed at this machine (DNS rebinding).
std::string why_refused(const Sender& sender, std::string_view own_name);

}  // namespace weft::apps::studio
