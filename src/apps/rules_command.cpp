// weft rules
#include "apps/commands.h"

#include "compile/switches.h"

#include <algorithm>
#include <cstdio>

namespace weft::apps {
namespace {

void list() {
  const auto all = switches();
  std::size_t width = 0;
  for (const auto& s : all) width = std::max(width, s.name.size());
  for (const auto& s : all)
    std::printf("%-*.*s  %.*s\n", static_cast<int>(width), static_cast<int>(s.name.size()), s.name.data(), static_cast<int>(s.statement.size()),
                s.statement.data());
}

}  // namespace

void add_rules_command(CLI::App& weft) {
  weft.add_subcommand("rules", "List the rules of the compiler, which RunOptions::without and WEFT_WITHOUT leave out by name")->callback(list);
}

}  // namespace weft::apps
