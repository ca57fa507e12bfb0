#include "backend/cpu/emit_tiles.h"

#include <algorithm>
#include <string_view>

namespace weft::cpu {
namespace {

using namespace kernel;
using V = llvm::Value*;
using Known = std::map<int, Value>;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// Columns of which results are kept in memory at once: with all rows 16 KB of f32, half of a first cache.
constexpr int columns_in_memory = 4096;
int widest_chunk(const Tiling& t) { return columns_in_memory / t.rows; }

class TileEmitter {
 public:
  explicit TileEmitter(const TileHost& host)
      : host_(host),
        b(host.ops.b),
        kernel_(host.kernel),
        tiling_(host.kernel.tiling),
        column_loop_(kernel_.parallel - 1),
        row_loop_(tiling_.rows > 1 ? kernel_.parallel - 2 : -1),
        inner_loop_(kernel_.loops() - 1),
        across_(kernel_.is_sequential(kernel_.vector_loop)),
        unit_(across_ ? 1 : host.lanes) {
    std::vector<bool> needed(kernel_.exprs.size());
    auto need = [&](auto& self, int id) -> void {
      needed[at(id)] = true;
      const Expr& e = kernel_.exprs[at(id)];
      for (int o : e.operands) self(self, o);
      for (const auto& t : e.access.terms)
        if (t.indirect >= 0) self(self, t.indirect);
    };
    for (const auto& r : kernel_.reductions) {
      const Expr& value = kernel_.exprs[at(r.value)];
      Sum sum{r.value, {}, r.dtype, r.dtype, r.dtype};
      if (is_floating(r.dtype)) {
        sum.result = f64;
        if (r.dtype != f64) sum.part = f32;
        sum.whole = tiling_.one_section || tiling_.depth > 0 ? sum.part : f64;
        if (value.kind == ExprKind::op && value.op == "mul") sum.factors = value.operands;
      }
      if (sum.factors.empty()) need(need, sum.value);
      for (int f : sum.factors) need(need, f);
      has_parts_ = has_parts_ || sum.part != sum.whole;
      sums_.push_back(std::move(sum));
    }
    for (int id = 0; id < static_cast<int>(needed.size()); ++id)
      if (needed[at(id)]) needed_.push_back(id);
    find_dependences();
  }

  void run(V begin, V end, V chunk) {
    V columns = host_.extents[at(column_loop_)];
    V chunks = ceiling(columns, chunk);
    V row_tiles = row_loop_ < 0 ? number(1) : ceiling(host_.extents[at(row_loop_)], number(tiling_.rows));
    host_.loop(begin, end, number(1), [&](V tile) {
      // Tiles of the same columns follow each other, so that these are still in a cache for the next rows.
      V rest = tile;
      V row = b.CreateMul(next_index(rest, row_tiles), number(tiling_.rows));
      V first = b.CreateMul(next_index(rest, chunks), chunk);
      for (int d = (row_loop_ < 0 ? column_loop_ : row_loop_) - 1; d >= 0; --d) host_.index[at(d)] = next_index(rest, host_.extents[at(d)]);
      V last = smaller(b.CreateAdd(first, chunk), columns);
      if (tiling_.depth > 0) add_in_memory(row, first, last);
      else host_.loop(first, last, number(tiling_.columns * unit_), [&](V column) { add_in_registers(row, column, last); });
    });
  }

 private:
  struct Sum {
    int value;
    std::vector<int> factors;   ///< of a product that is added without being rounded
    DType part, whole, result;  ///< the types of partial sums, of their sum, and of what the kernel takes for that
  };
  /// What a sum has come to for one place.
  struct Accumulator {
    llvm::AllocaInst *re = nullptr, *im = nullptr;
  };
  /// Neighbouring places of which everything is computed at once.
  struct Block {
    std::vector<V> rows;
    V column = nullptr;
    int columns = 1, depth = 1;
    V inner = nullptr;  ///< the index of the innermost loop
    V mask = nullptr;

    int places() const { return static_cast<int>(rows.size()) * columns * depth; }
    int place(int row, int column_number, int iteration) const { return (row * columns + column_number) * depth + iteration; }
  };

