#include "backend/cpu/emit_scan.h"

#include "backend/cpu/kernel_function.h"

#include <map>
#include <utility>
#include <vector>

namespace weft::cpu {
namespace {

using namespace kernel;
using V = llvm::Value*;

class ScanEmitter {
 public:
  ScanEmitter(const TileHost& host, ReductionEmitter& reductions, V first)
      : reductions_(reductions), k_(host), kernel_(k_.kernel), b(k_.ops.b), lanes_(first || kernel_.vector_loop >= 0 ? k_.lanes : 1) {
    for (const auto& r : kernel_.reductions) {
      Running running;
      running.dtype = ReductionEmitter::type_of(r);
      auto* type = llvm::ArrayType::get(k_.ops.type(running.dtype, 1), first ? scan_block : 1);
      running.re = k_.variable(type);
      if (running.dtype == c64) running.im = k_.variable(type);
      running_.push_back(running);
    }
  }

  /// Neighbouring rows, one in each lane: their running values stay in memory while the scanned loop goes by.
  void rows(V first, V last) {
    auto place = [&] { return b.CreateSub(index(kernel_.vector_loop), first); };
    vectors(first, last, [&](V mask) { start(place(), lanes_, mask); });
    along([&] { vectors(first, last, [&](V mask) { step(place(), lanes_, mask); }); });
  }

  /// One row, element by element.
  void row() {
    start(number(0), 1, nullptr);
    along([&] { step(number(0), 1, nullptr); });
  }

  /// One row, a vector at a time: each vector's own scan (in as many steps as the logarithm of its length; Hillis and Steele, Data
  /// Parallel Algorithms, 1986), with what came before added to all of it.
  void across() {
    start(number(0), 1, nullptr);
    V extent = k_.extents[at(kernel_.vector_loop)];
    if (!kernel_.scan->reverse) return vectors(number(0), extent, [&](V mask) { vector(mask); });
    V full = b.CreateSub(extent, b.CreateURem(extent, number(lanes_)));
    rest(full, extent, [&](V mask) { vector(mask); });
    k_.loop(number(0), full, number(lanes_), [&](V i) {
      index(kernel_.vector_loop) = b.CreateSub(b.CreateSub(full, number(lanes_)), i);
      vector(nullptr);
    });
  }

 private:
  /// The running values of one reduction.
  struct Running {
    llvm::AllocaInst *re = nullptr, *im = nullptr;
    DType dtype = f32;
  };
  using Known = std::map<int, Value>;

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  V number(std::int64_t n) { return b.getInt64(static_cast<std::uint64_t>(n)); }
  V& index(int loop) { return k_.index[at(loop)]; }
  V splat(V v, int lanes) { return v ? k_.ops.splat(v, lanes) : nullptr; }

  /// Goes from first to last along the vector loop, a vector at a time; the last one may be masked.
  void vectors(V first, V last, const std::function<void(V)>& body) {
    V full = b.CreateSub(last, b.CreateURem(b.CreateSub(last, first), number(lanes_)));
    k_.loop(first, full, number(lanes_), [&](V i) {
      index(kernel_.vector_loop) = i;
      body(nullptr);
    });
    if (lanes_ > 1) rest(full, last, body);
  }

  void rest(V full, V last, const std::function<void(V)>& body) {
    k_.only_if(b.CreateICmpSLT(full, last), [&] {
      index(kernel_.vector_loop) = full;
      std::vector<std::uint64_t> lane(at(lanes_));
      for (std::size_t i = 0; i < lane.size(); ++i) lane[i] = i;
      body(b.CreateICmpSLT(llvm::ConstantDataVector::get(b.getContext(), lane), k_.ops.splat(b.CreateSub(last, full), lanes_)));
    });
  }

  /// The scanned loop, in the scan's direction. A loop of one iteration is left out of the kernel.
  void along(const std::function<void()>& body) {
    if (kernel_.loops() == kernel_.parallel) return body();
    const int d = kernel_.loops() - 1;
    V extent = k_.extents[at(d)];
    k_.loop(number(0), extent, number(1), [&](V i) {
      index(d) = kernel_.scan->reverse ? b.CreateSub(b.CreateSub(extent, number(1)), i) : i;
      body();
    });
  }

  V pointer(const Running& r, V array, V place) { return b.CreateGEP(k_.ops.type(r.dtype, 1), array, place); }
  llvm::Align align(const Running& r) { return llvm::Align(k_.ops.type(r.dtype, 1)->getScalarSizeInBits() / 8); }

