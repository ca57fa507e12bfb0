// The argument of a generated kernel: a structure of buffer addresses and numbers.
#pragma once

#include "stitch/kernel.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace weft::cuda {

/// An affine form of loop indices whose numbers, unless they are 0 or 1, are given at run time. Forms that are equal share them.
struct Form {
  std::vector<std::string> coefficients;  ///< by loop: empty, "1" or what holds it
  std::string constant;                   ///< empty: 0
};

class Arguments {
 public:
  /// `wide`: indices take 64 bits.
  Arguments(const kernel::Kernel& kernel, bool wide);

  bool wide() const { return wide_; }
  std::string_view index_type() const { return wide_ ? "i64" : "int"; }
  const std::string& buffer(int b) const { return buffers_[static_cast<std::size_t>(b)]; }

  const Form& form(const kernel::Affine& affine);
  /// A number given at run time, as an expression; one name has one value.
  std::string number(const std::string& name, std::int64_t value);
  /// n / value as an expression, for n >= 0.
  std::string quotient(const std::string& n, const std::string& name, std::int64_t value);

  /// The structure's definition.
  std::string definition() const;
  std::vector<std::byte> bytes() const;

 private:
  const kernel::Kernel& kernel_;
  bool wide_;
  std::vector<std::string> buffers_;
  std::vector<std::pair<std::string, std::int64_t>> numbers_, divisors_;
  std::map<std::pair<std::vector<std::int64_t>, std::int64_t>, Form> forms_;
};

}  // namespace weft::cuda
