// Distance transforms of squares in which each hundredth, or each other, pixel is a site.
#include "apps/workloads/workload.h"

#include <weft/distance_transform.h>

#include <random>

namespace weft::apps {

std::vector<Workload> picture_workloads() {
  std::vector<Workload> all;
  for (const std::int64_t size : {1024, 4096})
    for (const std::uint32_t one_in : {100u, 2u}) {
      const auto build = [=](Setup& s) {
        NDArray pixels(u8, {size, size});
        std::minstd_rand random;
        for (auto& p : pixels.elements<std::uint8_t>()) p = random() % one_in == 0 ? 255 : 0;
        s.targets = {distance_transform(s.feed(pixels))};
      };
      all.push_back(
          {.name = "distances_" + std::to_string(size) + "x" + std::to_string(size) + "_of_1_in_" + std::to_string(one_in), .build = build});
    }
  return all;
}

}  // namespace weft::apps
