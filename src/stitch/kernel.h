// The kernel IR: one iteration space, operands read through index maps, a scalar expression DAG, optional reductions,
// several results. What stitching produces and what backends generate code from.
//
// For each place of the parallel loops, and in it for each of the row loops, the sequential loops are walked in passes. Pass p
// computes what depends on reductions of passes before p only: reductions of pass p, and stores inside the sequential loops.
// Softmax is three: the maximum, the sum, the quotient. Stores that no sequential loop moves happen once, after all passes.
#pragma once

#include "graph/primitive.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::kernel {

/// constant + the sum of coefficients[d] * (index of loop d).
struct Affine {
  std::vector<std::int64_t> coefficients;
  std::int64_t constant = 0;
};

/// An index that is not simply affine: bounded, so that elements outside read as nothing, divided, or computed.
/// It stands for q = position / divisor where that is whole, or for the value of `indirect`.
struct Term {
  Affine position;
  std::int64_t divisor = 1;
  int indirect = -1;        ///< expression that gives the index instead of `position`
  std::int64_t extent = 0;  ///< the index is inside when 0 <= q < extent
  std::int64_t stride = 0;  ///< elements added to the address for each q
  bool checked = false;     ///< outside is an error of the run: `axis` of operation `node` has no such index
  ir::NodeId node = -1;
  int axis = 0;
};

/// Where an element lies in a buffer, counted in elements.
struct Access {
  int buffer = 0;
  DType dtype = f32;
  Affine address;
  std::vector<Term> terms;
};

enum class ExprKind : std::uint8_t {
  load,      ///< an element of a buffer; zero where a term is outside
  constant,  ///< a literal
  index,     ///< an affine form of the loop indices, as i64
  inside,    ///< bool: all terms of `access` are inside
  op,        ///< an elementwise primitive of the operands, or "philox" of (counter, lane, keys)
  reduced,   ///< the result of a reduction
};

struct Expr {
  ExprKind kind = ExprKind::constant;
  DType dtype = f32;
  std::string_view op;
  std::vector<int> operands;
  Access access;
  Affine index;
  std::array<std::byte, 8> literal{};
  int reduction = -1;
  /// Computed in the first pass that can, then kept in memory of the thread's own for the passes that follow.
  bool kept = false;
};

/// `linear` is what value + factor * (what the elements before come to) comes to.
enum class ReduceOp : std::uint8_t { sum, prod, max, min, fmax, fmin, all, any, arg_max, arg_min, linear };

struct Reduction {
  ReduceOp op = ReduceOp::sum;
  int value = -1;     ///< expression
  int index = -1;     ///< for arg_max and arg_min: expression of the index, i64; for linear: of the factor
  DType dtype = f32;  ///< of `value`; arg_max and arg_min give i64
  /// Over the parallel loops instead of the sequential ones. Only split() makes such a kernel executable.
  bool crosses = false;
  /// A sum of products, of which partial sums may be rounded to the type that `value` is computed in: see Tiling::section.
  bool products = false;
  int initial = -1;  ///< of a scan: expression that it starts from, of the type accumulated in; -1: what changes nothing
};

/// How a scan goes along its loop.
struct Scan {
  bool exclusive = false;  ///< `reduced` is what the elements before come to, without the present one
  bool reverse = false;    ///< from the last index to the first
};

/// How a store meets what is there.
enum class Combine : std::uint8_t { set, add, sub, mul, div, min, max };

struct Store {
  Access access;
  int value = -1;  ///< expression
  Combine combine = Combine::set;
  /// Sets instead of combining where the indices of all row loops are 0.
  bool begins = false;
  /// Nothing reads what is stored before it would have left the caches anyway: better written past them.
  bool streams = false;
};

/// A buffer that a kernel reads or writes.
struct BufferUse {
  ir::Value value;
  bool written = false;
};

/// Neighbouring results that are computed together, so that what several of them are made of is loaded once. The last
/// parallel loop counts columns, the one before it rows.
struct Tiling {
  int rows = 0;     ///< results along the loop of rows; 1: there need not be such a loop; 0: the kernel is not tiled
  int columns = 1;  ///< results along the loop of columns, vectors of them when that is the vector loop
  /// When not 0, results are kept in memory: all columns of a tile are added to for this many iterations of the last
  /// sequential loop at a time, so that an operand [iterations, columns] is read in the order in which it lies.
  int depth = 0;
  /// When not 0, loop 0 counts parts of the sequential loop `cut`, which in all has this many iterations: the last part may
  /// be shorter than the others.
  std::int64_t total = 0;
  int cut = -1;

