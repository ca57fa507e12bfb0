#include "graph/build.h"
#include "ops/elementwise.h"
#include "ops/families.h"
#include "ops/reference_array.h"
#include "ops/shape_like.h"

#include <weft/matmul.h>
#include <weft/movement.h>

namespace weft {
namespace ops {
namespace {

Shape batch_of(const Shape& s) { return Shape(s.sizes().first(static_cast<std::size_t>(s.rank() - 2))); }

void infer_matmul(Inference& c) {
  c.require_same_dtype(0, 1);
  c.require(is_number, 0, "a number");
  for (std::size_t i : {0u, 1u})
    if (c.shape(i).ranked() && c.shape(i).rank() < 2)
      c.fail("operand " + c[i].str() + " is not a matrix; a vector whose rank is not known while building needs expand_dims");
  if (!c.shape(0).ranked() || !c.shape(1).ranked()) return c.result(c.dtype(0), Shape::unranked());

  const Shape &a = c.shape(0), &b = c.shape(1);
  const bool transpose_a = c.attributes.flag("transpose_a"), transpose_b = c.attributes.flag("transpose_b");
  const auto rows = a[a.rank() - (transpose_a ? 1 : 2)], depth_a = a[a.rank() - (transpose_a ? 2 : 1)];
  const auto depth_b = b[b.rank() - (transpose_b ? 1 : 2)], columns = b[b.rank() - (transpose_b ? 2 : 1)];
  const std::string types =
      "operands " + c[0].str() + (transpose_a ? " (transposed)" : "") + " and " + c[1].str() + (transpose_b ? " (transposed)" : "");
  if (depth_a != depth_b && depth_a != dynamic && depth_b != dynamic)
    c.fail(types + ": the left one has " + std::to_string(depth_a) + " columns, the right one " + std::to_string(depth_b) + " rows; they must agree");
  const auto batch = broadcast(batch_of(a), batch_of(b));
  if (!batch) c.fail(types + ": the dimensions before the last two do not broadcast");
  std::vector<std::int64_t> sizes(batch->begin(), batch->end());
  sizes.insert(sizes.end(), {rows, columns});
  c.result(c.dtype(0), Shape(sizes));
}

/// Each derivative is a product again; where an operand was repeated along a batch dimension it is summed.
void matmul_gradient(Gradient& g) {
  const bool ta = g.attributes().flag("transpose_a"), tb = g.attributes().flag("transpose_b");
  const Tensor a = g.operand(0), b = g.operand(1), dy = g.cotangent();
  if (g.wanted(0)) {
    const Tensor da = ta ? matmul(b, dy, {.transpose_a = tb, .transpose_b = true}) : matmul(dy, b, {.transpose_b = !tb});
    g.set(0, sum_to_like(da, a));
  }
  if (g.wanted(1)) {
    const Tensor db = tb ? matmul(dy, a, {.transpose_a = true, .transpose_b = ta}) : matmul(a, dy, {.transpose_a = !ta});
    g.set(1, sum_to_like(db, b));
  }
}

void evaluate_matmul(Evaluation& e) {
  const bool transpose_a = e.node.attributes.flag("transpose_a"), transpose_b = e.node.attributes.flag("transpose_b");
  const Shape &a = e.operands[0]->type.shape, &b = e.operands[1]->type.shape, &y = e.results[0]->type.shape;
  const auto rows = static_cast<std::size_t>(y[y.rank() - 2]), columns = static_cast<std::size_t>(y[y.rank() - 1]);
  const auto depth = static_cast<std::size_t>(a[a.rank() - (transpose_a ? 2 : 1)]);
  const Shape batch = batch_of(y);
  const auto a_strides = reference::broadcast_strides(batch_of(a), batch), b_strides = reference::broadcast_strides(batch_of(b), batch);
  std::visit(
      [&](auto& out) {
        using T = typename std::decay_t<decltype(out)>::value_type;
        const auto &left = e.operands[0]->as<T>(), &right = e.operands[1]->as<T>();
        reference::for_each_index(batch.sizes(), [&](auto index, std::int64_t linear) {
          std::size_t at = 0, bt = 0;
          for (std::size_t d = 0; d < index.size(); ++d) {
            at += static_cast<std::size_t>(index[d] * a_strides[d]) * rows * depth;
            bt += static_cast<std::size_t>(index[d] * b_strides[d]) * depth * columns;
          }
          for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = 0; j < columns; ++j) {
              T sum{};
              for (std::size_t k = 0; k < depth; ++k)
                sum = reference::multiply_add(sum, left[at + (transpose_a ? k * rows + i : i * depth + k)],
                                              right[bt + (transpose_b ? j * depth + k : k * columns + j)]);
              if constexpr (std::is_same_v<T, reference::wide>) sum = reference::wrap(sum, e.results[0]->type.dtype);
              out[(static_cast<std::size_t>(linear) * rows + i) * columns + j] = sum;
            }
        });
      },
      e.results[0]->elements);
}

const Primitive table[] = {
    {.name = "matmul", .min_operands = 2, .max_operands = 2, .infer = infer_matmul, .gradient = matmul_gradient, .evaluate = evaluate_matmul},
};

}  // namespace

std::span<const Primitive> contractions() { return table; }

}  // namespace ops

Tensor matmul(Operand a, Operand b, MatmulOptions options) {
  const CompositeScope scope("matmul", {a, b});
  auto is_vector = [](const Operand& o) { return o.tensor() && o.tensor().shape().rank() == 1; };
  const bool row = is_vector(a), column = is_vector(b);
  const Operand left = row ? Operand(expand_dims(a, {0}), a.where()) : a, right = column ? Operand(expand_dims(b, {1}), b.where()) : b;
  const Tensor y = apply("matmul", {left, right},
                         {{"transpose_a", std::int64_t{options.transpose_a && !row}}, {"transpose_b", std::int64_t{options.transpose_b && !column}}});
  if (row && column) return squeeze(y, {-1, -2});
  return row ? squeeze(y, {-2}) : column ? squeeze(y, {-1}) : y;
}

}  // namespace weft
