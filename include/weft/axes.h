// Which dimensions of a tensor an operation works on.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace weft {

/// A list of dimensions, negative ones counted from the back; made without a list it stands for all of them.
/// `sum(x)`, `sum(x, 1)`, `sum(x, {0, -1})` and `sum(x, std::vector{0, 1})` all read as expected.
class Axes {
 public:
  Axes() : all_(true) {}
  Axes(int axis) : list_{axis} {}
  Axes(std::initializer_list<std::int64_t> axes) : list_(axes) {}
  template <std::integral T> Axes(const std::vector<T>& axes) : list_(axes.begin(), axes.end()) {}
  template <std::integral T> Axes(std::span<const T> axes) : list_(axes.begin(), axes.end()) {}

  bool all() const { return all_; }
  const std::vector<std::int64_t>& list() const { return list_; }

 private:
  std::vector<std::int64_t> list_;
  bool all_ = false;
};

}  // namespace weft
