#include "apps/studio/routes.h"

#include <cmath>
#include <cstdlib>

namespace weft::apps::studio {
namespace {

std::string shown(double v) { return Json(v).dump(); }

}  // namespace

double number(const Call& call, const std::string& name, double low, double high, double otherwise) {
  const auto found = call.arguments.find(name);
  if (found == call.arguments.end()) return otherwise;
  double value = std::nan("");
  if (found->is_number()) value = found->get<double>();
  if (found->is_string()) {
    const auto& digits = found->get_ref<const std::string&>();
    char* end = nullptr;
    value = std::strtod(digits.c_str(), &end);
    if (digits.empty() || *end != 0) value = std::nan("");
  }
  if (!(value >= low && value <= high)) throw BadRequest(name + " must be a number from " + shown(low) + " to " + shown(high));
  return value;
}

std::int64_t whole_number(const Call& call, const std::string& name, std::int64_t low, std::int64_t high, std::int64_t otherwise) {
  const double value = number(call, name, static_cast<double>(low), static_cast<double>(high), static_cast<double>(otherwise));
  if (value != std::floor(value)) throw BadRequest(name + " must be a whole number");
  return static_cast<std::int64_t>(value);
}

std::string text(const Call& call, const std::string& name, std::size_t longest, const std::string& otherwise) {
  const auto found = call.arguments.find(name);
  if (found == call.arguments.end()) return otherwise;
  if (!found->is_string()) throw BadRequest(name + " must be a text");
  const auto& value = found->get_ref<const std::string&>();
  if (value.size() > longest) throw BadRequest(name + " is longer than " + std::to_string(longest) + " bytes");
  return value;
}

}  // namespace weft::apps::studio
