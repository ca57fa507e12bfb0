#include "apps/digits_source.h"

#include "apps/progress.h"

#include <filesystem>

namespace weft::apps {

DigitsSource drawn_digits(std::int64_t count, std::uint64_t seed) {
  return {{draw_digits(count, seed), draw_digits(2000, ~seed)},
          false,
          "digits that weft draws itself: " + with_thousands(count) + " for training, 2,000 for the test"};
}

DigitsSource find_digits(const std::string& folder, std::int64_t drawn, std::uint64_t seed) {
  if (const auto found = folder.empty() ? find_mnist() : std::filesystem::path(folder)) {
    DigitsSource source{load_mnist(*found), true, {}};
    source.description = "MNIST from " + found->string() + ": " + with_thousands(source.digits.train.count()) + " training and " +
                         with_thousands(source.digits.test.count()) + " test images";
    return source;
  }
  DigitsSource source = drawn_digits(drawn, seed);
  source.description = "MNIST was not found (`weft data mnist` downloads it), so these are " + source.description;
  return source;
}

}  // namespace weft::apps
