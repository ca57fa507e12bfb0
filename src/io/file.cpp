#include "io/file.h"

#include <weft/error.h>
#include <weft/io.h>

#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft::io {
namespace {

std::string reason(int error) { return std::system_category().message(error); }

/// The largest count that one read or write takes on Linux is a little below 2^31.
constexpr std::size_t largest_transfer = std::size_t{1} << 30;

}  // namespace

void fail(std::string_view format, const std::filesystem::path& path, const std::string& what) {
  throw RunError(std::string(format) + " \"" + path.string() + "\": " + what);
}

Descriptor::~Descriptor() { close(); }

bool Descriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd < 0 || ::close(fd) == 0;
}

InputFile::InputFile(std::filesystem::path path, std::string_view format) : path_(std::move(path)), format_(format) {
  file_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe that nobody writes mustn't block
  if (file_.get() < 0) fail("can't be opened: " + reason(errno));
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) fail("can't be examined: " + reason(errno));
  if (!S_ISREG(status.st_mode)) fail("isn't a regular file");
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::span<std::byte> to, const char* what) {
  const auto ends = [&] { fail(std::string("is truncated, it ends inside the ") + what); };
  if (to.size() > remaining()) ends();
  while (!to.empty()) {
    const ssize_t n = ::read(file_.get(), to.data(), std::min(to.size(), largest_transfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("can't be read: " + reason(errno));
    if (n == 0) ends();
    to = to.subspan(static_cast<std::size_t>(n));
    position_ += static_cast<std::uint64_t>(n);
  }
}

void InputFile::rewind() {
  if (::lseek(file_.get(), 0, SEEK_SET) != 0) fail("can't be read: " + reason(errno));
  position_ = 0;
}

OutputFile::OutputFile(std::filesystem::path path, std::string_view format) : path_(std::move(path)), target_(path_), format_(format) {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail("can't be written: " + reason(EISDIR));
  if (exists && !S_ISREG(status.st_mode)) {
    file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (file_.get() < 0) fail_with_errno("written");
    return;
  }
  if (exists && ::access(path_.c_str(), W_OK) != 0) fail_with_errno("written");  // renaming would replace a read-only file
  std::error_code error;
  if (const auto resolved = std::filesystem::canonical(path_, error); !error) target_ = resolved;
  for (int attempt = 0; file_.get() < 0; ++attempt) {
    temporary_ = target_.parent_path() / (".weft-" + std::to_string(::getpid()) + "-" + std::to_string(attempt));
    file_ = Descriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file_.get() < 0 && errno != EEXIST) {
      temporary_.clear();
      fail_with_errno("written");
    }
  }
  if (exists) static_cast<void>(::fchmod(file_.get(), status.st_mode & 07777) == 0);  // another's file: keep what we can
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::fail_with_errno(const char* action) const { fail(std::string("can't be ") + action + ": " + reason(errno)); }

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_.get(), bytes.data(), std::min(bytes.size(), largest_transfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_with_errno("written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void OutputFile::commit() {
  // EINVAL and ENOTSUP: a device or file system that has nothing to flush.
  if (::fsync(file_.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_with_errno("written");
  if (!file_.close()) fail_with_errno("written");
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_with_errno("replaced");
  temporary_.clear();
  // The new name reaches the disk with its directory. Not being able to ask for that is no failure: the file is whole.
  const auto folder = target_.parent_path();
  const Descriptor directory(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
}

std::vector<std::byte> load_file(const std::filesystem::path& path) {
  InputFile file(path, "file");
  std::vector<std::byte> bytes(file.size());
  file.read(bytes, "content");
  return bytes;
}

void save_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  OutputFile file(path, "file");
  file.write(bytes);
  file.commit();
}

std::optional<std::uint64_t> declared_bytes(DType dtype, std::span<const std::int64_t> sizes) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t size : sizes) {
    empty |= size == 0;
    if (size != 0 && __builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return empty ? 0 : static_cast<std::uint64_t>(bytes);
}

void swap_bytes(std::span<std::byte> bytes, std::size_t element_size) {
  if (element_size < 2) return;
  for (std::size_t i = 0; i + element_size <= bytes.size(); i += element_size) std::ranges::reverse(bytes.subspan(i, element_size));
}

void normalize_bools(NDArray& array) {
  if (array.dtype() != boolean) return;
  for (auto& b : std::span(array.data(), static_cast<std::size_t>(array.byte_count())))
    if (b != std::byte{0}) b = std::byte{1};
}

}  // namespace weft::io
