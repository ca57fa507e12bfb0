// The arithmetic of windows that slide over a dimension, shared by convolution and pooling.
#pragma once

#include "graph/primitive.h"

#include <weft/convolution.h>
#include <weft/shape.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace weft::ops {

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

/// One dimension of a window: its size and how it moves.
struct Window {
  std::int64_t size = 1, stride = 1, dilation = 1;
  /// What it covers, `dynamic` when unknown.
  std::int64_t width() const { return size == dynamic ? dynamic : (size - 1) * dilation + 1; }
};

/// The padding that makes the result ceil(in / stride) long.
inline Pads same_pads(std::int64_t in, const Window& w, bool lower) {
  const std::int64_t out = ceil_div(in, w.stride), total = std::max<std::int64_t>((out - 1) * w.stride + w.width() - in, 0);
  return lower ? Pads{total - total / 2, total / 2} : Pads{total / 2, total - total / 2};
}

/// How many places the window has; 0 or less when it doesn't fit.
inline std::int64_t places(std::int64_t in, const Window& w, const Pads& pads) {
  return floor_div(in + pads.low + pads.high - w.width(), w.stride) + 1;
}

/// Fails unless the attributes say of each of `rank` dimensions how a window moves, in numbers whose products don't
/// overflow. The public functions give no others; text that is parsed may.
inline void check_window(const Inference& c, std::size_t rank, std::initializer_list<std::string_view> positive) {
  constexpr std::int64_t limit = std::int64_t{1} << 31;
  auto check = [&](std::string_view name, std::int64_t lowest) {
    const auto& list = c.attributes.integers(name);
    if (list.size() != rank) c.fail(std::string(name) + " has " + std::to_string(list.size()) + " entries, expects " + std::to_string(rank));
    for (auto v : list)
      if (v < lowest || v >= limit) c.fail(std::string(name) + " has " + std::to_string(v) + ", which is out of range");
  };
  for (auto name : positive) check(name, 1);
  if (c.attributes.has("padding")) {
    const std::string& padding = c.attributes.text("padding");
    if (padding != "same" && padding != "same_lower") c.fail("there is no padding " + padding);
  } else {
    check("low", -limit + 1);
    check("high", -limit + 1);
  }
}

constexpr std::string_view name_of(Padding p) {
  constexpr std::string_view names[] = {"explicit", "valid", "same", "same_lower"};
  return names[static_cast<int>(p)];
}

}  // namespace weft::ops
