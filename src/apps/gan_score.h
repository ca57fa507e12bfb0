// How well drawn digits are recognised.
#pragma once

#include "apps/digits_model.h"

#include <weft/ndarray.h>

#include <array>
#include <cstdint>

namespace weft::apps {

struct GanScore {
  std::int64_t images = 0, recognised = 0;  ///< of these the classifier is sure: its probability is above 0.9
  std::array<std::int64_t, 10> of_each{};   ///< by digit, of the recognised
  double share() const { return static_cast<double>(recognised) / static_cast<double>(images); }
};

/// What a trained classifier says to images f32 [n, 28, 28] from 0 to 1.
GanScore score(DigitsModel& classifier, const NDArray& images);

}  // namespace weft::apps
