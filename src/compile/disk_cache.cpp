#include "compile/disk_cache.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <tuple>

#include <fcntl.h>
#include <unistd.h>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic = "weft kernel 1\n";
constexpr std::string_view extension = ".kernel";

/// FNV-1a of 64 bits. G. Fowler, L. Noll, K.-P. Vo, D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm", IETF draft.
std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t h = 0xcbf29ce484222325u) {
  for (auto b : bytes) h = (h ^ static_cast<std::uint64_t>(b)) * 0x100000001b3u;
  return h;
}
std::uint64_t hash(std::string_view text) { return hash(std::as_bytes(std::span(text))); }

/// What stands before the key and the code.
struct Header {
  char magic[14];
  std::uint64_t key_bytes = 0, code_bytes = 0;
  std::uint64_t checksum = 0;  ///< of the key and the code
};

struct Contents {
  std::string key;
  std::vector<std::byte> code;
};

/// What a file holds, if it holds what was written.
std::optional<Contents> read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  Header header;
  if (!in.read(reinterpret_cast<char*>(&header), sizeof header) || std::string_view(header.magic, sizeof header.magic) != magic) return std::nullopt;
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error || header.key_bytes > size || header.code_bytes > size || sizeof header + header.key_bytes + header.code_bytes != size)
    return std::nullopt;
  Contents c{std::string(header.key_bytes, '\0'), std::vector<std::byte>(header.code_bytes)};
  in.read(c.key.data(), static_cast<std::streamsize>(c.key.size()));
  in.read(reinterpret_cast<char*>(c.code.data()), static_cast<std::streamsize>(c.code.size()));
  if (!in || hash(c.code, hash(c.key)) != header.checksum) return std::nullopt;
  return c;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  explicit operator bool() const { return fd_ >= 0; }

  bool write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool sync() const { return ::fsync(fd_) == 0; }

 private:
  int fd_;
};

}  // namespace

std::optional<DiskCache> DiskCache::of_user() {
  if (const char* folder = std::getenv("WEFT_CACHE_DIR")) return *folder ? std::optional(DiskCache(folder)) : std::nullopt;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return DiskCache(fs::path(cache) / "weft" / "kernels");
  if (const char* home = std::getenv("HOME"); home && *home) return DiskCache(fs::path(home) / ".cache" / "weft" / "kernels");
  return std::nullopt;
}

fs::path DiskCache::file_of(std::string_view key) const {
  // The file holds the whole key, so that two keys of one hash take turns rather than each other's code.
  char name[24];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash(key)));
  return folder_ / (name + std::string(extension));
}

std::optional<std::vector<std::byte>> DiskCache::find(std::string_view key) const {
  const fs::path file = file_of(key);
  auto contents = read(file);
  if (!contents || contents->key != key) return std::nullopt;
  std::error_code error;
  fs::last_write_time(file, fs::file_time_type::clock::now(), error);  // what is used stays longest
  return std::move(contents->code);
}

void DiskCache::keep(std::string_view key, std::span<const std::byte> code) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  std::string temporary = (folder_ / "new-XXXXXX").string();
  const Descriptor file(::mkstemp(temporary.data()));
  if (!file) return;
  Header header{{}, key.size(), code.size(), hash(code, hash(key))};
  std::memcpy(header.magic, magic.data(), magic.size());
  const bool is_written =
      file.write(std::as_bytes(std::span(&header, 1))) && file.write(std::as_bytes(std::span(key))) && file.write(code) && file.sync();
  if (is_written) fs::rename(temporary, file_of(key), error);
  if (!is_written || error) fs::remove(temporary, error);
  trim();
}

std::vector<DiskCache::Entry> DiskCache::entries() const {
  std::vector<Entry> list;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder_, error)) {
    if (item.path().extension() != extension) continue;
    const auto contents = read(item.path());
    list.push_back({item.path(), item.file_size(error), contents ? contents->key.substr(0, contents->key.find('\n')) : "", contents.has_value()});
  }
  std::ranges::sort(list, {}, [](const Entry& e) { return std::tie(e.title, e.file); });
  return list;
}

std::size_t DiskCache::clear() const {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder_, error))
    if (item.path().extension() == extension || item.path().filename().string().starts_with("new-")) count += fs::remove(item.path(), error);
  return count;
}

void DiskCache::trim() const {
  struct Kept {
    fs::file_time_type used;
    fs::path file;
    std::uintmax_t bytes;
  };
  std::vector<Kept> files;
  std::uintmax_t total = 0;
  std::error_code error;
  const auto now = fs::file_time_type::clock::now();
  for (const auto& item : fs::directory_iterator(folder_, error)) {
    const auto used = item.last_write_time(error);
    // What a process that died has left.
    if (item.path().filename().string().starts_with("new-") && now - used > std::chrono::hours(1)) fs::remove(item.path(), error);
    if (item.path().extension() != extension) continue;
    files.push_back({used, item.path(), item.file_size(error)});
    total += files.back().bytes;
  }
  if (total <= limit_) return;
  std::ranges::sort(files, {}, &Kept::used);
  for (const auto& f : files) {
    // Well below the limit, so that not every new entry comes here.
    if (total <= limit_ / 4 * 3) break;
    if (fs::remove(f.file, error)) total -= f.bytes;
  }
}

}  // namespace weft