  V number(std::int64_t n) { return b.getInt64(static_cast<std::uint64_t>(n)); }
  V smaller(V x, V y) { return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, y); }
  V ceiling(V x, V y) { return b.CreateUDiv(b.CreateAdd(x, b.CreateSub(y, number(1))), y); }
  V next_index(V& rest, V extent) {
    V quotient = b.CreateUDiv(rest, extent);
    V index = b.CreateSub(rest, b.CreateMul(quotient, extent));
    rest = quotient;
    return index;
  }
  V lanes_below(V count) {
    std::vector<std::uint64_t> n(at(host_.lanes));
    for (std::size_t i = 0; i < n.size(); ++i) n[i] = i;
    return b.CreateICmpSLT(llvm::ConstantDataVector::get(b.getContext(), n), host_.ops.splat(count, host_.lanes));
  }
  llvm::Type* vector_of(DType dtype) { return host_.ops.type(dtype, host_.lanes); }

  // Which loops an expression depends on ------------------------------------------------------------------------------

  struct Dependence {
    bool row = false, column = false, inner = false;
  };

  void find_dependences() {
    depends_.resize(kernel_.exprs.size());
    for (std::size_t id = 0; id < kernel_.exprs.size(); ++id) {
      const Expr& e = kernel_.exprs[id];
      Dependence& d = depends_[id];
      auto walk = [&](const Affine& a) {
        auto moves = [&](int loop) { return loop >= 0 && !a.coefficients.empty() && a.coefficients[at(loop)] != 0; };
        d.row = d.row || moves(row_loop_), d.column = d.column || moves(column_loop_), d.inner = d.inner || moves(inner_loop_);
      };
      auto join = [&](int other) {
        const Dependence& o = depends_[at(other)];
        d.row = d.row || o.row, d.column = d.column || o.column, d.inner = d.inner || o.inner;
      };
      if (e.kind == ExprKind::index) walk(e.index);
      if (e.kind == ExprKind::load || e.kind == ExprKind::inside) {
        walk(e.access.address);
        for (const auto& t : e.access.terms) {
          if (t.indirect >= 0) join(t.indirect);
          else walk(t.position);
        }
      }
      for (int o : e.operands) join(o);
    }
  }

  // Blocks ------------------------------------------------------------------------------------------------------------

  void go_to(const Block& block, int row, int column, int iteration) {
    if (row_loop_ >= 0) host_.index[at(row_loop_)] = block.rows[at(row)];
    if (block.column) host_.index[at(column_loop_)] = b.CreateAdd(block.column, number(column * unit_));
    host_.index[at(inner_loop_)] = b.CreateAdd(block.inner, number(iteration));
  }

  /// Computes what the sums need, each expression once for all places at which it is the same.
  void evaluate(const Block& block, bool of_columns, std::vector<Known>& known) {
    for (int id : needed_) {
      const Dependence& d = depends_[at(id)];
      if (d.column && !of_columns) continue;
      for (int r = 0; r < static_cast<int>(block.rows.size()); ++r)
        for (int c = 0; c < block.columns; ++c)
          for (int j = 0; j < block.depth; ++j) {
            const int own = block.place(r, c, j), same = block.place(d.row ? r : 0, d.column ? c : 0, d.inner ? j : 0);
            auto& there = known[at(same)];
            if (own != same) {
              known[at(own)][id] = there.at(id);
            } else if (!there.contains(id)) {
              go_to(block, r, c, j);
              there[id] = host_.value(id, host_.lanes, block.mask, there);
            }
          }
    }
  }

  Value loaded(const Accumulator& a) {
    return {b.CreateLoad(a.re->getAllocatedType(), a.re), a.im ? b.CreateLoad(a.im->getAllocatedType(), a.im) : nullptr};
  }
  void store(Value v, const Accumulator& a) {
    b.CreateStore(v.re, a.re);
    if (a.im) b.CreateStore(v.im, a.im);
  }

