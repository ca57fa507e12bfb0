// The studio's page and what belongs to it, as part of the program.
#pragma once

#include <string_view>

namespace weft::apps::studio {

struct File {
  std::string_view name, type, content;
};

/// Null when there is none of this name.
const File* find_file(std::string_view name);

}  // namespace weft::apps::studio
