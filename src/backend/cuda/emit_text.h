// Text of generated code.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace weft::cuda {

/// An expression, and how tightly it binds.
struct Text {
  enum Level { primary, unary, product, sum, shift, order, equality, bit_and, bit_xor, bit_or, logical_and, logical_or, conditional };
  std::string text;
  Level level = primary;

  /// In brackets where an operand of that level needs them.
  std::string within(Level outer) const { return level > outer ? "(" + text + ")" : text; }
  const std::string& str() const { return text; }
};

inline Text binary(std::string_view op, Text::Level level, const Text& x, const Text& y) {
  const auto right = level == Text::primary ? level : static_cast<Text::Level>(level - 1);
  return {x.within(level) + " " + std::string(op) + " " + y.within(right), level};
}

template <class... Operands> Text call(std::string_view function, const Text& first, const Operands&... more) {
  return {std::string(function) + "(" + ((first.text + ... + (", " + more.text))) + ")"};
}

/// Indented lines.
class Code {
 public:
  void line(std::string_view text) {
    text_.append(static_cast<std::size_t>(2 * depth_), ' ');
    text_ += text;
    text_ += '\n';
  }
  void blank() { text_ += '\n'; }
  /// A line that ends with an opening brace, and what stands in it.
  template <class F> void block(std::string_view head, F&& body, std::string_view end = "}") {
    line(head.empty() ? "{" : std::string(head) + " {");
    ++depth_;
    std::forward<F>(body)();
    --depth_;
    line(end);
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
  int depth_ = 0;
};

}  // namespace weft::cuda
