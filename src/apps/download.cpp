#include "apps/download.h"

#include "apps/sha256.h"

#include <weft/error.h>
#include <weft/io.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace weft::apps {
namespace {

namespace fs = std::filesystem;

/// No file of these data sets is larger, packed or unpacked.
constexpr std::size_t largest = 64 << 20;

struct DataFile {
  const char* name;
  const char* sha256;     ///< of the file without compression
  bool is_packed = true;  ///< kept with ".gz"
};
constexpr std::array<DataFile, 4> mnist_files = {{
    {"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
    {"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
    {"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
    {"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
}};
constexpr std::array<DataFile, 1> shakespeare_files = {{
    {"input.txt", "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", false},
}};

/// A file without a name, that a child process writes to.
class Scratch {
 public:
  explicit Scratch(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    if (fd_ < 0) throw RunError(std::string("download: no temporary memory: ") + std::strerror(errno));
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { ::close(fd_); }
  int fd() const { return fd_; }
  std::vector<std::byte> bytes() const {
    struct stat status {};
    ::fstat(fd_, &status);
    std::vector<std::byte> content(static_cast<std::size_t>(status.st_size));
    std::size_t position = 0;
    while (position < content.size()) {
      const ssize_t n = ::pread(fd_, &content[position], content.size() - position, static_cast<off_t>(position));
      if (n <= 0) throw RunError("download: temporary memory can't be read");
      position += static_cast<std::size_t>(n);
    }
    return content;
  }

 private:
  int fd_;
};

/// The exit status of a program run to its end; empty when there is no such program.
std::optional<int> run_program(std::vector<std::string> words, int out, int err) {
  std::vector<char*> arguments;
  for (auto& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t child = 0;
  const int refused = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (refused != 0) return std::nullopt;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Empty when it isn't gzip from beginning to end.
std::optional<std::vector<std::byte>> unzip(std::span<const std::byte> packed) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw RunError("download: zlib can't start");
  std::vector<std::byte> content(largest);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(content.data());
  stream.avail_out = static_cast<uInt>(content.size());
  const int result = inflate(&stream, Z_FINISH);
  content.resize(stream.total_out);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;
  return content;
}

bool is_right(const DataFile& file, std::span<const std::byte> bytes) {
  if (!file.is_packed) return sha256(bytes) == file.sha256;
  const auto content = unzip(bytes);
  return content && sha256(*content) == file.sha256;
}

bool is_there(const DataFile& file, const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && is_right(file, io::load_file(path));
}

void download(std::span<const DataFile> files, const fs::path& folder, std::span<const std::string> mirrors, const DownloadReport& report) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw RunError("\"" + folder.string() + "\" can't be made: " + error.message());
  for (const DataFile& file : files) {
    const std::string name = std::string(file.name) + (file.is_packed ? ".gz" : "");
    if (is_there(file, folder / name)) {
      report(name + " is there");
      continue;
    }
    std::string reasons;
    bool done = false;
    for (const std::string& mirror : mirrors) {
      const std::string url = mirror + (mirror.ends_with('/') ? "" : "/") + name;
      std::vector<std::byte> content;
      try {
        content = fetch(url);
        if (!is_right(file, content)) throw RunError(url + ": the content is not what it should be");
      } catch (const RunError& e) {
        reasons += std::string(reasons.empty() ? "" : "; ") + e.what();
        continue;
      }
      io::save_file(folder / name, content);
      report(name + " from " + mirror);
      done = true;
      break;
    }
    if (!done) throw RunError("no mirror has " + name + ": " + reasons);
  }
}

}  // namespace

std::vector<std::byte> fetch(const std::string& url) {
  const Scratch content("download"), complaint("complaint");
  const auto status = run_program({"curl", "--fail", "--silent", "--show-error", "--location", "--proto-redir", "=http,https", "--connect-timeout",
                                   "8", "--retry", "1", "--max-filesize", std::to_string(largest), "--", url},
                                  content.fd(), complaint.fd());
  if (!status) throw RunError("download: the program curl is needed and can't be started: is it installed?");
  if (*status != 0) {
    const auto bytes = complaint.bytes();
    std::string reason(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    reason.erase(0, reason.find_last_of('\n') + 1);
    throw RunError(url + ": " + (reason.empty() ? "curl failed with status " + std::to_string(*status) : reason));
  }
  return content.bytes();
}

std::vector<std::string> mnist_mirrors() {
  return {"https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"};
}

void download_mnist(const fs::path& folder, std::span<const std::string> mirrors, const DownloadReport& report) {
  download(mnist_files, folder, mirrors, report);
}

std::vector<std::string> shakespeare_mirrors() { return {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/"}; }

void download_shakespeare(const fs::path& folder, std::span<const std::string> mirrors, const DownloadReport& report) {
  download(shakespeare_files, folder, mirrors, report);
}

}  // namespace weft::apps
