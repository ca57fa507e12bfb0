// Matrix products: the strides of a transposed side say that it is, and batch dimensions that can be walked as one are one.
#include "backend/cpu/onednn.h"

#include <numeric>

namespace weft::cpu::onednn {
namespace {

/// Products of fewer multiplications than this take less time than calling oneDNN does.
constexpr std::int64_t least_multiplications = 1024;
/// Matrices of at most this many rows are multiplied faster by generated kernels, which read the other matrix where it lies;
/// unless they would have to sum over lanes, for so few terms that doing so takes longer than the products.
constexpr std::int64_t few_rows = 8, few_terms = 64;

/// One matrix of a product, or a batch of them: sizes as multiplied, after transposing.
struct Side {
  Sizes batch;
  std::int64_t rows, columns;
  bool transposed;

  Memory memory(dnnl::memory::data_type type) const {
    Sizes sizes = batch;
    sizes.push_back(rows);
    sizes.push_back(columns);
    std::vector<int> order(sizes.size());
    std::iota(order.begin(), order.end(), 0);
    if (transposed) std::swap(order[order.size() - 2], order[order.size() - 1]);
    return dense(sizes, type, order);
  }
};

Side side_of(const Shape& shape, bool transposed) {
  const int rank = shape.rank();
  const std::int64_t rows = shape[rank - 2], columns = shape[rank - 1];
  return {{}, transposed ? columns : rows, transposed ? rows : columns, transposed};
}

/// The size of a batch dimension counted from the front of `rank` of them, 1 where the shape has fewer.
std::int64_t batch_size(const Shape& shape, int rank, int d) {
  const int own = d - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}

}  // namespace

LibraryChoice make_matmul(const ir::Graph& graph, const ir::Node& node) {
  const Shape &a_shape = graph.type(node.operands[0]).shape, &b_shape = graph.type(node.operands[1]).shape, &shape = node.types[0].shape;
  if (a_shape.rank() < 2 || b_shape.rank() < 2) return {nullptr, "matrix-vector product: a generated kernel is faster"};
  Side a = side_of(a_shape, node.attributes.flag("transpose_a")), b = side_of(b_shape, node.attributes.flag("transpose_b"));
  if (a.rows == 1 || b.columns == 1) return {nullptr, "matrix-vector product: a generated kernel is faster"};
  if (a.columns == 1) return {nullptr, "outer product: a generated kernel is faster"};
  if (shape.element_count() * a.columns < least_multiplications) return {nullptr, "too small: a generated kernel is faster"};

  Side result{{}, a.rows, b.columns, false};
  bool a_repeated = false, b_repeated = false;
  for (int d = 0; d < shape.rank() - 2; ++d) {
    const std::int64_t size = shape[d], in_a = batch_size(a_shape, shape.rank(), d), in_b = batch_size(b_shape, shape.rank(), d);
    if (size == 1) continue;
    const bool joins = !result.batch.empty() && a_repeated == (in_a == 1) && b_repeated == (in_b == 1);
    a_repeated = in_a == 1;
    b_repeated = in_b == 1;
    for (auto [side, factor] : {std::pair{&a, in_a}, std::pair{&b, in_b}, std::pair{&result, size}}) {
      if (joins) side->batch.back() *= factor;
      else side->batch.push_back(factor);
    }
  }
  // One matrix b for a whole batch: the rows of all matrices a are the rows of one.
  if (result.batch.size() == 1 && b_repeated && !a.transposed) {
    a.rows *= a.batch[0];
    result.rows *= a.batch[0];
    for (Side* side : {&a, &b, &result}) side->batch.clear();
  }

  if (result.batch.empty() && result.rows <= few_rows && (!b.transposed || a.columns >= few_terms))
    return {nullptr, "few rows: a generated kernel is faster"};

  const auto type = *fast_type(node.types[0].dtype);
  const Memory in_a = a.memory(type), in_b = b.memory(type), out = result.memory(type);
  const Chosen chosen = choose_matmul(in_a, in_b, out);
  if (!chosen) return {nullptr, "no kernel for these batch dimensions"};
  if (is_reference(chosen)) return {nullptr, "its kernel would be slow: " + std::string(chosen.impl_info_str())};
  return {make_call(chosen, {{DNNL_ARG_SRC, false, 0, in_a}, {DNNL_ARG_WEIGHTS, false, 1, in_b}, {DNNL_ARG_DST, true, 0, out}}), {}};
}

}  // namespace weft::cpu::onednn
