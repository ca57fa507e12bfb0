// Functions of x as people write them, made into graphs.
#pragma once

#include <weft/graph.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace weft::apps::studio {

/// What is wrong with an expression, and where: characters counted from its beginning.
struct ExpressionError : std::runtime_error {
  ExpressionError(const std::string& what, std::size_t place, std::size_t size) : std::runtime_error(what), at(place), length(size) {}
  std::size_t at, length;
};

/// The graph of an expression, which depends on x in form at least: numbers, x, pi, e, + - * / ^ (** is the same), parentheses, and functions by the
/// names that the library has. ^ binds closest and to the right; -x^2 is -(x^2). Throws ExpressionError.
Tensor parse_expression(Graph& graph, Tensor x, std::string_view text);

/// The functions' names, in order.
std::string known_functions();

}  // namespace weft::apps::studio
