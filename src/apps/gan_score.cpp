#include "apps/gan_score.h"

#include <algorithm>

namespace weft::apps {

GanScore score(DigitsModel& classifier, const NDArray& images) {
  const NDArray result = classifier.probabilities(images);
  const auto p = result.elements<float>();
  GanScore score{.images = images.shape()[0]};
  for (std::int64_t i = 0; i < score.images; ++i) {
    const auto begin = p.begin() + i * 10, best = std::max_element(begin, begin + 10);
    if (*best <= 0.9f) continue;
    ++score.recognised;
    ++score.of_each[static_cast<std::size_t>(best - begin)];
  }
  return score;
}

}  // namespace weft::apps
