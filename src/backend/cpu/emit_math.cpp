#include "backend/cpu/emit_math.h"

#include "backend/cpu/math_coefficients.h"
#include "backend/cpu/math_emitters.h"

#include <array>
#include <string>

namespace weft::cpu {
namespace math {

const Format& format_of(Lanes x) {
  static constexpr Format f32_format{.mantissa = 23,
                                     .bias = 127,
                                     .half = 0x3f3504f3,
                                     .to_whole = 0x1.8p23,
                                     .least_normal = 0x1p-126,
                                     .linear = 0x1p-24,
                                     .ln2_high = 0x1.62e4p-1,
                                     .ln2_low = 0x1.7f7d1cf79abcap-20,
                                     .log10_2_high = 0x1.344p-2,
                                     .log10_2_low = 0x1.3509f79fef312p-18,
                                     .pi_low = -0x1.777a5cf72cecep-24,
                                     .exp_least = -104,
                                     .exp_most = 89,
                                     .exp2_least = -151,
                                     .exp2_most = 129,
                                     .exp10_least = -46,
                                     .exp10_most = 39,
                                     .sinh_most = 89.5,
                                     .one_least = 3.9375,
                                     .exp = exp_f32,
                                     .sin = sin_f32,
                                     .cos = cos_f32,
                                     .tan = tan_f32,
                                     .asin = asin_f32,
                                     .atan = atan_f32};
  static constexpr Format f64_format{.mantissa = 52,
                                     .bias = 1023,
                                     .half = 0x3fe6a09e667f3bcd,
                                     .to_whole = 0x1.8p52,
                                     .least_normal = 0x1p-1022,
                                     .linear = 0x1p-53,
                                     .ln2_high = 0x1.62e42fefa38p-1,
                                     .ln2_low = 0x1.ef35793c76730p-45,
                                     .log10_2_high = 0x1.34413509f78p-2,
                                     .log10_2_low = 0x1.fef311f12b358p-46,
                                     .pi_low = 0x1.1a62633145c07p-53,
                                     .exp_least = -746,
                                     .exp_most = 710,
                                     .exp2_least = -1076,
                                     .exp2_most = 1025,
                                     .exp10_least = -324.5,
                                     .exp10_most = 309,
                                     .sinh_most = 710.5,
                                     .one_least = 6,
                                     .exp = exp_f64,
                                     .sin = sin_f64,
                                     .cos = cos_f64,
                                     .tan = tan_f64,
                                     .asin = asin_f64,
                                     .atan = atan_f64};
  return x.bits() == 64 ? f64_format : f32_format;
}

}  // namespace math

namespace {

struct Row {
  MathFunction function;
  bool is_short;  ///< emitted in place; others are functions of the module, which several uses share
  Lanes (*unary)(Lanes, const Target&);
  Lanes (*binary)(Lanes, Lanes, const Target&) = nullptr;
};

constexpr Row rows[] = {
    {{"exp", 1, 1, 1}, true, math::exp},
    {{"exp2", 1, 1, 1}, true, math::exp2},
    {{"exp10", 1, 1.5, 1.5}, true, math::exp10},
    {{"expm1", 1, 2.5, 2.5}, false, math::expm1},
    {{"log", 1, 1, 1}, true, math::log},
    {{"log2", 1, 2, 2}, true, math::log2},
    {{"log10", 1, 2.5, 2.5}, true, math::log10},
    {{"log1p", 1, 2, 2}, false, math::log1p},
    {{"sin", 1, 2, 2}, false, math::sin},
    {{"cos", 1, 2, 2}, false, math::cos},
    {{"tan", 1, 3, 3}, false, math::tan},
    {{"asin", 1, 2.5, 2.5}, false, math::asin},
    {{"acos", 1, 2, 2}, false, math::acos},
    {{"atan", 1, 2, 2.5}, false, math::atan},
    {{"sinh", 1, 3.5, 3.5}, false, math::sinh},
    {{"cosh", 1, 3, 3}, false, math::cosh},
    {{"tanh", 1, 3, 3}, true, math::tanh},
    {{"asinh", 1, 3, 3}, false, math::asinh},
    {{"acosh", 1, 3, 3}, false, math::acosh},
    {{"atanh", 1, 3, 3}, false, math::atanh},
    {{"erf", 1, 1.5, 1.5}, true, math::erf},
    {{"sigmoid", 1, 3, 3}, true, math::sigmoid},
    {{"pow", 2, 1, 1}, false, nullptr, math::pow},
    {{"atan2", 2, 2, 2.5}, false, nullptr, math::atan2},
    {{"rem", 2, 0, 0}, false, nullptr, math::fmod},
};

llvm::Value* in_place(const Row& row, llvm::IRBuilder<>& b, const Target& target, llvm::ArrayRef<llvm::Value*> operands) {
  const Lanes x(b, operands[0]);
  return row.unary ? row.unary(x, target).v : row.binary(x, Lanes(b, operands[1]), target).v;
}

/// The module's function that computes a row, made on its first use, with the attributes of the one that uses it.
llvm::Function* shared(const Row& row, llvm::Function& user, llvm::ArrayRef<llvm::Value*> operands, const Target& target) {
  auto* type = operands[0]->getType();
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  const std::string name = std::string(row.function.name) + "_f" + std::to_string(type->getScalarSizeInBits()) + "x" +
                           std::to_string(vector ? vector->getNumElements() : 1);
  if (auto* found = user.getParent()->getFunction(name)) return found;
  auto* f = llvm::Function::Create(llvm::FunctionType::get(type, llvm::SmallVector<llvm::Type*>(operands.size(), type), false),
                                   llvm::Function::InternalLinkage, name, *user.getParent());
  f->addFnAttrs(llvm::AttrBuilder(user.getContext(), user.getAttributes().getFnAttrs()));
  f->setDoesNotAccessMemory(), f->setDoesNotThrow(), f->setWillReturn();
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(user.getContext(), "entry", f));
  llvm::SmallVector<llvm::Value*> arguments;
  for (auto& a : f->args()) arguments.push_back(&a);
  b.CreateRet(in_place(row, b, target, arguments));
  return f;
}

}  // namespace

std::span<const MathFunction> math_functions() {
  static const auto functions = [] {
    std::array<MathFunction, std::size(rows)> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = rows[i].function;
    return all;
  }();
  return functions;
}

llvm::Value* emit_math(llvm::IRBuilder<>& b, const Target& target, std::string_view name, llvm::ArrayRef<llvm::Value*> operands) {
  for (const auto& row : rows)
    if (row.function.name == name) {
      if (row.is_short) return in_place(row, b, target, operands);
      return b.CreateCall(shared(row, *b.GetInsertBlock()->getParent(), operands, target), operands);
    }
  return nullptr;
}

}  // namespace weft::cpu
