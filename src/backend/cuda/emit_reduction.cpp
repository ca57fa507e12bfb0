#include "backend/cuda/emit_reduction.h"

#include "backend/cuda/emit_ops.h"

#include <cstdint>
#include <vector>

namespace weft::cuda {

using namespace kernel;

namespace {

struct Row {
  std::string_view name, operation, floating, integral;  ///< function objects
};
constexpr Row rows[] = {{"sum", "add", "Plus", "Plus"},
                        {"prod", "mul", "Times", "Times"},
                        {"max", "max", "Maximum", "Larger"},
                        {"min", "min", "Minimum", "Smaller"},
                        {"fmax", "fmax", "FMax", "Larger"},
                        {"fmin", "fmin", "FMin", "Smaller"},
                        {"all", "bit_and", "", "Both"},
                        {"any", "bit_or", "", "Either"},
                        {"arg_max", "highest", "Highest", "Highest"},
                        {"arg_min", "lowest", "Lowest", "Lowest"},
                        {"linear", "", "", ""}};

const Row& row_of(const Reduction& r) { return rows[static_cast<int>(r.op)]; }

/// Of an integer type.
Text extreme(DType dtype, bool highest) {
  if (dtype == boolean) return integer(highest, dtype);
  const int bits = static_cast<int>(size_of(dtype)) * 8;
  const std::uint64_t ones = ~std::uint64_t{0} >> (64 - bits);
  if (is_unsigned_integer(dtype)) return integer(highest ? static_cast<std::int64_t>(ones) : 0, dtype);
  const auto most = static_cast<std::int64_t>(ones >> 1);
  return integer(highest ? most : -most - 1, dtype);
}

}  // namespace

bool is_arg(const Reduction& r) { return r.op == ReduceOp::arg_max || r.op == ReduceOp::arg_min; }

std::string name_of(const Kernel& kernel, std::size_t reduction) {
  return std::string(row_of(kernel.reductions[reduction]).name) + "_" + std::to_string(reduction);
}

DType accumulated(const Reduction& r) {
  const bool sums = r.op == ReduceOp::sum || r.op == ReduceOp::prod || r.op == ReduceOp::linear;
  return sums && is_floating(r.dtype) ? f64 : r.dtype;
}

std::string accumulator_type(const Reduction& r) {
  const std::string type(computed_type(accumulated(r)));
  return is_arg(r) ? "Extreme<" + type + ">" : type;
}

Text identity(const Reduction& r) {
  const DType dtype = accumulated(r);
  switch (r.op) {
    case ReduceOp::prod:
    case ReduceOp::all: return dtype == c64 ? Text{"c64{1.0f, 0.0f}"} : integer(1, dtype);
    case ReduceOp::max:
    case ReduceOp::fmax:
    case ReduceOp::arg_max: return is_floating(dtype) ? infinity(dtype, true) : extreme(dtype, false);
    case ReduceOp::min:
    case ReduceOp::fmin:
    case ReduceOp::arg_min: return is_floating(dtype) ? infinity(dtype, false) : extreme(dtype, true);
    default: return dtype == c64 ? Text{"c64{0.0f, 0.0f}"} : integer(0, dtype);
  }
}

Text together(const Reduction& r, const Text& x, const Text& y) {
  const DType dtype = accumulated(r);
  if (is_arg(r)) return call(row_of(r).operation, x, y);
  return operation(row_of(r).operation, {x, y}, {dtype, dtype}, dtype);
}

std::string functor(const Reduction& r) {
  if (r.dtype == boolean && r.op == ReduceOp::sum) return "Either";
  if (r.dtype == boolean && r.op == ReduceOp::prod) return "Both";
  const bool integral = is_integer(r.dtype) || r.dtype == boolean;
  return std::string(integral ? row_of(r).integral : row_of(r).floating);
}

}  // namespace weft::cuda
