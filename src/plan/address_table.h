// The addresses of what a program's steps read and write.
#pragma once

#include "plan/placement.h"

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace weft::plan {

/// Entries in the order in which steps use them. Of places that are given anew for each run, the number of the run among them, only those are
/// entered again that differ from the run before.
class AddressTable {
 public:
  static bool is_given(Place place) { return place.is_given() || place.kind == Place::Kind::run_index; }

  /// Adds an entry; gives its number.
  std::size_t enter(Place place);
  /// The number of a given place among all that are given, which it is from now on.
  std::size_t give(Place place);
  std::size_t given(Place place) const { return numbers_.at({place.kind, place.index}); }
  bool gives(Place::Kind kind) const;
  std::size_t size() const { return places_.size(); }

  /// Entries that follow each other.
  struct Range {
    std::size_t first = 0, count = 0;
    template <class T> std::span<T> of(T* table) const { return {table + first, count}; }
  };

  /// Of runs that come one after the other.
  struct Addresses {
    std::vector<void*> table, given;
  };
  /// `own` gives the address of a place that is not given.
  template <class F> Addresses addresses(F&& own) const {
    Addresses a;
    a.given.resize(given_.size());
    for (const auto& place : places_) a.table.push_back(is_given(place) ? nullptr : own(place));
    return a;
  }
  /// `address` gives that of a given place.
  template <class F> void update(Addresses& a, F&& address) const {
    for (std::size_t i = 0; i < given_.size(); ++i) {
      void* p = address(given_[i].place);
      if (p == a.given[i]) continue;
      a.given[i] = p;
      for (auto entry : given_[i].entries) a.table[entry] = p;
    }
  }

 private:
  struct Given {
    Place place;
    std::vector<std::size_t> entries;
  };
  std::vector<Place> places_;  ///< by entry
  std::vector<Given> given_;
  std::map<std::pair<Place::Kind, std::int64_t>, std::size_t> numbers_;
};

}  // namespace weft::plan
