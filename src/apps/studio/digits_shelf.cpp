#include "apps/studio/digits_shelf.h"

#include <weft/error.h>

#include <algorithm>
#include <cmath>

namespace weft::apps::studio {

const DigitsSource& DigitsShelf::mnist() {
  const std::lock_guard lock(mutex_);
  if (!mnist_) {
    if (folder_.empty() && !find_mnist()) throw RunError("MNIST was not found on this machine; `weft data mnist` downloads it (11 MB)");
    mnist_ = find_digits(folder_, 1, 1);
  }
  return *mnist_;
}

const DigitsSource& DigitsShelf::drawn() {
  const std::lock_guard lock(mutex_);
  if (!drawn_) drawn_ = drawn_digits(10000, 1);
  return *drawn_;
}

std::string bytes_of(const NDArray& images) {
  if (images.dtype() == u8) {
    const NDArray dense = images.dense();
    const auto values = dense.elements<std::uint8_t>();
    return {values.begin(), values.end()};
  }
  std::string bytes;
  for (const float v : images.elements<float>()) bytes += static_cast<char>(std::lround(255 * std::clamp(v, 0.0f, 1.0f)));
  return bytes;
}

}  // namespace weft::apps::studio
