// Loops, loads, reductions and stores of a kernel as LLVM IR.
#include "backend/cpu/emit.h"

#include "backend/cpu/emit_reduction.h"
#include "backend/cpu/emit_scan.h"
#include "backend/cpu/emit_tiles.h"
#include "backend/cpu/walk.h"
#include "stitch/keep.h"

#include <weft/error.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

namespace weft::cpu {
namespace {

using namespace kernel;
using V = llvm::Value*;

class KernelEmitter {
 public:
  KernelEmitter(const Kernel& kernel, const Structure& structure, const std::string& symbol, const Target& target, llvm::LLVMContext& context)
      : kernel_(kernel),
        structure_(structure),
        module_(std::make_unique<llvm::Module>(symbol, context)),
        b(context),
        ops_(b, target),
        reductions_(ops_, [this](llvm::Type* type) { return variable(type); }),
        lanes_(lanes_of(kernel, target)),
        passes_(passes_of(kernel)),
        varies_(varying(kernel)) {
    auto* pointer = b.getPtrTy();
    auto* type = llvm::FunctionType::get(b.getVoidTy(), {pointer, pointer, pointer, b.getInt64Ty(), b.getInt64Ty(), b.getInt64Ty()}, false);
    function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, symbol, *module_);
    for (unsigned i = 0; i < 3; ++i) function_->addParamAttr(i, llvm::Attribute::NoAlias);
    function_->addFnAttr("no-trapping-math", "true");
    function_->addFnAttr("prefer-vector-width", std::to_string(target.vector_bits));
  }

  std::unique_ptr<llvm::Module> run() {
    b.SetInsertPoint(block("entry"));
    // Read here, where they can't be taken to change in a loop.
    for (std::size_t i = 0; i < structure_.parameters.size(); ++i)
      numbers_.push_back(b.CreateLoad(b.getInt64Ty(), b.CreateConstGEP1_64(b.getInt64Ty(), function_->getArg(0), i)));
    nothing_ = b.CreateAlloca(llvm::ArrayType::get(b.getInt64Ty(), 2), nullptr, "nothing");
    b.CreateStore(llvm::Constant::getNullValue(llvm::ArrayType::get(b.getInt64Ty(), 2)), nothing_);
    for (std::size_t i = 0; i < kernel_.buffers.size(); ++i)
      buffers_.push_back(b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_64(b.getPtrTy(), function_->getArg(1), i), "b" + std::to_string(i)));
    for (const auto& e : structure_.extents) extents_.push_back(number(e));
    end_ = number(structure_.end);
    index_.resize(kernel_.extents.size());
    if (kernel_.tiling.rows > 0) emit_tiles(host(), function_->getArg(3), function_->getArg(4), function_->getArg(5));
    else tiles();
    // Stores past the caches are ordered by a fence only.
    if (std::any_of(kernel_.stores.begin(), kernel_.stores.end(), [](const Store& s) { return s.streams; }))
      b.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
    b.CreateRetVoid();
    return std::move(module_);
  }

 private:
  /// How expressions are computed at a place in the code.
  struct Context {
    int lanes = 1;
    V mask = nullptr;  ///< lanes that exist; null: all
    std::map<int, Value> computed;
  };

  llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(b.getContext(), name, function_); }
  V i64_of(std::int64_t n) { return b.getInt64(static_cast<std::uint64_t>(n)); }

  V number(const Number& n) {
    if (n.kind == Number::Kind::fixed) return i64_of(n.value);
    return numbers_[static_cast<std::size_t>(n.value)];
  }

  /// for (i = from; i < to; i += step) body(i)
  void loop(V from, V to, V step, const std::function<void(V)>& body) {
    auto *before = b.GetInsertBlock(), *head = block("head"), *inside = block("body"), *after = block("after");
    b.CreateBr(head);
    b.SetInsertPoint(head);
    auto* i = b.CreatePHI(b.getInt64Ty(), 2);
    i->addIncoming(from, before);
    b.CreateCondBr(b.CreateICmpSLT(i, to), inside, after);
    b.SetInsertPoint(inside);
    body(i);
    i->addIncoming(b.CreateNSWAdd(i, step), b.GetInsertBlock());
    b.CreateBr(head);
    b.SetInsertPoint(after);
  }

  void only_if(V condition, const std::function<void()>& body) {
    auto *inside = block("then"), *after = block("endif");
    b.CreateCondBr(condition, inside, after);
    b.SetInsertPoint(inside);
    body();
    b.CreateBr(after);
    b.SetInsertPoint(after);
  }

  llvm::AllocaInst* variable(llvm::Type* type) {
    auto& entry = function_->getEntryBlock();
    llvm::IRBuilder<> at_entry(&entry, entry.begin());
    return at_entry.CreateAlloca(type);
  }

  V lane_numbers(int lanes) {
    std::vector<std::uint64_t> n(static_cast<std::size_t>(lanes));
    for (std::size_t i = 0; i < n.size(); ++i) n[i] = i;
    return llvm::ConstantDataVector::get(b.getContext(), n);
  }

  // Loops -------------------------------------------------------------------------------------------------------------

  bool vector_is_parallel() const { return kernel_.vector_loop >= 0 && !kernel_.is_sequential(kernel_.vector_loop); }

  void tiles() {
    V begin = function_->getArg(3), end = function_->getArg(4), chunk = function_->getArg(5);
    const int outer = kernel_.parallel - (vector_is_parallel() ? 1 : 0) - (kernel_.blocked ? 1 : 0);
    V chunks = nullptr;
    if (vector_is_parallel()) chunks = b.CreateUDiv(b.CreateAdd(extents_[at(kernel_.vector_loop)], b.CreateSub(chunk, i64_of(1))), chunk);
    loop(begin, end, i64_of(1), [&](V tile) {
      V row = tile, first = nullptr, last = nullptr;
      if (chunks) {
        row = b.CreateUDiv(tile, chunks);
        V piece = b.CreateSub(tile, b.CreateMul(row, chunks));
        first = b.CreateMul(piece, chunk);
        last = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b.CreateAdd(first, chunk), extents_[at(kernel_.vector_loop)]);
      }
      for (int d = outer - 1; d >= 0; --d) {
        if (d == 0) {
          index_[0] = row;
          break;
        }
        V quotient = b.CreateUDiv(row, extents_[at(d)]);
        index_[at(d)] = b.CreateSub(row, b.CreateMul(quotient, extents_[at(d)]));
        row = quotient;
      }
      if (kernel_.scan) return scan(first, last);
      if (kernel_.blocked) return blocks(first, last);
      if (!chunks) return cell(1, nullptr);
      V full = b.CreateSub(last, b.CreateURem(b.CreateSub(last, first), i64_of(lanes_)));
      std::vector<std::size_t> outward;
      for (std::size_t s = 0; s < kernel_.stores.size(); ++s)
        if (kernel_.rows == 0 && !is_inner(kernel_, kernel_.stores[s].access)) outward.push_back(s);
      index_[at(kernel_.vector_loop)] = first;
      in_versions(outward, [&] {
        loop(first, full, i64_of(lanes_), [&](V i) {
          index_[at(kernel_.vector_loop)] = i;
          cell(lanes_, nullptr);
        });
      });
      if (lanes_ == 1) return;
      only_if(b.CreateICmpSLT(full, last), [&] {
        index_[at(kernel_.vector_loop)] = full;
        cell(lanes_, b.CreateICmpSLT(lane_numbers(lanes_), ops_.splat(b.CreateSub(last, full), lanes_)));
      });
    });
  }

  /// The places first to last of the vector loop, for the whole loop before it.
  void blocks(V first, V last) {
    V extent = extents_[at(kernel_.vector_loop - 1)], step = i64_of(lanes_), zero = i64_of(0);
    V full = b.CreateSub(last, b.CreateURem(b.CreateSub(last, first), step)), stop = b.CreateSub(extent, b.CreateURem(extent, step));
    auto cells = [&](V from, V to, V mask) {
      loop(from, to, i64_of(1), [&](V i) {
        index_[at(kernel_.vector_loop - 1)] = i;
        cell(lanes_, mask);
      });
    };
    loop(zero, stop, step, [&](V i) { loop(first, full, step, [&](V j) { block(i, j); }); });
    loop(first, full, step, [&](V j) {
      index_[at(kernel_.vector_loop)] = j;
      cells(stop, extent, nullptr);
    });
    only_if(b.CreateICmpSLT(full, last), [&] {
      index_[at(kernel_.vector_loop)] = full;
      cells(zero, extent, b.CreateICmpSLT(lane_numbers(lanes_), ops_.splat(b.CreateSub(last, full), lanes_)));
    });
  }

  void block(V from, V first) {
    V &across = index_[at(kernel_.vector_loop - 1)], &along = index_[at(kernel_.vector_loop)];
    across = from;
    std::map<int, std::vector<V>> turned;
    for (std::size_t id = 0; id < kernel_.exprs.size(); ++id) {
      if (!is_turned(kernel_, kernel_.exprs[id])) continue;
      const Access& access = kernel_.exprs[id].access;
      auto* element = storage_type(b, access.dtype);
      auto& rows = turned[static_cast<int>(id)];
      for (int lane = 0; lane < lanes_; ++lane) {
        along = b.CreateAdd(first, i64_of(lane));
        V place = address(buffers_[at(access.buffer)], element, affine(structure_.exprs[id].address).base);
        rows.push_back(
            b.CreateAlignedLoad(llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes_)), place, llvm::Align(size_of(access.dtype))));
      }
      transpose(rows);
    }
    along = first;
    std::vector<std::size_t> all(kernel_.stores.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    for (int i = 0; i < lanes_; ++i) {
      across = b.CreateAdd(from, i64_of(i));
      Context context{lanes_, nullptr, {}};
      for (const auto& [id, rows] : turned) context.computed[id] = {to_computed(rows[at(i)], kernel_.exprs[at(id)].access.dtype)};
      stores(all, context);
    }
  }

  /// As many vectors as one has elements: pairs of ever larger blocks off the diagonal change places.
  void transpose(std::vector<V>& rows) {
    const int n = lanes_;
    for (int size = 1; size < n; size *= 2) {
      std::vector<int> low, high;
      for (int c = 0; c < n; ++c) low.push_back(c & size ? n + c - size : c), high.push_back(c & size ? n + c : c + size);
      for (int r = 0; r < n; ++r) {
        if (r & size) continue;
        V x = rows[at(r)], y = rows[at(r + size)];
        rows[at(r)] = b.CreateShuffleVector(x, y, low);
        rows[at(r + size)] = b.CreateShuffleVector(x, y, high);
      }
    }
  }

  /// Whether the store is of whole vectors that could be written past the caches.
  bool can_stream(const Store& s) const {
    if (!s.streams || s.combine != Combine::set || !s.access.terms.empty() || s.access.dtype == c64) return false;
    return s.access.address.coefficients[at(kernel_.vector_loop)] == 1 && lanes_ * static_cast<int>(size_of(s.access.dtype)) >= 32;
  }

  /// Emits the loop over vectors that begins at the present indices, once with and once without stores past the caches, which
  /// must be aligned, where there are such stores.
  void in_versions(const std::vector<std::size_t>& which, const std::function<void()>& body) {
    V aligned = nullptr;
    for (auto s : which) {
      const Store& store = kernel_.stores[s];
      if (!can_stream(store)) continue;
      auto* element = storage_type(b, store.access.dtype);
      V place = b.CreatePtrToInt(address(buffers_[at(store.access.buffer)], element, affine(structure_.stores[s].address).base), b.getInt64Ty());
      V rest = b.CreateAnd(place, i64_of(lanes_ * static_cast<std::int64_t>(size_of(store.access.dtype)) - 1));
      aligned = aligned ? b.CreateOr(aligned, rest) : rest;
    }
    if (!aligned) return body();
    V past_caches = b.CreateICmpEQ(aligned, i64_of(0));
    only_if(past_caches, [&] {
      streams_ = true;
      body();
      streams_ = false;
    });
    only_if(b.CreateNot(past_caches), body);
  }

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  TileHost host() {
    TileHost host{kernel_, ops_, lanes_, extents_, number(structure_.total), index_, {}, {}, {}, {}, {}};
    host.loop = [this](V from, V to, V step, const std::function<void(V)>& body) { loop(from, to, step, body); };
    host.only_if = [this](V condition, const std::function<void()>& body) { only_if(condition, body); };
    host.variable = [this](llvm::Type* type) { return variable(type); };
    host.value = [this](int id, int lanes, V mask, std::map<int, Value>& computed) {
      Context context{lanes, mask, std::move(computed)};
      const Value v = expr(id, context);
      computed = std::move(context.computed);
      return v;
    };
    host.finish = [this](std::vector<Value> results, int lanes, V mask) {
      results_ = std::move(results);
      Context context{lanes, mask, {}};
      std::vector<std::size_t> all(kernel_.stores.size());
      std::iota(all.begin(), all.end(), std::size_t{0});
      stores(all, context);
    };
    return host;
  }

  void scan(V first, V last) { emit_scan(host(), reductions_, first, last); }

  /// Everything for one place of the parallel loops (or `lanes` neighbouring ones).
  void cell(int lanes, V mask) {
    if (kernel_.scatters) {
      sequential(kernel_.parallel, kernel_.loops(), [&] {
        Context inner{lanes, mask, {}};
        for (std::size_t s = 0; s < kernel_.stores.size(); ++s) stores({s}, inner);
      });
      return;
    }
    rows(kernel_.parallel, [&] { row(lanes, mask); });
  }

  /// How often a row loop or sequential loop runs.
  V iterations(int d) {
    V extent = extents_[at(d)];
    if (d != kernel_.ended) return extent;
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, extent, b.CreateSub(end_, b.CreateMul(index_[0], extent)));
  }

  /// Row loops from `d` on around body.
  void rows(int d, const std::function<void()>& body) {
    if (d == kernel_.first_sequential()) return body();
    loop(i64_of(0), iterations(d), i64_of(1), [&](V i) {
      index_[at(d)] = i;
      rows(d + 1, body);
    });
  }

  /// All passes, then the stores that come after them.
  void row(int lanes, V mask) {
    Context outer{lanes, mask, {}};
    results_.assign(kernel_.reductions.size(), {});
    std::vector<std::size_t> last;
    const int passes = passes_.empty() ? 0 : *std::max_element(passes_.begin(), passes_.end()) + 1;
    for (pass_ = 0; pass_ < passes; ++pass_) {
      std::vector<std::size_t> reductions, inner;
      for (std::size_t k = 0; k < kernel_.reductions.size(); ++k)
        if (pass_of(kernel_.reductions[k]) == pass_) reductions.push_back(k);
      for (std::size_t s = 0; s < kernel_.stores.size(); ++s) {
        if (!is_inner(kernel_, kernel_.stores[s].access)) {
          if (pass_ == 0) last.push_back(s);
        } else if (pass_of(kernel_.stores[s]) == pass_) {
          inner.push_back(s);
        }
      }
      if (!reductions.empty() || !inner.empty()) pass(reductions, inner, outer);
    }
    stores(last, outer);
  }

  int pass_of(const Reduction& r) const { return std::max(passes_[at(r.value)], r.index < 0 ? 0 : passes_[at(r.index)]); }
  int pass_of(const Store& s) const {
    int p = passes_[at(s.value)];
    for (const auto& t : s.access.terms) p = std::max(p, t.indirect < 0 ? 0 : passes_[at(t.indirect)]);
    return p;
  }

  /// Computes, before the sequential loops, what doesn't vary in them.
  void hoist(int id, Context& outer, std::vector<bool>& seen) {
    if (seen[at(id)]) return;
    seen[at(id)] = true;
    if (!varies_[at(id)]) {
      expr(id, outer);
      return;
    }
    const Expr& e = kernel_.exprs[at(id)];
    if (e.kept && pass_ > passes_[at(id)]) return;
    for (int o : e.operands) hoist(o, outer, seen);
    for (const auto& t : e.access.terms)
      if (t.indirect >= 0) hoist(t.indirect, outer, seen);
  }

  /// One walk of the sequential loops.
  void pass(const std::vector<std::size_t>& reductions, const std::vector<std::size_t>& inner, Context& outer) {
    std::vector<bool> seen(kernel_.exprs.size());
    for (auto k : reductions) {
      hoist(kernel_.reductions[k].value, outer, seen);
      if (kernel_.reductions[k].index >= 0) hoist(kernel_.reductions[k].index, outer, seen);
    }
    for (auto s : inner) hoist(kernel_.stores[s].value, outer, seen);

    const bool across = kernel_.vector_loop >= 0 && kernel_.is_sequential(kernel_.vector_loop);
    const int lanes = across ? lanes_ : outer.lanes;
    // Independent sums, so that one addition needn't wait for the one before.
    const int copies = across && !reductions.empty() && inner.empty() && is_light(seen) ? 4 : 1;
    std::vector<std::vector<Accumulator>> accumulators(at(copies));
    for (auto& set : accumulators)
      for (auto k : reductions) set.push_back(reductions_.begin(kernel_.reductions[k], lanes));
    auto body = [&](int copy, int n, V mask) {
      Context context{n, mask, outer.computed};
      for (const auto& a : accumulators[at(copy)]) accumulate(a, context);
      stores(inner, context);
    };
    const int first = kernel_.first_sequential();
    if (!across) {
      sequential(first, kernel_.loops(), [&] { body(0, outer.lanes, outer.mask); });
    } else {
      sequential(first, kernel_.vector_loop, [&] {
        V& index = index_[at(kernel_.vector_loop)];
        V extent = iterations(kernel_.vector_loop), step = i64_of(std::int64_t{lanes} * copies);
        V full = b.CreateSub(extent, b.CreateURem(extent, step));
        index = i64_of(0);
        in_versions(inner, [&] {
          loop(i64_of(0), full, step, [&](V i) {
            for (int c = 0; c < copies; ++c) index = b.CreateAdd(i, i64_of(std::int64_t{c} * lanes)), body(c, lanes, nullptr);
          });
        });
        loop(full, extent, i64_of(lanes), [&](V i) {
          index = i;
          body(0, lanes, b.CreateICmpSLT(lane_numbers(lanes), ops_.splat(b.CreateSub(extent, i), lanes)));
        });
      });
    }
    for (std::size_t i = 0; i < reductions.size(); ++i) {
      const auto& r = kernel_.reductions[reductions[i]];
      std::vector<Partial> parts;
      for (const auto& set : accumulators) parts.push_back(reductions_.result(set[i]));
      for (; parts.size() > 1; parts.resize(parts.size() / 2))
        for (std::size_t p = 0; p < parts.size() / 2; ++p) parts[p] = reductions_.together(r, parts[2 * p], parts[2 * p + 1]);
      const auto [value, index] = across ? reductions_.across_lanes(r, lanes, parts[0]) : parts[0];
      results_[reductions[i]] = index ? Value{index} : value;
    }
  }

  /// Whether what a walk computes takes little longer than the additions of its reductions.
  bool is_light(const std::vector<bool>& computed) const {
    int count = 0;
    for (std::size_t e = 0; e < computed.size(); ++e) {
      if (!computed[e] || !varies_[e]) continue;
      if (kernel_.exprs[e].kind == ExprKind::op && is_dear(kernel_.exprs[e].op)) return false;
      ++count;
    }
    return count <= 16;
  }

  /// Loops [d, end), outermost first, around body.
  void sequential(int d, int end, const std::function<void()>& body) {
    if (d == end) return body();
    loop(i64_of(0), iterations(d), i64_of(1), [&](V i) {
      index_[at(d)] = i;
      sequential(d + 1, end, body);
    });
  }

  /// Adds the value of the reduction at the present indices.
  void accumulate(const Accumulator& a, Context& context) {
    const Reduction& r = *a.reduction;
    const Value value = expr(r.value, context);
    reductions_.accumulate(a, {value, r.index < 0 ? nullptr : expr(r.index, context).re}, context.lanes, context.mask);
  }

  // Expressions -------------------------------------------------------------------------------------------------------

  Value expr(int id, Context& context) {
    if (const auto found = context.computed.find(id); found != context.computed.end()) return found->second;
    const Expr& e = kernel_.exprs[at(id)];
    Value value;
    if (e.kept && pass_ > passes_[at(id)]) return context.computed[id] = read_kept(id, context);
    switch (e.kind) {
      case ExprKind::load: value = load(id, context); break;
      case ExprKind::constant: value = ops_.literal(e.literal.data(), e.dtype); break;
      case ExprKind::index: value = {lanes_of_form(structure_.indices[at(id)], context)}; break;
      case ExprKind::inside: {
        const Position p = position(e.access, structure_.exprs[at(id)], first_check(id), context);
        value = {p.inside ? p.inside : b.getTrue()};
        break;
      }
      case ExprKind::reduced: value = results_[at(e.reduction)]; break;
      case ExprKind::op: {
        std::vector<Value> operands;
        std::vector<DType> types;
        for (int o : e.operands) {
          operands.push_back(expr(o, context));
          types.push_back(kernel_.exprs[at(o)].dtype);
        }
        value = ops_.emit(e.op, operands, types, e.dtype);
        break;
      }
    }
    if (e.kept && pass_ == passes_[at(id)]) b.CreateAlignedStore(ops_.splat(value.re, context.lanes), kept_place(id, context), kept_align(e));
    context.computed[id] = value;
    return value;
  }

  llvm::Align kept_align(const Expr& e) const { return llvm::Align(size_of(e.dtype == f64 ? f64 : f32)); }

  /// Where the value of a kept expression lies at the present indices.
  V kept_place(int id, const Context& context) {
    auto& memory = kept_[id];
    auto* element = ops_.type(kernel_.exprs[at(id)].dtype, 1);
    if (!memory) {
      memory = variable(llvm::ArrayType::get(element, kept_elements + static_cast<std::uint64_t>(lanes_)));
      memory->setAlignment(llvm::Align(64));
    }
    V place = i64_of(0);
    for (int d = kernel_.first_sequential(); d < kernel_.loops(); ++d) place = b.CreateAdd(b.CreateMul(place, extents_[at(d)]), index_[at(d)]);
    if (vector_is_parallel()) place = b.CreateMul(place, i64_of(context.lanes));
    return b.CreateGEP(element, memory, place);
  }

  Value read_kept(int id, const Context& context) {
    const Expr& e = kernel_.exprs[at(id)];
    return {b.CreateAlignedLoad(ops_.type(e.dtype, context.lanes), kept_place(id, context), kept_align(e))};
  }

  /// An affine form at lane 0, and what each further lane adds.
  struct Scalar {
    V base;
    V per_lane;  ///< null: nothing
    bool unit = false;
  };

  Scalar affine(const Structure::Form& form) {
    V sum = number(form.constant);
    V per_lane = nullptr;
    bool unit = false;
    for (std::size_t d = 0; d < form.coefficients.size(); ++d) {
      const Number& c = form.coefficients[d];
      if (c.is(0)) continue;
      V coefficient = number(c);
      sum = b.CreateAdd(sum, c.is(1) ? index_[d] : b.CreateMul(coefficient, index_[d]));
      if (static_cast<int>(d) == kernel_.vector_loop) per_lane = coefficient, unit = c.is(1);
    }
    return {sum, per_lane, unit};
  }

  V lanes_of_form(const Structure::Form& form, const Context& context) {
    const Scalar s = affine(form);
    if (context.lanes == 1 || !s.per_lane) return s.base;
    V steps = lane_numbers(context.lanes);
    if (!s.unit) steps = b.CreateMul(steps, ops_.splat(s.per_lane, context.lanes));
    return b.CreateAdd(ops_.splat(s.base, context.lanes), steps);
  }

  /// Where an access goes: an address at lane 0, what further lanes add, and where it is inside.
  struct Position {
    V base = nullptr;
    V per_lane = nullptr;  ///< null: all lanes read one element
    bool unit = false;     ///< lanes read neighbours
    V offsets = nullptr;   ///< by lane, on top; null: none
    V uniform = nullptr;   ///< one bit for all lanes; null: inside
    V inside = nullptr;    ///< uniform and varying together; null: inside
  };

  Position position(const Access& access, const Structure::AccessForm& form, int check, Context& context) {
    const int lanes = context.lanes;
    const Scalar s = affine(form.address);
    Position p{s.base, s.per_lane, s.unit, nullptr, nullptr, nullptr};
    V varying = nullptr;
    auto both = [&](V x, V y) { return x ? b.CreateAnd(x, y) : y; };
    for (std::size_t k = 0; k < form.terms.size(); ++k) {
      const Term& term = access.terms[k];
      const auto& shape = form.terms[k];
      V extent = number(shape.extent), stride = number(shape.stride);
      Scalar q{nullptr, nullptr, false};
      V index = nullptr;  // the whole index, when it is not affine
      if (term.indirect >= 0) {
        const DType dtype = kernel_.exprs[at(term.indirect)].dtype;
        index = ops_.cast(expr(term.indirect, context), dtype, i64).re;
      } else {
        q = affine(shape.position);
        if (!q.per_lane || lanes == 1) index = q.base;
        else index = lanes_of_form(shape.position, context);
      }
      // Unsigned: a negative index is larger than any extent.
      const bool is_uniform = !index->getType()->isVectorTy();
      V in = nullptr;
      V quotient = index;
      if (term.divisor != 1) {
        V divisor = ops_.integer(index, term.divisor);
        quotient = b.CreateSDiv(index, divisor);
        in = b.CreateAnd(b.CreateICmpEQ(b.CreateMul(quotient, divisor), index), b.CreateICmpSGE(index, ops_.integer(index, 0)));
        in = b.CreateAnd(in, b.CreateICmpSLT(quotient, is_uniform ? extent : ops_.splat(extent, lanes)));
      } else {
        in = b.CreateICmpULT(index, is_uniform ? extent : ops_.splat(extent, lanes));
      }
      if (term.checked) report(in, quotient, check++, context);
      if (is_uniform) p.uniform = both(p.uniform, in);
      else varying = both(varying, in);
      if (shape.stride.is(0)) continue;
      if (is_uniform) {
        p.base = b.CreateAdd(p.base, shape.stride.is(1) ? quotient : b.CreateMul(quotient, stride));
      } else if (term.divisor == 1 && term.indirect < 0) {
        p.base = b.CreateAdd(p.base, b.CreateMul(q.base, stride));
        V step = b.CreateMul(q.per_lane, stride);
        p.unit = !p.per_lane && q.unit && shape.stride.is(1);
        p.per_lane = p.per_lane ? b.CreateAdd(p.per_lane, step) : step;
      } else {
        V offset = b.CreateMul(quotient, ops_.splat(stride, lanes));
        p.offsets = p.offsets ? b.CreateAdd(p.offsets, offset) : offset;
      }
    }
    p.inside = p.uniform;
    if (varying) p.inside = p.uniform ? b.CreateAnd(ops_.splat(p.uniform, lanes), varying) : varying;
    return p;
  }

  /// Notes the first index that is out of range. Which of several is noted may differ from run to run; that one is, not.
  void report(V inside, V index, int check, Context& context) {
    V outside = b.CreateNot(inside);
    if (context.mask && outside->getType()->isVectorTy()) outside = b.CreateAnd(outside, context.mask);
    V any = outside->getType()->isVectorTy() ? b.CreateOrReduce(outside) : outside;
    only_if(any, [&] {
      V culprit = index;
      if (index->getType()->isVectorTy()) {
        V shown = b.CreateSelect(outside, index, ops_.integer(index, std::numeric_limits<std::int64_t>::min()));
        culprit = b.CreateIntMaxReduce(shown, true);
      }
      auto* fault = function_->getArg(2);
      auto* place = b.CreateStore(culprit, b.CreateConstGEP1_64(b.getInt64Ty(), fault, 1));
      place->setAtomic(llvm::AtomicOrdering::Monotonic);
      place->setAlignment(llvm::Align(8));
      auto* term = b.CreateStore(i64_of(check), fault);
      term->setAtomic(llvm::AtomicOrdering::Monotonic);
      term->setAlignment(llvm::Align(8));
    });
  }

  /// The number of an expression's first checked term among all of the kernel.
  int first_check(int id) const {
    int n = 0;
    for (int e = 0; e < id; ++e)
      for (const auto& t : kernel_.exprs[at(e)].access.terms) n += t.checked;
    return n;
  }
  int first_check_of_store(std::size_t store) const {
    int n = first_check(static_cast<int>(kernel_.exprs.size()));
    for (std::size_t s = 0; s < store; ++s)
      for (const auto& t : kernel_.stores[s].access.terms) n += t.checked;
    return n;
  }

  V address(V buffer, llvm::Type* element, V index) { return b.CreateGEP(element, buffer, index); }

  static llvm::Type* storage_type(llvm::IRBuilder<>& b, DType dtype) {
    switch (dtype) {
      case f16: return b.getHalfTy();
      case bf16: return b.getInt16Ty();
      case f32:
      case c64: return b.getFloatTy();
      case f64: return b.getDoubleTy();
      case boolean: return b.getInt8Ty();
      default: return b.getIntNTy(static_cast<unsigned>(size_of(dtype) * 8));
    }
  }

  /// From the type in memory to the one computed in, and back.
  V to_computed(V v, DType dtype) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
    const int lanes = vector ? static_cast<int>(vector->getNumElements()) : 1;
    if (dtype == f16) return b.CreateFPExt(v, ops_.type(f32, lanes));
    if (dtype == bf16) return ops_.widen_bf16(v);
    if (dtype == boolean) return b.CreateICmpNE(v, ops_.integer(v, 0));
    return v;
  }
  V to_stored(V v, DType dtype) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
    const int lanes = vector ? static_cast<int>(vector->getNumElements()) : 1;
    auto sized = [&](llvm::Type* t) {
      return lanes == 1 ? t : static_cast<llvm::Type*>(llvm::FixedVectorType::get(t, static_cast<unsigned>(lanes)));
    };
    if (dtype == f16) return b.CreateFPTrunc(v, sized(b.getHalfTy()));
    if (dtype == bf16) return ops_.narrow_bf16(v);
    if (dtype == boolean) return b.CreateZExt(v, sized(b.getInt8Ty()));
    return v;
  }

  /// Addresses of all lanes, as a vector of pointers; `part` is 1 for imaginary parts.
  V pointers(const Position& p, V buffer, DType dtype, int lanes, int part) {
    auto* element = storage_type(b, dtype);
    V index = ops_.splat(p.base, lanes);
    if (p.per_lane) index = b.CreateAdd(index, p.unit ? lane_numbers(lanes) : b.CreateMul(lane_numbers(lanes), ops_.splat(p.per_lane, lanes)));
    if (p.offsets) index = b.CreateAdd(index, p.offsets);
    if (dtype == c64) index = b.CreateAdd(b.CreateShl(index, 1), ops_.integer(index, part));
    return address(buffer, element, index);
  }

  Value load(int id, Context& context) {
    const Access& access = kernel_.exprs[at(id)].access;
    const Position p = position(access, structure_.exprs[at(id)], first_check(id), context);
    Value value{load_part(access, p, context, 0)};
    if (access.dtype == c64) value.im = load_part(access, p, context, 1);
    return value;
  }

  V load_part(const Access& access, const Position& p, const Context& context, int part) {
    const int lanes = context.lanes;
    V buffer = buffers_[at(access.buffer)];
    auto* element = storage_type(b, access.dtype);
    const llvm::Align align(size_of(access.dtype == c64 ? f32 : access.dtype));
    const bool one = lanes == 1 || (!p.per_lane && !p.offsets);
    if (one) {
      V index = p.base;
      if (lanes == 1 && p.offsets) index = b.CreateAdd(index, p.offsets);
      if (access.dtype == c64) index = b.CreateAdd(b.CreateShl(index, 1), i64_of(part));
      V pointer = address(buffer, element, index);
      // Outside, what is read is a zero of our own.
      if (p.uniform) pointer = b.CreateSelect(p.uniform, pointer, nothing_);
      V v = to_computed(b.CreateAlignedLoad(element, pointer, align), access.dtype);
      if (!p.inside || !p.inside->getType()->isVectorTy()) return v;
      v = ops_.splat(v, lanes);
      return b.CreateSelect(p.inside, v, llvm::Constant::getNullValue(v->getType()));
    }
    auto* type = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
    V mask = p.inside ? ops_.splat(p.inside, lanes) : nullptr;
    if (context.mask) mask = mask ? b.CreateAnd(mask, context.mask) : context.mask;
    V zero = llvm::Constant::getNullValue(type);
    V v = nullptr;
    if (p.unit && !p.offsets && access.dtype != c64) {
      V pointer = address(buffer, element, p.base);
      v = mask ? static_cast<V>(b.CreateMaskedLoad(type, pointer, align, mask, zero)) : b.CreateAlignedLoad(type, pointer, align);
    } else {
      V all = mask ? mask : llvm::Constant::getAllOnesValue(ops_.type(boolean, lanes));
      v = b.CreateMaskedGather(type, pointers(p, buffer, access.dtype, lanes, part), align, all, zero);
    }
    return to_computed(v, access.dtype);
  }

  // Stores ------------------------------------------------------------------------------------------------------------

  /// The given stores: all values are read before the first is written.
  void stores(const std::vector<std::size_t>& which, Context& context) {
    std::vector<Value> values;
    for (auto s : which) values.push_back(expr(kernel_.stores[s].value, context));
    for (std::size_t i = 0; i < which.size(); ++i) {
      const Store& store = kernel_.stores[which[i]];
      Value value = values[i];
      const Position p = position(store.access, structure_.stores[which[i]], first_check_of_store(which[i]), context);
      const int parts = store.access.dtype == c64 ? 2 : 1;
      if (store.combine != Combine::set) {
        Value old{load_part(store.access, p, context, 0)};
        if (parts == 2) old.im = load_part(store.access, p, context, 1);
        static constexpr std::string_view names[] = {"", "add", "sub", "mul", "div", "min", "max"};
        const DType dtype = store.access.dtype;
        const Value combined = ops_.emit(names[static_cast<int>(store.combine)], {old, value}, {dtype, dtype}, dtype);
        value = store.begins ? begin_or(value, combined, context) : combined;
      }
      for (int part = 0; part < parts; ++part) store_part(store, p, part == 0 ? value.re : value.im, context, part);
    }
  }

  /// `first` in the first iteration of all row loops, `later` afterwards.
  Value begin_or(const Value& first, const Value& later, const Context& context) {
    V sum = i64_of(0);
    for (int d = kernel_.parallel; d < kernel_.first_sequential(); ++d) sum = b.CreateOr(sum, index_[at(d)]);
    V begins = b.CreateICmpEQ(sum, i64_of(0));
    auto choose = [&](V x, V y) -> V { return x ? b.CreateSelect(begins, ops_.splat(x, context.lanes), ops_.splat(y, context.lanes)) : nullptr; };
    return {choose(first.re, later.re), choose(first.im, later.im)};
  }

  void store_part(const Store& store, const Position& p, V value, const Context& context, int part) {
    const Access& access = store.access;
    const int lanes = context.lanes;
    V buffer = buffers_[at(access.buffer)];
    auto* element = storage_type(b, access.dtype);
    const llvm::Align align(size_of(access.dtype == c64 ? f32 : access.dtype));
    value = to_stored(ops_.splat(value, lanes), access.dtype);
    if (lanes == 1) {
      auto write = [&] {
        V index = p.offsets ? b.CreateAdd(p.base, p.offsets) : p.base;
        if (access.dtype == c64) index = b.CreateAdd(b.CreateShl(index, 1), i64_of(part));
        b.CreateAlignedStore(value, address(buffer, element, index), align);
      };
      if (p.inside) only_if(p.inside, write);
      else write();
      return;
    }
    V mask = p.inside ? ops_.splat(p.inside, lanes) : nullptr;
    if (context.mask) mask = mask ? b.CreateAnd(mask, context.mask) : context.mask;
    if (p.unit && !p.offsets && access.dtype != c64) {
      V pointer = address(buffer, element, p.base);
      if (mask) {
        b.CreateMaskedStore(value, pointer, align, mask);
      } else if (streams_ && can_stream(store)) {
        auto* one = llvm::ConstantAsMetadata::get(b.getInt32(1));
        b.CreateAlignedStore(value, pointer, llvm::Align(static_cast<std::uint64_t>(lanes) * size_of(access.dtype)))
            ->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(b.getContext(), one));
      } else {
        b.CreateAlignedStore(value, pointer, align);
      }
      return;
    }
    V all = mask ? mask : llvm::Constant::getAllOnesValue(ops_.type(boolean, lanes));
    b.CreateMaskedScatter(value, pointers(p, buffer, access.dtype, lanes, part), align, all);
  }

  const Kernel& kernel_;
  const Structure& structure_;
  std::unique_ptr<llvm::Module> module_;
  llvm::IRBuilder<> b;
  OpEmitter ops_;
  ReductionEmitter reductions_;
  int lanes_;
  llvm::Function* function_ = nullptr;
  V nothing_ = nullptr;     ///< zeros, read where an access is outside
  std::vector<V> numbers_;  ///< the parameters
  std::vector<V> buffers_, extents_, index_;
  V end_ = nullptr;
  bool streams_ = false;        ///< emitting a loop whose stores may bypass the caches
  std::vector<int> passes_;     ///< by expression
  std::vector<bool> varies_;    ///< by expression
  int pass_ = 0;                ///< the one being emitted
  std::vector<Value> results_;  ///< by reduction
  std::map<int, llvm::AllocaInst*> kept_;
};

}  // namespace

std::unique_ptr<llvm::Module> emit(const Kernel& kernel, const Structure& structure, const std::string& symbol, const Target& target,
                                   llvm::LLVMContext& context) {
  return KernelEmitter(kernel, structure, symbol, target, context).run();
}

}  // namespace weft::cpu
