// Reference evaluation and helpers that all elementwise families share.
#include "ops/elementwise.h"

#include "ops/reference_array.h"

#include <weft/error.h>

namespace weft::ops {

void evaluate_elementwise(Evaluation& e) {
  using namespace reference;
  Array& out = *e.results[0];
  const Shape& shape = out.type.shape;
  const ScalarFunctions& f = e.node.op->scalar;
  const DType dtype = out.type.dtype;

  struct Source {
    const Array* array;
    std::vector<std::int64_t> strides;
  };
  std::vector<Source> sources;
  for (const auto* operand : e.operands) sources.push_back({operand, broadcast_strides(operand->type.shape, shape)});
  // The operands compute in the domain of the last one: for select the first is a bool condition.
  const DType domain = e.operands.back()->type.dtype;

  for_each_index(shape.sizes(), [&](std::span<const std::int64_t> index, std::int64_t linear) {
    std::size_t at[3] = {};
    for (std::size_t k = 0; k < sources.size(); ++k)
      for (std::size_t d = 0; d < index.size(); ++d) at[k] += static_cast<std::size_t>(index[d] * sources[k].strides[d]);
    const auto i = static_cast<std::size_t>(linear);
    auto element = [&]<class T>(std::size_t k, T) -> T {
      if (k >= sources.size()) return T{};
      return std::visit(
          [&](const auto& v) -> T {
            using E = typename std::decay_t<decltype(v)>::value_type;
            if constexpr (std::is_same_v<E, T>) return v[at[k]];
            else if constexpr (std::is_same_v<E, wide>) return static_cast<T>(static_cast<double>(v[at[k]]));
            else throw InternalError("elementwise operands of different domains");
          },
          sources[k].array->elements);
    };
    auto store = [&](auto value) {
      std::visit(
          [&](auto& v) {
            using E = typename std::decay_t<decltype(v)>::value_type;
            using V = decltype(value);
            if constexpr (std::is_same_v<V, complex>) {
              if constexpr (std::is_same_v<E, complex>) v[i] = value;
              else if constexpr (std::is_same_v<E, double>) v[i] = value.real();
              else v[i] = value.real() != 0;
            } else if constexpr (std::is_same_v<E, wide>) {
              v[i] = wrap(static_cast<wide>(value), dtype);
            } else {
              v[i] = static_cast<E>(value);
            }
          },
          out.elements);
    };
    if (is_floating(domain) && f.real) store(f.real(element(0, double{}), element(1, double{}), element(2, double{})));
    else if (is_complex(domain) && f.complex) store(f.complex(element(0, complex{}), element(1, complex{}), element(2, complex{})));
    else if (!is_floating(domain) && !is_complex(domain) && f.integer)
      store(f.integer(element(0, wide{}), element(1, wide{}), element(2, wide{}), domain));
    else throw InternalError(std::string(e.node.op->name) + " has no reference evaluation for " + std::string(name_of(domain)));
  });
}

Shape broadcast_operands(const Inference& c) {
  Shape shape = c.shape(0);
  for (std::size_t i = 1; i < c.count(); ++i) {
    const auto joined = broadcast(shape, c.shape(i));
    if (!joined) {
      std::string types;
      for (std::size_t k = 0; k < c.count(); ++k) types += (k == 0 ? "" : k + 1 == c.count() ? " and " : ", ") + c[k].str();
      c.fail("operands " + types + " do not broadcast; sizes must agree from the innermost dimension on, or be 1");
    }
    shape = *joined;
  }
  return shape;
}

}  // namespace weft::ops
