#include "apps/digits_source.h"

#include "apps/progress.h"

#include <filesystem>

namespace weft::apps {

DigitsSource find_digits(const std::string& folder, std::int64_t drawn, std::uint64_t seed) {
  if (const auto found = folder.empty() ? find_mnist() : std::filesystem::path(folder)) {
    DigitsSource source{load_mnist(*found), true, {}};
    source.description = "MNIST from " + found->string() + ": " + with_thousands(source.digits.train.count()) + " training and " +
                         with_thousands(source.digits.test.count()) + " test images";
    return source;
  }
  return {{draw_digits(drawn, seed), draw_digits(2000, ~seed)},
          false,
          "MNIST was not found (`weft data mnist` downloads it), so these are digits that weft draws itself: " + with_thousands(drawn) +
              " for training, 2,000 for the test"};
}

}  // namespace weft::apps
