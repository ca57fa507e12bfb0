// Device functions that generated code calls.
#pragma once

#include <string>
#include <string_view>

namespace weft::cuda {

/// The definitions of all that `code` names, and of what they name themselves.
std::string definitions_for(std::string_view code);

}  // namespace weft::cuda
