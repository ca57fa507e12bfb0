#include "compile/switches.h"

#include "compile/pipeline.h"
#include "compile/rules.h"

#include <weft/error.h>

#include <algorithm>
#include <cstdlib>

namespace weft {
namespace {

bool is_known(std::string_view name) {
  static const auto all = switches();
  return std::ranges::find(all, name, &Switch::name) != all.end();
}

std::string_view trimmed(std::string_view s) {
  while (s.starts_with(' ')) s.remove_prefix(1);
  while (s.ends_with(' ')) s.remove_suffix(1);
  return s;
}

}  // namespace

std::vector<Switch> switches() {
  std::vector<Switch> all;
  for (const auto& pass : optional_passes()) all.push_back(pass);
  for (const auto& rule : rules()) all.push_back({rule.name, rule.statement});
  for (const auto& rule : stitching_rules()) all.push_back(rule);
  return all;
}

RunOptions settled(RunOptions options) {
  options.backend = resolve(options.backend);
  if (options.backend != Backend::cuda) {
    options.device = -1;
  } else if (options.device < 0) {
    const char* wish = std::getenv("WEFT_DEVICE");
    options.device = wish && *wish ? Device::parse(wish).index() : 0;
  }
  if (const char* measures = std::getenv("WEFT_CUDA_MEASURE"); measures && measures == std::string_view("0")) options.measure = false;
  if (const char* listed = std::getenv("WEFT_WITHOUT"))
    for (std::string_view rest = listed; !rest.empty();) {
      const auto comma = std::min(rest.find(','), rest.size());
      if (const auto name = trimmed(rest.substr(0, comma)); !name.empty()) options.without.emplace_back(name);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  std::ranges::sort(options.without);
  const auto repeated = std::ranges::unique(options.without);
  options.without.erase(repeated.begin(), repeated.end());
  for (const auto& name : options.without)
    if (!is_known(name)) {
      std::string known;
      for (const auto& s : switches()) known += (known.empty() ? "" : ", ") + std::string(s.name);
      throw RunError("there is no rule \"" + name + "\" to do without; the rules are " + known);
    }
  return options;
}

bool is_on(const RunOptions& options, std::string_view name) {
  if (!is_known(name)) throw InternalError("there is no switch " + std::string(name));
  return !std::ranges::binary_search(options.without, name);
}

}  // namespace weft