  /// One more value added to a sum.
  Value added(const Sum& sum, Value before, const Known& known) {
    auto all_lanes = [&](V v) { return v ? host_.ops.splat(v, host_.lanes) : nullptr; };
    if (!sum.factors.empty()) {
      V x = all_lanes(known.at(sum.factors[0]).re), y = all_lanes(known.at(sum.factors[1]).re);
      return {b.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, before.re})};
    }
    const Value v = known.at(sum.value);
    return host_.ops.emit("add", {before, {all_lanes(v.re), all_lanes(v.im)}}, {sum.part, sum.part}, sum.part);
  }

  /// Loops [d, end) of the sequential ones, outermost first; from and to of the one that is cut depend on the part.
  void sequential(int d, int end, const std::function<void()>& body) {
    if (d == end) return body();
    host_.loop(number(0), end_of(d), number(1), [&](V i) {
      host_.index[at(d)] = i;
      sequential(d + 1, end, body);
    });
  }
  V end_of(int loop) {
    V extent = host_.extents[at(loop)];
    if (loop != tiling_.cut) return extent;
    return smaller(extent, b.CreateSub(host_.total, b.CreateMul(host_.index[0], extent)));
  }

  // Sums in registers -------------------------------------------------------------------------------------------------

  /// Everything for the results from (row, column) on. Whole tiles are one block, what is left is cut into smaller ones,
  /// of single vectors where not all columns are there.
  void add_in_registers(V row, V column, V last) {
    const int rows = tiling_.rows, columns = tiling_.columns, fewer = std::min(rows, 4);
    for (const Sum& sum : sums_) results_of(sum, (rows + fewer - 1) / fewer * fewer * columns);
    V there = row_loop_ < 0 ? number(1) : smaller(number(rows), b.CreateSub(host_.extents[at(row_loop_)], row));
    V width = b.CreateSub(last, column);
    V whole_columns = b.CreateICmpSGE(width, number(columns * unit_)), fewer_columns = b.CreateNot(whole_columns);
    auto in_fewer_rows = [&](const std::function<void(V)>& body) {
      if (rows == fewer) body(number(0));
      else host_.loop(number(0), there, number(fewer), body);
    };
    auto whole = [&](V first, int count) {
      Block block{rows_from(b.CreateAdd(row, first), count), column, columns};
      add_block(block, first, number(0));
    };
    if (rows > fewer) {
      V whole_rows = b.CreateICmpEQ(there, number(rows));
      host_.only_if(b.CreateAnd(whole_columns, whole_rows), [&] { whole(number(0), rows); });
      whole_columns = b.CreateAnd(whole_columns, b.CreateNot(whole_rows));
    }
    host_.only_if(whole_columns, [&] { in_fewer_rows([&](V r) { whole(r, fewer); }); });
    host_.only_if(fewer_columns, [&] {
      in_fewer_rows([&](V r) {
        host_.loop(number(0), width, number(unit_), [&](V c) {
          Block block{rows_from(b.CreateAdd(row, r), fewer), b.CreateAdd(column, c), 1};
          if (!across_) block.mask = lanes_below(b.CreateSub(width, c));
          add_block(block, r, b.CreateUDiv(c, number(unit_)));
        });
      });
    });
    host_.loop(number(0), there, number(1), [&](V r) {
      host_.loop(number(0), smaller(width, number(columns * unit_)), number(unit_), [&](V c) {
        std::vector<Value> results;
        V place = b.CreateAdd(b.CreateMul(r, number(columns)), b.CreateUDiv(c, number(unit_)));
        for (std::size_t s = 0; s < sums_.size(); ++s) {
          const Value v = result_at(s, place);
          results.push_back(widened(sums_[s], across_ ? over_lanes(sums_[s], v) : v));
        }
        if (row_loop_ >= 0) host_.index[at(row_loop_)] = b.CreateAdd(row, r);
        host_.index[at(column_loop_)] = b.CreateAdd(column, c);
        host_.finish(std::move(results), unit_, across_ ? nullptr : lanes_below(b.CreateSub(width, c)));
      });
    });
  }

  /// Neighbouring rows; the last one again instead of those that don't exist.
  std::vector<V> rows_from(V row, int count) {
    std::vector<V> rows;
    for (int r = 0; r < count; ++r) {
      V index = b.CreateAdd(row, number(r));
      if (row_loop_ >= 0) index = smaller(index, b.CreateSub(host_.extents[at(row_loop_)], number(1)));
      rows.push_back(index);
    }
    return rows;
  }

  /// The sums at a block's places, put where the results of the tile are collected, from (row, column) on.
  void add_block(Block& block, V row, V column) {
    std::vector<std::vector<Accumulator>> totals(sums_.size());
    for (std::size_t s = 0; s < sums_.size(); ++s) totals[s] = zeros(sums_[s].whole, block.places());
    V waiting = host_.variable(b.getInt64Ty());
    b.CreateStore(number(0), waiting);
    std::vector<std::vector<Accumulator>> parts = totals;
    for (std::size_t s = 0; s < sums_.size(); ++s)
      if (sums_[s].part != sums_[s].whole) parts[s] = zeros(sums_[s].part, block.places());
    auto flush = [&] {
      for (std::size_t s = 0; s < sums_.size(); ++s)
        for (std::size_t p = 0; p < parts[s].size() && sums_[s].part != sums_[s].whole; ++p) {
          V more = b.CreateFPExt(loaded(parts[s][p]).re, vector_of(sums_[s].whole));
          b.CreateStore(b.CreateFAdd(loaded(totals[s][p]).re, more), totals[s][p].re);
          b.CreateStore(llvm::Constant::getNullValue(vector_of(sums_[s].part)), parts[s][p].re);
        }
    };
    sequential(kernel_.parallel, inner_loop_, [&] {
      V end = end_of(inner_loop_);
      if (!has_parts_) return add_range(block, parts, number(0), end);
      const int step = across_ ? host_.lanes : 1;
      host_.loop(number(0), end, number(Tiling::section * step), [&](V from) {
        V to = smaller(b.CreateAdd(from, number(Tiling::section * step)), end);
        add_range(block, parts, from, to);
        V count = b.CreateAdd(b.CreateLoad(b.getInt64Ty(), waiting), b.CreateSub(to, from));
        b.CreateStore(count, waiting);
        host_.only_if(b.CreateICmpSGT(count, number(Tiling::section * step / 2)), [&] {
          flush();
          b.CreateStore(number(0), waiting);
        });
      });
    });
    if (has_parts_) flush();
    for (std::size_t s = 0; s < sums_.size(); ++s)
      for (int r = 0; r < static_cast<int>(block.rows.size()); ++r)
        for (int c = 0; c < block.columns; ++c) {
          V place = b.CreateAdd(b.CreateMul(b.CreateAdd(row, number(r)), number(tiling_.columns)), b.CreateAdd(column, number(c)));
          put_result(s, place, loaded(totals[s][at(block.place(r, c, 0))]));
        }
  }

  std::vector<Accumulator> zeros(DType dtype, int count) {
    std::vector<Accumulator> list;
    auto zero = [&] {
      auto* a = host_.variable(vector_of(dtype));
      b.CreateStore(llvm::Constant::getNullValue(a->getAllocatedType()), a);
      return a;
    };
    for (int i = 0; i < count; ++i) list.push_back({zero(), dtype == c64 ? zero() : nullptr});
    return list;
  }

  /// Iterations [from, to) of the innermost loop.
  void add_range(Block& block, std::vector<std::vector<Accumulator>>& sums, V from, V to) {
    auto add = [&](V i) {
      block.inner = i;
      std::vector<Known> known(at(block.places()));
      evaluate(block, true, known);
      for (std::size_t s = 0; s < sums_.size(); ++s)
        for (std::size_t p = 0; p < known.size(); ++p) {
          const Value before = loaded(sums[s][p]);
          Value after = added(sums_[s], before, known[p]);
          if (across_ && block.mask)
            after = {b.CreateSelect(block.mask, after.re, before.re), after.im ? b.CreateSelect(block.mask, after.im, before.im) : nullptr};
          store(after, sums[s][p]);
        }
    };
    if (!across_) return host_.loop(from, to, number(1), add);
    V whole = b.CreateSub(to, b.CreateURem(b.CreateSub(to, from), number(host_.lanes)));
    host_.loop(from, whole, number(host_.lanes), add);
    host_.only_if(b.CreateICmpSLT(whole, to), [&] {
      block.mask = lanes_below(b.CreateSub(to, whole));
      add(whole);
      block.mask = nullptr;
    });
  }

  /// The sum of all lanes, halves first: a fixed order.
  Value over_lanes(const Sum& sum, Value v) {
    auto half = [&](V x, int from, int count) -> V {
      if (!x) return nullptr;
      if (count == 1) return b.CreateExtractElement(x, static_cast<std::uint64_t>(from));
      std::vector<int> mask;
      for (int i = 0; i < count; ++i) mask.push_back(from + i);
      return b.CreateShuffleVector(x, mask);
    };
    for (int n = host_.lanes / 2; n >= 1; n /= 2)
      v = host_.ops.emit("add", {{half(v.re, 0, n), half(v.im, 0, n)}, {half(v.re, n, n), half(v.im, n, n)}}, {sum.whole, sum.whole}, sum.whole);
    return v;
  }

  Value widened(const Sum& sum, Value v) { return sum.whole == sum.result ? v : host_.ops.cast(v, sum.whole, sum.result); }

  // Where the results of a tile are collected -------------------------------------------------------------------------

  void results_of(const Sum& sum, int places) {
    auto array = [&] { return host_.variable(llvm::ArrayType::get(vector_of(sum.whole), static_cast<std::uint64_t>(places))); };
    results_.push_back({array(), sum.whole == c64 ? array() : nullptr});
  }
  V result_address(llvm::AllocaInst* array, V place) {
    return b.CreateGEP(llvm::cast<llvm::ArrayType>(array->getAllocatedType())->getElementType(), array, place);
  }
  void put_result(std::size_t sum, V place, Value v) {
    b.CreateStore(v.re, result_address(results_[sum].re, place));
    if (v.im) b.CreateStore(v.im, result_address(results_[sum].im, place));
  }
  Value result_at(std::size_t sum, V place) {
    auto* type = vector_of(sums_[sum].whole);
    const Accumulator& a = results_[sum];
    return {b.CreateLoad(type, result_address(a.re, place)), a.im ? b.CreateLoad(type, result_address(a.im, place)) : nullptr};
  }

  // Sums in memory ----------------------------------------------------------------------------------------------------

  /// Everything for the results of columns [first, last) from `row` on.
  void add_in_memory(V row, V first, V last) {
    const int width = widest_chunk(tiling_), rows = tiling_.rows, lanes = host_.lanes;
    for (const Sum& sum : sums_) {
      auto array = [&] {
        auto* a = host_.variable(llvm::ArrayType::get(host_.ops.type(sum.part, 1), static_cast<std::uint64_t>(rows * width)));
        a->setAlignment(llvm::Align(64));
        return a;
      };
      kept_.push_back({array(), sum.part == c64 ? array() : nullptr});
    }
    auto at_column = [&](V r, V column) { return b.CreateAdd(b.CreateMul(r, number(width)), b.CreateSub(column, first)); };
    auto part = [&](std::size_t s, V place) -> std::pair<V, V> {
      auto* element = host_.ops.type(sums_[s].part, 1);
      return {b.CreateGEP(element, kept_[s].re, place), kept_[s].im ? b.CreateGEP(element, kept_[s].im, place) : nullptr};
    };
    auto read = [&](std::size_t s, V place) {
      const auto [re, im] = part(s, place);
      auto load = [&](V p) -> V { return p ? b.CreateAlignedLoad(vector_of(sums_[s].part), p, llvm::Align(4)) : nullptr; };
      return Value{load(re), load(im)};
    };
    auto write = [&](std::size_t s, V place, Value v) {
      const auto [re, im] = part(s, place);
      b.CreateAlignedStore(v.re, re, llvm::Align(4));
      if (im) b.CreateAlignedStore(v.im, im, llvm::Align(4));
    };

    V zero_end = last;
    for (int r = 0; r < rows; ++r)
      host_.loop(first, zero_end, number(lanes), [&](V column) {
        for (std::size_t s = 0; s < sums_.size(); ++s) {
          V zero = llvm::Constant::getNullValue(vector_of(sums_[s].part));
          write(s, at_column(number(r), column), {zero, kept_[s].im ? zero : nullptr});
        }
      });

    auto pass = [&](V inner, int depth) {
      Block block{rows_from(row, rows), nullptr, 1, depth, inner, nullptr};
      std::vector<Known> same(at(block.places()));
      evaluate(block, false, same);
      auto add = [&](V column, int columns, V mask) {
        block.column = column, block.columns = columns, block.mask = mask;
        std::vector<Known> known(at(block.places()));
        for (int r = 0; r < rows; ++r)
          for (int c = 0; c < columns; ++c)
            for (int j = 0; j < depth; ++j) known[at(block.place(r, c, j))] = same[at(r * depth + j)];
        evaluate(block, true, known);
        for (std::size_t s = 0; s < sums_.size(); ++s)
          for (int r = 0; r < rows; ++r)
            for (int c = 0; c < columns; ++c) {
              V place = at_column(number(r), b.CreateAdd(column, number(c * lanes)));
              Value v = read(s, place);
              for (int j = 0; j < depth; ++j) v = added(sums_[s], v, known[at(block.place(r, c, j))]);
              write(s, place, v);
            }
      };
      const int step = tiling_.columns * lanes;
      V whole = b.CreateSub(last, b.CreateURem(b.CreateSub(last, first), number(step)));
      host_.loop(first, whole, number(step), [&](V column) { add(column, tiling_.columns, nullptr); });
      host_.loop(whole, last, number(lanes), [&](V column) { add(column, 1, lanes_below(b.CreateSub(last, column))); });
    };
    sequential(kernel_.parallel, inner_loop_, [&] {
      V end = end_of(inner_loop_);
      V whole = b.CreateSub(end, b.CreateURem(end, number(tiling_.depth)));
      host_.loop(number(0), whole, number(tiling_.depth), [&](V i) { pass(i, tiling_.depth); });
      host_.loop(whole, end, number(1), [&](V i) { pass(i, 1); });
    });

    V there = row_loop_ < 0 ? number(1) : smaller(number(rows), b.CreateSub(host_.extents[at(row_loop_)], row));
    host_.loop(number(0), there, number(1), [&](V r) {
      host_.loop(first, last, number(lanes), [&](V column) {
        std::vector<Value> results;
        for (std::size_t s = 0; s < sums_.size(); ++s) results.push_back(widened(sums_[s], read(s, at_column(r, column))));
        if (row_loop_ >= 0) host_.index[at(row_loop_)] = b.CreateAdd(row, r);
        host_.index[at(column_loop_)] = column;
        host_.finish(std::move(results), lanes, lanes_below(b.CreateSub(last, column)));
      });
    });
  }

  const TileHost& host_;
  llvm::IRBuilder<>& b;
  const Kernel& kernel_;
  const Tiling& tiling_;
  const int column_loop_, row_loop_, inner_loop_;
  const bool across_;  ///< lanes are iterations of the innermost loop, and not columns
  const int unit_;     ///< columns that lanes are
  std::vector<Sum> sums_;
  bool has_parts_ = false;
  std::vector<int> needed_;  ///< expressions that sums are made of
  std::vector<Dependence> depends_;
  std::vector<Accumulator> results_;  ///< arrays by place
  std::vector<Accumulator> kept_;     ///< arrays by row and column of a tile
};

}  // namespace

