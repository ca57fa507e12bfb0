// Comparing results with the truth, in units in the last place of the result's type.
#pragma once

#include <weft/ndarray.h>

#include <gtest/gtest.h>

namespace weft {

/// How far a floating-point result may be from the expected value x: `ulp` units in the last place of x, plus `scale` times the
/// type's epsilon. The scale is the size of what is added up or cancels on the way to x: an error bound that x itself
/// doesn't show. Integers and bool must be equal.
struct Tolerance {
  double ulp = 0;
  double scale = 0;
};

/// The distance from |x| to the next larger value of a floating type.
double unit_in_last_place(double x, DType dtype);
/// The distance from 1 to the next larger value; 0 for types that aren't floating.
double epsilon(DType dtype);

/// Fails with the worst element when types differ or an element is further off than the tolerance allows. NaN is as good as any
/// other NaN, an infinity equals itself only. Complex numbers are measured by the unit of their modulus.
::testing::AssertionResult agree(const NDArray& expected, const NDArray& got, Tolerance tolerance = {});

}  // namespace weft
