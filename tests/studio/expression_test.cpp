#include "apps/studio/expression.h"

#include <weft/executable.h>
#include <weft/graph.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace weft::apps::studio {
namespace {

double value(const std::string& expression, double x) {
  Graph g;
  const Tensor place = g.placeholder({1}, f32), y = parse_expression(g, place, expression);
  return g.run({{place, NDArray::of<float>({1}, {static_cast<float>(x)})}}, {y}, {}, {.backend = Backend::reference})[0].item();
}

TEST(StudioExpression, ReadsWhatPeopleWrite) {
  const struct {
    const char* text;
    std::function<double(double)> truth;
  } cases[] = {
      {"x", [](double x) { return x; }},
      {"3", [](double) { return 3; }},
      {" 1 + 2*x - 4 / x ", [](double x) { return 1 + 2 * x - 4 / x; }},
      {"-x^2", [](double x) { return -x * x; }},
      {"2^3^2", [](double) { return 512; }},
      {"2**-1", [](double) { return 0.5; }},
      {"x^-2", [](double x) { return 1 / (x * x); }},
      {"x**2*3", [](double x) { return 3 * x * x; }},
      {"(1 - x)*(1 + x)", [](double x) { return 1 - x * x; }},
      {"--x", [](double x) { return x; }},
      {"1 - 2 - 3", [](double) { return -4; }},
      {"8/4/2", [](double) { return 1; }},
      {"1.5e-1*x + .5", [](double x) { return 0.15 * x + 0.5; }},
      {"sin(pi*x) + e", [](double x) { return std::sin(M_PI * x) + M_E; }},
      {"max(x, min(2, 3))", [](double x) { return std::max(x, 2.0); }},
      {"0.5*x*(1+erf(x*0.7071))", [](double x) { return 0.5 * x * (1 + std::erf(x * 0.7071)); }},
      {"log1p(exp(x)) - softplus(x)", [](double) { return 0; }},
  };
  for (const auto& c : cases)
    for (const double x : {0.25, 1.5, 3.0}) EXPECT_NEAR(value(c.text, x), c.truth(x), 1e-5) << c.text << " at " << x;
}

TEST(StudioExpression, SaysWhereItIsWrong) {
  const struct {
    const char *text, *message;
    std::size_t at, length;
  } cases[] = {
      {"", "the expression is empty", 0, 1},
      {"x +", "the expression ends where a value should follow", 3, 1},
      {"x + * 2", "expected a number, x, a function or a parenthesis", 4, 1},
      {"2x", "expected an operator", 1, 1},
      {"(x + 1", "this parenthesis is never closed", 0, 1},
      {"x + 1)", "this parenthesis was never opened", 5, 1},
      {"erf x", "erf needs its argument in parentheses", 0, 3},
      {"1 + erf(x", "the parenthesis of erf is never closed", 4, 4},
      {"max(x)", "max takes 2 arguments, not 1", 0, 6},
      {"erf(x, 1)", "erf takes 1 argument, not 2", 0, 9},
      {"\xc3\xa9 + x", "expected a number, x, a function or a parenthesis", 0, 1},
      {"x + \xc3\xa9", "expected a number, x, a function or a parenthesis", 4, 1},
      {"1e999", "this number is too large or too small for f32", 0, 5},
      {"x + .", "this is not a number", 4, 1},
  };
  for (const auto& c : cases) {
    try {
      value(c.text, 1);
      ADD_FAILURE() << c.text << " was read";
    } catch (const ExpressionError& e) {
      EXPECT_STREQ(e.what(), c.message) << c.text;
      EXPECT_EQ(e.at, c.at) << c.text;
      EXPECT_EQ(e.length, c.length) << c.text;
    }
  }
}

TEST(StudioExpression, NamesWhatThereIsInPlaceOfWhatIsUnknown) {
  try {
    value("1 + blub(x)", 1);
    FAIL();
  } catch (const ExpressionError& e) {
    EXPECT_NE(std::string(e.what()).find("\"blub\" is unknown; there are x, pi, e, abs"), std::string::npos) << e.what();
    EXPECT_EQ(e.at, 4u);
    EXPECT_EQ(e.length, 4u);
  }
}

TEST(StudioExpression, RefusesEndlessNesting) {
  for (const std::string& open : {std::string("("), std::string("-"), std::string("erf(")}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    EXPECT_THROW(value(text + "x", 1), ExpressionError);
  }
}

}  // namespace
}  // namespace weft::apps::studio
