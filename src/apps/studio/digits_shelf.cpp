#include "apps/studio/digits_shelf.h"

#include <weft/error.h>

#include <algorithm>
#include <cmath>
#include <utility>

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

DigitsChoice::DigitsChoice(Board& board, const char* topic, DigitsShelf& shelf) : board_(board), topic_(topic), shelf_(shelf) {
  board_.set(topic_, {{"needs_data", false}, {"source", "mnist"}, {"data", ""}});
}

bool DigitsChoice::take(const Call& call) {
  const std::string wanted = text(call, "source", 10, draws_own_ ? "drawn" : "mnist");
  if (wanted != "mnist" && wanted != "drawn") throw BadRequest("source must be mnist or drawn");
  board_.set(topic_, {{"source", wanted}});
  const bool drew_own = std::exchange(draws_own_, wanted == "drawn");
  return drew_own != draws_own_;
}

const DigitsSource& DigitsChoice::source() try {
  const DigitsSource& source = draws_own_ ? shelf_.drawn() : shelf_.mnist();
  board_.set(topic_, {{"data", source.description}, {"needs_data", false}});
  return source;
} catch (const RunError&) {
  board_.set(topic_, {{"needs_data", true}});
  throw;
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
