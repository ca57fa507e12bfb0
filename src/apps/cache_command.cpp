// weft cache
#include "apps/commands.h"

#include "compile/disk_cache.h"

#include <weft/error.h>

#include <cstdio>
#include <memory>

namespace weft::apps {
namespace {

struct CacheOptions {
  bool list = false, clear = false;
};

void cache(const CacheOptions& options) {
  const auto cache = DiskCache::of_user();
  if (!cache) throw RunError("there is no cache: WEFT_CACHE_DIR is empty, or there is no home folder");
  if (options.clear) {
    std::printf("removed %zu kernels from %s\n", cache->clear(), cache->folder().c_str());
    return;
  }
  std::uintmax_t bytes = 0;
  const auto entries = cache->entries();
  for (const auto& e : entries) {
    bytes += e.bytes;
    if (options.list) std::printf("%8ju  %s\n", e.bytes, e.is_whole ? e.title.c_str() : "damaged");
  }
  std::printf("%zu kernels, %.1f MiB in %s\n", entries.size(), static_cast<double>(bytes) / (1 << 20), cache->folder().c_str());
}

}  // namespace

void add_cache_command(CLI::App& weft) {
  const auto o = std::make_shared<CacheOptions>();
  CLI::App* command = weft.add_subcommand("cache", "Say what compiled GPU kernels are kept on disk");
  CLI::Option* list = command->add_flag("--list", o->list, "Print each kernel's bytes, name and target");
  command->add_flag("--clear", o->clear, "Remove them all")->excludes(list);
  command->callback([o] { cache(*o); });
}

}  // namespace weft::apps
