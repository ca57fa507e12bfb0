// The families of primitives. Each stands in the file of its name; primitives.cpp lists them.
#pragma once

#include "graph/primitive.h"

#include <span>

namespace weft::ops {

std::span<const Primitive> sources();       // placeholder, constant, iota, shape_of, size_of
std::span<const Primitive> state();         // variable, read, assign
std::span<const Primitive> unary();         // neg, exp, ..., cast, bitcast
std::span<const Primitive> binary();        // add, ..., comparisons, bits
std::span<const Primitive> ternary();       // select
std::span<const Primitive> movement();      // reshape, transpose, broadcast and their like-forms
std::span<const Primitive> slices();        // slice, pad, concat and their like-forms
std::span<const Primitive> indexing();      // gather, scatter
std::span<const Primitive> reductions();    // reduce_sum, ..., arg_max, sum_to
std::span<const Primitive> scans();         // scan_sum, ..., scan_linear
std::span<const Primitive> sorting();       // sort, arg_sort, top_k
std::span<const Primitive> contractions();  // matmul
std::span<const Primitive> convolutions();  // conv, conv_data_gradient, conv_weights_gradient
std::span<const Primitive> pooling();       // pool, pool_gradient, ...
std::span<const Primitive> distances();     // distance_transform
std::span<const Primitive> random();        // random_bits, random_uniform, ...
std::span<const Primitive> control();       // if, while, for

/// Evaluates any elementwise primitive through its ScalarFunctions.
void evaluate_elementwise(Evaluation& e);

}  // namespace weft::ops
