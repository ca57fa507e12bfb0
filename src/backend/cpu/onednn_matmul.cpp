// Matrix products: the strides of a transposed side say that it is, and batch dimensions that can be walked as one are one.
#include "backend/cpu/onednn.h"

#include "graph/primitive.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace weft::cpu::onednn {
namespace {

/// Products of fewer multiplications than this take less time than calling oneDNN does.
constexpr std::int64_t least_multiplications = 1024;

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

// Parts ---------------------------------------------------------------------------------------------------------------
//
// The sizes below were found by timing oneDNN 2.6 on two AVX-512 cores with 1 MB of second level cache each.

/// Multiplications that take one core longer than sharing them takes.
constexpr std::int64_t multiplications_per_part = 1 << 20;
/// Of a part's result: an epilogue finds it in the second level cache.
constexpr std::int64_t bytes_per_part = 1 << 19;
/// Below so many rows, laying b out anew costs more than it gives: the result is cut into columns.
constexpr std::int64_t rows_to_pack_for = 128;
/// Parts are multiples of this, or the last.
constexpr std::int64_t row_step = 32, column_step = 64;
constexpr std::int64_t most_rows = 256, most_columns = 512;

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// Pieces of `length` in which something of `size` is cut: as long as the work in each justifies, but several if it can be.
std::int64_t piece_length(std::int64_t size, std::int64_t step, std::int64_t most, std::int64_t work_of_one) {
  const std::int64_t least = round_up((multiplications_per_part + work_of_one - 1) / work_of_one, step);
  const std::int64_t wanted = std::min(round_up((size + 3) / 4, step), std::max(most / step * step, step));
  return std::min(std::max(least, wanted), size);
}

/// Parts of the rows, which share b; of the columns where rows are few; or whole matrices of a batch.
std::unique_ptr<LibraryCall> in_parts(const Side& a, const Side& b, const Side& result, dnnl::memory::data_type type, std::size_t element_bytes,
                                      const ir::Graph& graph, const ir::Node& node) {
  Parting parting{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, element_bytes};
  const std::int64_t rows = result.rows, columns = result.columns, depth = a.columns;
  const bool is_constant = graph[node.operands[1].node].op->name == "constant";
  std::optional<ForOneThread> one(std::in_place);
  bool fits = true;
  auto add_kind = [&](const Memory& data, const Memory& weights, const Memory& out) {
    const Chosen chosen = choose_matmul(data, weights, out);
    fits = fits && chosen && !is_reference(chosen);
    if (fits) parting.kinds.push_back(chosen);
  };
  if (!result.batch.empty()) {
    if (result.batch.size() > 1) return nullptr;
    const std::int64_t batch = result.batch[0], per_matrix = rows * columns * depth;
    const std::int64_t group = piece_length(batch, 1, bytes_per_part / (rows * columns * static_cast<std::int64_t>(element_bytes)), per_matrix);
    auto group_of = [](Side side, std::int64_t n) {
      if (side.batch[0] != 1) side.batch[0] = n;
      return side;
    };
    for (const auto n : {group, batch % group})
      if (n > 0) add_kind(group_of(a, n).memory(type), group_of(b, n).memory(type), group_of(result, n).memory(type));
    for (std::int64_t i = 0; i < batch; i += group)
      parting.pieces.push_back({i + group <= batch ? 0u : 1u,
                                a.batch[0] == 1 ? 0 : i * rows * depth,
                                b.batch[0] == 1 ? 0 : i * depth * columns,
                                i * rows * columns,
                                {i * rows, std::min(group, batch - i) * rows, 0, columns}});
  } else if (rows >= rows_to_pack_for || (is_constant && rows >= row_step) || columns < 2 * column_step) {
    const std::int64_t most = std::clamp<std::int64_t>(bytes_per_part / (columns * static_cast<std::int64_t>(element_bytes)), 64, most_rows);
    const std::int64_t piece = piece_length(rows, row_step, most, columns * depth);
    const auto row = a.transposed ? Sizes{1, rows} : Sizes{depth, 1};
    // The kernel that wants b its own way doesn't take a piece of a transposed a.
    const bool packs = !a.transposed && (is_constant || rows >= rows_to_pack_for);
    const Memory whole = b.memory(type), weights = packs ? any_layout({depth, columns}, type) : whole;
    for (const auto n : {piece, rows % piece})
      if (n > 0) add_kind({Sizes{n, depth}, type, row}, weights, {Sizes{n, columns}, type, Sizes{columns, 1}});
    parting.shared_weights = whole;
    for (std::int64_t i = 0; i < rows; i += piece)
      parting.pieces.push_back({i + piece <= rows ? 0u : 1u, i * row[0], 0, i * columns, {i, std::min(piece, rows - i), 0, columns}});
  } else {
    const std::int64_t piece = piece_length(columns, column_step, most_columns, rows * depth);
    const auto column = b.transposed ? Sizes{1, depth} : Sizes{columns, 1};
    for (const auto n : {piece, columns % piece})
      if (n > 0) add_kind(a.memory(type), {Sizes{depth, n}, type, column}, {Sizes{rows, n}, type, Sizes{columns, 1}});
    for (std::int64_t i = 0; i < columns; i += piece)
      parting.pieces.push_back({i + piece <= columns ? 0u : 1u, 0, i * column[1], i, {0, rows, i, std::min(piece, columns - i)}});
  }
  one.reset();
  return fits ? make_parted_call(parting, graph, node.operands[1]) : nullptr;
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

  const auto type = *fast_type(node.types[0].dtype);
  if (auto call = in_parts(a, b, result, type, size_of(node.types[0].dtype), graph, node)) return {std::move(call), {}};
  const Memory in_a = a.memory(type), in_b = b.memory(type), out = result.memory(type);
  const Chosen chosen = choose_matmul(in_a, in_b, out);
  if (!chosen) return {nullptr, "no kernel for these batch dimensions"};
  if (is_reference(chosen)) return {nullptr, "its kernel would be slow: " + std::string(chosen.impl_info_str())};
  return {make_call(chosen, {{DNNL_ARG_SRC, false, 0, in_a}, {DNNL_ARG_WEIGHTS, false, 1, in_b}, {DNNL_ARG_DST, true, 0, out}}), {}};
}

}  // namespace weft::cpu::onednn

