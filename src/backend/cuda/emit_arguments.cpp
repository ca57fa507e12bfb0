#include "backend/cuda/emit_arguments.h"

#include "backend/cuda/divisor.h"
#include "backend/cuda/emit_ops.h"

#include <algorithm>
#include <cstring>

namespace weft::cuda {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

Arguments::Arguments(const kernel::Kernel& kernel, bool wide) : kernel_(kernel), wide_(wide) {
  for (std::size_t b = 0; b < kernel.buffers.size(); ++b) buffers_.push_back((kernel.buffers[b].written ? "out" : "in") + std::to_string(b));
}

std::string Arguments::number(const std::string& name, std::int64_t value) {
  if (std::none_of(numbers_.begin(), numbers_.end(), [&](const auto& n) { return n.first == name; })) numbers_.emplace_back(name, value);
  return "a." + name;
}

std::string Arguments::quotient(const std::string& n, const std::string& name, std::int64_t value) {
  if (wide_) return n + " / " + number(name, value);
  const std::string divisor = "by_" + name;
  if (std::none_of(divisors_.begin(), divisors_.end(), [&](const auto& d) { return d.first == divisor; })) divisors_.emplace_back(divisor, value);
  return "divided(" + n + ", a." + divisor + ")";
}

const Form& Arguments::form(const kernel::Affine& affine) {
  const auto [found, is_new] = forms_.try_emplace({affine.coefficients, affine.constant});
  Form& form = found->second;
  if (!is_new) return form;
  const std::string number_of_form = std::to_string(forms_.size() - 1);
  for (std::size_t d = 0; d < affine.coefficients.size(); ++d) {
    const auto c = affine.coefficients[d];
    form.coefficients.push_back(c == 0 ? "" : c == 1 ? "1" : number("s" + number_of_form + "_" + std::to_string(d), c));
  }
  if (affine.constant != 0) form.constant = number("c" + number_of_form, affine.constant);
  return form;
}

std::string Arguments::definition() const {
  std::string text = "struct Arguments {\n";
  // The type of a buffer's elements: that of any access to it.
  std::vector<DType> types(buffers_.size(), f32);
  for (const auto& e : kernel_.exprs)
    if (e.kind == kernel::ExprKind::load) types[at(e.access.buffer)] = e.access.dtype;
  for (const auto& s : kernel_.stores) types[at(s.access.buffer)] = s.access.dtype;
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    text += "  " + std::string(kernel_.buffers[b].written ? "" : "const ") + std::string(memory_type(types[b])) + "* " + buffers_[b] + ";\n";
  text += "  IndexFault* fault;\n";
  for (const auto& n : numbers_) text += "  " + std::string(index_type()) + " " + n.first + ";\n";
  for (const auto& d : divisors_) text += "  Divisor " + d.first + ";\n";
  return text + "};\n";
}

std::vector<std::byte> Arguments::bytes() const {
  std::vector<std::byte> bytes((buffers_.size() + 1) * 8);
  auto append = [&](auto value) {
    const auto size = bytes.size();
    bytes.resize(size + sizeof value);
    std::memcpy(bytes.data() + size, &value, sizeof value);
  };
  for (const auto& n : numbers_) {
    if (wide_) append(n.second);
    else append(static_cast<std::int32_t>(n.second));
  }
  for (const auto& d : divisors_) {
    const Divisor by = divisor_of(d.second);
    append(by.multiplier);
    append(by.shift);
  }
  while (bytes.size() % 8 != 0) bytes.push_back({});
  return bytes;
}

}  // namespace weft::cuda
