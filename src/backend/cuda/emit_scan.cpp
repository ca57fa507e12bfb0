#include "backend/cuda/emit_scan.h"

#include "backend/cuda/emit_reduction.h"

namespace weft::cuda {
namespace {

using namespace kernel;

class ScanEmitter {
 public:
  explicit ScanEmitter(KernelCode& code) : c_(code), kernel_(code.kernel), code_(code.code), stores_(kernel_.stores.size()) {
    for (std::size_t s = 0; s < stores_.size(); ++s) stores_[s] = s;
    c_.pass = c_.last_pass();
  }

  void run() {
    for (std::size_t r = 0; r < kernel_.reductions.size(); ++r) {
      const Reduction& reduction = kernel_.reductions[r];
      Text start = identity(reduction);
      if (reduction.initial >= 0) c_.hold({reduction.initial}), start = c_.value(reduction.initial);
      code_.line(accumulator_type(reduction) + " " + name(r) + " = " + start.text + ";");
    }
    if (kernel_.loops() == kernel_.first_sequential()) step();
    else if (c_.mapping.team > 1) in_team();
    else alone();
  }

 private:
  std::string name(std::size_t r) const { return name_of(kernel_, r); }
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  /// The present element of a reduction, in the type that it accumulates.
  Text element(const Reduction& r) {
    c_.compute({r.value, r.value}, [] {});
    return cast(c_.value(r.value), r.dtype, accumulated(r));
  }

  void alone() {
    const int d = kernel_.loops() - 1;
    const std::string i = "i" + std::to_string(d), n = c_.extent(d), type(c_.arguments.index_type());
    if (kernel_.scan->reverse) c_.scope("for (" + type + " " + i + " = " + n + " - 1; " + i + " >= 0; --" + i + ")", [&] { step(); });
    else c_.scope("for (" + type + " " + i + " = 0; " + i + " < " + n + "; ++" + i + ")", [&] { step(); });
  }

  void step() {
    for (std::size_t r = 0; r < kernel_.reductions.size(); ++r) {
      const Reduction& reduction = kernel_.reductions[r];
      const DType dtype = accumulated(reduction);
      const Text so_far{name(r)}, value = element(reduction);
      Text after = value;
      if (reduction.op == ReduceOp::linear) {
        c_.compute({reduction.index, reduction.index}, [] {});
        const Text factor = cast(c_.value(reduction.index), kernel_.exprs[at(reduction.index)].dtype, dtype);
        after = operation("add", {value, operation("mul", {factor, so_far}, {dtype, dtype}, dtype)}, {dtype, dtype}, dtype);
      } else {
        after = together(reduction, so_far, value);
      }
      if (kernel_.scan->exclusive) code_.line("const " + accumulator_type(reduction) + " before_" + std::to_string(r) + " = " + so_far.text + ";");
      code_.line(so_far.text + " = " + after.text + ";");
      c_.set_result(static_cast<int>(r), kernel_.scan->exclusive ? Text{"before_" + std::to_string(r)} : so_far);
    }
    c_.store(stores_, {}, [] {});
  }

  /// The team's threads add up neighbours each, then what all threads before have, then what all steps before have.
  void in_team() {
    const int d = kernel_.loops() - 1;
    const std::string i = "i" + std::to_string(d), n = c_.extent(d), type(c_.arguments.index_type());
    const std::string elements = std::to_string(scan_elements), team = std::to_string(c_.mapping.team);
    const int columns = c_.mapping.columns;
    const std::string scanned = columns > 0 ? "scanned_down<" + std::to_string(columns) + ", " : "scanned<";
    auto neighbours = [&](const std::function<void()>& body) {
      code_.line("#pragma unroll");
      c_.scope("for (int e = 0; e < " + elements + "; ++e)", [&] {
        code_.line("const " + type + " step = first + e, " + i + " = " + (kernel_.scan->reverse ? n + " - 1 - step" : "step") + ";");
        c_.scope((c_.mapping.columns > 0 ? "if (exists && step < " : "if (step < ") + n + ")", body);
      });
    };
    c_.scope("for (" + type + " start = 0; start < " + n + "; start += " + std::to_string(c_.mapping.team * scan_elements) + ")", [&] {
      code_.line("const " + type + " first = start + thread * " + elements + ";");
      for (std::size_t r = 0; r < kernel_.reductions.size(); ++r) {
        const Reduction& reduction = kernel_.reductions[r];
        const std::string number = std::to_string(r), accumulator = accumulator_type(reduction), none = identity(reduction).text;
        code_.line(accumulator + " own_" + number + " = " + none + ", parts_" + number + "[" + elements + "];");
        neighbours([&] {
          if (kernel_.scan->exclusive) code_.line("parts_" + number + "[e] = own_" + number + ";");
          code_.line("own_" + number + " = " + together(reduction, {"own_" + number}, element(reduction)).text + ";");
          if (!kernel_.scan->exclusive) code_.line("parts_" + number + "[e] = own_" + number + ";");
        });
        code_.line(accumulator + " all_" + number + ";");
        code_.line("const " + accumulator + " earlier_" + number + " = " + scanned + team + ">(own_" + number + ", " + functor(reduction) + "(), " +
                   accumulator + "(" + none + "), all_" + number + ");");
        code_.line("const " + accumulator + " before_" + number + " = " + together(reduction, {name(r)}, {"earlier_" + number}).text + ";");
        code_.line(name(r) + " = " + together(reduction, {name(r)}, {"all_" + number}).text + ";");
      }
      neighbours([&] {
        for (std::size_t r = 0; r < kernel_.reductions.size(); ++r) {
          const Reduction& reduction = kernel_.reductions[r];
          const std::string number = std::to_string(r);
          code_.line("const " + accumulator_type(reduction) + " scan_" + number + " = " +
                     together(reduction, {"before_" + number}, {"parts_" + number + "[e]"}).text + ";");
          c_.set_result(static_cast<int>(r), {"scan_" + number});
        }
        c_.store(stores_, {}, [] {});
      });
    });
  }

  KernelCode& c_;
  const Kernel& kernel_;
  Code& code_;
  std::vector<std::size_t> stores_;
};

}  // namespace

void emit_scan(KernelCode& code) { ScanEmitter(code).run(); }

}  // namespace weft::cuda
