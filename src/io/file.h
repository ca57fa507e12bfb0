// Reading and replacing files, for all formats.
#pragma once

#include <weft/ndarray.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weft::io {

static_assert(std::endian::native == std::endian::little, "the file formats are written for little-endian machines");

/// `npy file "path": what`, thrown as RunError.
[[noreturn]] void fail(std::string_view format, const std::filesystem::path& path, const std::string& what);

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }
  /// Whether the system closed it without complaint.
  bool close();

 private:
  int fd_ = -1;
};

/// A regular file, read from front to back.
class InputFile {
 public:
  InputFile(std::filesystem::path path, std::string_view format);
  std::uint64_t size() const { return size_; }
  std::uint64_t remaining() const { return size_ - position_; }
  /// Fills `to`, or fails saying that the file ends inside `what`.
  void read(std::span<std::byte> to, const char* what);
  template <class T> T read_value(const char* what) {
    T value;
    read(std::as_writable_bytes(std::span(&value, 1)), what);
    return value;
  }
  void rewind();
  [[noreturn]] void fail(const std::string& what) const { io::fail(format_, path_, what); }

 private:
  std::filesystem::path path_;
  std::string format_;
  Descriptor file_;
  std::uint64_t size_ = 0, position_ = 0;
};

/// A file that takes its target's place at commit(), and vanishes without it.
class OutputFile {
 public:
  OutputFile(std::filesystem::path path, std::string_view format);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// On disk and in place when this returns.
  void commit();
  [[noreturn]] void fail(const std::string& what) const { io::fail(format_, path_, what); }

 private:
  [[noreturn]] void fail_with_errno(const char* action) const;

  std::filesystem::path path_, target_, temporary_;  ///< temporary_ is empty while a device is written to directly
  std::string format_;
  Descriptor file_;
};

/// The bytes of an array as a file declares it; empty when they, or the strides of an empty array, don't fit 63 bits.
std::optional<std::uint64_t> declared_bytes(DType dtype, std::span<const std::int64_t> sizes);

/// Turns elements from or to big-endian.
void swap_bytes(std::span<std::byte> bytes, std::size_t element_size);

/// Other bytes than 0 and 1, which C++ doesn't allow in a bool, become 1.
void normalize_bools(NDArray& array);

}  // namespace weft::io