  /// Sums of floats are rounded to the type of their terms after at most about this many, then added up in f64.
  static constexpr std::int64_t section = 512;
  bool one_section = false;  ///< there are no more than these
};

/// Elements of a kept expression's memory: iterations of the sequential loops, times vector lanes where those are parallel.
constexpr std::int64_t kept_elements = 8192;

struct Kernel {
  std::string name;
  std::vector<std::int64_t> extents;  ///< of the loops: the parallel ones, outermost first, then row loops, then the sequential ones
  int parallel = 0;
  int rows = 0;
  /// Unless -1, a row loop or sequential loop of which loop 0 counts parts: it runs while its extent * (index of loop 0) + its own
  /// index is less than `end`, so that the last part may be shorter.
  int ended = -1;
  std::int64_t end = 0;
  std::vector<Expr> exprs;  ///< operands come before users
  std::vector<Reduction> reductions;
  std::vector<Store> stores;
  /// Stores happen in the sequential loops, in their order, instead of once after them.
  bool scatters = false;
  /// Stores happen at each step of the one sequential loop, and `reduced` is what its elements so far come to.
  std::optional<Scan> scan = {};
  std::vector<BufferUse> buffers;
  /// The loop whose index runs over vector lanes; -1 for none.
  int vector_loop = -1;
  /// The vector loop and the one before it are walked in square blocks: loads that go along the latter are of whole vectors of it,
  /// which change places with their elements.
  bool blocked = false;
  Tiling tiling;

  int loops() const { return static_cast<int>(extents.size()); }
  int first_sequential() const { return parallel + rows; }
  bool is_sequential(int loop) const { return loop >= first_sequential(); }
};

/// Calls f with every index map of the kernel.
template <class F> void for_each_affine(Kernel& kernel, F&& f) {
  auto visit = [&](Access& access) {
    f(access.address);
    for (auto& t : access.terms) f(t.position);
  };
  for (auto& e : kernel.exprs) {
    if (e.kind == ExprKind::load || e.kind == ExprKind::inside) visit(e.access);
    if (e.kind == ExprKind::index) f(e.index);
  }
  for (auto& s : kernel.stores) visit(s.access);
}

/// Whether the access moves with one of the sequential loops.
bool is_inner(const Kernel& kernel, const Access& access);

/// The pass in which each expression can be computed first: one more than that of the latest reduction that it depends on.
std::vector<int> passes_of(const Kernel& kernel);

/// Whether a scan may combine neighbours before it adds them to what came before. Products could overflow that way where
/// one after the other doesn't.
bool can_regroup(const Kernel& kernel);

/// Expressions whose value can differ within the sequential loops.
std::vector<bool> varying(const Kernel& kernel);

/// Drops loops of extent 1 and joins neighbours that every access walks as one, then picks the vector loop: the last
/// parallel loop unless some access is contiguous along the last sequential one and none along that.
void normalise(Kernel& kernel);

/// A number of a kernel's code: fixed at 0 or 1 (or at `value` when it shapes the code), or given at run time.
struct Number {
  enum class Kind : std::uint8_t { fixed, runtime } kind = Kind::fixed;
  std::int64_t value = 0;  ///< fixed: the number; runtime: its place among the parameters
  bool is(std::int64_t v) const { return kind == Kind::fixed && value == v; }
};

/// The same kernel with every number that doesn't shape its code made a parameter, so that kernels which differ in sizes
/// and strides only share code.
struct Structure {
  struct Form {
    std::vector<Number> coefficients;
    Number constant;
  };
  struct TermForm {
    Form position;
    std::int64_t divisor = 1;
    Number extent, stride;
  };
  struct AccessForm {
    Form address;
    std::vector<TermForm> terms;
  };
  std::vector<Number> extents;
  Number total;  ///< of the tiling
  Number end;
  std::vector<AccessForm> exprs;  ///< of loads and `inside`, in the kernel's order
  std::vector<Form> indices;      ///< of index expressions
  std::vector<AccessForm> stores;
  std::vector<std::int64_t> parameters;
  std::string key;  ///< equal for kernels that share code
};

Structure structure_of(const Kernel& kernel);

/// The kernel as text, for dumps.
std::string print(const Kernel& kernel, const std::function<TensorType(ir::Value)>& type_of);

}  // namespace weft::kernel
