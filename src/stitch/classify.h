// What stitching may do with an operation, by its name and attributes alone.
#pragma once

#include "graph/ir.h"

#include <vector>

namespace weft::stitching {

/// Placeholders, variables, constants and the run's index: memory that is there before the run.
bool is_source(const ir::Node& node);
/// Costs nothing to repeat: a constant of equal elements, an iota.
bool is_free(const ir::Node& node);
bool is_reduction(const ir::Node& node);
/// A matrix product: where no library computes it, a reduction of the space [batch, rows, columns, terms].
bool is_product(const ir::Node& node);
/// A cast to a type with larger elements: who reads its operand instead moves less.
bool widens(const ir::Graph& graph, const ir::Node& node);
/// Reads one element of its operand at an index that is affine in its own.
bool is_view(const ir::Graph& graph, const ir::Node& node);
/// A gather at a single place, which is a slice that begins there, of what is there before any kernel runs.
bool takes_one_place(const ir::Graph& graph, const ir::Node& node);
/// Computed element by element: can be a member of a space.
bool is_pointwise(const ir::Graph& graph, const ir::Node& node);
/// Takes about as long as an addition.
bool is_cheap(const ir::Node& node);
/// Whether the node reads that operand through an index map that can be composed with another.
bool reads_through_map(const ir::Graph& graph, const ir::Node& node, std::size_t operand);
/// Elements of the operand that the node reads, counted once for each time that it does; -1 when only the data tell.
std::int64_t elements_read(const ir::Graph& graph, const ir::Node& node, std::size_t operand);
/// What an operation is computed over: a reduction's operand, a product's results and the terms of each, any other's result.
std::vector<std::int64_t> space_of(const ir::Graph& graph, const ir::Node& node);
/// By dimension of a reduction's or product's space: reduced.
std::vector<bool> reduced_dimensions(const ir::Graph& graph, const ir::Node& node);
/// By dimension of a product's operand: the dimension of its space; batch dimensions of size 1 are repeated.
std::vector<int> product_dimensions(const ir::Graph& graph, const ir::Node& node, std::size_t operand);

/// A dimension of the gathered tensor, and what it stands for.
struct IndexedDimension {
  int data = -1;     ///< dimension of data; -1: of indices
  int indices = -1;  ///< dimension of indices; -1: of data only
  std::int64_t size = 0;
};

/// Of a gather or scatter.
std::vector<IndexedDimension> indexed_dimensions(const ir::Graph& graph, const ir::Node& node);

}  // namespace weft::stitching
