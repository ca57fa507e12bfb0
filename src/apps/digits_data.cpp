#include "apps/digits_data.h"

#include <weft/error.h>
#include <weft/io.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace weft::apps {
namespace {

namespace fs = std::filesystem;

/// The path of a file of MNIST, plain before compressed; empty when there is neither.
std::optional<fs::path> locate(const fs::path& folder, const std::string& name) {
  std::error_code error;
  for (const auto& path : {folder / name, folder / (name + ".gz")})
    if (fs::is_regular_file(path, error)) return path;
  return std::nullopt;
}

Digits load_part(const fs::path& folder, const std::string& part) {
  const auto fail = [&](const std::string& what) { throw RunError("mnist in \"" + folder.string() + "\": " + what); };
  const auto load = [&](const std::string& name) {
    const auto path = locate(folder, name);
    if (!path) fail("there is neither " + name + " nor " + name + ".gz");
    return io::load_idx(*path);
  };
  Digits digits{load(part + "-images-idx3-ubyte"), load(part + "-labels-idx1-ubyte")};
  const TensorType &images = digits.images.type(), &labels = digits.labels.type();
  if (images.dtype != u8 || images.shape.rank() != 3 || images.shape[1] != 28 || images.shape[2] != 28)
    fail(part + " images are " + images.str() + ", not u8[n,28,28]");
  if (labels.dtype != u8 || labels.shape.rank() != 1) fail(part + " labels are " + labels.str() + ", not u8[n]");
  if (images.shape[0] != labels.shape[0])
    fail("there are " + std::to_string(images.shape[0]) + " " + part + " images but " + std::to_string(labels.shape[0]) + " labels");
  if (images.shape[0] == 0) fail("there are no " + part + " images");
  const auto values = digits.labels.elements<std::uint8_t>();
  const auto wrong = std::ranges::find_if(values, [](std::uint8_t v) { return v > 9; });
  if (wrong != values.end())
    fail(part + " label " + std::to_string(wrong - values.begin()) + " is " + std::to_string(*wrong) + ", labels are from 0 to 9");
  return digits;
}

std::optional<fs::path> folder_from(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !*value) return std::nullopt;
  return fs::path(value);
}

}  // namespace

DigitsData load_mnist(const fs::path& folder) { return {load_part(folder, "train"), load_part(folder, "t10k")}; }

std::optional<fs::path> mnist_cache() {
  if (const auto cache = folder_from("XDG_CACHE_HOME")) return *cache / "weft" / "mnist";
  if (const auto home = folder_from("HOME")) return *home / ".cache" / "weft" / "mnist";
  return std::nullopt;
}

std::optional<fs::path> find_mnist() {
  std::vector<fs::path> folders;
  if (const auto data = folder_from("WEFT_DATA_DIR")) folders = {*data, *data / "mnist"};
  if (const auto cache = mnist_cache()) folders.push_back(*cache);
  const auto found = std::ranges::find_if(folders, [](const fs::path& f) { return locate(f, "train-images-idx3-ubyte").has_value(); });
  if (found == folders.end()) return std::nullopt;
  return *found;
}

}  // namespace weft::apps