void emit_tiles(const TileHost& host, V begin, V end, V chunk) { TileEmitter(host).run(begin, end, chunk); }

TileCount count_tiles(const Kernel& kernel, int lanes) {
  // Tiles for threads to share evenly, unless they would be too small.
  constexpr std::int64_t wanted = 64;
  // Elements of an operand [iterations, columns] that stay in a second cache while several rows of tiles use them.
  constexpr std::int64_t cached = 1 << 16;
  const Tiling& t = kernel.tiling;
  std::int64_t others = 1, iterations = 1;
  const int first_of_tile = kernel.parallel - (t.rows > 1 ? 2 : 1);
  for (int d = 0; d < first_of_tile; ++d) others *= kernel.extents[at(d)];
  for (int d = kernel.parallel; d < kernel.loops(); ++d) iterations *= std::max<std::int64_t>(kernel.extents[at(d)], 1);
  if (t.rows > 1) others *= (kernel.extents[at(first_of_tile)] + t.rows - 1) / t.rows;
  const std::int64_t columns = kernel.extents[at(kernel.parallel - 1)];
  const std::int64_t step = t.columns * (kernel.is_sequential(kernel.vector_loop) ? 1 : lanes);
  const std::int64_t widest = t.depth > 0 ? widest_chunk(t) : std::max(step, cached / iterations);
  // What lies in rows is best read in long ones.
  const std::int64_t pieces = std::max<std::int64_t>(1, (t.depth > 0 ? wanted / 4 : wanted) / std::max<std::int64_t>(others, 1));
  auto in_steps = [&](std::int64_t n) { return std::max<std::int64_t>((n + step - 1) / step, 1) * step; };
  std::int64_t chunk = in_steps((columns + pieces - 1) / pieces);
  if (chunk > widest) chunk = std::max(widest / step, std::int64_t{1}) * step;
  return {others * ((columns + chunk - 1) / chunk), chunk};
}

}  // namespace weft::cpu