  Value running(const Running& r, V place, int lanes) {
    auto read = [&](V array) { return array ? b.CreateAlignedLoad(k_.ops.type(r.dtype, lanes), pointer(r, array, place), align(r)) : nullptr; };
    return {read(r.re), read(r.im)};
  }

  void set_running(const Running& r, V place, int lanes, Value value) {
    b.CreateAlignedStore(splat(value.re, lanes), pointer(r, r.re, place), align(r));
    if (r.im) b.CreateAlignedStore(splat(value.im, lanes), pointer(r, r.im, place), align(r));
  }

  Value nothing(const Running& running, const Reduction& r, int lanes) {
    auto* type = k_.ops.type(running.dtype, lanes);
    return {reductions_.identity(r, type, false), running.im ? reductions_.identity(r, type, true) : nullptr};
  }

  void start(V place, int lanes, V mask) {
    Known known;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const auto& r = kernel_.reductions[i];
      set_running(running_[i], place, lanes, r.initial >= 0 ? k_.value(r.initial, lanes, mask, known) : nothing(running_[i], r, 1));
    }
  }

  /// The present elements of a reduction, in the type that it accumulates.
  Value element(std::size_t i, int lanes, V mask, Known& known) {
    const auto& r = kernel_.reductions[i];
    const Value value = k_.value(r.value, lanes, mask, known);
    return k_.ops.cast({splat(value.re, lanes), splat(value.im, lanes)}, r.dtype, running_[i].dtype);
  }

  void step(V place, int lanes, V mask) {
    Known known;
    std::vector<Value> results;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const auto& r = kernel_.reductions[i];
      const DType dtype = running_[i].dtype;
      const Value before = running(running_[i], place, lanes);
      Value value = element(i, lanes, mask, known);
      if (r.op == ReduceOp::linear) {
        const Value factor = k_.ops.cast(k_.value(r.index, lanes, mask, known), kernel_.exprs[at(r.index)].dtype, dtype);
        const Value earlier = k_.ops.emit("mul", {factor, before}, {dtype, dtype}, dtype);
        value = k_.ops.emit("add", {value, earlier}, {dtype, dtype}, dtype);
      } else {
        value = reductions_.combine(r, before, value);
      }
      set_running(running_[i], place, lanes, value);
      results.push_back(kernel_.scan->exclusive ? before : value);
    }
    k_.finish(std::move(results), lanes, mask);
  }

  void vector(V mask) {
    Known known;
    std::vector<Value> results;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const auto& r = kernel_.reductions[i];
      const Value none = nothing(running_[i], r, lanes_);
      Value value = element(i, lanes_, mask, known);
      if (mask) value = {b.CreateSelect(mask, value.re, none.re), value.im ? b.CreateSelect(mask, value.im, none.im) : nullptr};
      auto moved = [&](int n) { return Value{later(value.re, none.re, n), later(value.im, none.im, n)}; };
      for (int n = 1; n < lanes_; n *= 2) value = reductions_.combine(r, moved(n), value);
      const Value before = running(running_[i], number(0), 1);
      auto last = [&](V v) { return v ? b.CreateExtractElement(v, number(kernel_.scan->reverse ? 0 : lanes_ - 1)) : nullptr; };
      set_running(running_[i], number(0), 1, reductions_.combine(r, before, {last(value.re), last(value.im)}));
      if (kernel_.scan->exclusive) value = moved(1);
      results.push_back(reductions_.combine(r, {splat(before.re, lanes_), splat(before.im, lanes_)}, value));
    }
    k_.finish(std::move(results), lanes_, mask);
  }

  /// A vector moved n lanes on in the scan's direction, filled with lanes of `fill`.
  V later(V v, V fill, int n) {
    if (!v) return nullptr;
    std::vector<int> lanes;
    for (int i = 0; i < lanes_; ++i) {
      const int from = kernel_.scan->reverse ? i + n : i - n;
      lanes.push_back(from >= 0 && from < lanes_ ? from : lanes_);
    }
    return b.CreateShuffleVector(v, fill, lanes);
  }

  ReductionEmitter& reductions_;
  const TileHost& k_;
  const Kernel& kernel_;
  llvm::IRBuilder<>& b;
  int lanes_;
  std::vector<Running> running_;
};

}  // namespace

void emit_scan(const TileHost& host, ReductionEmitter& reductions, V first, V last) {
  ScanEmitter emitter(host, reductions, first);
  if (first) emitter.rows(first, last);
  else if (host.kernel.vector_loop >= 0) emitter.across();
  else emitter.row();
}

}  // namespace weft::cpu