namespace weft::cpu {

std::string faster_generated(const ir::Graph& graph, const ir::Node& node) {
  // Measured with 2 to 64 rows, 64 to 4096 terms and 16 to 4096 columns. Generated kernels read both matrices where they lie:
  // oneDNN first copies what it will use often, which pays when it is used often.
  constexpr std::int64_t few_rows = 8, few_results = 1024, few_multiplications = 1 << 21, many_terms = 2048;
  // Lanes that are terms have to be summed for each result.
  constexpr std::int64_t terms_for_few_rows = 128, terms_for_few_results = 32;
  if (node.op->name != "matmul" || node.types[0].shape.rank() != 2) return {};
  const Shape& a = graph.type(node.operands[0]).shape;
  const bool transpose_a = node.attributes.flag("transpose_a");
  const std::int64_t rows = node.types[0].shape[0], columns = node.types[0].shape[1], terms = a[transpose_a ? 0 : 1];
  if (node.attributes.flag("transpose_b")) {
    if (transpose_a) return {};
    if (rows <= few_rows && terms >= terms_for_few_rows) return "few rows: a generated kernel is faster";
    if (rows * columns <= few_results && terms >= terms_for_few_results) return "few results: a generated kernel is faster";
    return {};
  }
  if (rows <= few_rows) return "few rows: a generated kernel is faster";
  if (terms <= many_terms && rows * columns * terms <= few_multiplications) return "small: a generated kernel is faster";
  return {};
}

}  // namespace weft::cpu
