#include "ops/families.h"

#include <weft/error.h>

#include <string>
#include <unordered_map>

namespace weft {
namespace {

const std::unordered_map<std::string_view, const Primitive*>& table() {
  static const auto map = [] {
    std::unordered_map<std::string_view, const Primitive*> m;
    for (auto family : {ops::sources(), ops::state(), ops::unary(), ops::binary(), ops::ternary(), ops::movement(), ops::slices(), ops::indexing(),
                        ops::reductions(), ops::scans(), ops::sorting(), ops::contractions(), ops::convolutions(), ops::pooling(), ops::distances(),
                        ops::random(), ops::control()})
      for (const auto& p : family)
        if (!m.emplace(p.name, &p).second) throw InternalError("primitive " + std::string(p.name) + " is listed twice");
    return m;
  }();
  return map;
}

}  // namespace

const Primitive* find_primitive(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : found->second;
}

const Primitive& primitive(std::string_view name) {
  if (const auto* p = find_primitive(name)) return *p;
  throw InternalError("there is no primitive " + std::string(name));
}

}  // namespace weft
