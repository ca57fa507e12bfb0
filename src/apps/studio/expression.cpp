#include "apps/studio/expression.h"

#include <weft/activation.h>
#include <weft/elementwise.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <numbers>
#include <vector>

namespace weft::apps::studio {
namespace {

struct Function {
  std::string_view name;
  std::size_t arguments;
  Tensor (*build)(const std::vector<Tensor>&);
};

using Arguments = const std::vector<Tensor>&;
const Function functions[] = {
    {"abs", 1, [](Arguments a) { return abs(a[0]); }},
    {"acos", 1, [](Arguments a) { return acos(a[0]); }},
    {"asin", 1, [](Arguments a) { return asin(a[0]); }},
    {"atan", 1, [](Arguments a) { return atan(a[0]); }},
    {"cos", 1, [](Arguments a) { return cos(a[0]); }},
    {"cosh", 1, [](Arguments a) { return cosh(a[0]); }},
    {"elu", 1, [](Arguments a) { return elu(a[0]); }},
    {"erf", 1, [](Arguments a) { return erf(a[0]); }},
    {"exp", 1, [](Arguments a) { return exp(a[0]); }},
    {"gelu", 1, [](Arguments a) { return gelu(a[0]); }},
    {"ln", 1, [](Arguments a) { return log(a[0]); }},
    {"log", 1, [](Arguments a) { return log(a[0]); }},
    {"log1p", 1, [](Arguments a) { return log1p(a[0]); }},
    {"max", 2, [](Arguments a) { return maximum(a[0], a[1]); }},
    {"min", 2, [](Arguments a) { return minimum(a[0], a[1]); }},
    {"pow", 2, [](Arguments a) { return pow(a[0], a[1]); }},
    {"relu", 1, [](Arguments a) { return relu(a[0]); }},
    {"sigmoid", 1, [](Arguments a) { return sigmoid(a[0]); }},
    {"silu", 1, [](Arguments a) { return silu(a[0]); }},
    {"sin", 1, [](Arguments a) { return sin(a[0]); }},
    {"sinh", 1, [](Arguments a) { return sinh(a[0]); }},
    {"softplus", 1, [](Arguments a) { return softplus(a[0]); }},
    {"sqrt", 1, [](Arguments a) { return sqrt(a[0]); }},
    {"square", 1, [](Arguments a) { return square(a[0]); }},
    {"tan", 1, [](Arguments a) { return tan(a[0]); }},
    {"tanh", 1, [](Arguments a) { return tanh(a[0]); }},
};

constexpr int deepest = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// By recursive descent, a function for each level of precedence.
class Parser {
 public:
  Parser(Graph& graph, Tensor x, std::string_view text) : graph_(graph), x_(x), text_(text) {}

  Tensor whole() {
    const Tensor y = sum();
    skip();
    if (at_ < text_.size()) fail(text_[at_] == ')' ? "this parenthesis was never opened" : "expected an operator", at_, 1);
    // A constant is a function of x, too.
    return y.shape() == x_.shape() ? y : y + x_ * 0.0;
  }

 private:
  [[noreturn]] void fail(const std::string& what, std::size_t at, std::size_t length) const {
    const auto characters = [](std::string_view bytes) {
      return static_cast<std::size_t>(std::ranges::count_if(bytes, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    };
    throw ExpressionError(what, characters(text_.substr(0, at)),
                          std::max<std::size_t>(1, characters(text_.substr(std::min(at, text_.size()), length))));
  }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  bool take(std::string_view mark) {
    skip();
    if (!text_.substr(at_).starts_with(mark)) return false;
    at_ += mark.size();
    return true;
  }

  Tensor sum() {
    Tensor y = product();
    while (true) {
      if (take("+")) y = y + product();
      else if (take("-")) y = y - product();
      else return y;
    }
  }

  Tensor product() {
    Tensor y = sign();
    while (true) {
      if (text_.substr(std::min(at_, text_.size())).starts_with("**")) return y;
      if (take("*")) y = y * sign();
      else if (take("/")) y = y / sign();
      else return y;
    }
  }

  Tensor sign() {
    const Deeper deeper(*this);
    if (take("-")) return -sign();
    if (take("+")) return sign();
    return power();
  }

  Tensor power() {
    const Tensor base = atom();
    if (!take("^") && !take("**")) return base;
    const std::size_t at = at_;
    const Tensor exponent = sign();
    // The square is the commonest, and a product is quicker than a power.
    return trimmed(text_.substr(at, at_ - at)) == "2" ? square(base) : pow(base, exponent);
  }

  Tensor atom() {
    skip();
    if (at_ >= text_.size()) fail(text_.empty() ? "the expression is empty" : "the expression ends where a value should follow", at_, 1);
    const char c = text_[at_];
    if (is_digit(c) || c == '.') return number();
    if (is_letter(c)) return named();
    const std::size_t open = at_;
    if (!take("(")) fail("expected a number, x, a function or a parenthesis", at_, 1);
    const Tensor y = sum();
    if (!take(")")) fail("this parenthesis is never closed", open, 1);
    return y;
  }

  Tensor number() {
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    const auto length = static_cast<std::size_t>(end - text_.data()) - at_;
    if (error == std::errc::invalid_argument) fail("this is not a number", at_, 1);
    if (error != std::errc{} || std::fabs(value) > 3e38) fail("this number is too large or too small for f32", at_, length);
    at_ += length;
    return graph_.constant(value);
  }

  Tensor named() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name == "x") return x_;
    if (name == "pi") return graph_.constant(std::numbers::pi);
    if (name == "e") return graph_.constant(std::numbers::e);
    const auto function = std::ranges::find(functions, name, &Function::name);
    if (function == std::end(functions))
      fail("\"" + std::string(name) + "\" is unknown; there are x, pi, e, " + known_functions(), begin, name.size());
    return call(*function, begin);
  }

  Tensor call(const Function& function, std::size_t begin) {
    const std::string name(function.name);
    if (!take("(")) fail(name + " needs its argument in parentheses", begin, name.size());
    std::vector<Tensor> arguments;
    do arguments.push_back(sum());
    while (take(","));
    if (!take(")")) fail("the parenthesis of " + name + " is never closed", begin, name.size() + 1);
    if (arguments.size() != function.arguments)
      fail(name + " takes " + std::to_string(function.arguments) + (function.arguments == 1 ? " argument" : " arguments") + ", not " +
               std::to_string(arguments.size()),
           begin, at_ - begin);
    return function.build(arguments);
  }

  static std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(' ');
    return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
  }

  struct Deeper {
    explicit Deeper(Parser& parser) : owner(parser) {
      if (++owner.depth_ > deepest) owner.fail("this is nested too deeply", owner.at_, 1);
    }
    ~Deeper() { --owner.depth_; }
    Parser& owner;
  };

  Graph& graph_;
  Tensor x_;
  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Tensor parse_expression(Graph& graph, Tensor x, std::string_view text) { return Parser(graph, x, text).whole(); }

std::string known_functions() {
  std::string names;
  for (const Function& f : functions) names += (names.empty() ? "" : ", ") + std::string(f.name);
  return names;
}

}  // namespace weft::apps::studio
