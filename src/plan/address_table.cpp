#include "plan/address_table.h"

#include <algorithm>

namespace weft::plan {

std::size_t AddressTable::enter(Place place) {
  places_.push_back(place);
  if (is_given(place)) given_[give(place)].entries.push_back(places_.size() - 1);
  return places_.size() - 1;
}

std::size_t AddressTable::give(Place place) {
  const auto [found, is_new] = numbers_.try_emplace({place.kind, place.index}, given_.size());
  if (is_new) given_.push_back({place, {}});
  return found->second;
}

bool AddressTable::gives(Place::Kind kind) const {
  return std::ranges::any_of(given_, [&](const Given& g) { return g.place.kind == kind; });
}

}  // namespace weft::plan
