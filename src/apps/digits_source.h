// Where commands have digits from.
#pragma once

#include "apps/digits_data.h"

#include <cstdint>
#include <string>

namespace weft::apps {

struct DigitsSource {
  DigitsData digits;
  bool real = true;
  std::string description;
};

/// Digits that weft draws itself, `count` for training and 2,000 for the test.
DigitsSource drawn_digits(std::int64_t count, std::uint64_t seed);

/// MNIST from the folder, or if that is empty from $WEFT_DATA_DIR or the user's cache; where it isn't, digits that weft draws itself, `drawn`
/// of them for training.
DigitsSource find_digits(const std::string& folder, std::int64_t drawn, std::uint64_t seed);

}  // namespace weft::apps
