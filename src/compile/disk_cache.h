// What was compiled or measured, kept when the process ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A folder of files, each with one kernel's machine code, or with a choice among kernels, under a key: everything that it depends on. Several
/// processes may use it at once. A file that is damaged, cut short or of another key is as good as none.
class DiskCache {
 public:
  /// `limit` bounds the bytes of all files.
  explicit DiskCache(std::filesystem::path folder, std::uintmax_t limit = std::uintmax_t{256} << 20) : folder_(std::move(folder)), limit_(limit) {}

  /// The user's: $WEFT_CACHE_DIR, or weft/kernels in $XDG_CACHE_HOME or ~/.cache. None with WEFT_CACHE_DIR set to nothing, or without a home.
  static std::optional<DiskCache> of_user();

  std::optional<std::vector<std::byte>> find(std::string_view key) const;
  /// Does nothing where it can't write: the code is compiled again next time.
  void keep(std::string_view key, std::span<const std::byte> code) const;

  struct Entry {
    std::filesystem::path file;
    std::uintmax_t bytes = 0;
    std::string title;  ///< the key's first line
    bool is_whole = true;
  };
  std::vector<Entry> entries() const;
  /// Removes all entries; gives how many.
  std::size_t clear() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path file_of(std::string_view key) const;
  void trim() const;

  std::filesystem::path folder_;
  std::uintmax_t limit_;
};

}  // namespace weft
