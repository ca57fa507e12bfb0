// For tests that state an operation's result as text.
#pragma once

#include <weft/graph.h>

#include <gtest/gtest.h>

#include <numeric>
#include <string>

namespace weft {

/// 0, 1, 2, ... in row-major order.
template <Element T = std::int32_t> NDArray counting(Shape shape) {
  NDArray a(dtype_of<T>, shape);
  std::iota(a.elements<T>().begin(), a.elements<T>().end(), T(0));
  return a;
}

/// A graph with what its placeholders are fed.
struct FedGraph {
  Graph g;
  Feeds feeds;

  /// A placeholder of the declared shape, fed with `value`.
  Tensor fed(Shape declared, const NDArray& value, std::string_view label = {}) {
    const Tensor t = g.placeholder(declared, value.dtype(), label);
    feeds.emplace(t, value);
    return t;
  }
  /// "i32[2] [1, 2]".
  std::string value(Tensor t) { return g.run(feeds, {t})[0].str(); }
};

/// What the error of type E that f throws says, without the place in the program; "no error" if it throws none.
template <class E = GraphError, class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    const std::string text = e.what();
    return text.substr(0, text.rfind(" (at "));
  }
  return "no error";
}

/// Expects an error of type E whose text has `part`.
template <class E, class F> void expect_error(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const E& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

}  // namespace weft
