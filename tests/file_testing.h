// What the tests of file formats share.
#pragma once

#include <weft/io.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/resource.h>
#include <csignal>

namespace weft::testing {

/// A folder of its own for one test, removed with all it holds.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path with(std::string_view name, std::string_view content) const {
    std::filesystem::remove(path_ / name);  // some file systems write a file that replaces its own content to the disk at once
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  std::size_t file_count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

inline std::string text_of(const std::filesystem::path& path) {
  const auto bytes = io::load_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Expects a RunError whose text has `part`.
template <class F> void expect_run_error(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const RunError& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

/// Writes `content` cut at every length, and with every byte changed in several ways, and has each read: that must succeed or
/// throw RunError. Returns how many were refused.
template <class F> int sweep_corruptions(const std::string& content, F&& load) {
  const Folder folder;
  int refused = 0;
  const auto attempt = [&](const std::string& corrupted) {
    const auto path = folder.with("corrupted", corrupted);
    try {
      load(path);
    } catch (const RunError& e) {
      ++refused;
      EXPECT_NE(std::string(e.what()).find("corrupted"), std::string::npos) << "doesn't name the file: " << e.what();
    }
  };
  for (std::size_t length = 0; length < content.size(); ++length) attempt(content.substr(0, length));
  for (std::size_t i = 0; i < content.size(); ++i)
    for (const int mask : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      std::string corrupted = content;
      corrupted[i] = static_cast<char>(corrupted[i] ^ mask);
      attempt(corrupted);
    }
  return refused;
}

/// While it lives, no file of this process can grow past `bytes`: writing more fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

/// Expects a save of more than 4096 bytes to fail half way, with the old file whole and nothing beside it.
template <class F> void expect_old_file_survives_a_full_disk(F&& save) {
  const Folder folder;
  const auto path = folder.with("saved", "the old file");
  {
    const FileSizeLimit limit(4096);
    expect_run_error([&] { save(path); }, "saved\": can't be written: File too large");
  }
  EXPECT_EQ(text_of(path), "the old file");
  EXPECT_EQ(folder.file_count(), 1u);
  save(path);
  EXPECT_NE(text_of(path), "the old file");
  EXPECT_EQ(folder.file_count(), 1u);
}

inline void expect_equal(const NDArray& a, const NDArray& b) {
  ASSERT_EQ(a.type().str(), b.type().str());
  std::vector<std::byte> x(static_cast<std::size_t>(a.byte_count())), y(x.size());
  a.read_bytes(x);
  b.read_bytes(y);
  EXPECT_EQ(x, y);
}

/// 1, 2, 3, ... of any type (0 and 1 in turn for bool).
inline NDArray counting(DType dtype, Shape shape) {
  NDArray a(i32, shape);
  int next = 1;
  for (auto& e : a.elements<std::int32_t>()) e = dtype == boolean ? next++ % 2 : next++;
  return a.cast(dtype);
}

}  // namespace weft::testing
