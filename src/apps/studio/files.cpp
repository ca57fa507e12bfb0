#include "apps/studio/files.h"

#include <algorithm>
#include <iterator>

// The assembler puts each file into the program between two labels; files.inc has a line FILE(name, label, path) for each.
#define FILE(name, label, path)                                                                            \
  asm(".pushsection .rodata\n" #label ":\n.incbin \"" path "\"\n" #label "_end:\n.byte 0\n.popsection\n"); \
  extern "C" const char label[], label##_end[];
#include "files.inc"
#undef FILE

namespace weft::apps::studio {
namespace {

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

#define FILE(name, label, path) {name, type_of(name), {label, static_cast<std::size_t>(label##_end - label)}},
const File files[] = {
#include "files.inc"
};
#undef FILE

}  // namespace

const File* find_file(std::string_view name) {
  const auto found = std::ranges::find(files, name, &File::name);
  return found == std::end(files) ? nullptr : found;
}

}  // namespace weft::apps::studio
