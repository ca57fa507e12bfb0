// The text form of a graph: one line an operation, the same for all primitives because attributes are data.
//
//   seed 42
//   %0 = placeholder() {dtype=f32, shape=[-1,4]} "x" : f32[?,4]
//   %1 = constant() {value=splat f32[] 0.5} : f32[]
//   %2 = mul(%0, %1) after %1 "scaled" : f32[?,4]
//   %3:2 = max_pool(%2) {window=[2,2]} : f32[?,2], i32[?,2]
//   %4 = neg(%3.1) : i32[?,2]
//   %5 = for(%0) {body=function {
//     %0 = placeholder() {dtype=i64, shape=[]} : i64[]
//     ...
//   } (%3), count=4, ...} : f32[?,4]
//
// Operations are numbered in order. `%3.1` is result 1 of operation 3. After a `#` the rest of a line is a comment.
// Attributes: 3 | 0.5, inf, nan, nan(0x7ff8000000000001) | "text" | f32 | [1,2] | [0.5,1.0], [.] (an empty list of
// reals) | literals: f32[2] {1.0,2.0}, splat f32[3,4] 0.5, base64 f32[100] "..." |
// functions: their operations, then their results. Numbers are read back bit by bit.
#pragma once

#include "graph/ir.h"

#include <string>
#include <string_view>

namespace weft {

std::string print(const ir::Graph& graph);
/// Throws GraphError with line and column. Types are inferred again and must equal the written ones. The number on a
/// `seed` line goes to `seed`.
ir::Graph parse_text(std::string_view text, std::uint64_t* seed = nullptr);

}  // namespace weft
