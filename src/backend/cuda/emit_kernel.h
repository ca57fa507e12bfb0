// The code of one kernel in the making: what its expressions are called, and how they are computed where they are needed.
#pragma once

#include "backend/cuda/emit_arguments.h"
#include "backend/cuda/emit_mapping.h"
#include "backend/cuda/emit_ops.h"
#include "backend/cuda/emit_text.h"
#include "stitch/kernel.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weft::cuda {

/// Loop d's index is called i<d>. Where a thread takes several neighbours at once, that is the first's; those of the others are
/// added in loops over k.
class KernelCode {
 public:
  /// `block` is what the code calls the number of a block.
  KernelCode(const kernel::Kernel& kernel, Mapping mapping, bool wide, std::string block);

  const kernel::Kernel& kernel;
  const Mapping mapping;
  const std::string block;
  Arguments arguments;
  Code code;

  /// Whether an expression, or what is done with it, differs among a vector's elements.
  bool in_lanes(int expr) const { return mapping.width > 1 && moves_[at(expr)]; }
  bool lanes_are_parallel() const { return mapping.width > 1 && !kernel.is_sequential(kernel.vector_loop); }
  int pass_of(int expr) const { return passes_[at(expr)]; }
  int last_pass() const;
  bool varies(int expr) const { return varies_[at(expr)]; }

  std::string extent(int loop);
  Text affine(const Form& form) const;
  /// Emits the indices of loops [first, last) at an iteration of all of them.
  void indices(int first, int last, const std::string& iteration);
  /// Loops over the elements of a vector around `body`, when there are several.
  void for_lanes(bool several, const std::function<void()>& body);

  /// Emits what `roots` need and is not known yet, then `use`, for each element of a vector where that is needed.
  void compute(const std::vector<int>& roots, const std::function<void()>& use);
  /// Emits variables that hold the expressions, for code in inner loops.
  void hold(const std::vector<int>& exprs);
  /// The same for the reciprocals of what is known, by which divisions from here on are done: x / y to the bit.
  void hold_reciprocals(const std::vector<int>& divisors);
  /// The element that a load without bounds reads, as it lies in memory; and the load's value from here on, of such an element.
  std::string element(int load);
  void know(int load, std::string element);
  /// Where a vector that a load without bounds reads begins; and where else it is found from here on.
  std::string pointer(int load);
  void fetched(int load, std::string pack) { fetched_[load] = std::move(pack); }
  /// An expression that compute has made known.
  Text value(int expr) const;
  /// The value of a reduction from here on.
  void set_result(int reduction, Text text) { results_[at(reduction)] = std::move(text); }

  /// Stores, each value read before the first is written; `body` comes before them.
  void store(const std::vector<std::size_t>& which, const std::vector<int>& more_roots, const std::function<void()>& body);

  /// Whether what a store adds up over the rows can stay in registers until all of them are done, and where.
  bool is_carried(std::size_t store) const;
  std::string carried(std::size_t store) const { return "total_" + std::to_string(store); }
  void declare_carried();
  void write_carried(std::size_t store);

  /// Of neighbours that are moved at once.
  std::string pack_type(DType dtype) const;

  /// Calls body; what becomes known in it is forgotten.
  void scope(std::string_view head, const std::function<void()>& body, std::string_view end = "}");
  int pass = 0;  ///< the one being emitted
  /// The names of what stays in registers from pass to pass.
  std::string name_of(int expr) const;
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

 private:
  /// Where an access goes: an index of the buffer, and when that is inside; no condition: always.
  struct Place {
    Text address;
    std::string condition;
  };
  Place place(const kernel::Access& access, const std::string& name, int first_check);
  int first_check(int expr) const;
  int first_check_of_store(std::size_t store) const;
  /// What is computed with an element as it lies in memory.
  Text computed(int load, Text element) const;
  Text load(int expr);
  void load_pack(int expr);
  Text expression(int expr);
  void define(int expr, bool in_array);
  bool is_short(int expr, const Text& text) const;
  Text combined(const kernel::Store& store, const Text& old, const Text& value) const;

  std::vector<int> passes_;
  std::vector<bool> varies_, moves_, shows_bits_;
  std::map<int, Text> known_;
  std::map<int, std::string> fetched_;
  std::map<int, std::string> reciprocals_;  ///< by divisor
  std::map<int, Text> kept_;                ///< known in all passes after the one that computes them
  std::vector<Text> results_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::string> terms_;
  std::vector<bool> variable_;  ///< by expression, of those being computed: needs a name
  bool in_lane_loop_ = false;
};

}  // namespace weft::cuda
