// Elementary functions of arrays that stay in the caches: what is measured is arithmetic.
#include "apps/workloads/workload.h"

#include <weft/elementwise.h>

namespace weft::apps {
namespace {

struct Function {
  const char* name;
  Tensor (*build)(Operand);
};

#define WEFT_FUNCTION(name) \
  { #name, name }
const Function functions[] = {
    WEFT_FUNCTION(exp),
    WEFT_FUNCTION(exp2),
    WEFT_FUNCTION(exp10),
    WEFT_FUNCTION(expm1),
    WEFT_FUNCTION(log),
    WEFT_FUNCTION(log2),
    WEFT_FUNCTION(log10),
    WEFT_FUNCTION(log1p),
    WEFT_FUNCTION(sin),
    WEFT_FUNCTION(cos),
    WEFT_FUNCTION(tan),
    WEFT_FUNCTION(asin),
    WEFT_FUNCTION(acos),
    WEFT_FUNCTION(atan),
    WEFT_FUNCTION(sinh),
    WEFT_FUNCTION(cosh),
    WEFT_FUNCTION(tanh),
    WEFT_FUNCTION(asinh),
    WEFT_FUNCTION(acosh),
    WEFT_FUNCTION(atanh),
    WEFT_FUNCTION(erf),
    WEFT_FUNCTION(sigmoid),
    WEFT_FUNCTION(rsqrt),
    {"pow", [](Operand x) { return pow(x, 3.0 - x); }},
    {"atan2", [](Operand x) { return atan2(x, 3.0 - x); }},
    {"rem", [](Operand x) { return rem(x, 3.0 - x); }},
};
#undef WEFT_FUNCTION

}  // namespace

std::vector<Workload> math_workloads() {
  constexpr std::int64_t n = 1 << 18;
  std::vector<Workload> rows;
  for (const auto& f : functions)
    for (const DType dtype : {f32, f64})
      rows.push_back({.name = std::string("math_") + f.name + "_" + std::string(name_of(dtype)) + "_" + std::to_string(n),
                      .build = [f, dtype](Setup& s) { s.targets = {f.build(s.feed({n}, dtype))}; }});
  return rows;
}

}  // namespace weft::apps
