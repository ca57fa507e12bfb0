// Operations on images.
#include "descriptions.h"

#include <weft/distance_transform.h>
#include <weft/elementwise.h>

namespace weft {

std::vector<OpCase> image_cases() {
  const std::vector<Shapes> images{{{2, 7, 9, 3}}, {{5, 31}}, {{3, 200}}, {{200, 3}},     {{6, 7, 2}},
                                   {{0, 3}},       {{3, 0}},  {{1, 1}},   {{2, 3, 5, 0}}, {{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 5, 7, 3}}};
  const auto transform = [&](std::string name, std::function<Tensors(Tensor)> build) {
    return OpCase{.name = std::move(name),
                  .build = [build](Graph&, const Tensors& x) { return build(x[0]); },
                  .inputs = {{whole(-1, 1)}},
                  .shapes = images,
                  .dtypes = ordered()};
  };
  OpCase sparse = transform("distance_transform_of_few_sites", [](Tensor x) { return Tensors{distance_transform(x > 95, {.layout = "NCHW"})}; });
  sparse.inputs = {{whole(-100, 100)}};
  sparse.dtypes = reals();
  return {
      transform("distance_transform", [](Tensor x) { return Tensors{distance_transform(x)}; }),
      transform("distance_transform_within",
                [](Tensor x) {
                  const Tensor d = distance_transform(x, {.search_limit_radius = 1.5});
                  return Tensors{distance_transform(select(d > 1.0f, d, 0.0f))};
                }),
      transform("nearest_sites",
                [](Tensor x) {
                  const auto [distances, indices] = nearest_sites(x, {.search_limit_radius = 2, .index_dtype = i64});
                  return Tensors{distances, indices};
                }),
      sparse,
  };
}

}  // namespace weft
